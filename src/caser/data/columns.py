"""Columns: decide which column holds the user, the item and the time, and convert their values to ids and times.

Columns are found by name, in the order of SYNONYMS, or by position if a file has no header. Every guess is a sentence
that says how to override it. Ids keep their type. The ids of a text file become integers only if this changes no id.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import polars as pl

from caser.data.tables import RawTable
from caser.errors import DataError, did_you_mean

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "user": (
        *("user", "userid", "uid", "visitor", "visitorid", "customer", "customerid", "member", "memberid"),
        *("reviewer", "reviewerid", "client", "clientid", "account", "accountid", "session", "sessionid"),
    ),
    "item": (
        *("item", "itemid", "iid", "movie", "movieid", "product", "productid", "asin", "parentasin", "article"),
        *("articleid", "track", "trackid", "song", "songid", "book", "bookid", "isbn", "business", "businessid"),
        *("video", "videoid", "news", "newsid", "venue", "venueid", "sku"),
    ),
    "time": (
        *("timestamp", "time", "ts", "datetime", "date", "eventtime", "createdat", "unixreviewtime", "reviewtime"),
        *("eventtimestamp", "unixtime"),
    ),
    "rating": ("rating", "ratings", "stars", "score", "overall", "value"),
    "event_type": ("eventtype", "event", "action", "behavior", "behaviortype", "type"),
}
"""Names of columns by role, most likely first; in lower case, with letters and digits only."""

MISSING = ("", "NaN", "nan", "NULL", "null", "None")
"""Texts that mean that an id is missing."""

TIME_UNITS = {"seconds": 1e11, "milliseconds": 1e14, "microseconds": 1e17, "nanoseconds": np.inf}
"""Units of time since 1970. Each has the largest median of times that is read in it, a time in the year 5138."""

MICROSECONDS_PER = {"seconds": 1_000_000.0, "milliseconds": 1_000.0, "microseconds": 1.0, "nanoseconds": 0.001}

DATE_FORMATS = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M", "%Y-%m-%d")

LATEST = 2**62
"""A number is a time only if it is fewer than this many microseconds before or after 1970."""


def choose_columns(
    table: RawTable, named: Mapping[str, str | None], needed: Collection[str] = ("user", "item")
) -> tuple[dict[str, str], list[str]]:
    """Return the column of each role, and a sentence about each column that was guessed.

    table   the rows of a source
    named   the column of each role that the caller names; other roles are missing or None
    needed  roles that must have a column

    The columns of the needed roles and of the time are guessed if they are not named.

    Raises DataError if a named column does not exist, a needed role has no column, or two roles have the same column.

    >>> table = RawTable.from_frame(pl.DataFrame({"visitor_id": [1], "itemId": [2], "stars": [3]}))
    >>> choose_columns(table, {})[0]
    {'user': 'visitor_id', 'item': 'itemId'}
    """
    chosen, notes = {}, []
    guessed = _by_name(table.columns) if table.has_header else _by_position(table)
    for role in SYNONYMS:
        flag = f"{role}= (--{role.replace('_', '-')})"
        column = named.get(role)
        if column is not None and column not in table.columns:
            raise DataError(f"{flag} must name a column; got {column!r}: {did_you_mean(column, table.columns)}")
        if column is None and (role in needed or role == "time"):
            column = guessed.get(role)
            if column is not None:
                notes.append(
                    f"read {_column_in_words(column, table)} as {role.replace('_', ' ')}; override with {flag}"
                )
            elif role in needed:
                columns = _columns_in_words(table)
                raise DataError(f"a column must hold the {role.replace('_', ' ')}; got {columns}; name it with {flag}")
        if column is not None:
            chosen[role] = column
    if len(set(chosen.values())) < len(chosen):
        raise DataError(f"each column must have one role; got {chosen}")
    return chosen, notes


def clean_ids(ids: pl.Series, is_text: bool) -> pl.Series:
    """Return ids with null for missing ones. Numbers stay numbers; text stays text and keeps its spaces.

    ids      a column
    is_text  whether it is from a text file, where "NaN", "null" and the like mean missing

    Raises DataError if the column holds neither text nor numbers.

    >>> clean_ids(pl.Series(["007", "", "nan", " 7"]), is_text=True).to_list()
    ['007', None, None, ' 7']
    """
    if ids.dtype in (pl.Categorical, pl.Enum):
        ids = ids.cast(pl.String)
    if ids.dtype == pl.Null:
        return ids.cast(pl.String)
    if ids.dtype.is_float():
        return ids.fill_nan(None)
    if ids.dtype == pl.String:
        return ids.set(ids.is_in(MISSING if is_text else [""]), None)
    if not (ids.dtype.is_integer() or ids.dtype == pl.Boolean):
        raise DataError(f"ids must be text or numbers; got {ids.dtype} in column {ids.name!r}")
    return ids


def as_integers_if_exact(ids: pl.Series) -> pl.Series:
    """Return text ids as integers if every text is exactly how its integer is written; otherwise return the text.

    ids  text, such as the distinct ids of users

    >>> as_integers_if_exact(pl.Series(["1", "20"])).to_list(), as_integers_if_exact(pl.Series(["1", "020"])).to_list()
    ([1, 20], ['1', '020'])
    """
    numbers = ids.cast(pl.Int64, strict=False)
    return numbers if bool((numbers.cast(pl.String) == ids).fill_null(False).all()) else ids


def to_microseconds(times: pl.Series) -> tuple[pl.Series, str]:
    """Return times in microseconds since 1970 UTC, with null for an unreadable one; and their unit.

    times  a column of numbers, dates or text

    The median decides whether numbers are seconds, milliseconds, microseconds or nanoseconds. Text is read as numbers
    or as ISO 8601 dates, whichever reads more rows. Dates without a time zone are UTC. Raises DataError for a column of
    another type.

    >>> to_microseconds(pl.Series(["1970-01-02", "1970-01-01T00:00:01+00:00", "soon"]))[0].to_list()
    [86400000000, 1000000, None]
    >>> to_microseconds(pl.Series([1_600_000_000_000]))
    (shape: (1,)
    Series: '' [i64]
    [
        1600000000000000
    ], 'milliseconds')
    """
    if times.dtype == pl.String:
        numbers = _numbers(times)
        if 2 * numbers.count() >= times.count():  # no text is both, so there cannot be more dates
            return _scaled(numbers)
        dates = _dates(times)
        return (dates, "dates") if dates.count() > numbers.count() else _scaled(numbers)
    if times.dtype.is_numeric():
        return _scaled(times)
    if times.dtype in (pl.Date, pl.Datetime):
        return times.cast(pl.Datetime("us")).cast(pl.Int64), "dates"
    if times.dtype == pl.Null:
        return times.cast(pl.Int64), "dates"
    raise DataError(f"times must be numbers or dates; got {times.dtype} in column {times.name!r}")


def _by_name(columns: Sequence[str]) -> dict[str, str]:
    # The order is reversed, so that the first of several columns with the same plain name is kept.
    plain = {"".join(filter(str.isalnum, column.lower())): column for column in reversed(columns)}
    guessed = {role: next((plain[name] for name in names if name in plain), None) for role, names in SYNONYMS.items()}
    return {role: column for role, column in guessed.items() if column is not None}


def _by_position(table: RawTable) -> dict[str, str]:
    """Take columns as user, item, rating and time. The third of three is a rating if its median is small."""
    roles, columns = ["user", "item", "rating", "time"], table.columns
    if len(columns) == 3:
        median = _median(table.select(columns[2:]).to_series().cast(pl.Float64, strict=False).drop_nans())
        roles = ["user", "item", "time" if median is None or median > 1e8 else "rating"]
    return dict(zip(roles, columns, strict=False)) if len(columns) <= 4 else {}


def _numbers(text: pl.Series) -> pl.Series:
    """Read text as integers if all numbers in it are integers, else as floats; null for other text."""
    integers = text.cast(pl.Int64, strict=False)
    if integers.null_count() == 0:
        return integers
    floats = text.cast(pl.Float64, strict=False)
    return integers if integers.count() == floats.count() else floats


def _dates(text: pl.Series) -> pl.Series:
    """Read ISO 8601 dates as microseconds since 1970 UTC; null for other text."""
    text = text.str.strip_chars().str.replace(r"^(\d{4}-\d\d-\d\d) ", "${1}T").str.replace(r" ?(Z|UTC)$", "+00:00")
    by_format = [text.str.to_datetime(one, strict=False, time_unit="us", time_zone="UTC") for one in DATE_FORMATS]
    return pl.select(pl.coalesce(by_format)).to_series().cast(pl.Int64)


def _scaled(numbers: pl.Series) -> tuple[pl.Series, str]:
    """Decide the unit from the median, and convert numbers to microseconds; return them and the unit."""
    # Find the unit.
    numbers = numbers.cast(pl.Float64) if numbers.dtype.is_decimal() else numbers
    floats = numbers.cast(pl.Float64)
    finite = floats.set(~floats.is_finite(), None)
    median = _median(finite.abs()) or 0.0
    unit = next(unit for unit, bound in TIME_UNITS.items() if median <= bound)
    # Drop numbers that are not times, and convert the others. Integers are not converted to floats on the way, because
    # that would round them.
    in_range = (finite.abs() < LATEST / MICROSECONDS_PER[unit]).fill_null(False)
    kept = numbers.set(~in_range, None)
    if kept.dtype.is_integer():
        whole = kept // 1000 if unit == "nanoseconds" else kept.cast(pl.Int64) * int(MICROSECONDS_PER[unit])
        micros = whole.cast(pl.Int64)
    else:
        micros = (kept.cast(pl.Float64) * MICROSECONDS_PER[unit]).round().cast(pl.Int64)
    return micros, unit


def _median(floats: pl.Series) -> float | None:
    """Return the median of numbers; None if there are none."""
    median = floats.median()
    return median if isinstance(median, float) else None


def _column_in_words(name: str, table: RawTable) -> str:
    return name if table.has_header else f"column {name}"


def _columns_in_words(table: RawTable) -> str:
    """Return the names of the columns, shortened for a sentence."""
    if not table.has_header:
        return f"{len(table.columns)} columns without a header, called 1, 2, ..."
    return "the columns " + (", ".join(repr(name[:40]) for name in table.columns[:12]) or "(none)")
