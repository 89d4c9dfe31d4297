"""The two tables of an artefact, the vocabulary and the histories, as Parquet files and back.

Every value that is read is checked, because anyone who can write a file can also write its checksum. Errors are
ValueErrors without the name of the file; `file_errors.py` adds it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from caser.arrays.offsets import blocks_of, offsets_of, places_of
from caser.arrays.types import Mask
from caser.data.log import Vocabulary
from caser.data.tape import Tape
from caser.system.frames import write_new_frames
from caser.system.mapped import Gathered, release
from caser.system.parsing import parse_parquet, parse_parquet_slices

BLOCK = 2**18
"""About so many interactions are written or read at once."""

_VOCABULARY_COLUMNS = {"index": 4, "user_id": 16, "item_id": 16, "item_title": 16}
"""The columns, and the least bytes that a value of each takes in memory."""

_ID_TYPES = frozenset(
    {
        *(pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64),
        *(pl.Int128, pl.UInt128, pl.String, pl.Boolean, pl.Float32, pl.Float64),
    }
)
"""The types of ids: text and whole numbers; runs of earlier versions may have other numbers and booleans."""

_HISTORY_COLUMNS = {"user": pl.Int32, "item": pl.Int32, "order": pl.Int32}


def vocabulary_to_parquet(users: Vocabulary, items: Vocabulary, titles: pl.Series | None) -> bytes:
    """Return the raw ids as a Parquet file: row n holds the user and the item with index n, from 1.

    users, items  raw ids in the order of their indices
    titles        item titles, aligned with `items.ids`; None where the log has none

    A column that is shorter than the longest one ends with nulls.
    """
    titles = pl.Series([], dtype=pl.String) if titles is None else titles
    columns = {"user_id": users.ids, "item_id": items.ids, "item_title": titles}
    height = max(map(len, columns.values()))
    index = pl.int_range(1, height + 1, dtype=pl.Int32, eager=True).alias("index")
    padded = [column.extend_constant(None, height - len(column)).alias(name) for name, column in columns.items()]
    return _parquet(pl.DataFrame([index, *padded]))


def vocabulary_from_parquet(content: bytes) -> tuple[Vocabulary, Vocabulary, pl.Series | None]:
    """Read users, items and titles back. Raises ValueError for a table that `vocabulary_to_parquet` cannot have made.

    content  the bytes of the file
    """
    frame = parse_parquet(content, _VOCABULARY_COLUMNS)
    index, users, items, titles = frame.get_columns()
    if not index.equals(pl.int_range(1, len(frame) + 1, dtype=pl.Int32, eager=True)) or titles.dtype != pl.String:
        raise ValueError("an index that does not count from 1, or titles that are not text")
    users, items = _ids(users), _ids(items)
    has_titles = titles.null_count() < len(titles)
    return Vocabulary(users), Vocabulary(items), titles.head(len(items)) if has_titles else None


def write_histories(path: Path, tape: Tape, is_trained: Mask | None) -> None:
    """Write the interactions as a Parquet file of user index, item index, and place in the user's history from 0.

    path        a file that does not exist
    tape        all interactions; their arrays may be memory-mapped, and some users are written at a time
    is_trained  (N,) bool, whether the model was trained on each of them; None if on all of them

    Where the log has times, the column `time` holds them, in microseconds since 1970. Raises OSError if the file cannot
    be written.
    """
    times = tape.times

    def frames() -> Iterator[pl.DataFrame]:
        for first, end in blocks_of(tape.lengths, BLOCK):
            inside, lengths = slice(tape.offsets[first], tape.offsets[end]), tape.lengths[first:end]
            columns = {
                "user": np.repeat(np.arange(first, end, dtype=np.int32), lengths),
                "item": np.asarray(tape.items[inside]),
                "order": places_of(lengths).astype(np.int32),
                "trained": np.ones(int(lengths.sum()), np.bool_) if is_trained is None else is_trained[inside],
            }
            yield pl.DataFrame(columns if times is None else {**columns, "time": np.asarray(times[inside])})
            release(*(array for array in (tape.items, times, is_trained) if array is not None))

    kinds = {**_HISTORY_COLUMNS, "trained": pl.Boolean, **({} if times is None else {"time": pl.Int64})}
    write_new_frames(path, frames(), pl.Schema(kinds))


def read_histories(content: bytes | Path, num_users: int, num_items: int) -> tuple[Tape, Mask | None]:
    """Read the interactions back, and on which of them the model was trained; None if on all of them.

    content               the bytes of the file, or its path if nobody else changes it
    num_users, num_items  sizes of the vocabulary that the indices must lie in

    The arrays of a large file are memory-mapped. Files of format 1 hold only interactions that trained the model, and
    no column that says so. Raises ValueError for a table that `write_histories` cannot have made.
    """
    counts = np.zeros(num_users + 1, dtype=np.int64)
    gathered: dict[str, Gathered] = {}
    last, all_trained = (0, -1), True
    for frame in parse_parquet_slices(content, BLOCK, dict.fromkeys(_HISTORY_COLUMNS, 4), {"trained": 1, "time": 8}):
        columns = _checked(frame, num_users, num_items, last)
        users = columns["user"]
        counts += np.bincount(users, minlength=num_users + 1)
        all_trained &= "trained" not in columns or bool(columns["trained"].all())
        if len(users):
            last = int(users[-1]), int(columns["order"][-1])
        for name in ("item", "trained", "time"):
            if name in columns:
                gathered.setdefault(name, Gathered(columns[name].dtype)).add(columns[name])
    arrays = {name: each.array() for name, each in gathered.items()}
    tape = Tape(arrays["item"], offsets_of(counts), num_items, log_times=arrays.get("time"))
    return tape, None if all_trained else arrays["trained"]


def _checked(frame: pl.DataFrame, num_users: int, num_items: int, last: tuple[int, int]) -> dict[str, NDArray[Any]]:
    """The columns of some rows, after those whose last one has the user and the place `last`."""
    kinds = dict(frame.schema)
    known = {**_HISTORY_COLUMNS, "trained": pl.Boolean, "time": pl.Int64}
    if kinds != {name: known[name] for name in kinds} or _has_nulls(frame):
        raise ValueError(f"columns {kinds}, or rows with nulls")
    columns = {name: frame[name].to_numpy() for name in frame.columns}
    users, items, order = (columns[name] for name in _HISTORY_COLUMNS)
    for values, most in ((users, num_users), (items, num_items)):
        if len(values) and not 1 <= values.min() <= values.max() <= most:
            raise ValueError("users or items that are not in the vocabulary")
    # A row goes on with the user of the row before, one place later, or begins a later user at place 0.
    steps = np.diff(users, prepend=np.int32(last[0]))
    before = np.concatenate([[last[1]], order[:-1].astype(np.int64)])[: len(order)]
    if (steps < 0).any() or not np.array_equal(order, np.where(steps == 0, before + 1, 0)):
        raise ValueError("interactions that are not ordered by user and by their place in the user's history")
    return columns


def _has_nulls(frame: pl.DataFrame) -> bool:
    return bool(frame.null_count().sum_horizontal().item())


def _ids(column: pl.Series) -> pl.Series:
    """The raw ids of a column, without the nulls at its end."""
    ids = column.head(len(column) - column.null_count())
    if ids.dtype not in _ID_TYPES or (ids.dtype.is_float() and not ids.is_finite().all()):
        raise ValueError(f"{column.name} of type {str(ids.dtype)[:60]}, or numbers that are not finite")
    if ids.null_count() or ids.n_unique() != len(ids):
        raise ValueError(f"{column.name} with gaps or equal ids")
    return ids


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()
