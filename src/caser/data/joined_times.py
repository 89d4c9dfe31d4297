"""Joined times: make one column of several that say a moment together.

A day and a time of day, a moment and its zone, or a year, a month and a day. Numbers in the second place are clocks
(2359, 235959), else seconds or milliseconds since midnight. A number in the place of the day counts days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from caser.data.column_words import word_set, words_in
from caser.data.dates import DAY_LENGTH, parse, read_dates
from caser.data.rivals import whole_numbers
from caser.data.tables import RawTable
from caser.data.time_units import NEARLY_ALL
from caser.errors import DataError

PARTS: Mapping[str, frozenset[str]] = {
    "year": word_set("year yr yyyy jahr année annee año ano anno"),
    "month": word_set("month mo mon mm monat mois mes mese"),
    "day": word_set("day dy dd tag jour día dia giorno"),
    "hour": word_set("hour hr hh stunde heure hora ora"),
    "minute": word_set("minute min mi"),
    "second": word_set("second sec ss"),
}
"""Parts of a moment, and the words for each in names of columns."""

USUAL: Mapping[str, tuple[int, int]] = {
    "year": (1900, 2100),
    "month": (1, 12),
    "day": (1, 31),
    "hour": (0, 23),
    "minute": (0, 59),
    "second": (0, 60),
}

CLOCK_FORMS: Mapping[int, str] = {
    2: r"^([01]\d|2[0-3])$",
    4: r"^([01]\d|2[0-3])[0-5]\d$",
    6: r"^([01]\d|2[0-3])([0-5]\d){2}$",
}
"""Clocks as numbers, by the number of digits."""

CLOCK_WITH_ZEROS = r"^\s*([01]\d|2[0-3])([0-5]\d){1,2}\s*$"
"""A clock as a number with all its zeros, such as 0959."""

PER_SECOND = 1_000_000

LARGEST_DAY = 99_999
"""A larger number is no count of days."""

ZONE = r"^[A-Z][A-Za-z]+/[A-Z][A-Za-z_/+-]+$"
"""The name of a zone by its place, such as Europe/Berlin."""

MOST_MINUTES = 840

ZONE_WORDS = word_set("offset tz zone timezone tzoffset utc gmt")
"""Words in the names of columns with zones."""

CLOCK_WORDS = word_set(
    "year month week weekday dow day days hour hours minute minutes second seconds sec secs date time clock "
    "timestamp ts period epoch elapsed timeframe timestep t"
)
"""Words in the names of columns with times or parts of them."""

NO_ORDER = word_set(
    "id ids hash name price amount count score rating total qty quantity spent duration length weight plays"
)
"""Words in the names of columns that say how much or which, and not when."""


def joined_time(table: RawTable, columns: Sequence[str], name: str) -> RawTable:
    """Return a table with one more column: the moments that some columns hold together.

    table    the rows
    columns  the column of the day, then the one of the time of day, or of the zone; or the columns of a year, a month,
             a day, and smaller parts
    name     the name of the new column

    A time of day may be a number without zeros in front: a column with 235959 holds hours, minutes and seconds, so that
    144 is 00:01:44 there; one with at most 2359 holds hours and minutes, one with at most 23 hours. Other numbers are
    seconds, or milliseconds, since midnight. Raises DataError for parts of which one is no number.

    >>> rows = pl.DataFrame({"day": ["2020-01-01"] * 2, "clock": ["144", "93059"]})
    >>> joined_time(RawTable.from_frame(rows), ["day", "clock"], "when").select(["when"]).to_series().to_list()
    ['2020-01-01 000144', '2020-01-01 093059']
    >>> rows = pl.DataFrame({"year": [2020], "month": [1], "day": [31]})
    >>> joined_time(RawTable.from_frame(rows), ["year", "month", "day"], "when").select(["when"]).item()
    '2020-01-31'
    """
    return join_time(table, columns, name)[0]


def join_time(table: RawTable, columns: Sequence[str], name: str) -> tuple[RawTable, str]:
    """Return the table of `joined_time`, and how the columns were read, which all pieces of a source must share.

    table, columns, name  as for `joined_time`

    >>> rows = pl.DataFrame({"day": ["2020-01-01"] * 2, "clock": ["144", "93059"]})
    >>> join_time(RawTable.from_frame(rows), ["day", "clock"], "when")[1]
    'dates and clocks of 6 digits'
    """
    if len(columns) > 2:
        return _of_calendar(table, columns, name), "parts of a date"
    pair = table.select(columns)
    kind = pair.to_series(1).dtype
    first = pair.to_series(0).cast(pl.String)
    days = _kind_of_days(first)
    if kind == pl.Duration:
        moments = _midnights(first) + pair.to_series(1).dt.total_microseconds()
        return _with(table, name, moments), f"{days} and durations"
    second = pair.to_series(1).cast(pl.String)
    second = second.str.strip_chars()
    if second.str.contains(ZONE).sum() >= NEARLY_ALL * max(1, second.count()):
        return _with(table, name, _in_zones(first, second)), f"{days} and zones"
    if kind != pl.String and not kind.is_integer():
        return table.with_joined(columns, name), "texts"
    numbers = second.cast(pl.Int64, strict=False)
    if 2 * numbers.count() < len(second):
        return _with_days(table, columns, name, first, second), f"{days} and texts"
    if unit := unit_of_offsets(columns[1], numbers):
        moments = _moments(first) - numbers * unit * PER_SECOND
        return _with(table, name, moments), f"{days} and offsets of {unit} seconds"
    digits = _digits_of_clock(columns[1], numbers)
    if digits:
        clocks = numbers.cast(pl.String).str.zfill(digits)
        return _with_days(table, columns, name, first, clocks, digits), f"{days} and clocks of {digits} digits"
    most = int(str(numbers.max()))
    if most >= DAY_LENGTH // 1000:
        return table.with_joined(columns, name), "texts"
    unit = PER_SECOND if most < DAY_LENGTH // PER_SECOND else 1000
    return _with(table, name, _midnights(first) + numbers * unit), f"{days} and units of {unit} microseconds"


def parts_of_moment(columns: Sequence[str]) -> list[str]:
    """Return the columns that are called year, month, day, and smaller parts, in this order; none if one is missing.

    columns  names of columns

    >>> parts_of_moment(["date_day", "date_month", "date_year", "user"])
    ['date_year', 'date_month', 'date_day']
    """
    found: list[str] = []
    for words in PARTS.values():
        named = [column for column in columns if words.intersection(words_in(column)[-1:])]
        if len(named) != 1:
            return found if len(found) >= 3 else []
        found += named
    return found


def are_parts(few: pl.DataFrame, columns: Sequence[str]) -> bool:
    """Return whether columns hold the numbers of years, months, days, and smaller parts, in this order.

    few  the first rows        columns  names of some of its columns

    >>> are_parts(pl.DataFrame({"y": ["2020"], "m": ["1"], "d": ["31"]}), ["y", "m", "d"])
    True
    """
    for (least, most), column in zip(USUAL.values(), columns, strict=False):
        numbers = few[column].cast(pl.String, strict=False).cast(pl.Int64, strict=False)
        if numbers.is_between(least, most).sum() < NEARLY_ALL * max(1, len(few)):
            return False
    return True


def are_clock_numbers(values: pl.Series) -> bool:
    """Return whether whole numbers are times of day: hours, 2359, 235959, or seconds of a day, by name and values.

    values  the first values of a column

    >>> are_clock_numbers(pl.Series("trans_time", [93059, 235959])), are_clock_numbers(pl.Series("price", [1530]))
    (True, False)
    """
    words = set(words_in(values.name))
    if (numbers := whole_numbers(values)) is None or words & NO_ORDER:
        return False
    texts = values.drop_nulls() if values.dtype == pl.String else pl.Series(dtype=pl.String)
    if texts.str.starts_with("0").any() and texts.str.contains(CLOCK_WITH_ZEROS).all() and texts.n_unique() > 1:
        return True  # a number would have no zeros in front
    numbers = numbers.drop_nulls()
    most = int(str(numbers.max()))
    if int(str(numbers.min())) < 0:
        return False
    if words & {"second", "seconds", "sec", "secs"} and words & {"day", "midnight"}:
        return most < DAY_LENGTH // PER_SECOND
    if words & {"hour", "hours"} and most < 24:
        return True
    if words & {"time", "clock", "hourmin", "timeofday", "hour", "uhrzeit", "hora", "heure"} and 23 < most <= 235_959:
        digits = numbers.cast(pl.String).str.zfill(4 if most <= 2359 else 6)
        return digits.str.contains(CLOCK_WITH_ZEROS).sum() >= NEARLY_ALL * len(numbers)
    return False


def _of_calendar(table: RawTable, columns: Sequence[str], name: str) -> RawTable:
    """Join the parts of a moment, in any order if their names say it, else from the year on."""
    ordered = parts_of_moment(columns)
    ordered = ordered if sorted(ordered) == sorted(columns) else list(columns)
    if len(ordered) > len(PARTS) or not are_parts(table.sample(ordered), ordered):
        raise DataError(
            "time= (--time) of several columns must name a day and a time of day, or the numbers of a year, a month, a "
            f"day, an hour, a minute and a second in this order; got {', '.join(columns)}"
        )
    signs = ("", "-", "-", " ", ":", ":")
    texts = [
        pl.lit(sign) + pl.col(column).cast(pl.String).str.strip_chars().str.zfill(4 if sign == "" else 2)
        for sign, column in zip(signs, ordered, strict=False)
    ]
    texts += [pl.lit(":00")] if len(ordered) == 4 else []
    return replace(table, frame=table.frame.with_columns(pl.concat_str(texts).alias(name)))


def _with_days(
    table: RawTable, columns: Sequence[str], name: str, days: pl.Series, clocks: pl.Series, digits: int = 0
) -> RawTable:
    """Join days with clocks as text; days that are counted become those after 1970-01-01."""
    numbers = _counted_days(days)
    if numbers is None:
        return table.with_joined(columns, name, digits)
    dates = numbers.cast(pl.Int32).cast(pl.Date).cast(pl.String)
    return replace(table, frame=table.frame.with_columns((dates + " " + clocks).alias(name)))


def _with(table: RawTable, name: str, microseconds: pl.Series) -> RawTable:
    """Return a table with one more column of moments."""
    return replace(table, frame=table.frame.with_columns(microseconds.cast(pl.Datetime("us")).alias(name)))


def _kind_of_days(text: pl.Series) -> str:
    """Return how days are written, in words."""
    if _counted_days(text) is not None:
        return "numbers of days"
    return "dates of 8 digits" if _are_digits(text, read_dates(text)) else "dates"


def _counted_days(text: pl.Series) -> pl.Series | None:
    """Return days as numbers if all are numbers that count days; else None."""
    numbers = text.str.strip_chars().cast(pl.Int64, strict=False)
    most = numbers.max()
    are_counts = isinstance(most, int) and numbers.null_count() == text.null_count() and most <= LARGEST_DAY
    return numbers if are_counts else None


def _are_digits(text: pl.Series, dates: pl.Series) -> bool:
    return bool(text.str.strip_chars().str.contains(r"^\d{8}$").sum() > dates.count())


def _moments(text: pl.Series) -> pl.Series:
    dates = read_dates(text)
    return parse(text, "%Y%m%d") if _are_digits(text, dates) else dates


def _midnights(text: pl.Series) -> pl.Series:
    """Return the days of moments, or the days that numbers count, in microseconds since 1970."""
    numbers = _counted_days(text)
    return numbers * DAY_LENGTH if numbers is not None else _moments(text) // DAY_LENGTH * DAY_LENGTH


def _in_zones(text: pl.Series, zones: pl.Series) -> pl.Series:
    """Return moments of local times in UTC, null for an unknown zone or a time that a zone does not have."""
    local = _moments(text).cast(pl.Datetime("us"))
    moments = pl.repeat(None, len(text), dtype=pl.Int64, eager=True)
    for zone in zones.drop_nulls().unique().to_list():
        rows = (zones == zone).fill_null(False).arg_true()
        try:
            found = local.gather(rows).dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        except pl.exceptions.PolarsError:
            continue  # no zone of the database
        moments = moments.scatter(rows, found.dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(pl.Int64))
    return moments


def unit_of_offsets(name: str, numbers: pl.Series) -> int:
    """Return how many seconds one is if numbers are offsets from UTC, by the name of their column; 0 if they are none.

    name  the name of the column        numbers  whole numbers, null where there is none

    >>> unit_of_offsets("tz_offset", pl.Series([-300, 60])), unit_of_offsets("utc_hours", pl.Series([-5, 1]))
    (60, 3600)
    """
    values, words = numbers.drop_nulls(), set(words_in(name))
    if not words & ZONE_WORDS or values.is_empty() or not (values != 0).any():
        return 0
    if ((values.abs() <= MOST_MINUTES) & (values % 15 == 0)).all():
        return 60
    are_hours = words & (ZONE_WORDS - {"offset"} | {"hour", "hours"}) and (values.abs() <= MOST_MINUTES // 60).all()
    return 3600 if are_hours else 0


def _digits_of_clock(name: str, numbers: pl.Series) -> int:
    """Return how many digits the clocks have that numbers are; 0 if they are none, as seconds of a day."""
    most = numbers.max()
    if {"second", "seconds", "sec", "secs", "ms", "milliseconds"} & set(words_in(name)) or not isinstance(most, int):
        return 0
    texts = numbers.drop_nulls().cast(pl.String)
    for digits, form in CLOCK_FORMS.items():
        if most < 10**digits and texts.str.zfill(digits).str.contains(form).sum() >= NEARLY_ALL * len(texts):
            return digits
    return 0
