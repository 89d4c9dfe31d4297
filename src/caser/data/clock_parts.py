"""Clock parts: columns that hold a part of a moment, such as a year, an hour, a time of day as 2359, or AM and PM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from caser.data.column_words import word_set, words_in
from caser.data.rivals import whole_numbers
from caser.data.time_units import NEARLY_ALL

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

CLOCK = ("hour", "minute", "second")

HALVES = r"(?i)^\s*([ap]\.?\s?m\.?|午前|午後|오전|오후|上午|下午)\s*$"
"""Which half of a day a time of twelve hours is in."""

SECOND_HALF = r"(?i)^\s*(p|午後|오후|下午)"

CLOCK_WORDS = word_set(
    "year month week weekday dow day days hour hours minute minutes second seconds sec secs date time clock "
    "timestamp ts period epoch elapsed timeframe timestep t"
)
"""Words in the names of columns with times or parts of them."""

NO_ORDER = word_set(
    "id ids hash name price amount count score rating total qty quantity spent duration length weight plays"
)
"""Words in the names of columns that say how much or which, and not when."""


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
    if words & {"day", "midnight"}:
        for named, per_day in (({"second", "seconds", "sec", "secs"}, 86_400), ({"minute", "minutes", "min"}, 1440)):
            if words & named:
                return most < per_day
    if words & (PARTS["hour"] | {"hours"}) and most < 24:
        return True
    if words & {"time", "clock", "hourmin", "timeofday", "hour", "uhrzeit", "hora", "heure"} and 23 < most <= 235_959:
        digits = numbers.cast(pl.String).str.zfill(4 if most <= 2359 else 6)
        return digits.str.contains(CLOCK_WITH_ZEROS).sum() >= NEARLY_ALL * len(numbers)
    return False


def are_halves(values: pl.Series) -> bool:
    """Return whether a column says in which half of the day times are: AM and PM.

    values  the first values of a column

    >>> are_halves(pl.Series(["AM", "p.m."])), are_halves(pl.Series(["AM", "late"])), are_halves(pl.Series(["PM"]))
    (True, False, False)
    """
    return only_halves(values) and values.drop_nulls().str.contains(SECOND_HALF).n_unique() > 1


def only_halves(values: pl.Series) -> bool:
    """Return whether all values are halves of the day, perhaps always the same one.

    values  the first values of a column
    """
    texts = values.drop_nulls()
    return texts.dtype == pl.String and len(texts) > 0 and bool(texts.str.contains(HALVES).all())


def clock_parts(few: pl.DataFrame, clock: str, others: Sequence[str]) -> list[str]:
    """Return the columns that say a time of day together: that of clocks or hours, then minutes, seconds, and the half.

    few  the first rows        clock  a column of times of day        others  the columns that nobody uses

    >>> few = pl.DataFrame({"hour": [1, 2], "minute": [3, 4], "am_pm": ["AM", "PM"]})
    >>> clock_parts(few, "hour", ["am_pm", "minute"])
    ['hour', 'minute', 'am_pm']
    """
    found = [clock]
    numbers = whole_numbers(few[clock])
    if _part_of(clock) == "hour" and numbers is not None and int(str(numbers.max())) < 24:
        for part in ("minute", "second"):
            words = PARTS[part] | ({"mm"} if part == "minute" else set())  # beside an hour it is no month
            named = [one for one in others if words & {*words_in(one)} and one != clock and are_in(few[one], part)]
            if len(named) != 1:
                break
            found += named
    if numbers is None and few[clock].dtype != pl.String:
        return found
    texts = (few[clock] if numbers is None else numbers).drop_nulls().cast(pl.String)
    hours = texts.str.extract(r"^\s*(\d{1,2})(?:\d\d){0,2}(?:\D|$)").cast(pl.Int64, strict=False)
    is_half = hours.count() > 0 and int(str(hours.max())) <= 12 and not texts.str.contains("(?i)[ap]").any()
    halves = [one for one in others if is_half and are_halves(few[one])]
    return [*found, *halves[:1]]


def _part_of(column: str) -> str | None:
    """Return the part of a moment that a column is called after."""
    words = words_in(column)
    return next((part for part, named in PARTS.items() if named.intersection([*words[-1:], *words[:1]])), None)


def are_in(values: pl.Series, part: str) -> bool:
    """Return whether nearly all values are numbers of a part of moments.

    values  the first values of a column        part  a key of USUAL
    """
    numbers = values.cast(pl.String, strict=False).str.strip_chars().cast(pl.Float64, strict=False)
    return bool(numbers.is_between(*USUAL[part]).sum() >= NEARLY_ALL * max(1, len(values)))


def clock_texts(parts: pl.DataFrame, clocks: Sequence[str], half: str | None) -> pl.Series:
    """Return times of day as text, of one column or of hours, minutes and seconds, with AM or PM behind them.

    parts  the columns        clocks  the names of those with times of day, or with parts of them
    half   the name of the one with the half of the day; None if there is none

    >>> parts = pl.DataFrame({"hour": [1, 2], "minute": [3, 4], "am_pm": ["AM", "PM"]})
    >>> clock_texts(parts, ["hour", "minute"], "am_pm").to_list()
    ['01:03 AM', '02:04 PM']
    """
    texts = [parts[one].cast(pl.String).str.strip_chars().str.replace(r"\.0+$", "") for one in clocks]
    if len(texts) == 1:
        numbers = texts[0].cast(pl.Int64, strict=False)
        if digits := digits_of_clock(clocks[0], numbers) if 2 * numbers.count() > len(numbers) else 0:
            padded = numbers.cast(pl.String).str.zfill(digits)
            texts = [padded.str.slice(place, 2) for place in range(0, digits, 2)]
    texts = [text.str.zfill(2) for text in texts]
    texts += (
        [pl.repeat("00", len(parts), dtype=pl.String, eager=True)]
        if len(texts) == 1 and ":" not in str(texts[0].drop_nulls()[:1].to_list())
        else []
    )
    clock = pl.select(pl.concat_str(texts, separator=":")).to_series()
    if half is None:
        return clock
    return clock + " " + halves_as_text(parts[half])


def halves_as_text(halves: pl.Series) -> pl.Series:
    """Return halves of days as AM and PM, null for what is none.

    halves  text

    >>> halves_as_text(pl.Series(["a.m.", "午後", "late"])).to_list()
    ['AM', 'PM', None]
    """
    is_later = halves.str.contains(SECOND_HALF)
    texts = pl.select(pl.when(is_later).then(pl.lit("PM")).otherwise(pl.lit("AM"))).to_series()
    return texts.set(~halves.str.contains(HALVES).fill_null(False), None)


def digits_of_clock(name: str, numbers: pl.Series) -> int:
    """Return how many digits the clocks have that numbers are; 0 if they are none, as seconds of a day.

    name  the name of the column        numbers  whole numbers, null where there is none

    >>> digits_of_clock("time", pl.Series([144, 235_959])), digits_of_clock("seconds", pl.Series([144]))
    (6, 0)
    """
    most = numbers.max()
    if {"second", "seconds", "sec", "secs", "ms", "milliseconds"} & set(words_in(name)) or not isinstance(most, int):
        return 0
    texts = numbers.drop_nulls().cast(pl.String)
    for digits, form in CLOCK_FORMS.items():
        if most < 10**digits and texts.str.zfill(digits).str.contains(form).sum() >= NEARLY_ALL * len(texts):
            return digits
    return 0
