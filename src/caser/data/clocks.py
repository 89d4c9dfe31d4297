"""Clocks: numbers that count from another beginning than 1970, as Windows, Chrome, .NET, Apple or NTP write them.

A clock is recognised by numbers that no unit since 1970 makes moments of our time, or by the name of the column. Where
all times of a log are implausible, the clocks that would make them plausible are suggested.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import polars as pl

from caser.data.column_words import word_set, words_in
from caser.data.dates import DAY_LENGTH
from caser.data.time_units import UNITS, USUAL_SECONDS, are_most, are_usual, unit_named

UNMISTAKABLE = ("webkit", "filetime", "ticks")
"""Clocks whose numbers of our time are no moments of our time in any unit since 1970."""

CALLED: Mapping[str, frozenset[str]] = {
    "webkit": word_set("webkit chrome chromium"),
    "filetime": word_set("filetime"),
    "ticks": word_set("ticks tick"),
    "cocoa": word_set("cocoa coredata apple"),
    "gps": word_set("gps"),
    "ntp": word_set("ntp"),
    "julian": word_set("julian jd"),
    "excel": word_set("excel ole oadate serial"),
    **{unit: word_set(f"{unit} {unit[:-1]}") for unit in ("minutes", "hours", "days")},
}
"""Words in the name of a column that say by which clock its numbers are to be read, if that makes them usual."""

OTHER_CLOCKS = (
    *("cocoa", "ntp", "julian", "seconds since 1904-01-01", "seconds since 2000-01-01", "seconds since 1960-01-01"),
    *("seconds since 1601-01-01", "seconds since 1582-10-14", "seconds since 0001-01-01"),
    *("milliseconds since 2001-01-01", "milliseconds since 1960-01-01", "milliseconds since 0001-01-01"),
    *("microseconds since 2000-01-01", "nanoseconds since 2001-01-01", "100 nanoseconds since 1582-10-15"),
    *("days since 0000-12-31", "days since 1960-01-01"),
)
"""Clocks that are suggested where all times are implausible: those of Apple, SAS, SPSS, Stata, PostgreSQL and UUIDs."""

YEAR = 366 * DAY_LENGTH

OLDEST_SUGGESTED = 946_684_800_000_000
"""2000 in microseconds since 1970: a clock is suggested for moments from then on."""


def clock_of(name: str, floats: pl.Series, size: float) -> str | None:
    """Return the clock that makes nearly all numbers moments of our time: the one that the name of their column says,
    or the only one; None if numbers may count since 1970.

    name    the name of the column
    floats  finite numbers; those that are not above 0 are left out        size  their size, as from `size_of`

    >>> clock_of("time", pl.Series([1.3345e17]), 1.3345e17), clock_of("cocoa_time", pl.Series([7e8]), 7e8)
    ('filetime', 'cocoa')
    >>> clock_of("time", pl.Series([7e8]), 7e8), clock_of("time", pl.Series([1.7e9]), 1.7e9)
    (None, None)
    """
    words = set(words_in(name))
    called = {one: time.time() for one, words_for in CALLED.items() if words_for & words}
    for unit, most in {**dict.fromkeys(UNMISTAKABLE, USUAL_SECONDS[1]), **called}.items():
        is_usual = USUAL_SECONDS[0] <= seconds_of(size, unit) <= most
        if is_usual and are_most(are_usual(floats.filter(floats > 0), unit)):
            return unit
    return None


def seconds_of(number: float, unit: str) -> float:
    """Return the seconds since 1970 of a number.

    number  of the unit        unit  as for `unit_named`

    >>> seconds_of(1.0, "cocoa")
    978307201.0
    """
    how = unit_named(unit) or UNITS["seconds"]
    return (number * how.microseconds + how.zero) / 1e6


def other_clocks(last: int, unit: str) -> dict[str, int]:
    """Return the clocks that make a moment of the last decades of a number that was read as another moment.

    last  the moment as it was read, in microseconds since 1970
    unit  the unit in which it was read, as for `unit_named`

    The moment of each clock is in microseconds since 1970, too.

    >>> other_clocks(721_841_564_000_000, "seconds")
    {'cocoa': 1700148764000000, 'seconds since 2000-01-01': 1668526364000000}
    """
    how = unit_named(unit)
    if how is None:
        return {}
    number = (last - how.zero) / how.microseconds
    now = int(time.time() * 1e6)
    found = {}
    for clock in OTHER_CLOCKS:
        zero, moment = ((unit_named(clock) or how).zero, int(seconds_of(number, clock) * 1e6))
        if max(OLDEST_SUGGESTED, zero + YEAR) <= moment <= now + YEAR // 12:
            found[clock] = moment
    return found
