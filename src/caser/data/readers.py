"""Read an interaction log from a file or a frame.

Files: CSV, TSV, space-separated triplets, MovieLens `u.data`, `ratings.dat` and `ratings.csv`, RecBole `.inter`, JSON
lines and Parquet, each also gzipped. Frames: polars, pandas and Arrow. What the caller does not say is guessed, and
every guess is a sentence in `provenance["notes"]`. A row without a user, an item or a readable time is a bad row: the
log is refused, or bad rows are skipped and counted. Rows with equal times keep their order. The whole source is held in
memory.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import polars as pl
from pydantic import Field

from caser.config import Settings
from caser.data.filters import LogFilters, apply_filters
from caser.data.formats import read_table
from caser.data.interpret import Rules, to_log
from caser.data.log import InteractionLog
from caser.data.names import SYNONYMS
from caser.data.tables import Layout, RawTable, first_line
from caser.errors import ConfigError, DataError, MissingDependencyError
from caser.system.kinds import must_be


@runtime_checkable
class ArrowTable(Protocol):
    """Any table with Arrow's C stream interface, such as a frame of pandas or a table of pyarrow."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return a capsule with a stream of the table's rows."""


LogSource: TypeAlias = str | Path | pl.DataFrame | pl.LazyFrame | ArrowTable
"""The path of a file, a polars frame, or any other Arrow table."""


class Reading(Settings):
    """How to read a log. Settings that are left out are guessed, and the guesses are reported."""

    user: str | None = None
    """Column with the user."""
    item: str | None = None
    """Column with the item."""
    time: str | None = None
    """Column with the time, or "date,time" for a day and a time of day in two columns; "" for the order of rows."""
    time_format: str | None = None
    """How times are written, such as "%d/%m/%Y %H:%M", or the unit of numbers, such as "milliseconds"."""
    missing: tuple[str, ...] | None = None
    """Words that mean that a value is missing, instead of NA, NULL, None, NaN, - and the like."""
    rating: str | None = None
    """Column with the rating, for --min-rating."""
    event_type: str | None = None
    """Column with the kind of event, for --event-types."""
    separator: str | None = Field(default=None, pattern=r'^[^"\r\n]+$')
    """Text between two fields of a text file."""
    header: bool | None = None
    """Whether the first line of a text file names the columns."""
    format: str | None = None
    """Format of a file: delimited, jsonl or parquet."""
    bad_rows: Literal["refuse", "skip"] = "refuse"
    """What to do with rows that have no user, no item or no readable time: refuse the log, or skip these rows."""


def read_log(
    source: LogSource, reading: Reading | None = None, *, filters: LogFilters | None = None, **options: Any
) -> InteractionLog:
    """Read an interaction log from a file or a frame.

    source   a path, a frame of polars or pandas, or a table of Arrow
    reading  how to read it; by default everything is guessed
    filters  which interactions to keep; all of them by default
    options  single settings of `Reading`, such as `user="visitor"`, which replace those of `reading`

    Returns the log. Its `provenance` holds the source, the guesses, the number of bad rows and what each filter
    dropped. Raises DataError, with one sentence that names the source, if the source cannot be read, has bad rows while
    `bad_rows` is "refuse", or has no interaction left after the filters. Raises ConfigError for an unknown option, for
    `reading` or `filters` of another type, and for a setting of files together with a frame. Raises
    MissingDependencyError if a frame of pandas cannot be read because pyarrow is not installed.

    >>> frame = pl.DataFrame({"visitor": ["ann", "bob", "ann"], "item": [3, 3, 4], "time": [20, 10, 30]})
    >>> log = read_log(frame)
    >>> log, log.provenance["notes"][0]
    (InteractionLog(3 interactions, 2 users, 2 items), 'read visitor as user; override with user= (--user)')
    """
    must_be("reading", reading, Reading | None, "caser.Reading(...) or None")
    reading = (reading or Reading()).replace(**options)
    filters = LogFilters() if filters is None else filters
    if not isinstance(filters, LogFilters):
        raise ConfigError(f"filters must be caser.LogFilters(...); got {filters!r}.")
    if isinstance(source, str | Path):
        source = _absolute(source)
    facts: dict[str, Any] = {"source": str(source) if isinstance(source, Path) else "frame"}
    try:
        table = _open(source, reading, facts)
        if _names_positions(reading, table):
            table = _open(source, reading.replace(header=False), facts)
        facts["reading"] = reading.model_dump(mode="json", exclude_defaults=True)
        rules = Rules(
            named=reading.model_dump(include=set(SYNONYMS)),
            missing=reading.missing,
            time_format=reading.time_format,
            skip=reading.bad_rows == "skip",
        )
        return apply_filters(to_log(table, rules, filters, facts), filters)
    except DataError as error:
        sentence = str(error).rstrip(".")
        raise type(error)(f"{sentence}; in {facts['source']}.") from None


def _open(source: LogSource, reading: Reading, facts: dict[str, Any]) -> RawTable:
    """Return the rows of the source, and add the checksum and format of a file to `facts`."""
    if isinstance(source, Path):
        data = _read_bytes(source)
        facts["sha256"] = hashlib.sha256(data).hexdigest()
        facts["format"], table = read_table(data, Layout(reading.separator, reading.header), reading.format)
        return table
    for name in ("separator", "header", "format"):
        if getattr(reading, name) is not None:
            raise ConfigError(f"{name} has an effect only when a file is read; got a frame. Leave {name} out.")
    frame, notes = _to_frame(source)
    return replace(RawTable.from_frame(frame), notes=notes)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"a log must be a file that can be read; got {reason!r}") from None


def _absolute(path: str | Path) -> Path:
    """Return the absolute path, so that `provenance` is true in any folder; the given path if it cannot be resolved."""
    try:
        return Path(path).expanduser().resolve()
    except (OSError, ValueError, RuntimeError):
        return Path(path)


def _names_positions(reading: Reading, table: RawTable) -> bool:
    """Return whether columns are named by number, in a file whose first line was guessed to be a header."""
    named = [name for role in ("user", "item", "time") if (name := getattr(reading, role))]
    by_number = [name for name in named if name not in table.columns and name.isdecimal()]
    return reading.header is None and table.is_text and table.has_header and bool(named) and by_number == named


def _to_frame(source: object) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return a frame of polars, and sentences on what was converted."""
    if isinstance(source, pl.DataFrame):
        return source, ()
    if (
        not isinstance(source, pl.LazyFrame | ArrowTable)
        or isinstance(source, pl.Series)
        or hasattr(source, "to_frame")
    ):
        raise DataError(
            f"a log must be a path or a polars, pandas or Arrow table; got {type(source).__name__}; make a table of "
            "it, such as polars.DataFrame({'user': [...], 'item': [...], 'time': [...]})"
        )
    try:
        if isinstance(source, pl.LazyFrame):
            return source.collect(), ()
        flat, notes = _with_index(source)
        return pl.DataFrame(flat), notes
    except ImportError as error:  # pandas and polars may export a frame only with pyarrow
        raise MissingDependencyError(
            f"this frame can be read only with another package: {first_line(error).rstrip('.')}. "
            "Run: pip install pyarrow"
        ) from None
    except Exception as error:  # foreign code runs here: the caller's query, or the export of another library
        raise DataError(f"a table must be readable, each column of one kind; got {first_line(error)}") from None


def _with_index(frame: Any) -> tuple[Any, tuple[str, ...]]:
    """Make columns of the named levels of a pandas index, which polars would drop; say if a nameless one is dropped."""
    index = getattr(frame, "index", None)
    names = list(getattr(index, "names", ()))
    if index is None or not hasattr(frame, "reset_index"):
        return frame, ()
    levels = [name for name in names if name is not None and name not in frame.columns]
    if levels:
        named = ", ".join(map(str, levels))
        return frame.reset_index(level=levels), (f"the index of the frame holds {named}: read as columns",)
    if names == [None] and str(index.dtype) not in ("int64", "int32", "uint64"):
        first = repr(index[0]) if len(index) else "nothing"
        return frame, (
            f"doubt: the index of the frame ({first}, ...) has no name and is not read: name it, or reset it",
        )
    return frame, ()
