"""Ids out: write the raw ids of users or items in the order of their indices, with titles, and count their events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import polars as pl

from caser.data.id_text import check_lengths
from caser.data.ids import as_integers_if_exact, without_point_zero
from caser.data.interpret import note_on_whole
from caser.data.prepared.folder import TYPES
from caser.data.prepared.numbering import Group, Numbering
from caser.system.frames import write_frames

IDS_PER_FRAME = 1 << 16
"""How many ids are written at once. The bytes of the file depend on it, and so it does not depend on the memory."""


def write_ids(
    numbering: Numbering,
    groups: Sequence[Group],
    path: Path,
    *,
    id_type: str,
    is_text: bool,
    titles: pl.DataFrame | None = None,
) -> tuple[str, list[str]]:
    """Number ids, and write them to a Parquet file, and their counts, int64, to a file `ROLE.counts` of the numbering.

    numbering  of users or items        groups  as its `count` returned them        path  the file of the ids
    id_type    a key of `folder.TYPES`
    is_text    whether the source is a text file, whose ids become integers where this changes none of them
    titles     items and their titles; None: then there is no column of titles

    Returns the type of the ids in the file, and sentences on ids that were converted. Raises DataError for an id that
    is empty or too long.
    """
    is_exact = is_text and all(group.is_exact for group in groups)
    is_whole = is_text and not is_exact and all(group.is_whole for group in groups)
    id_type = "Int64" if is_exact or is_whole else id_type
    notes: list[str] = []
    counts = counts_of(numbering.folder, numbering.role)
    counts.write_bytes(b"")

    def frames() -> Iterator[pl.DataFrame]:
        for ids, numbers in numbering.merge(groups):
            check_lengths(ids, numbering.role)
            with counts.open("ab") as file:
                numbers.tofile(file)
            whole = as_integers_if_exact(ids) if is_exact else without_point_zero(ids) if is_whole else None
            if is_whole and whole is not None and not notes:
                notes.append(note_on_whole(numbering.role, ids[0], whole[0]))
            frame = (ids if whole is None else whole).alias("id").to_frame()
            yield frame if titles is None else _with_titles(frame, titles)

    schema = pl.Schema({"id": TYPES[id_type]} | ({} if titles is None else {"title": pl.String()}))
    write_frames(path, _of_equal_size(frames()), schema)
    return id_type, notes


def counts_of(folder: Path, role: str) -> Path:
    """Return the file with how many events each user, or item, has.

    folder  that of the numbering        role  "user" or "item"
    """
    return folder / f"{role}.counts"


def _with_titles(ids: pl.DataFrame, titles: pl.DataFrame) -> pl.DataFrame:
    """Add the title of each item, or null."""
    item = pl.col("id").cast(pl.String).alias("item")
    return ids.with_columns(item).join(titles, on="item", how="left", maintain_order="left").select("id", "title")


def _of_equal_size(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Yield the rows of frames again, `IDS_PER_FRAME` at a time."""
    rest: pl.DataFrame | None = None
    for frame in frames:
        rest = frame if rest is None else pl.concat([rest, frame])
        while len(rest) >= IDS_PER_FRAME:
            yield rest.head(IDS_PER_FRAME).rechunk()
            rest = rest[IDS_PER_FRAME:]
    if rest is not None and len(rest):
        yield rest.rechunk()
