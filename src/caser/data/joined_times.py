"""Joined times: make one column of several that say a moment together.

A day and a time of day, a moment and its zone, or a year, a month and a day. Numbers in the second place are clocks
(2359, 235959), else seconds or milliseconds since midnight. A number in the place of the day counts days, or is the
midnight of a day in seconds. `clock_parts.py` says what columns with parts of moments look like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from caser.data.clock_parts import (
    CLOCK,
    PARTS,
    are_in,
    are_parts,
    clock_texts,
    digits_of_clock,
    halves_as_text,
    only_halves,
    parts_of_moment,
)
from caser.data.column_words import word_set, words_in
from caser.data.dates import DAY_LENGTH, TRIED, parse, read_dates
from caser.data.tables import RawTable
from caser.data.time_units import NEARLY_ALL, are_midnights, guessed_unit, scaled, size_of
from caser.errors import DataError

PER_SECOND = 1_000_000

LARGEST_DAY = 99_999
"""A larger number is no count of days."""

OFFSET = r"^\s*(?:UTC|GMT)?([+-](\d\d?|\d\d?:\d\d|\d{4})|Z)\s*$"
"""An offset from UTC, such as +02:00."""

ZONE = r"^[A-Z][A-Za-z]+/[A-Z][A-Za-z_/+-]+$"
"""The name of a zone by its place, such as Europe/Berlin."""

MOST_MINUTES = 840

ZONE_WORDS = word_set("offset tz zone timezone tzoffset utc gmt")
"""Words in the names of columns with zones."""


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
    table, columns, way = _of_several(table, columns, name)
    if len(columns) < 2:
        return table, way
    pair = table.select(columns)
    kind = pair.to_series(1).dtype
    first = pair.to_series(0).cast(pl.String)
    days = f"{way}{_kind_of_days(first)}"
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
        return _with_clocks(table, columns, name, first, second), f"{days} and texts"
    if unit := unit_of_offsets(columns[1], numbers):
        moments = _moments(first) - numbers * unit * PER_SECOND
        return _with(table, name, moments), f"{days} and offsets of {unit} seconds"
    digits = digits_of_clock(columns[1], numbers)
    if digits:
        clocks = numbers.cast(pl.String).str.zfill(digits)
        return _with_clocks(table, columns, name, first, clocks, digits), f"{days} and clocks of {digits} digits"
    most = int(str(numbers.max()))
    if most >= DAY_LENGTH // 1000:
        return table.with_joined(columns, name), "texts"
    unit = PER_SECOND if most < DAY_LENGTH // PER_SECOND else 1000
    unit = 60 * PER_SECOND if words_in(columns[1])[:1] in (("minute",), ("minutes",)) and most < 1440 else unit
    return _with(table, name, _midnights(first) + numbers * unit), f"{days} and units of {unit} microseconds"


def _of_several(table: RawTable, columns: Sequence[str], name: str) -> tuple[RawTable, list[str], str]:
    """Return columns that mean the same, at most a day and a time of day, or a moment and its zone; none if the table
    has the whole already; and how they were read.
    """
    columns = list(columns)
    few = table.sample(columns)
    last = few[columns[-1]]
    if len(columns) > 2 and _are_zones(last):
        table, way = join_time(table, columns[:-1], f"{name} ")
        return table, [f"{name} ", columns[-1]], f"{way}, "
    half = columns.pop() if only_halves(last) else None
    is_calendar = len(columns) > 2 and _is_calendar(few, columns)
    if half is None and is_calendar:
        return _of_calendar(table, columns, name), [], "parts of a date"
    if half is None and len(columns) == 2:
        return table, columns, ""
    begin = 3 if is_calendar else 1
    clocks = columns[begin:]
    if not clocks:  # the time of day is in the column of the day
        pair = table.select([*columns, str(half)])
        texts = pair.to_series(0).cast(pl.String) + " " + halves_as_text(pair.to_series(1))
        return replace(table, frame=table.frame.with_columns(texts.alias(name))), [], "texts and halves of days"
    if len(clocks) > 1 and not all(are_in(few[one], part) for one, part in zip(clocks, CLOCK, strict=False)):
        raise DataError(_wrong_parts(columns))
    table = _of_calendar(table, columns[:3], f"{name} ") if is_calendar else table
    clock = clock_texts(table.select([*clocks, *([half] if half else [])]), clocks, half)
    table = replace(table, frame=table.frame.with_columns(clock.alias(f"{name}  ")))
    return table, [f"{name} " if is_calendar else columns[0], f"{name}  "], "parts, "


def _are_zones(values: pl.Series) -> bool:
    texts = values.drop_nulls().cast(pl.String, strict=False).str.strip_chars()
    return (
        len(texts) > 0
        and bool((texts.str.contains(OFFSET) | texts.str.contains(ZONE)).all())
        and not bool(texts.str.contains(r"^\d+$").any())
    )


def _is_calendar(few: pl.DataFrame, columns: Sequence[str]) -> bool:
    """Return whether columns are the numbers of a year, a month, a day, and smaller parts, in this order or by name."""
    ordered = _in_order(columns)
    return len(ordered) <= len(PARTS) and are_parts(few, ordered)


def _in_order(columns: Sequence[str]) -> list[str]:
    """Return the parts of a moment from the year on, if their names say which is which; else as they are."""
    ordered = parts_of_moment(columns)
    return ordered if sorted(ordered) == sorted(columns) else list(columns)


def _wrong_parts(columns: Sequence[str]) -> str:
    return (
        "time= (--time) of several columns must name a day and a time of day, or a day, an hour, a minute and a "
        "second, or the numbers of a year, a month, a day, an hour, a minute and a second in this order, perhaps with "
        f"AM or PM or a zone behind them; got {', '.join(columns)}"
    )


def _of_calendar(table: RawTable, columns: Sequence[str], name: str) -> RawTable:
    """Join the parts of a moment, in any order if their names say it, else from the year on."""
    ordered = _in_order(columns)
    signs = ("", "-", "-", " ", ":", ":")
    texts = [
        pl.lit(sign) + pl.col(column).cast(pl.String).str.strip_chars().str.zfill(4 if sign == "" else 2)
        for sign, column in zip(signs, ordered, strict=False)
    ]
    texts += [pl.lit(":00")] if len(ordered) == 4 else []
    return replace(table, frame=table.frame.with_columns(pl.concat_str(texts).alias(name)))


def _with_clocks(
    table: RawTable, columns: Sequence[str], name: str, days: pl.Series, clocks: pl.Series, digits: int = 0
) -> RawTable:
    """Join days with clocks: as text, unless days are numbers of seconds since 1970."""
    if (moments := _numbered_moments(days)) is None:
        return _with_days(table, columns, name, days, clocks, digits)
    form = {2: r"$1:00", 4: "$1:$2", 6: "$1:$2:$3"}.get(digits)
    written = clocks if form is None else clocks.str.replace("^" + r"(\d\d)" * (digits // 2) + "$", form)
    return _with(table, name, moments + read_dates("1970-01-01 " + written))


def _numbered_moments(text: pl.Series) -> pl.Series | None:
    """Return days in microseconds if they are numbers of seconds, or smaller units, since 1970; else None."""
    if not are_midnights(text[:TRIED]):
        return None
    numbers = text.str.strip_chars().cast(pl.Float64, strict=False)
    return scaled(numbers.cast(pl.Int64), guessed_unit(size_of(numbers.drop_nulls())))


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
    if are_midnights(text[:TRIED]):
        return "midnights"
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
    if (moments := _numbered_moments(text)) is not None:
        return moments
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
