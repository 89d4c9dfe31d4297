"""The column of the time: check the one that was guessed by its name, or search the others for moments of events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import polars as pl

from caser.data.dates import ZONED, are_days, are_times_of_day
from caser.data.ids import shortened
from caser.data.names import flag, in_words, plain_name
from caser.data.tables import RawTable
from caser.data.times import looks_like_moments
from caser.errors import DataError

CLOCKS = ("hour", "hours", "hourmin", "hourminute", "clock", "timeofday")
"""Names of columns with times of day, in lower case, with letters and digits only."""

OFFSET = r"^\s*(?:UTC|GMT)?([+-]\d\d?(:?\d\d)?|Z)\s*$"
"""An offset from UTC, such as +02:00."""

CLOCK = r"^([01]?\d|2[0-3])?([0-5]?\d)?[0-5]?\d$"
"""A time of day as a number, such as 2359 or 235959, also without zeros in front."""

SEARCHED = 40
"""How many unused columns are searched for moments."""


def checked_time(table: RawTable, chosen: dict[str, str]) -> tuple[RawTable, dict[str, str], list[str]]:
    """Check a guessed column of times, or search for one; return the table, the columns by role, and sentences.

    table   the rows        chosen  the columns by role, with or without the time

    A time of day is joined with the only column of days. Without a column of times, the only column of dates is taken.
    Raises DataError, with the flags of each reading, if there are several.

    >>> rows = pl.DataFrame({"who": ["ann", "ann"], "what": ["tea", "milk"], "t_dat": ["2020-01-01", "2020-01-02"]})
    >>> checked_time(RawTable.from_frame(rows), {"user": "who", "item": "what"})[1]["time"]
    't_dat'
    """
    search = _search(table, chosen)
    column = chosen.get("time")
    if column is None:
        column, notes = _found_time(table, search)
        if column is None:
            return table, chosen, [*notes, *search.facts]
        chosen = {**chosen, "time": column}
        values = search.few[column]
        doubts = [*_doubt_on_days(search, column, values), *_doubt_on_offsets(search, column, values)]
        return table, chosen, [*notes, *doubts]
    values = table.sample([column]).to_series()
    if are_times_of_day(values):
        return _joined_with_day(table, chosen, search)
    owner = _owner_of(table.sample([column, chosen["user"], chosen["item"]]), column, chosen)
    if owner is not None and looks_like_moments(values) and search.moments:
        return _instead_of_fact(table, chosen, search, owner)
    if not looks_like_moments(values) and search.moments and not values.dtype.is_nested():
        other = next(iter(search.moments))
        few = values.drop_nulls().cast(pl.String).str.strip_chars()
        joins = f"--time {other},{column} if {column} is the time of day, or " if few.str.contains(CLOCK).all() else ""
        raise DataError(
            f"the time must be moments; got {shortened(str(values.drop_nulls()[:1].to_list()[0]))} in {column}, while "
            f"{other} holds {search.shown(other)}; pass {joins}time={other!r} (--time {other}), or "
            f"time={column!r} (--time {column}) if it is the time"
        )
    doubts = [*_doubt_on_days(search, column, values), *_doubt_on_offsets(search, column, values)]
    return table, chosen, [*_rivals(search, column), *doubts]


def joined_time(table: RawTable, columns: Sequence[str], name: str) -> RawTable:
    """Return a table with one more column: a day and a time of day together.

    table    the rows        columns  the column of the day, then those of the time of day, or of the zone
    name     the name of the new column

    A time of day may be a number without zeros in front: a column with 235959 holds hours, minutes and seconds, so that
    144 is 00:01:44 there; one with at most 2359 holds hours and minutes, one with at most 23 hours.

    >>> rows = pl.DataFrame({"day": ["2020-01-01"] * 2, "clock": ["144", "93059"]})
    >>> joined_time(RawTable.from_frame(rows), ["day", "clock"], "when").select(["when"]).to_series().to_list()
    ['2020-01-01 000144', '2020-01-01 093059']
    """
    return table.with_joined(columns, name, clock_digits(table, columns))


def clock_digits(table: RawTable, columns: Sequence[str]) -> int:
    """Return how many digits the times of day in the second column have; 0 if they are no such numbers.

    table  the rows        columns  as for `joined_time`
    """
    if len(columns) != 2:
        return 0
    kind = table.sample([columns[1]], 1).to_series().dtype
    if kind != pl.String and not kind.is_integer():
        return 0
    clocks = table.select([columns[1]]).to_series().cast(pl.String).str.strip_chars()
    are_numbers = clocks.str.contains(r"^\d{1,6}$")
    if 2 * are_numbers.sum() < len(clocks):
        return 0
    longest = clocks.filter(are_numbers.fill_null(False)).str.len_chars().max()
    return next(digits for digits in (2, 4, 6) if int(str(longest)) <= digits)


class Search(NamedTuple):
    """What the columns without a role hold.

    few      the first rows of these columns
    moments  which of them look like moments of events: "dates" or "numbers" by column
    facts    sentences on columns of moments that are facts about users or items
    """

    few: pl.DataFrame
    moments: dict[str, str]
    facts: list[str]

    def shown(self, column: str) -> str:
        """Return the first value of a column for a sentence.

        column  one of the columns without a role
        """
        return shortened(str(self.few[column].drop_nulls()[0]))


def _found_time(table: RawTable, search: Search) -> tuple[str | None, list[str]]:
    """Return the only column of moments if it holds dates; refuse several; name a column of numbers."""
    moments = search.moments
    is_sure = any(kind == "dates" for kind in moments.values()) or not table.has_header
    if len(moments) == 1 and is_sure:
        [column] = moments
        words = in_words(column, table)
        return column, [f"{words} holds moments ({search.shown(column)}): read as time; override with {flag('time')}"]
    if is_sure and moments:
        ways = ", or ".join(f"--time {column} ({search.shown(column)})" for column in list(moments)[:4])
        raise DataError(
            f"one column must be the time; got {len(moments)} that look like moments; pass {ways}, or --time '' for "
            "the order of rows (in Python time=)"
        )
    return None, [
        f"doubt: {column} looks like times ({search.shown(column)}) and is not used: --time {column} reads it"
        for column in moments
    ]


def _instead_of_fact(
    table: RawTable, chosen: dict[str, str], search: Search, owner: str
) -> tuple[RawTable, dict[str, str], list[str]]:
    """Take the only other column of dates if the guessed one holds one moment for each owner; refuse several."""
    column, (other, *more) = chosen["time"], search.moments
    if more or search.moments[other] != "dates":
        ways = ", or ".join(f"--time {one}" for one in (*search.moments, column))
        raise DataError(
            f"the time must be the moments of events; got one moment for each {owner} in {column}; pass {ways} "
            "(in Python time=)"
        )
    note = (
        f"{column} holds one moment for each {owner}: read {other} ({search.shown(other)}) as time; override with "
        f"{flag('time')}"
    )
    return table, {**chosen, "time": other}, [note, *_doubt_on_days(search, other, search.few[other])]


def _rivals(search: Search, column: str) -> list[str]:
    """Name the other columns that may well be the time of events."""
    others = [one for one in search.moments if one != column][:4]
    if not others:
        return []
    shown = " and ".join(f"{one} ({search.shown(one)})" for one in others)
    look = "looks like times too and is" if len(others) == 1 else "look like times too and are"
    return [f"{shown} {look} not used; override {column} with {flag('time')}"]


def _doubt_on_offsets(search: Search, column: str, values: pl.Series) -> list[str]:
    """Name a column of offsets from UTC beside times without a zone."""
    if values.dtype != pl.String or values.drop_nulls().str.contains(ZONED).any():
        return []
    for one in search.few:
        if one.dtype == pl.String and one.count() and one.drop_nulls().str.contains(OFFSET).all():
            return [
                f"doubt: {one.name} holds offsets from UTC ({search.shown(one.name)}) and is not used: --time "
                f"{column},{one.name} joins them"
            ]
    return []


def _joined_with_day(
    table: RawTable, chosen: dict[str, str], search: Search
) -> tuple[RawTable, dict[str, str], list[str]]:
    """Join a column of times of day with the only column of days, if there is one."""
    column = chosen["time"]
    days = [other for other, kind in search.moments.items() if kind == "dates" or plain_name(other) in ("date", "day")]
    if len(days) != 1:
        return table, chosen, []
    joined = f"{days[0]},{column}"
    note = f"{column} holds times of day: read {days[0]} and {column} together as time; override with {flag('time')}"
    return table.with_joined([days[0], column], joined), {**chosen, "time": joined}, [note]


def _doubt_on_days(search: Search, column: str, values: pl.Series) -> list[str]:
    """Name a column that orders the events of a day, if the time holds days only."""
    if values.dtype.is_nested() or not are_days(values) or looks_like_moments(values) is None:
        return []
    others = search.few.drop(column, strict=False)
    clocks = [one.name for one in others if are_times_of_day(one) or plain_name(one.name) in CLOCKS]
    if clocks:
        return [f"doubt: {clocks[0]} holds times of day and is not used: --time {column},{clocks[0]} joins them"]
    finer = [other for other in search.moments if other != column and not are_days(others[other])]
    return [
        f"doubt: {column} holds days only; {other} looks like times ({search.shown(other)}) and is not used: "
        f"--time {other} reads it"
        for other in finer[:1]
    ]


def _search(table: RawTable, chosen: Mapping[str, str]) -> Search:
    """Search the first rows of columns without a role for moments of events.

    A column that has one value for each item, or each user, is a fact about it, such as a date of birth.
    """
    unused = [column for column in table.columns if column not in chosen.values()][:SEARCHED]
    few = table.sample([*unused, chosen["user"], chosen["item"]])
    moments: dict[str, str] = {}
    facts: list[str] = []
    for column in unused:
        kind = looks_like_moments(few[column])
        owner = _owner_of(few, column, chosen)
        if kind is not None and owner is None:
            moments[column] = kind
        elif kind == "dates":
            facts.append(
                f"{column} holds one moment for each {owner} and is not used as time; override with {flag('time')}"
            )
    return Search(few.select(unused), moments, facts)


def _owner_of(few: pl.DataFrame, column: str, chosen: Mapping[str, str]) -> str | None:
    """Return the role, user or item, of which a column is a fact; None if it is no such fact."""
    if few[column].dtype.is_nested():
        return None
    return next((role for role in ("user", "item") if _is_fact_about(few, column, chosen[role])), None)


def _is_fact_about(few: pl.DataFrame, column: str, owner: str) -> bool:
    """Return whether a column has one value for each owner, where owners repeat."""
    if few[owner].dtype.is_nested():
        return False
    owners, pairs = few[owner].n_unique(), few.select(pl.struct(owner, column).n_unique()).item()
    return 2 * owners <= len(few) and bool(owners == pairs) and few[column].n_unique() > 1
