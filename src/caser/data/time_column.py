"""The column of the time: check the one that was guessed by its name, or search the others for moments of events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from caser.data.clock_parts import are_parts, clock_parts, parts_of_moment
from caser.data.dates import are_days, are_times_of_day
from caser.data.event_times import is_of_event, is_of_row, loses_order, of_events
from caser.data.ids import shortened
from caser.data.joined_times import joined_time
from caser.data.names import flag, in_words, option, plain_name
from caser.data.tables import RawTable
from caser.data.time_units import are_midnights
from caser.data.times import looks_like_moments
from caser.errors import DataError

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
        if parts := _calendar(search):
            name = ",".join(parts)
            note = f"read {', '.join(parts)} together as time; override with {flag('time')}"
            return joined_time(table, parts, name), {**chosen, "time": name}, [note]
        column, notes = _found_time(table, search)
        if column is None:
            return table, chosen, [*notes, *search.facts]
        return table, {**chosen, "time": column}, notes
    values = table.sample([column]).to_series()
    if are_times_of_day(values):
        return _joined_with_day(table, chosen, search)
    owner = _owner_of(table.sample([column, chosen["user"], chosen["item"]]), column, chosen)
    if owner is not None and looks_like_moments(values) and search.moments:
        return _instead_of_fact(table, chosen, search, owner)
    if not looks_like_moments(values) and search.moments and not values.dtype.is_nested():
        other = next(iter(search.moments))
        few = values.drop_nulls().cast(pl.String).str.strip_chars()
        joins = (
            f"{option('time', other, column)} if {column} is the time of day, or "
            if few.str.contains(CLOCK).all()
            else ""
        )
        raise DataError(
            f"the time must be moments; got {shortened(str(values.drop_nulls()[:1].to_list()[0]))} in {column}, while "
            f"{other} holds {search.shown(other)}; pass {joins}time={other!r} ({option('time', other)}), or "
            f"time={column!r} ({option('time', column)}) if it is the time"
        )
    events = _better_named(table, chosen, search)
    if not events or (not is_of_row(column) and (are_days(values) or are_midnights(values))):
        return table, chosen, _rivals(search, column)  # `time_parts.py` doubts days
    if not is_of_row(column):
        loud = [
            f"doubt: {one} ({search.shown(one)}) is called after events, orders them otherwise than {column}, and "
            f"is not used: {option('time', one)} reads it"
            for one in events[:1]
        ]
        return table, chosen, loud
    if len(events) > 1:
        raise DataError(_several({one: search.shown(one) for one in events}))
    note = (
        f"{column} is called after rows, and {events[0]} ({search.shown(events[0])}) after events: read {events[0]} as "
        f"time; override with {flag('time')}"
    )
    return table, {**chosen, "time": events[0]}, [note]


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
        values = self.few[column].explode() if self.few[column].dtype == pl.List else self.few[column]
        return shortened(str(values.drop_nulls()[0]))


def _found_time(table: RawTable, search: Search) -> tuple[str | None, list[str]]:
    """Return the only column of moments if it holds dates; refuse several; name a column of numbers."""
    moments = search.moments
    are_lists = any(search.few[column].dtype == pl.List for column in moments)
    is_sure = any(kind == "dates" for kind in moments.values()) or not table.has_header or are_lists
    likely = of_events(list(moments))
    if len(likely) == 1 and is_sure:
        [column] = likely
        words = in_words(column, table)
        note = f"{words} holds moments ({search.shown(column)}): read as time; override with {flag('time')}"
        return column, [note, *_rivals(search, column)]
    if is_sure and moments:
        raise DataError(_several({column: search.shown(column) for column in moments}))
    return None, [
        f"doubt: {column} looks like times ({search.shown(column)}) and is not used: {option('time', column)} reads it"
        for column in moments
    ]


def _several(shown: Mapping[str, str]) -> str:
    """Ask which of several columns is the time; they come with their first values."""
    ways = ", or ".join(f"{option('time', column)} ({value})" for column, value in list(shown.items())[:4])
    return (
        f"one column must be the time; got {len(shown)} that look like moments; pass {ways}, or --time '' for the "
        "order of rows (in Python time=)"
    )


def _better_named(table: RawTable, chosen: Mapping[str, str], search: Search) -> list[str]:
    """Return the columns that are called after events and order them otherwise than the one that was guessed."""
    column = chosen["time"]
    if is_of_event(column):
        return []
    events = [one for one in search.moments if is_of_event(one)]
    few = table.sample([column, chosen["user"], *events])
    return [one for one in events if loses_order(few, chosen["user"], column, one)]


def _calendar(search: Search) -> list[str]:
    """Return the columns of a year, a month, a day, and smaller parts, if nothing else holds moments."""
    parts = [] if search.moments else parts_of_moment(search.few.columns)
    return parts if parts and are_parts(search.few, parts) else []


def _instead_of_fact(
    table: RawTable, chosen: dict[str, str], search: Search, owner: str
) -> tuple[RawTable, dict[str, str], list[str]]:
    """Take the only other column of dates if the guessed one holds one moment for each owner; refuse several."""
    column, (other, *more) = chosen["time"], search.moments
    if more or search.moments[other] != "dates":
        ways = ", or ".join(option("time", one) for one in (*search.moments, column))
        raise DataError(
            f"the time must be the moments of events; got one moment for each {owner} in {column}; pass {ways} "
            "(in Python time=)"
        )
    note = (
        f"{column} holds one moment for each {owner}: read {other} ({search.shown(other)}) as time; override with "
        f"{flag('time')}"
    )
    return table, {**chosen, "time": other}, [note]


def _rivals(search: Search, column: str) -> list[str]:
    """Name the other columns that may well be the time of events."""
    others = [one for one in search.moments if one != column][:4]
    if not others:
        return []
    shown = " and ".join(f"{one} ({search.shown(one)})" for one in others)
    look = "looks like times too and is" if len(others) == 1 else "look like times too and are"
    return [f"{shown} {look} not used; override {column} with {flag('time')}"]


def _joined_with_day(
    table: RawTable, chosen: dict[str, str], search: Search
) -> tuple[RawTable, dict[str, str], list[str]]:
    """Join a column of times of day with the only column of days, if there is one."""
    column = chosen["time"]
    days = [other for other, kind in search.moments.items() if kind == "dates" or plain_name(other) in ("date", "day")]
    if len(days) != 1:
        return table, chosen, []
    parts = [days[0], *clock_parts(table.sample([column, *search.few.columns]), column, search.few.columns)]
    joined = ",".join(parts)
    shown = f"{', '.join(parts[:-1])} and {parts[-1]}"
    note = f"{column} holds times of day: read {shown} together as time; override with {flag('time')}"
    return joined_time(table, parts, joined), {**chosen, "time": joined}, [note]


def _search(table: RawTable, chosen: Mapping[str, str]) -> Search:
    """Search the first rows of columns without a role for moments of events.

    A column that has one value for each item, or each user, is a fact about it, such as a date of birth.
    """
    unused = [column for column in table.columns if column not in chosen.values()][:SEARCHED]
    few = table.sample([*unused, chosen["user"], chosen["item"]])
    moments: dict[str, str] = {}
    facts: list[str] = []
    for column in unused:
        kind = _kind_of_moments(few[column], few[chosen["item"]])
        owner = _owner_of(few, column, chosen)
        if kind is not None and owner is None:
            moments[column] = kind
        elif kind == "dates":
            facts.append(
                f"{column} holds one moment for each {owner} and is not used as time; override with {flag('time')}"
            )
    return Search(few.select(unused), moments, facts)


def _kind_of_moments(values: pl.Series, items: pl.Series) -> str | None:
    """Return whether a column holds moments; lists do, if there is one for each element of the lists of items."""
    if values.dtype == pl.List and items.dtype == pl.List:
        is_equal = values.list.len().eq_missing(items.list.len()).all()
        return looks_like_moments(values.explode().drop_nulls()) if is_equal else None
    return looks_like_moments(values)


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
