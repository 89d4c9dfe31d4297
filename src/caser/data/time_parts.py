"""Time parts: what the columns without a role say about the moments of a log, such as a time of day or a zone.

A part of a moment that nobody uses is named in a doubt, with the flag that joins it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from caser.data.clock_parts import CLOCK_WORDS, NO_ORDER, are_clock_numbers, are_halves, clock_parts
from caser.data.column_words import word_set, words_in
from caser.data.dates import DAY_LENGTH, ZONED, are_days, are_times_of_day
from caser.data.event_times import is_of_row
from caser.data.ids import shortened
from caser.data.joined_times import OFFSET, ZONE, unit_of_offsets
from caser.data.names import option
from caser.data.rivals import have_fractions, whole_numbers
from caser.data.tables import RawTable
from caser.data.time_units import are_midnights
from caser.data.times import looks_like_moments
from caser.data.unused import are_in_another_order, first_values, is_fact, numbers_events, unused_rows

ABBREVIATIONS = word_set(
    "CET CEST EST EDT CST CDT MST MDT PST PDT IST BST JST MSK AEST AEDT ACST AWST WET WEST EET EEST HKT SGT KST NZST "
    "NZDT BRT ART SAST PKT WIB AST AKST HST CLT COT"
)
"""Abbreviations of zones that are not UTC."""

HEADER_ZONE = r"\b((?:UTC|GMT)\s?[-+−]\s?\d[\d:]*|[A-Z][a-z]+/[A-Z][a-z_A-Z]+|[A-Z]{3,4})\b"


LOOSE_CLOCK = r"^\D{0,4}([01]?\d|2[0-3])\s?[.:hH時点시-]\s?[0-5]\d(\s?[.:m分분-]\s?[0-5]\d)?\D{0,6}$"
"""A time of day in a form that may not be read, such as 17.22 or 16h55."""

OF_NAMES = word_set("PST PDT EST EDT CST CDT MST MDT CET CEST BST IST JST MSK")
"""Abbreviations that mean a zone at the end of the name of a column."""


def doubts_on_time(table: RawTable, chosen: Mapping[str, str]) -> list[str]:
    """Return the doubts on the column of times: a part of the moments, or their zone, is in an unused column.

    table   the rows        chosen  the columns by role, with the time

    >>> rows = pl.DataFrame({"user": [1], "item": [3], "day": ["2020-01-31"], "clock": ["23:59"]})
    >>> doubts_on_time(RawTable.from_frame(rows), {"user": "user", "item": "item", "time": "day"})
    ['doubt: clock holds times of day and is not used: --time day,clock joins them']
    """
    column = chosen["time"]
    few, unused = unused_rows(table, chosen)
    values = table.sample([column]).to_series()
    if values.dtype.is_nested() or values.count() == 0:
        return []
    parts = [part.strip() for part in column.split(",")] if column not in unused else [column]
    others = [one for one in unused if one not in parts]
    if halves := _on_halves(few, values, others):
        return halves
    if are_days(values) or are_midnights(values):
        return _on_days(few.with_columns(values.alias(column)), column, others, chosen)
    if not _is_naive(values):
        return []
    return _on_zones(few, column, others)


def _on_halves(few: pl.DataFrame, values: pl.Series, others: Sequence[str]) -> list[str]:
    """Name a column that says in which half of the day the times are, if no time is later than 12:59."""
    if values.dtype != pl.String and values.dtype != pl.Datetime:
        return []
    written = values.drop_nulls().cast(pl.String)
    hours = written.str.extract(r"(?:^|[T\s])(\d{1,2}):\d\d").cast(pl.Int64, strict=False)
    if hours.count() == 0 or int(str(hours.max())) > 12 or written.str.contains(r"(?i)[ap]\.?\s?m\.?\s*$").any():
        return []
    return [
        f"doubt: {name} ({shortened(str(few[name].drop_nulls()[0]))}) says in which half of the day a time is, and is "
        f"not used, so that afternoons are read as mornings: {option('time', values.name, name)} reads it"
        for name in others
        if are_halves(few[name])
    ][:1]


def _on_days(few: pl.DataFrame, column: str, others: Sequence[str], chosen: Mapping[str, str]) -> list[str]:
    """Name a column that orders the events of a day, if the time holds days only."""
    usable = [one for one in others if not few[one].dtype.is_nested() and not is_fact(few, one, chosen)]
    clocks = [one for one in others if are_times_of_day(few[one])]
    clocks += [one for one in usable if one not in clocks and are_clock_numbers(few[one])]
    if clocks:
        parts = clock_parts(few, clocks[0], others)
        be = "holds times of day and is" if len(parts) == 1 else "hold times of day and are"
        return [f"doubt: {' and '.join(parts)} {be} not used: {option('time', column, *parts)} joins them"]
    loose = [one for one in usable if _may_be_clocks(few[one])]
    if loose:
        shown = shortened(str(few[loose[0]].drop_nulls()[0]))
        return [
            f"doubt: {column} holds days only; {loose[0]} ({shown}) looks like times of day and is not used: write it "
            f"as 23:59:00, and {option('time', column, loose[0])} joins them"
        ]
    moments = [one for one in usable if looks_like_moments(few[one])]
    finer = sorted((one for one in moments if not (are_days(few[one]) or are_midnights(few[one]))), key=is_of_row)
    if finer:
        shown = shortened(str(few[finer[0]].drop_nulls()[0]))
        return [
            f"doubt: {column} holds days only; {finer[0]} looks like times ({shown}) and is not used: "
            f"{option('time', finer[0])} reads it"
        ]
    orders = [
        one
        for one in usable
        if (numbers := whole_numbers(few[one])) is not None
        and not looks_like_moments(few[one])
        and 0 <= int(str(numbers.min())) <= int(str(numbers.max())) < DAY_LENGTH // 1000
        and numbers_events(few, one, numbers, chosen["user"])
        and not few[chosen["user"]].dtype.is_nested()
        and are_in_another_order(few.select(chosen["user"], column), numbers)
    ]
    return [
        f"doubt: {column} holds days only; {one} ({first_values(few[one])}, ...) may order the events of a day and is "
        f"not used: {option('time', column, one)} joins them"
        for one in orders[:1]
    ]


def _may_be_clocks(values: pl.Series) -> bool:
    """Return whether a column may hold times of day in a form that is not read, or fractions of a day."""
    words = set(words_in(values.name))
    present = values.drop_nulls()
    if words & NO_ORDER or len(present) < 2 or present.n_unique() < 2:
        return False
    if present.dtype == pl.String and present.str.contains(LOOSE_CLOCK).all():
        return True
    numbers = present.cast(pl.Float64, strict=False)
    are_fractions = numbers.count() == len(present) and numbers.is_between(0, 1).all() and have_fractions(present)
    seconds = words & {"second", "seconds", "sec", "secs"} and numbers.count() == len(present)
    are_seconds = seconds and numbers.is_between(0, DAY_LENGTH // 1_000_000).all() and have_fractions(present)
    return bool((are_fractions and words & CLOCK_WORDS) or are_seconds)


def _is_naive(values: pl.Series) -> bool:
    """Return whether moments are without a zone."""
    if values.dtype == pl.Datetime:
        return getattr(values.dtype, "time_zone", None) is None
    return values.dtype == pl.String and looks_like_moments(values) == "dates" and not values.str.contains(ZONED).any()


def _on_zones(few: pl.DataFrame, column: str, others: Sequence[str]) -> list[str]:
    """Name a column of zones, or a zone in the name of the column of times, beside times without a zone."""
    for name in others:
        values = few[name]
        if values.dtype.is_nested() or values.count() == 0:
            continue
        texts = values.drop_nulls().cast(pl.String).str.strip_chars()
        shown = shortened(texts[0])
        if texts.str.contains(OFFSET).all() and not texts.str.contains(r"^\d").any():
            return [
                f"doubt: {name} holds offsets from UTC ({shown}) and is not used: "
                f"{option('time', column, name)} joins them"
            ]
        numbers = whole_numbers(values)
        if texts.str.contains(ZONE).all() or (numbers is not None and unit_of_offsets(name, numbers)):
            return [
                f"doubt: {name} holds zones ({shown}) and is not used, so that {column} is read in UTC: "
                f"{option('time', column, name)} reads it in its zone"
            ]
        is_named = bool(set(words_in(name)) & {"tz", "timezone"}) and texts.str.contains(r"\p{L}").all()
        if not texts.is_in(["UTC", "GMT", "Z"]).all() and (
            is_named or texts.is_in([*ABBREVIATIONS, "UTC", "GMT"]).all()
        ):
            return [
                f"doubt: {name} holds names of zones ({shown}) and is not used, so that {column} is read in UTC: write "
                "the offset of each from UTC in its place, such as +01:00"
            ]
    found = [zone for zone in _zones_in_name(column) if zone in ABBREVIATIONS or not zone.isalpha()]
    return [
        f"doubt: the name of {column!r} says that times are in {zone}, and they are read in UTC: write the offset "
        "from UTC into each, such as 2020-12-31 23:59:00+01:00"
        for zone in found[:1]
    ]


def _zones_in_name(column: str) -> list[str]:
    found = list(pl.Series([column]).str.extract_all(HEADER_ZONE).to_list()[0])
    last = column.upper().replace("-", "_").rpartition("_")[2]  # time_pst
    return [*found, *([last] if last in OF_NAMES else [])]
