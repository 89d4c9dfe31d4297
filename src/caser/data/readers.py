"""Read an interaction log from a file or a frame.

Files: CSV, TSV, space-separated triplets, MovieLens `u.data`, `ratings.dat` and `ratings.csv`, RecBole `.inter`, JSON
lines and Parquet, each also gzipped. Frames: polars, pandas and Arrow. What the caller does not say is guessed, and
every guess is a sentence in `provenance["notes"]`. A row without a user, an item or a readable time is a bad row: the
log is refused, or bad rows are skipped and counted. Rows with equal times keep their order. The whole source is held in
memory.
"""

from __future__ import annotations

import functools
import hashlib
import operator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import polars as pl
from pydantic import Field

from caser.config import Settings
from caser.data.columns import SYNONYMS, as_integers_if_exact, choose_columns, clean_ids, to_microseconds
from caser.data.filters import LogFilters, apply_filters
from caser.data.formats import read_table
from caser.data.log import InteractionLog, Vocabulary
from caser.data.tables import Layout, RawTable, first_line
from caser.errors import ConfigError, DataError, MissingDependencyError
from caser.system.hints import install_package
from caser.system.kinds import must_be

FAULTS = {
    "user": "without a user",
    "item": "without an item",
    "time": "with a missing or unreadable time",
    "rating": "with a missing or unreadable rating",
}
"""Why a row is bad, by the column that is null. A row with several reasons is counted only for the first of them."""

SKIP_HINT = '; pass bad_rows="skip" (--bad-rows skip) to go on'


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
    """Column with the time; without one, the order of rows is the order of events."""
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
        return apply_filters(_to_log(table, reading, filters, facts), filters)
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
    return RawTable.from_frame(_to_frame(source))


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


def _to_frame(source: object) -> pl.DataFrame:
    if isinstance(source, pl.DataFrame):
        return source
    if not isinstance(source, pl.LazyFrame | ArrowTable):
        raise DataError(f"a log must be a path or a polars, pandas or Arrow table; got {type(source).__name__}")
    try:
        return source.collect() if isinstance(source, pl.LazyFrame) else pl.DataFrame(source)
    except ImportError as error:  # pandas and polars may export a frame only with pyarrow
        raise MissingDependencyError(
            f"this frame can be read only with another package: {first_line(error).rstrip('.')}. "
            f"Type: {install_package('pyarrow')}"
        ) from None
    except Exception as error:  # foreign code runs here: the caller's query, or the export of another library
        raise DataError(f"a table must be readable, each column of one kind; got {first_line(error)}") from None


def _to_log(table: RawTable, reading: Reading, filters: LogFilters, facts: dict[str, Any]) -> InteractionLog:
    """Make a log from a table. Apply the filters on ratings and events here, as a log does not keep these columns."""
    # Choose the columns and convert their values.
    named = reading.model_dump(include=set(SYNONYMS))
    roles, guesses = choose_columns(table, named, _needed_roles(filters))
    frame, time_unit = _usable_values(table, roles, filters)
    # Refuse or skip bad rows.
    is_bad = _is_bad(frame, table.faults)
    bad_rows = _count_bad_rows(frame, table, is_bad)
    if bad_rows and reading.bad_rows == "refuse":
        raise DataError(_refusal_text(bad_rows, table.place_name) + SKIP_HINT)
    good = frame.filter(~is_bad) if bad_rows else frame
    if bad_rows and good.is_empty():
        raise DataError(_refusal_text(bad_rows, table.place_name))
    # Filter by rating and kind of event.
    frame, dropped = _filter_rows(good, filters)
    # Build the log.
    provenance = {
        **facts,
        "reading": reading.model_dump(exclude_defaults=True),
        "filter_settings": filters.model_dump(mode="json", exclude_defaults=True),
        "notes": [*table.notes, *guesses, _note_on_times(time_unit)],
        "rows_read": len(table.places),
        "bad_rows": bad_rows,
        "time_unit": time_unit,
        "filters": dropped,
    }
    times = frame["time"].to_numpy() if "time" in frame else None
    log = InteractionLog.from_columns(frame["user"], frame["item"], times, provenance=provenance)
    if not table.is_text:
        return log
    # The ids of a text file are still text. They are converted here, because the vocabularies hold each id only once.
    vocabularies = (log.user_vocabulary, log.item_vocabulary)
    users, items = (Vocabulary(as_integers_if_exact(vocabulary.ids)) for vocabulary in vocabularies)
    return replace(log, user_vocabulary=users, item_vocabulary=items)


def _needed_roles(filters: LogFilters) -> set[str]:
    """Return the roles that must have a column: user, item, and those that a filter reads."""
    by_filters = {"rating": filters.min_rating is not None, "event_type": bool(filters.event_types)}
    return {"user", "item"} | {role for role, needed in by_filters.items() if needed}


def _usable_values(table: RawTable, roles: dict[str, str], filters: LogFilters) -> tuple[pl.DataFrame, str | None]:
    """Return the columns that are used, named by role, with null for an unusable value; and the unit of the times."""
    frame = table.select(list(roles.values()))
    columns = {role: frame[column] for role, column in roles.items()}
    values = {role: clean_ids(columns[role], table.is_text) for role in ("user", "item")}
    unit = None
    if "time" in columns:
        values["time"], unit = to_microseconds(columns["time"])
    if filters.min_rating is not None:
        values["rating"] = columns["rating"].cast(pl.Float64, strict=False).fill_nan(None)
    if filters.event_types:
        values["event_type"] = columns["event_type"].cast(pl.String, strict=False)
    return pl.DataFrame(values), unit


def _note_on_times(unit: str | None) -> str:
    if unit is None:
        return "no time column: rows are in the order of events; name one with time= (--time)"
    return "read times as dates" if unit == "dates" else f"read times as {unit} since 1970"


def _is_bad(frame: pl.DataFrame, faults: pl.Series) -> pl.Series:
    """Return whether each row is bad, (N,): it has a fault, or a value that is missing or unreadable."""
    nulls = [frame[role].is_null() for role in FAULTS if role in frame]
    return functools.reduce(operator.or_, nulls, faults.is_not_null())


def _count_bad_rows(frame: pl.DataFrame, table: RawTable, is_bad: pl.Series) -> dict[str, dict[str, int]]:
    """Count bad rows by reason: {reason: {"count": number of rows, "first": line or row number of the first}}."""
    bad = frame.with_columns(fault=table.faults, place=table.places).filter(is_bad)
    reasons = [pl.when(pl.col(role).is_null()).then(pl.lit(why)) for role, why in FAULTS.items() if role in frame]
    bad = bad.select("place", reason=pl.coalesce("fault", *reasons))
    counted = bad.group_by("reason", maintain_order=True).agg(pl.len().alias("count"), pl.col("place").first())
    return {reason: {"count": count, "first": place} for reason, count, place in counted.rows()}


def _refusal_text(bad_rows: dict[str, dict[str, int]], place: str) -> str:
    counts = "; ".join(
        f"{bad['count']:,} {reason} (first at {place} {bad['first']:,})" for reason, bad in bad_rows.items()
    )
    return f"every row must have a user, an item and a readable time; got rows: {counts}"


def _filter_rows(frame: pl.DataFrame, filters: LogFilters) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """Apply the filters on ratings and events; return the remaining rows, and what each filter dropped."""
    conditions = {}
    if filters.min_rating is not None:
        conditions[f"min_rating={filters.min_rating:g}"] = pl.col("rating") >= filters.min_rating
    if filters.event_types:
        conditions[f"event_types={','.join(filters.event_types)}"] = pl.col("event_type").is_in(filters.event_types)
    dropped = []
    for name, condition in conditions.items():
        kept = frame.filter(condition)
        dropped.append({"filter": name, "dropped": len(frame) - len(kept)})
        frame = kept
    return frame, dropped
