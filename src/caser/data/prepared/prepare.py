"""Prepare a log: read a source piece by piece, and write it as a folder of memory-mapped arrays.

    read      each piece of the source becomes a staged piece (`reading.py`, `pieces.py`, `staged.py`), and all together
              are judged as a log in memory is (`totals.py`)
    number    users and items get their indices (`numbering.py`), and their ids are written (`ids_out.py`)
    arrange   the events are ordered by user, time and row (`arrange.py`)
    finish    the doubts are said, the files are hashed, and the folder gets its name (`finish.py`)

The work lies in `.NAME.caser-prepare.partial` beside the folder. If the process is killed, the same command goes on
where it was; another command, or a source that was changed, begins again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from caser import __version__
from caser.arrays.offsets import offsets_of
from caser.arrays.types import Int64
from caser.data.doubts import Moments
from caser.data.encodings import notes_on_encoding
from caser.data.event_kinds import weights_of
from caser.data.filters import FILTERS_OF_COLUMNS, LogFilters
from caser.data.interpret import note_on_kinds, provenance_of
from caser.data.log_titles import note_on_titles, why_no_titles
from caser.data.names import SYNONYMS
from caser.data.prepared.arrange import arrange, order_piece, user_ranges
from caser.data.prepared.finish import Found, finish
from caser.data.prepared.folder import IDS, arrays_with, is_ours, is_prepared, open_prepared, read_manifest
from caser.data.prepared.ids_out import counts_of, write_ids
from caser.data.prepared.numbering import Numbering
from caser.data.prepared.origins import origin_of
from caser.data.prepared.pieces import Pieces
from caser.data.prepared.reading import Head, read_pieces
from caser.data.prepared.staged import ROLES, Staged
from caser.data.prepared.totals import Totals, merged_titles, totals_of
from caser.data.prepared.work import Work
from caser.data.readers import Reading
from caser.data.rows import Rules, check_rows
from caser.data.shards import ShardedLog
from caser.errors import ArtefactError, ConfigError, DataError
from caser.system.kinds import must_be
from caser.system.locks import locked
from caser.system.storage import discard

MEMORY_MB = 1000
"""How much memory is used by default."""

LEAST_MEMORY_MB = 50


def prepare_log(
    source: str | Path | Sequence[str | Path],
    out: str | Path,
    reading: Reading | None = None,
    *,
    filters: LogFilters | None = None,
    num_shards: int | None = None,
    memory_mb: int = MEMORY_MB,
    sql: str | None = None,
    connection: str | None = None,
    on_message: Callable[[str], None] = lambda _: None,
    **options: Any,
) -> ShardedLog:
    r"""Write a log that need not fit into memory as a prepared log, which every command opens as it opens a log.

    source      a file, a folder of parts, a pattern of paths, or several of them; Parquet files in a store of objects,
                as "s3://..." or "gs://..."; an empty list with `sql`
    out         the folder to write; a prepared log that is there is replaced
    reading     how to read the source, as for `read_log`        options  single settings of it
    filters     of these, `min_rating` and `event_types`, whose columns a log does not keep
    num_shards  how many shards training and evaluation find; None: so many that one fits into a quarter of the memory
    memory_mb   about how many megabytes this may take, besides what Python and its packages take
    sql         a query whose rows are the log        connection  the address of its database, as "sqlite:///log.db"
    on_message  is called with sentences on the progress

    Returns the opened log. It is that of `read_log`, with the same indices, times, notes and digest. Raises DataError
    as `read_log` does, and for a source that cannot be read in pieces; ConfigError for other settings; ArtefactError if
    the folder cannot be written. If the process is killed, the same call goes on where it was.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "log.csv").write_text("user,item,time\nann,7,20\nbob,7,10\n")
    ...     prepare_log(f"{folder}/log.csv", f"{folder}/prepared").user_ids(0).to_list()
    ['bob', 'ann']
    """
    must_be("source", source, str | Path | list | tuple, "a path, or a list of paths")
    must_be("out", out, str | Path, "the path of a folder")
    reading = (reading or Reading()).replace(**options)
    filters = _checked_filters(filters)
    if reading.negative_events:
        raise ConfigError(
            f"a prepared log does not keep negative events; got negative_events (--negative-events) "
            f"{', '.join(reading.negative_events)}. Keep other kinds with event_types (--event-types), or read the log "
            "in memory."
        )
    if memory_mb < LEAST_MEMORY_MB:
        raise ConfigError(f"memory_mb (--memory-mb) must be at least {LEAST_MEMORY_MB}; got {memory_mb}.")
    sources = [source] if isinstance(source, str | Path) else list(source)
    origin = origin_of(sources, reading, 1e6 * memory_mb, sql=sql, connection=connection)
    job = _Job(origin.name, origin.pieces, reading, filters, num_shards, 1e6 * memory_mb, on_message)
    folder = Path(out).expanduser().resolve()
    with locked(folder, wait=False):
        if folder.exists() and not is_ours(folder):
            raise ArtefactError(f"{folder} must be a new folder, or a prepared log; it is neither. Choose another one.")
        try:
            if origin.is_stable and is_prepared(folder) and read_manifest(folder).asked == job.asked:
                on_message(f"{folder} is prepared from this source already")
                return open_prepared(folder)
            work = Work.of(folder, job.asked, on_message, goes_on=origin.is_stable)
            job.run(work)
        except DataError as error:
            discard(Work.beside(folder))
            raise type(error)(f"{str(error).rstrip('.')}; in {origin.name}.") from None
        discard(work.folder)
    return open_prepared(folder)


def _checked_filters(filters: LogFilters | None) -> LogFilters:
    filters = LogFilters() if filters is None else filters
    later = set(filters.model_dump(exclude_defaults=True)) - {*FILTERS_OF_COLUMNS}
    if later:
        raise ConfigError(
            f"a log is prepared with the filters min_rating and event_types only; got {', '.join(sorted(later))}. Give "
            "it when the prepared log is used."
        )
    return filters


@dataclass(frozen=True, eq=False)
class _Job:
    """One log to prepare."""

    name: str
    source: Pieces
    reading: Reading
    filters: LogFilters
    num_shards: int | None
    memory: float
    on_message: Callable[[str], None]

    @cached_property
    def asked(self) -> dict[str, Any]:
        """What decides the result: JSON values."""
        return {
            "library_version": __version__,
            "polars": pl.__version__,
            "source": self.source.stamp(),
            "reading": self.reading.model_dump(mode="json", exclude_defaults=True),
            "filters": self.filters.model_dump(mode="json", exclude_defaults=True),
            "num_shards": self.num_shards,
            "memory": self.memory,
        }

    def run(self, work: Work) -> None:
        """Do what is not done yet, and put the folder in its place."""
        named, skip = self.reading.model_dump(include=set(SYNONYMS)), self.reading.bad_rows == "skip"
        weights = weights_of(self.reading.target_events)
        rules = Rules(named, self.reading.missing, self.reading.time_format, skip, weights)
        # Read.
        head = Head.of(self.source, rules, self.filters)
        pieces = read_pieces(work, self.source, head, rules, self.filters, self.on_message)
        totals = totals_of(pieces, self.source.names)
        try:
            check_rows(totals.rows, head.roles.columns, head.table, rules, self.filters)
        except DataError as error:
            raise DataError("; ".join([str(error).rstrip("."), *notes_on_encoding(totals.notes)])) from None
        if totals.num_kept == 0:
            raise DataError("a log must hold at least one interaction; got none: check the file and the filters")
        # Number.
        numbered = work.marked("numbered") or self._number(work, pieces, totals, head)
        user_counts, item_counts = (np.fromfile(counts_of(work.ids, role), np.int64) for role in ROLES)
        # Arrange.
        moments = self._arrange(work, pieces, offsets_of(np.concatenate([[0], user_counts])))
        # Finish.
        facts = {"source": self.name, **self.source.facts(), "reading": self.asked["reading"]}
        provenance = provenance_of(totals.rows, totals.notes, head.roles.notes, self.filters, facts)
        num_targets = sum(piece.facts["num_targets"] for piece in pieces)
        on_kinds = [note_on_kinds(weights, num_targets, totals.num_kept)] if weights else []
        provenance["notes"] = [*provenance["notes"], *on_kinds, *numbered["notes"]]
        is_typed = not head.table.is_text
        found = Found(
            totals,
            user_counts,
            item_counts,
            moments,
            numbered["types"],
            numbered["has_titles"],
            is_typed,
            self.reading.target_events,
        )
        finish(work, found, provenance, self.asked, num_shards=self.num_shards, memory=self.memory)

    def _number(self, work: Work, pieces: Sequence[Staged], totals: Totals, head: Head) -> dict[str, Any]:
        """Number users and items, and write their ids; return sentences, the types of ids, and whether titles are."""
        self.on_message("numbering users and items")
        notes: list[str] = []
        on_titles: list[str] = []
        types: dict[str, str] = {}
        titles: pl.DataFrame | None = None
        for role in ROLES:
            numbering = Numbering(pieces, role, work.ids, self.memory / 2)
            groups = numbering.count()
            if role == "item" and head.title is not None:
                titles, on_titles = _titles(pieces, head.title, sum(group.num_ids for group in groups))
            path, id_type, is_text = work.out / IDS[role], totals.id_types[role], head.table.is_text
            types[role], more = write_ids(numbering, groups, path, id_type=id_type, is_text=is_text, titles=titles)
            if titles is not None and not _has_titles(path):
                titles, on_titles = None, []
                types[role], more = write_ids(numbering, groups, path, id_type=id_type, is_text=is_text)
            numbering.resolve(groups)
            notes += more
        found = {"notes": [*notes, *on_titles], "types": types, "has_titles": titles is not None}
        work.mark("numbered", found)
        return found

    def _arrange(self, work: Work, pieces: Sequence[Staged], offsets: Int64) -> Moments:
        """Order the events that are not ordered yet."""
        self.on_message(f"ordering {int(offsets[-1]):,} interactions")
        bounds = user_ranges(offsets, self.memory / 2)
        for piece in pieces:
            order_piece(piece, bounds)
        done = work.marked("arranged") or {"ranges": 0, "moments": Moments()}
        moments = Moments(*done["moments"])
        types = arrays_with(kinds=bool(self.reading.target_events))
        for num_ranges, seen in arrange(pieces, bounds, offsets, work.out, types, done["ranges"], moments):
            work.mark("arranged", {"ranges": num_ranges, "moments": list(seen)})
            moments = seen
        return moments


def _titles(pieces: Sequence[Staged], title: str, num_items: int) -> tuple[pl.DataFrame | None, list[str]]:
    """Return the titles of items and the sentence on them; None if the column holds no titles."""
    found = [piece.titles for piece in pieces]
    pairs = [one for one in found if one is not None]
    if len(pairs) < len(found):
        return None, []
    merged = merged_titles(pairs)
    why_not = why_no_titles(merged, title, num_items)
    return (merged, [note_on_titles(title)]) if why_not is None else (None, [why_not])


def _has_titles(path: Path) -> bool:
    return bool(pl.scan_parquet(path).select(pl.col("title").count()).collect().item())
