"""Units of time: numbers that count seconds, days or other units become microseconds since 1970 UTC.

Without a word of the caller, numbers are seconds, milliseconds, microseconds or nanoseconds since 1970, whichever gives
their median a usual size. Numbers that only one other clock makes moments of our time, or whose column is called after
such a clock, are read by that clock (`clocks.py`). Numbers that are rather minutes, hours, days, days of a spreadsheet,
years, months or days of a year are asked about, because as seconds they would all lie around 1970.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from caser.data.dates import DAY_LENGTH, parse
from caser.errors import DataError


class Unit(NamedTuple):
    """A unit of time.

    microseconds  how long one is        zero   the moment of the number 0, in microseconds since 1970
    digits        a number with a fraction is rounded to this many microseconds
    """

    microseconds: float
    zero: int = 0
    digits: int = 1


UNITS: Mapping[str, Unit] = {
    "seconds": Unit(1e6),
    "milliseconds": Unit(1e3),
    "microseconds": Unit(1.0),
    "nanoseconds": Unit(1e-3),
    "minutes": Unit(60e6),
    "hours": Unit(3600e6),
    "days": Unit(float(DAY_LENGTH), digits=1000),
    "excel": Unit(float(DAY_LENGTH), zero=-25_569 * DAY_LENGTH, digits=1000),
    "julian": Unit(float(DAY_LENGTH), zero=-2_440_588 * DAY_LENGTH + DAY_LENGTH // 2, digits=1000),
    "cocoa": Unit(1e6, zero=978_307_200_000_000),
    "gps": Unit(1e6, zero=315_964_782_000_000),
    "ntp": Unit(1e6, zero=-2_208_988_800_000_000),
    "webkit": Unit(1.0, zero=-11_644_473_600_000_000),
    "filetime": Unit(0.1, zero=-11_644_473_600_000_000),
    "ticks": Unit(0.1, zero=-62_135_596_800_000_000),
}
"""Units by the word for `time_format`. A fraction of a day with as many digits as a float has is about a microsecond
wrong, so that it is rounded to milliseconds. GPS is read with its 18 leap seconds since 2017."""

MEANINGS: Mapping[str, str] = {
    "excel": "days since 1899-12-30, as spreadsheets count them",
    "julian": "Julian days, since noon of -4712-01-01",
    "cocoa": "seconds since 2001, as Apple counts them",
    "gps": "seconds of GPS, since 1980-01-06",
    "ntp": "seconds since 1900, as NTP counts them",
    "webkit": "microseconds since 1601, as Chrome counts them",
    "filetime": "units of 100 nanoseconds since 1601, as Windows counts them",
    "ticks": "units of 100 nanoseconds since the year 1, as .NET counts them",
}
"""What a unit counts, where its name does not say it."""

SINCE = re.compile(r"(?:(\d+) )?(\w+) since (\d{4}-\d\d-\d\d(?:[ T].+)?)")
"""A unit in words, such as "seconds since 1904-01-01"."""

GUESSED: Mapping[str, float] = {
    "seconds": 1e11,
    "milliseconds": 1e14,
    "microseconds": 1e17,
    "nanoseconds": float("inf"),
}
"""Units that are chosen without asking, with the largest median that is read in each, a time in the year 5138."""

ASKED: Mapping[str, tuple[float, float]] = {
    "%Y": (1900, 2100),
    "%Y%m": (190_001, 210_012),
    "%Y%j": (1_900_001, 2_100_366),
    "%y%m%d": (100_101, 991_231),
    "days": (5_000, 30_000),
    "excel": (20_000, 60_000),
    "hours": (200_000, 620_000),
    "julian": (2_449_000, 2_466_000),
    "minutes": (12_000_000, 37_000_000),
}
"""Other units and forms, with the least and the largest number that is a moment of our time in each."""

USUAL_SECONDS = (788_918_400, 2_208_988_800)
"""Seconds since 1970 from 1995 to 2040: a moment of which there are logs."""

NEARLY_ALL = 0.95
"""The share of values that must be plausible in one reading before the others count as unreadable."""

FEWEST_DAYS = 10
"""How many days are needed before two times of day are those of summer and winter."""

LATEST = 2**62
"""A number is a time only if it is fewer than this many microseconds before or after 1970."""


def size_of(floats: pl.Series) -> float:
    """Return the median of the numbers above 0, as 0 and -1 often stand for a missing time; or else of what there is.

    floats  finite numbers

    >>> size_of(pl.Series([1.6e9, 0.0, 0.0])), size_of(pl.Series([0.0]))
    (1600000000.0, 0.0)
    """
    least = floats.min()
    median = (floats.set(floats <= 0, None) if isinstance(least, float) and least <= 0 else floats).median()
    median = median if isinstance(median, float) else floats.abs().max()
    return median if isinstance(median, float) else 0.0


def times_in_words(unit: str) -> str:
    """Return how the times of a log were written, from the `time_unit` of its provenance.

    unit  a key of UNITS, a unit and its beginning in words, or "dates" for times that were text or dates

    >>> times_in_words("seconds"), times_in_words("cocoa"), times_in_words("dates")
    ('seconds since 1970', 'seconds since 2001, as Apple counts them', 'calendar dates')
    """
    words = {**MEANINGS, "dates": "calendar dates"}
    return words.get(unit, unit if " since " in unit else f"{unit} since 1970")


def guessed_unit(size: float) -> str:
    """Return the unit of GUESSED in which a number is of a usual size.

    size  as from `size_of`

    >>> guessed_unit(1.6e9), guessed_unit(1.6e12)
    ('seconds', 'milliseconds')
    """
    return next(unit for unit, bound in GUESSED.items() if size <= bound)


def scaled(numbers: pl.Series, unit: str) -> pl.Series:
    """Return numbers of a unit as microseconds since 1970, with null for numbers that are no times.

    numbers  of any numeric type        unit  as for `unit_named`

    >>> scaled(pl.Series([44927.5]), "excel").to_list() == scaled(pl.Series([1_672_574_400]), "seconds").to_list()
    True
    """
    how = unit_named(unit)
    if how is None:
        raise DataError(
            f"a unit of time must be one of {', '.join(UNITS)}, or such as 'seconds since 1904-01-01'; got {unit!r}"
        )
    numbers = numbers.cast(pl.Float64) if numbers.dtype.is_decimal() else numbers
    floats = numbers.cast(pl.Float64)
    in_range = (floats.is_finite() & (floats.abs() < LATEST / how.microseconds)).fill_null(False)
    kept = numbers.set(~in_range, None)
    # Integers are not converted to floats on the way, because that would round them.
    if kept.dtype.is_integer():
        whole = (
            kept.cast(pl.Int64) * int(how.microseconds)
            if how.microseconds >= 1
            else kept // round(1 / how.microseconds)
        )
        return whole.cast(pl.Int64) + how.zero
    rounded = (kept.cast(pl.Float64) * (how.microseconds / how.digits)).round().cast(pl.Int64)
    return rounded * how.digits + how.zero


def unit_named(time_format: str) -> Unit | None:
    """Return the unit that a `time_format` names; None if it names none.

    time_format  a key of UNITS, or a unit and its beginning in words

    >>> unit_named("seconds since 2001-01-01") == unit_named("cocoa")
    True
    >>> unit_named("100 nanoseconds since 1601-01-01") == unit_named("filetime"), unit_named("%Y")
    (True, None)
    """
    if time_format in UNITS or (words := SINCE.fullmatch(time_format)) is None:
        return UNITS.get(time_format)
    number, unit = int(words[1] or 1), UNITS.get(words[2])
    try:
        begin = datetime.datetime.fromisoformat(words[3].replace("0000-12-31", "0001-01-01"))
    except ValueError:
        return None
    if unit is None or unit.zero or not number:
        return None
    begin = begin if begin.tzinfo else begin.replace(tzinfo=datetime.UTC)
    zero = (begin - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(microseconds=1)
    zero -= DAY_LENGTH if words[3].startswith("0000") else 0
    return Unit(number * unit.microseconds, zero, unit.digits)


def usual_counts(floats: pl.Series) -> dict[str, int]:
    """Return how many numbers are moments of our time in each unit of GUESSED.

    floats  numbers

    >>> usual_counts(pl.Series([1.6e9, 1.6e12, 7.0]))
    {'seconds': 1, 'milliseconds': 1, 'microseconds': 0, 'nanoseconds': 0}
    """
    return {unit: int(are_usual(floats, unit).sum() or 0) for unit in GUESSED}


def are_midnights(values: pl.Series) -> bool:
    """Return whether numbers of seconds, or smaller units, since 1970 all have one time of day, as days have.

    values  the first values of a column of any type

    Midnights of a zone with a summer time have two times of day, an hour apart.

    >>> [are_midnights(pl.Series(times)) for times in ([1_699_920_000, 1_700_006_400], [1_699_920_000, 1_700_006_401])]
    [True, False]
    """
    if values.dtype != pl.String and not values.dtype.is_numeric():
        return False
    numbers = values.cast(pl.Float64, strict=False).drop_nulls()
    numbers = numbers.filter(numbers > 0)
    if len(numbers) < NEARLY_ALL * values.count() or numbers.is_empty():
        return False
    unit = guessed_unit(size_of(numbers))
    if not are_most(are_usual(numbers, unit)):
        return False
    hour = 3600e6 / UNITS[unit].microseconds
    rest = (numbers % (24 * hour)).unique()
    if rest.max() == 0 or (len(rest) == 1 and numbers.n_unique() > 2):
        return True
    are_hours = bool((rest % hour == 0).all()) and len(rest) == 2 and numbers.n_unique() > FEWEST_DAYS
    return are_hours and abs(rest[0] - rest[1]) in (hour, 23 * hour)


def refuse_two_units(floats: pl.Series, numbers: pl.Series, places: pl.Series) -> None:
    """Raise DataError if some numbers are moments of our time in one unit, and others in another.

    floats  the finite numbers        numbers  the numbers as they are in the column        places  where each is
    """
    counts = {unit: count for unit, count in usual_counts(floats).items() if count}
    if len(counts) < 2:
        return
    found = []
    for unit, count in counts.items():
        row = are_usual(floats, unit).fill_null(False).arg_max() or 0
        found.append(f"{count:,} in {unit} (first at {places.name} {places[row]:,}: {numbers[row]})")
    raise DataError(
        f"all times must be in one unit; got {' and '.join(found)} in column {numbers.name!r}; convert them to one unit"
    )


def asked_readings(floats: pl.Series, size: float) -> list[str]:
    """Return the keys of ASKED in which nearly all numbers are moments of our time; with the unit that is guessed.

    floats  finite numbers        size  their size, as from `size_of`

    >>> asked_readings(pl.Series([44927.5]), 44927.5), asked_readings(pl.Series([202012.0]), 202012.0)
    (['excel', 'seconds'], ['%Y%m', 'hours', 'seconds'])
    """
    if size > max(most for _, most in ASKED.values()):
        return []
    positive = floats.filter(floats > 0)
    found = [word for word, (least, most) in ASKED.items() if are_most(positive.is_between(least, most))]
    found = [word for word in found if "%" not in word or are_most(_are_written_so(positive, word))]
    return [*found, guessed_unit(size)] if found else []


def _are_written_so(floats: pl.Series, form: str) -> pl.Series:
    """Return whether each number is whole, and the digits of a moment in this form."""
    return (floats % 1 == 0) & parse(floats.cast(pl.Int64).cast(pl.String), form).is_not_null()


def are_most(claims: pl.Series) -> bool:
    """Return whether nearly all claims are true, and there is one.

    claims  booleans
    """
    return len(claims) > 0 and bool(claims.sum() >= NEARLY_ALL * len(claims))


def are_usual(floats: pl.Series, unit: str) -> pl.Series:
    """Return whether each number is a moment of our time in a unit.

    floats  numbers        unit  a key of UNITS
    """
    how = UNITS[unit]
    least, most = ((seconds * 1e6 - how.zero) / how.microseconds for seconds in USUAL_SECONDS)
    return floats.is_between(least, most)
