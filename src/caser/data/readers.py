"""Read an interaction log from a file or a frame.

Files: CSV, TSV, space-separated triplets, MovieLens `u.data`, `ratings.dat` and `ratings.csv`, RecBole `.inter`, JSON
lines, Parquet, each also gzipped. Frames: polars, pandas, Arrow. What is not said is guessed, and every guess is a
sentence in `provenance["notes"]`. A row without a user, an item or a readable time is never dropped in silence: it is
refused, or skipped and counted. Rows keep their order, which decides among equal times. The source is held in memory.
"""

from __future__ import annotations

import functools
import hashlib
import operator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import polars as pl
from pydantic import Field

from caser.config import Settings
from caser.data.columns import SYNONYMS, as_written, choose_columns, clean_ids, moments
from caser.data.filters import LogFilters, apply_filters
from caser.data.formats import read_table
from caser.data.log import InteractionLog, Vocabulary
from caser.data.tables import Layout, RawTable, first_line
from caser.errors import DataError

FAULTS = {
    "user": "without a user",
    "item": "without an item",
    "time": "with a missing or unreadable time",
    "rating": "with a missing or unreadable rating",
}
"""Why a row is bad, by the column that is null; in this order, one reason per row."""

LogSource: TypeAlias = str | Path | pl.DataFrame | pl.LazyFrame | Any
"""A path, a polars frame, or any table that speaks Arrow's C stream interface (pandas, pyarrow)."""


class Reading(Settings):
    """How to read a log. What is left out is guessed, and said."""

    user: str | None = None
    """Column with the user."""
    item: str | None = None
    """Column with the item."""
    time: str | None = None
    """Column with the time; without one, rows are in the order of events."""
    rating: str | None = None
    """Column with the rating, for --min-rating."""
    event_type: str | None = None
    """Column with the kind of event, for --event-types."""
    separator: str | None = Field(default=None, pattern=r'^[^"\r\n]+$')
    """What stands between the fields of a text file."""
    header: bool | None = None
    """Whether the first line of a text file names the columns."""
    format: str | None = None
    """Format of a file: delimited, jsonl or parquet."""
    bad_rows: Literal["refuse", "skip"] = "refuse"
    """What to do with rows that have no user, no item or no readable time."""


def read_log(
    source: LogSource, reading: Reading | None = None, *, filters: LogFilters | None = None, **options: Any
) -> InteractionLog:
    """Read a log from a path or a frame; `options` are settings of `Reading`.

    Raises DataError, with one sentence that names the source, if it cannot be read, holds bad rows (and
    `bad_rows="refuse"`), or holds no interaction after the filters; ConfigError for an option that does not exist.

    >>> frame = pl.DataFrame({"visitor": ["ann", "bob", "ann"], "item": [3, 3, 4], "time": [20, 10, 30]})
    >>> log = read_log(frame)
    >>> log, log.provenance["notes"][0]
    (InteractionLog(3 interactions, 2 users, 2 items), 'read visitor as user; override with --user')
    """
    reading = (reading or Reading()).replace(**options)
    filters = filters or LogFilters()
    if isinstance(source, str | Path):
        source = _absolute(source)
    origin: dict[str, Any] = {"source": str(source) if isinstance(source, Path) else "frame"}
    try:
        table = _open(source, reading, origin)
        return apply_filters(_log(table, reading, filters, origin), filters)
    except DataError as error:
        sentence = str(error).rstrip(".")
        raise type(error)(f"{sentence}; in {origin['source']}.") from None


def _open(source: LogSource, reading: Reading, origin: dict[str, Any]) -> RawTable:
    """Return the rows of the source, and write down in `origin` what it is."""
    if isinstance(source, Path):
        data = _bytes(source)
        origin["sha256"] = hashlib.sha256(data).hexdigest()
        origin["format"], table = read_table(data, Layout(reading.separator, reading.header), reading.format)
        return table
    return RawTable.from_frame(_frame(source))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"a log must be a file that can be read; got {reason!r}") from None


def _absolute(path: str | Path) -> Path:
    """The path as another folder's process must name it; as given where the platform cannot tell."""
    try:
        return Path(path).expanduser().resolve()
    except (OSError, ValueError, RuntimeError):
        return Path(path)


def _frame(source: Any) -> pl.DataFrame:
    if isinstance(source, pl.DataFrame):
        return source
    if not isinstance(source, pl.LazyFrame) and not hasattr(source, "__arrow_c_stream__"):
        raise DataError(f"a log must be a path or a polars, pandas or Arrow table; got {type(source).__name__}")
    try:
        return source.collect() if isinstance(source, pl.LazyFrame) else pl.DataFrame(source)
    except Exception as error:  # foreign code: a query of the caller's, or the exporter of pandas, pyarrow or another
        raise DataError(f"a table must be readable, each column of one kind; got {first_line(error)}") from None


def _log(table: RawTable, reading: Reading, filters: LogFilters, origin: dict[str, Any]) -> InteractionLog:
    """Choose the columns, take out bad rows, apply the filters that need a column."""
    named = reading.model_dump(include=set(SYNONYMS))
    roles, guesses = choose_columns(table, named, _needed(filters))
    frame, time_unit = _values(table, roles, filters)
    is_bad = _is_bad(frame, table.faults)
    bad_rows = _counted(frame, table, is_bad)
    if bad_rows and reading.bad_rows == "refuse":
        raise DataError(_refusal(bad_rows, table.place_name))
    good = frame.filter(~is_bad) if bad_rows else frame
    if bad_rows and good.is_empty():
        raise DataError(_refusal(bad_rows, table.place_name).removesuffix("; pass --bad-rows skip to go on"))
    frame, steps = _filtered(good, filters)
    provenance = {
        **origin,
        "reading": reading.model_dump(exclude_defaults=True),
        "filter_settings": filters.model_dump(mode="json", exclude_defaults=True),
        "notes": [*table.notes, *guesses, _about_times(time_unit)],
        "rows_read": len(table.places),
        "bad_rows": bad_rows,
        "time_unit": time_unit,
        "filters": steps,
    }
    times = frame["time"].to_numpy() if "time" in frame else None
    log = InteractionLog.from_columns(frame["user"], frame["item"], times, provenance=provenance)
    if not table.is_text:
        return log
    users, items = (Vocabulary(as_written(one.ids)) for one in (log.user_vocabulary, log.item_vocabulary))
    return replace(log, user_vocabulary=users, item_vocabulary=items)


def _needed(filters: LogFilters) -> set[str]:
    """The roles that must have a column."""
    by_filters = {"rating": filters.min_rating is not None, "event_type": bool(filters.event_types)}
    return {"user", "item"} | {role for role, needed in by_filters.items() if needed}


def _values(table: RawTable, roles: dict[str, str], filters: LogFilters) -> tuple[pl.DataFrame, str | None]:
    """The columns that are used, by role, null where a value is missing or unreadable; and the unit of the times."""
    frame = table.select(list(roles.values()))
    columns = {role: frame[column] for role, column in roles.items()}
    values = {role: clean_ids(columns[role], table.is_text) for role in ("user", "item")}
    unit = None
    if "time" in columns:
        values["time"], unit = moments(columns["time"])
    if filters.min_rating is not None:
        values["rating"] = columns["rating"].cast(pl.Float64, strict=False).fill_nan(None)
    if filters.event_types:
        values["event_type"] = columns["event_type"].cast(pl.String, strict=False)
    return pl.DataFrame(values), unit


def _about_times(unit: str | None) -> str:
    if unit is None:
        return "no time column: rows are in the order of events; name one with --time"
    return "read times as dates" if unit == "dates" else f"read times as {unit} since 1970"


def _is_bad(frame: pl.DataFrame, faults: pl.Series) -> pl.Series:
    """(N,) whether a row has a fault, or a value that is missing or unreadable."""
    nulls = [frame[role].is_null() for role in FAULTS if role in frame]
    return functools.reduce(operator.or_, nulls, faults.is_not_null())


def _counted(frame: pl.DataFrame, table: RawTable, is_bad: pl.Series) -> dict[str, dict[str, int]]:
    """{reason: {"count": rows, "first": line or row of the first}}; of several reasons a row has the first."""
    bad = frame.with_columns(fault=table.faults, place=table.places).filter(is_bad)
    reasons = [pl.when(pl.col(role).is_null()).then(pl.lit(why)) for role, why in FAULTS.items() if role in frame]
    bad = bad.select("place", reason=pl.coalesce("fault", *reasons))
    counted = bad.group_by("reason", maintain_order=True).agg(pl.len().alias("count"), pl.col("place").first())
    return {reason: {"count": count, "first": place} for reason, count, place in counted.rows()}


def _refusal(bad_rows: dict[str, dict[str, int]], place: str) -> str:
    counts = "; ".join(
        f"{bad['count']:,} {reason} (first at {place} {bad['first']:,})" for reason, bad in bad_rows.items()
    )
    return f"every row must have a user, an item and a readable time; got rows: {counts}; pass --bad-rows skip to go on"


def _filtered(frame: pl.DataFrame, filters: LogFilters) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """Apply the filters that need a column; return what is left and the steps."""
    conditions = {}
    if filters.min_rating is not None:
        conditions[f"min_rating={filters.min_rating:g}"] = pl.col("rating") >= filters.min_rating
    if filters.event_types:
        conditions[f"event_types={','.join(filters.event_types)}"] = pl.col("event_type").is_in(filters.event_types)
    steps = []
    for step, condition in conditions.items():
        kept = frame.filter(condition)
        steps.append({"filter": step, "dropped": len(frame) - len(kept)})
        frame = kept
    return frame, steps
