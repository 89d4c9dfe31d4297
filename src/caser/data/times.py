"""Times: turn a column into microseconds since 1970 UTC, and say in which unit it was.

A column has one unit. Numbers are seconds, milliseconds, microseconds or nanoseconds since 1970, whichever gives their
median a usual size, unless their digits are dates: 20220408 is a day and 20201231235900 a moment. Columns whose values
are plausible in two different units are refused. `dates.py` reads text.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import polars as pl

from caser.data.dates import are_times_of_day, fitting_forms, parse, read_dates
from caser.data.ids import is_missing, shortened
from caser.errors import DataError

TIME_UNITS = {"seconds": 1e11, "milliseconds": 1e14, "microseconds": 1e17, "nanoseconds": np.inf}
"""Units of time since 1970. Each has the largest median of times that is read in it, a time in the year 5138."""

MICROSECONDS_PER = {"seconds": 1_000_000.0, "milliseconds": 1_000.0, "microseconds": 1.0, "nanoseconds": 0.001}

USUAL_SECONDS = (788_918_400, 2_208_988_800)
"""Seconds since 1970 from 1995 to 2040: a moment of which there are logs."""

DIGITS = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S", 17: "%Y%m%d%H%M%S%3f"}
"""Dates that are written as digits only, by the number of digits."""

NEARLY_ALL = 0.95
"""The share of values that must be plausible dates before the others count as unreadable."""

SAMPLE = 10_000
"""How many numbers are looked at before all are tried as dates."""

LATEST = 2**62
"""A number is a time only if it is fewer than this many microseconds before or after 1970."""


def to_microseconds(
    times: pl.Series, places: pl.Series, words: Collection[str] = ("",), time_format: str | None = None
) -> tuple[pl.Series, str]:
    """Return times in microseconds since 1970 UTC, with null for a missing or unreadable one; and their unit.

    times        a column of numbers, dates or text        places  (N,) where each row is, named "line" or "row"
    words        texts that mean missing
    time_format  how the times are written: a unit, such as "milliseconds", or a form for `strptime`; None to guess

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
            is_date = read_dates(values).count() >= NEARLY_ALL * len(values) or bool(fitting_forms(values))
            return "dates" if is_date and len(values) else None
        values = numbers
    if not values.dtype.is_numeric() or values.drop_nulls().is_empty():
        return None
    floats = values.drop_nulls().cast(pl.Float64)
    if _digits_as_dates(values) is not None:
        return "numbers"
    return "numbers" if max(_usual(floats).values()) >= NEARLY_ALL * len(floats) else None


def shown_moment(microseconds: int) -> str:
    """Return a moment for a sentence.

    microseconds  since 1970 UTC

    >>> shown_moment(1_000_000)
    '1970-01-01 00:00:01 UTC'
    """
    return f"{str(np.datetime64(microseconds, 'us').astype('datetime64[s]')).replace('T', ' ')} UTC"


def _as_said(times: pl.Series, time_format: str) -> tuple[pl.Series, str]:
    """Read times in the unit, or the form, that the caller names."""
    if time_format in TIME_UNITS:
        numbers = _numbers(times) if times.dtype == pl.String else times
        if not numbers.dtype.is_numeric():
            raise DataError(f"times in {time_format} must be numbers; got {times.dtype} in column {times.name!r}")
        return _scaled(numbers, time_format), time_format
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
            raise DataError(_which_form(unread, places, forms))
    return (dates, "dates") if dates.count() > numbers.count() else _from_numbers(numbers.alias(text.name), places)


def _which_form(text: pl.Series, places: pl.Series, forms: list[str]) -> str:
    """Ask for one of the forms that read every time, and say what each makes of the first."""
    row = text.is_not_null().arg_max() or 0
    readings = [
        f"time_format={form!r} (--time-format {form!r}) reads it as {shown_moment(parse(text[row : row + 1], form)[0])}"
        for form in forms[:3]
    ]
    return (
        f"times must have one meaning; got {shortened(text[row])} at {places.name} {places[row]:,} in column "
        f"{text.name!r}: {', '.join(readings)}; pass the right one"
    )


def _from_numbers(numbers: pl.Series, places: pl.Series) -> tuple[pl.Series, str]:
    """Read numbers in the unit of their median, or as digits of dates."""
    numbers = numbers.cast(pl.Float64) if numbers.dtype.is_decimal() else numbers
    if (dates := _digits_as_dates(numbers)) is not None:
        return dates, "dates"
    floats = numbers.cast(pl.Float64)
    finite = floats.set(~floats.is_finite(), None)
    _refuse_months(finite, numbers.name)
    _refuse_two_units(finite, numbers, places)
    median = finite.set(finite <= 0, None).median()  # 0 and -1 often stand for a missing time
    median = median if isinstance(median, float) else finite.abs().max()
    size = median if isinstance(median, float) else 0.0
    unit = next(unit for unit, bound in TIME_UNITS.items() if size <= bound)
    return _scaled(numbers, unit), unit


def _scaled(numbers: pl.Series, unit: str) -> pl.Series:
    """Convert numbers of a unit to microseconds, with null for numbers that are no times."""
    numbers = numbers.cast(pl.Float64) if numbers.dtype.is_decimal() else numbers
    floats = numbers.cast(pl.Float64)
    in_range = (floats.is_finite() & (floats.abs() < LATEST / MICROSECONDS_PER[unit])).fill_null(False)
    kept = numbers.set(~in_range, None)
    # Integers are not converted to floats on the way, because that would round them.
    if kept.dtype.is_integer():
        whole = kept // 1000 if unit == "nanoseconds" else kept.cast(pl.Int64) * int(MICROSECONDS_PER[unit])
        return whole.cast(pl.Int64)
    return (kept.cast(pl.Float64) * MICROSECONDS_PER[unit]).round().cast(pl.Int64)


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


def _refuse_months(floats: pl.Series, name: str) -> None:
    """Raise DataError if every number is a month such as 202012: a month is no moment, and seconds are as likely."""
    low, high = floats.min(), floats.max()
    if not (isinstance(low, float) and isinstance(high, float) and low >= 190001 and high <= 210012):
        return
    if ((floats % 100).is_between(1, 12) & (floats % 1 == 0)).all():
        raise DataError(
            f"times must have one meaning; got {low:.0f} to {high:.0f} in column {name!r}: months, which "
            "time_format='%Y%m' (--time-format %Y%m) reads as their first days, or seconds, which "
            "time_format='seconds' (--time-format seconds) reads"
        )


def _refuse_two_units(floats: pl.Series, numbers: pl.Series, places: pl.Series) -> None:
    """Raise DataError if some numbers are moments of our time in one unit, and others in another."""
    counts = {unit: count for unit, count in _usual(floats).items() if count}
    if len(counts) < 2:
        return
    found = []
    for unit, count in counts.items():
        row = _is_usual(floats, unit).fill_null(False).arg_max() or 0
        found.append(f"{count:,} in {unit} (first at {places.name} {places[row]:,}: {numbers[row]})")
    raise DataError(
        f"all times must be in one unit; got {' and '.join(found)} in column {numbers.name!r}; convert them to one "
        "unit, or pass time_format= (--time-format seconds) to read every number in one"
    )


def _usual(floats: pl.Series) -> dict[str, int]:
    """Count the numbers that are moments of our time, by unit."""
    return {unit: int(_is_usual(floats, unit).sum() or 0) for unit in TIME_UNITS}


def _is_usual(floats: pl.Series, unit: str) -> pl.Series:
    per_second = 1e6 / MICROSECONDS_PER[unit]
    return floats.is_between(USUAL_SECONDS[0] * per_second, USUAL_SECONDS[1] * per_second)


def _numbers(text: pl.Series) -> pl.Series:
    """Read text as integers if all numbers in it are integers, else as floats; null for other text."""
    integers = text.cast(pl.Int64, strict=False)
    if integers.null_count() == text.null_count():
        return integers
    floats = text.cast(pl.Float64, strict=False)
    return integers if integers.count() == floats.count() else floats


def _has_digit(word: str) -> bool:
    return any(map(str.isdigit, word))


def _first_shown(times: pl.Series, places: pl.Series) -> str:
    row = times.is_not_null().arg_max() or 0
    return f"{shortened(str(times[row]))} at {places.name} {places[row]:,}"
