"""Which column is the user, which the item, which the time; and their values as ids and moments.

Columns are found by name, in the order of SYNONYMS, or by position where a file has no header. Every guess is a
sentence that says how to override it. Ids keep their type; in text files they become integers only if all of them do.
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
"""Names of columns by what they hold, likeliest first, in lower case and without anything but letters and digits."""

MISSING = ("", "NaN", "nan", "NULL", "null", "None")
"""Text that stands for no id."""

TIME_UNITS = {"seconds": 1e11, "milliseconds": 1e14, "microseconds": 1e17, "nanoseconds": np.inf}
"""The unit of a number of this size or less, since 1970: each bound is past the year 4000."""

PER_UNIT = {"seconds": 1_000_000.0, "milliseconds": 1_000.0, "microseconds": 1.0, "nanoseconds": 0.001}

DATE_FORMATS = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M", "%Y-%m-%d")

LATEST = 2**62
"""Microseconds; later moments (and earlier ones than its negative) are no moments."""


def choose_columns(
    table: RawTable, named: Mapping[str, str | None], needed: Collection[str] = ("user", "item")
) -> tuple[dict[str, str], list[str]]:
    """Return the column of each role, and sentences about those that were guessed.

    `named` gives the column of a role where the caller knows it; of the others, the `needed` ones and the time are
    guessed. Raises DataError if a named column is not there, a needed role has no column, or two roles have the same.

    >>> table = RawTable.from_frame(pl.DataFrame({"visitor_id": [1], "itemId": [2], "stars": [3]}))
    >>> choose_columns(table, {})[0]
    {'user': 'visitor_id', 'item': 'itemId'}
    """
    chosen, notes = {}, []
    guessed = _by_name(table.columns) if table.has_header else _by_position(table)
    for role in SYNONYMS:
        flag = f"--{role.replace('_', '-')}"
        column = named.get(role)
        if column is not None and column not in table.columns:
            raise DataError(f"{flag} must name a column; got {column!r}: {did_you_mean(column, table.columns)}")
        if column is None and (role in needed or role == "time"):
            column = guessed.get(role)
            if column is not None:
                notes.append(f"read {_called(column, table)} as {role.replace('_', ' ')}; override with {flag}")
            elif role in needed:
                raise DataError(
                    f"a column must hold the {role.replace('_', ' ')}; got {_listed(table)}; name it with {flag}"
                )
        if column is not None:
            chosen[role] = column
    if len(set(chosen.values())) < len(chosen):
        raise DataError(f"each column must have one role; got {chosen}")
    return chosen, notes


def clean_ids(ids: pl.Series, is_text: bool) -> pl.Series:
    """Return ids with null for what is missing; numbers stay numbers and text stays text, spaces included.

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


def as_written(ids: pl.Series) -> pl.Series:
    """Turn text ids into integers if every one of them reads back the same.

    >>> as_written(pl.Series(["1", "20"])).to_list(), as_written(pl.Series(["1", "020"])).to_list()
    ([1, 20], ['1', '020'])
    """
    numbers = ids.cast(pl.Int64, strict=False)
    return numbers if bool((numbers.cast(pl.String) == ids).fill_null(False).all()) else ids


def moments(times: pl.Series) -> tuple[pl.Series, str]:
    """Return (microseconds since 1970 UTC, null where unreadable; the unit it was read in).

    Numbers are seconds, milliseconds, microseconds or nanoseconds by the size of their median; text is numbers or ISO
    8601 dates, whichever reads more rows. Dates without a zone are UTC.

    >>> moments(pl.Series(["1970-01-02", "1970-01-01T00:00:01+00:00", "soon"]))[0].to_list()
    [86400000000, 1000000, None]
    >>> moments(pl.Series([1_600_000_000_000]))
    (shape: (1,)
    Series: '' [i64]
    [
        1600000000000000
    ], 'milliseconds')
    """
    if times.dtype == pl.String:
        numbers = _numbers(times)
        if 2 * numbers.count() >= times.count():  # no text is both, so dates cannot be more
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
    plain = {"".join(filter(str.isalnum, column.lower())): column for column in reversed(columns)}
    found = {role: next((plain[name] for name in names if name in plain), None) for role, names in SYNONYMS.items()}
    return {role: column for role, column in found.items() if column is not None}


def _by_position(table: RawTable) -> dict[str, str]:
    """User, item, rating, time; the third of three columns is a time if it is as large as one, else a rating."""
    roles, columns = ["user", "item", "rating", "time"], table.columns
    if len(columns) == 3:
        middle = table.select(columns[2:]).to_series().cast(pl.Float64, strict=False).drop_nans().median()
        roles = ["user", "item", "time" if middle is None or float(str(middle)) > 1e8 else "rating"]
    return dict(zip(roles, columns, strict=False)) if len(columns) <= 4 else {}


def _numbers(text: pl.Series) -> pl.Series:
    """Integers if all that can be read are integers, else floats."""
    integers = text.cast(pl.Int64, strict=False)
    if integers.null_count() == 0:
        return integers
    floats = text.cast(pl.Float64, strict=False)
    return integers if integers.count() == floats.count() else floats


def _dates(text: pl.Series) -> pl.Series:
    text = text.str.strip_chars().str.replace(r"^(\d{4}-\d\d-\d\d) ", "${1}T").str.replace(r" ?(Z|UTC)$", "+00:00")
    read = [text.str.to_datetime(one, strict=False, time_unit="us", time_zone="UTC") for one in DATE_FORMATS]
    return pl.select(pl.coalesce(read)).to_series().cast(pl.Int64)


def _scaled(numbers: pl.Series) -> tuple[pl.Series, str]:
    """Decide the unit once, from the median, and turn numbers into microseconds."""
    numbers = numbers.cast(pl.Float64) if numbers.dtype.is_decimal() else numbers
    floats = numbers.cast(pl.Float64)
    finite = floats.set(~floats.is_finite(), None)
    middle = float(finite.abs().median() or 0.0)  # type: ignore[arg-type]
    unit = next(unit for unit, bound in TIME_UNITS.items() if middle <= bound)
    in_range = (finite.abs() < LATEST / PER_UNIT[unit]).fill_null(False)
    kept = numbers.set(~in_range, None)
    if kept.dtype.is_integer():
        whole = kept // 1000 if unit == "nanoseconds" else kept.cast(pl.Int64) * int(PER_UNIT[unit])
        micros = whole.cast(pl.Int64)
    else:
        micros = (kept.cast(pl.Float64) * PER_UNIT[unit]).round().cast(pl.Int64)
    return micros, unit


def _called(name: str, table: RawTable) -> str:
    return name if table.has_header else f"column {name}"


def _listed(table: RawTable) -> str:
    """The columns, shortened for a sentence."""
    if not table.has_header:
        return f"{len(table.columns)} columns without a header, called 1, 2, ..."
    return "the columns " + (", ".join(repr(name[:40]) for name in table.columns[:12]) or "(none)")
