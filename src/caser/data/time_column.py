"""The column of the time: check the one that was guessed by its name, or search the others for moments of events."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from caser.data.dates import are_days, are_times_of_day
from caser.data.ids import shortened
from caser.data.names import flag, in_words, plain_name
from caser.data.tables import RawTable
from caser.data.times import looks_like_moments
from caser.errors import DataError

CLOCKS = ("hour", "hours", "hourmin", "hourminute", "clock", "timeofday")
"""Names of columns with times of day, in lower case, with letters and digits only."""

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
    few, moments = _unused_moments(table, chosen)
    column = chosen.get("time")
    if column is None:
        return table, *_found_time(table, chosen, moments, few)
    values = table.sample([column]).to_series()
    if are_times_of_day(values):
        days = [other for other, kind in moments.items() if kind == "dates" or plain_name(other) in ("date", "day")]
        if len(days) == 1:
            joined = f"{days[0]},{column}"
            note = (
                f"{column} holds times of day: read {days[0]} and {column} together as time; override with "
                f"{flag('time')}"
            )
            return table.with_joined([days[0], column], joined), {**chosen, "time": joined}, [note]
        return table, chosen, []
    clocks = [other for other in few.columns if are_times_of_day(few[other]) or plain_name(other) in CLOCKS]
    if clocks and are_days(values):
        notes = [f"doubt: {clocks[0]} holds times of day and is not used: --time {column},{clocks[0]} joins them"]
        return table, chosen, notes
    if not looks_like_moments(values) and moments and not values.dtype.is_nested():
        [other] = list(moments)[:1]
        raise DataError(
            f"the time must be moments; got {shortened(str(values.drop_nulls()[:1].to_list()[0]))} in {column}, while "
            f"{other} holds {shortened(str(few[other].drop_nulls()[0]))}; pass time={other!r} (--time {other}), or "
            f"time={column!r} (--time {column}) if it is the time"
        )
    return table, chosen, []


def _found_time(
    table: RawTable, chosen: dict[str, str], moments: Mapping[str, str], few: pl.DataFrame
) -> tuple[dict[str, str], list[str]]:
    """Use the only unused column of dates as time; refuse several; name columns of numbers that could be times."""
    dates = [column for column, kind in moments.items() if kind == "dates" or not table.has_header]
    shown = {column: shortened(str(few[column].drop_nulls()[0])) for column in moments}
    if len(dates) == 1:
        words = in_words(dates[0], table)
        note = f"{words} holds moments ({shown[dates[0]]}): read as time; override with {flag('time')}"
        return {**chosen, "time": dates[0]}, [note]
    if dates:
        ways = ", or ".join(f"--time {column} ({shown[column]})" for column in dates[:4])
        raise DataError(
            f"one column must be the time; got {len(dates)} that hold moments; pass {ways}, or --time '' for the order "
            "of rows (in Python time=)"
        )
    return chosen, [
        f"doubt: {column} looks like times ({shown[column]}) and is not used: --time {column} reads it"
        for column in moments
    ]


def _unused_moments(table: RawTable, chosen: Mapping[str, str]) -> tuple[pl.DataFrame, dict[str, str]]:
    """Return the first rows of columns without a role; and those that look like moments of events, with their kinds.

    A column that has one value for each item, or each user, is a fact about it, such as a date of birth.
    """
    unused = [column for column in table.columns if column not in chosen.values()][:SEARCHED]
    few = table.sample([*unused, chosen["user"], chosen["item"]])
    found: dict[str, str] = {}
    for column in unused:
        kind = looks_like_moments(few[column])
        if kind is not None and not any(_is_fact_about(few, column, chosen[role]) for role in ("user", "item")):
            found[column] = kind
    return few, found


def _is_fact_about(few: pl.DataFrame, column: str, owner: str) -> bool:
    """Return whether a column has one value for each owner, where owners repeat."""
    if few[owner].dtype.is_nested():
        return False
    owners, pairs = few[owner].n_unique(), few.select(pl.struct(owner, column).n_unique()).item()
    return 2 * owners <= len(few) and bool(owners == pairs) and few[column].n_unique() > 1
