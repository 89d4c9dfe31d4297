"""Times: turn a column into microseconds since 1970 UTC, and say in which unit it was.

A column has one unit. Numbers are seconds, milliseconds, microseconds or nanoseconds since 1970, unless their digits
are dates: 20220408 is a day and 20201231235900 a moment. Columns whose values are plausible in two different units are
refused. `time_units.py` has the units; `dates.py` reads text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import numpy as np
import polars as pl

from caser.data.clocks import clock_of
from caser.data.dates import ORDINAL, are_times_of_day, fitting_forms, parse, read_dates, zone_without_meaning
from caser.data.ids import is_missing, shortened
from caser.data.time_units import (
    NEARLY_ALL,
    UNITS,
    asked_readings,
    guessed_unit,
    refuse_two_units,
    scaled,
    size_of,
    unit_named,
    usual_counts,
)
from caser.errors import DataError

DIGITS = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S", 17: "%Y%m%d%H%M%S%3f"}
"""Dates that are written as digits only, by the number of digits."""

DECIMAL_COMMA = r"^(\s*[-+]?\d{4,}),(\d+\s*)$"

THOUSANDS = r"^\s*\d{1,3}(?:(?:,\d{3}){2,}|(?:\.\d{3}){3,}|(?:[ '\u00a0\u202f]\d{3}){2,})\s*$|^\s*\d+L\s*$"

WITH_YEAR = "%[-_0]?[YyGgsDFcxv+]"
"""The parts of a form that say the year."""

NEVER = (0.0, -1.0)
"""Numbers that often stand for no moment."""

FEWEST_MOMENTS = 0.1
"""The share of other numbers that a column of moments must have."""

SAMPLE = 10_000
"""How many numbers are looked at before all are tried as dates."""


def to_microseconds(
    times: pl.Series, places: pl.Series, words: Collection[str] = ("",), time_format: str | None = None
) -> tuple[pl.Series, str]:
    """Return times in microseconds since 1970 UTC, with null for a missing or unreadable one; and their unit.

    times        a column of numbers, dates or text        places  (N,) where each row is, named "line" or "row"
    words        texts that mean missing
    time_format  how the times are written: a key of UNITS, such as "milliseconds", or a form for `strptime`; None to
                 guess

    Raises DataError, with the first such value, if the column has two units or two readings, holds times without a day,
    or has another type.

    >>> places = pl.Series("row", [1, 2, 3])
    >>> to_microseconds(pl.Series(["1970-01-02", "1970-01-01T00:00:01+00:00", "soon"]), places)[0].to_list()
    [86400000000, 1000000, None]
    >>> to_microseconds(pl.Series([1_600_000_000_000]), places[:1])[1]
    'milliseconds'
    >>> to_microseconds(pl.Series([20220408]), places[:1])
    (shape: (1,)
    Series: '' [i64]
    [
        1649376000000000
    ], 'dates')
    """
    if are_times_of_day(times) and time_format is None:
        raise DataError(
            f"times must have a day; got {_first_shown(times, places)} in {times.name!r}, a time of day; name the "
            "column with the day too, such as time='date,time' (--time date,time), or only that one"
        )
    if time_format is not None:
        return _as_said(_without_words(times, words), time_format)
    if times.dtype == pl.String:
        return _from_text(times, places, words)
    if times.dtype.is_numeric():
        return _from_numbers(_without_words(times, words), places)
    if times.dtype in (pl.Date, pl.Datetime):
        return times.cast(pl.Datetime("us")).cast(pl.Int64), "dates"
    if times.dtype == pl.Null:
        return times.cast(pl.Int64), "dates"
    raise DataError(f"times must be numbers, dates or text; got {times.dtype} in column {times.name!r}; convert it")


def looks_like_moments(values: pl.Series) -> str | None:
    """Return "dates" or "numbers" if a column can hold only, or may well hold, the moments of events; else None.

    values  the first values of a column of any type

    >>> looks_like_moments(pl.Series(["2020-09-13T12:27:17.277Z"])), looks_like_moments(pl.Series([1_600_000_000]))
    ('dates', 'numbers')
    >>> looks_like_moments(pl.Series([503, 505])), looks_like_moments(pl.Series(["tea"]))
    (None, None)
    """
    if values.dtype in (pl.Date, pl.Datetime):
        return "dates"
    if values.dtype == pl.String:
        values = values.set(is_missing(values, [""]), None).drop_nulls()
        numbers = _numbers(values)
        if numbers.null_count() > (1 - NEARLY_ALL) * len(values):
            values = values.filter(~values.str.contains(ORDINAL))  # 2024-060 is as often the number of a student
            is_date = read_dates(values).count() >= NEARLY_ALL * len(values) or bool(fitting_forms(values))
            return "dates" if is_date and len(values) else None
        values = numbers
    if not values.dtype.is_numeric() or values.drop_nulls().is_empty():
        return None
    floats = values.drop_nulls().cast(pl.Float64)
    if _digits_as_dates(values) is not None:
        return "numbers"
    # 0 and -1 often stand for a moment that never was.
    present = floats.filter(~floats.is_in(NEVER)) if len(floats) else floats
    if len(present) < FEWEST_MOMENTS * len(floats):
        return None
    if clock_of(values.name, present, size_of(present)) is not None:
        return "numbers"
    return "numbers" if max(usual_counts(present).values()) >= NEARLY_ALL * len(present) > 0 else None


def shown_moment(microseconds: int) -> str:
    """Return a moment for a sentence.

    microseconds  since 1970 UTC

    >>> shown_moment(1_000_000)
    '1970-01-01 00:00:01 UTC'
    """
    return f"{str(np.datetime64(microseconds, 'us').astype('datetime64[s]')).replace('T', ' ')} UTC"


def _as_said(times: pl.Series, time_format: str) -> tuple[pl.Series, str]:
    """Read times in the unit, or the form, that the caller names."""
    if unit_named(time_format) is not None:
        numbers = _numbers(times) if times.dtype == pl.String else times
        if not numbers.dtype.is_numeric():
            raise DataError(f"times in {time_format} must be numbers; got {times.dtype} in column {times.name!r}")
        return scaled(numbers, time_format), time_format
    if "%" not in time_format:
        raise DataError(
            "time_format (--time-format) must describe a moment, such as '%d/%m/%Y %H:%M', or name a unit: "
            f"{', '.join(UNITS)}, or such as 'seconds since 1904-01-01'; got {time_format!r}"
        )
    if not re.search(WITH_YEAR, time_format):
        raise DataError(
            f"time_format (--time-format) must have the year, such as %Y; got {time_format!r}; if the times have none, "
            "write it in front of each"
        )
    if times.dtype.is_float() and (times.drop_nulls() % 1 == 0).all():
        times = times.cast(pl.Int64, strict=False)
    if times.dtype != pl.String and not times.dtype.is_integer():
        raise DataError(
            f"time_format (--time-format) has an effect on text and whole numbers only; got {times.dtype} in column "
            f"{times.name!r}; leave it out"
        )
    return parse(times.cast(pl.String), time_format), "dates"


def _without_words(times: pl.Series, words: Collection[str]) -> pl.Series:
    """Return times without those that are missing, as text without blanks around it if they are text."""
    if times.dtype == pl.String:
        missing = is_missing(times, words)
        times = times.str.strip_chars()
    elif times.dtype.is_numeric() and any(map(_has_digit, words)):
        missing = is_missing(times.cast(pl.String), words)
    else:
        return times
    return times.set(missing, None) if missing.any() else times


def _from_text(text: pl.Series, places: pl.Series, words: Collection[str]) -> tuple[pl.Series, str]:
    """Read text as numbers or as dates, whichever reads more rows. Refuse a form that has two meanings."""
    numbers = _numbers(text)
    if numbers.null_count() == 0 and not any(map(_has_digit, words)):
        return _from_numbers(numbers.alias(text.name), places)  # the usual case: no word is searched for
    text = _without_words(text, words)
    if text.null_count() or numbers.count():
        numbers = _numbers(text)
    if 2 * numbers.count() >= text.count():  # no text is both, so there cannot be more dates
        return _from_numbers(numbers.alias(text.name), places)
    dates = read_dates(text)
    if 2 * dates.count() < text.count():
        unread = text.set(dates.is_not_null(), None)
        if forms := fitting_forms(unread):
            raise DataError(_which_reading(unread, places, forms[:3]))
        _refuse_zones(unread, places)
    return (dates, "dates") if dates.count() > numbers.count() else _from_numbers(numbers.alias(text.name), places)


def _which_reading(times: pl.Series, places: pl.Series, readings: Sequence[str]) -> str:
    """Ask for one of several values of `time_format`, and say what each makes of the first time."""
    row = times.is_not_null().arg_max() or 0
    moments = {one: _as_said(times[row : row + 1], one)[0].item() for one in readings}
    ways = [
        f"time_format={one!r} (--time-format {one if one in UNITS else repr(one)}) reads it as {shown_moment(moment)}"
        for one, moment in moments.items()
        if moment is not None
    ]
    return (
        f"times must have one meaning; got {shortened(times[row])} at {places.name} {places[row]:,} in column "
        f"{times.name!r}: {', '.join(ways)}; pass the right one"
    )


def _refuse_zones(text: pl.Series, places: pl.Series) -> None:
    """Raise DataError if times would be read without the name of a zone at their end."""
    row = text.is_not_null().arg_max() or 0
    zone = zone_without_meaning(text[row]) if text.count() else None
    if zone is not None:
        raise DataError(
            f"times must be in UTC, or have an offset from it such as +0100; got {shortened(text[row])} at "
            f"{places.name} {places[row]:,} in column {text.name!r}: {zone} is the name of a zone, and such names have "
            "several offsets, by place or by season; write the offset in its place"
        )


def _from_numbers(numbers: pl.Series, places: pl.Series) -> tuple[pl.Series, str]:
    """Read numbers in the unit of their median, or as digits of dates."""
    numbers = numbers.cast(pl.Float64) if numbers.dtype.is_decimal() else numbers
    if (dates := _digits_as_dates(numbers)) is not None:
        return dates, "dates"
    floats = numbers.cast(pl.Float64)
    finite = floats.set(~floats.is_finite(), None)
    size = size_of(finite)
    if (clock := clock_of(numbers.name, finite, size)) is not None:
        return scaled(numbers, clock), clock
    if readings := asked_readings(finite, size):
        raise DataError(_which_reading(numbers.set(~(finite > 0).fill_null(False), None), places, readings))
    refuse_two_units(finite, numbers, places)
    unit = guessed_unit(size)
    return scaled(numbers, unit), unit


def _digits_as_dates(numbers: pl.Series) -> pl.Series | None:
    """Return microseconds if nearly all numbers are dates written as digits, such as 20220408; else None."""
    few = numbers.gather_every(max(1, len(numbers) // SAMPLE))
    middle = few.filter(few != 0).cast(pl.Float64).median()
    if not isinstance(middle, float) or not np.isfinite(middle):
        return None
    digits = len(f"{middle:.0f}")
    if digits not in DIGITS or not 1900 <= middle / 10.0 ** (digits - 4) < 2101:
        return None
    whole = numbers.cast(pl.Int64, strict=False)
    whole = (
        whole.set((whole.cast(numbers.dtype) != numbers).fill_null(True), None) if numbers.dtype.is_float() else whole
    )
    dates = parse(whole.cast(pl.String), DIGITS[digits])
    return dates if dates.count() >= NEARLY_ALL * int((numbers != 0).sum() or 0) else None


def _numbers(text: pl.Series) -> pl.Series:
    """Read text as integers if all numbers in it are integers, else as floats; null for other text.

    A comma is a decimal one after four digits or more, as no separator of thousands is there: 1577836800,5. Signs
    between groups of three digits separate thousands if there are several groups: 1,577,836,800. An L at the end, as
    Java has it, is left out.
    """
    integers = text.cast(pl.Int64, strict=False)
    if integers.null_count() == text.null_count():
        return integers
    few = text.head(SAMPLE)
    if integers.count() or few.str.contains(DECIMAL_COMMA).any() or few.str.contains(THOUSANDS).any():
        are_grouped = text.str.contains(THOUSANDS).fill_null(False)
        text = text.str.replace(DECIMAL_COMMA, "${1}.${2}").zip_with(~are_grouped, text.str.replace_all(r"[^\d]", ""))
        integers = text.cast(pl.Int64, strict=False)
    floats = text.cast(pl.Float64, strict=False)
    return integers if integers.count() == floats.count() else floats


def _has_digit(word: str) -> bool:
    return any(map(str.isdigit, word))


def _first_shown(times: pl.Series, places: pl.Series) -> str:
    row = times.is_not_null().arg_max() or 0
    return f"{shortened(str(times[row]))} at {places.name} {places[row]:,}"
