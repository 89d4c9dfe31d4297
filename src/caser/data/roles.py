"""Roles: decide which column holds the user, the item, the time, the rating and the kind of event.

A file with a header is searched for the names in SYNONYMS. Without a header, the place of the column of moments decides:

    user item                   user item time              user time item
    user item rating time       user item time rating       user item rating

Other layouts are refused with the flags of each possible reading. A column of moments is never an item, and a column
that counts rows is never a user. Every guess is a sentence that says how to override it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from caser.data.dates import are_times_of_day
from caser.data.ids import shortened
from caser.data.tables import RawTable
from caser.data.times import looks_like_moments
from caser.errors import DataError, did_you_mean

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "user": (
        *("user", "userid", "uid", "visitor", "visitorid", "customer", "customerid", "member", "memberid"),
        *("reviewer", "reviewerid", "client", "clientid", "account", "accountid", "session", "sessionid"),
    ),
    "item": (
        *("item", "itemid", "iid", "movie", "movieid", "product", "productid", "asin", "parentasin", "article"),
        *("articleid", "track", "trackid", "song", "songid", "book", "bookid", "isbn", "business", "businessid"),
        *("video", "videoid", "news", "newsid", "venue", "venueid", "sku"),
    ),
    "time": (
        *("timestamp", "timestampms", "time", "timems", "ts", "datetime", "eventtime", "eventtimestamp", "date"),
        *("createdat", "unixreviewtime", "reviewtime", "unixtime", "eventdate"),
    ),
    "rating": ("rating", "ratings", "stars", "score", "overall", "value"),
    "event_type": ("eventtype", "event", "action", "behavior", "behaviortype", "type"),
}
"""Names of columns by role, most likely first; in lower case, with letters and digits only."""

LIST_ENDINGS = ("s", "list", "seq", "sequence", "history")
"""Endings that a name may have besides, in a table of one sequence per row: item_ids, item_id_list."""

LAYOUTS: Mapping[tuple[int, tuple[int, ...]], tuple[str, ...]] = {
    (2, ()): ("user", "item"),
    (3, ()): ("user", "item", "rating"),
    (3, (3,)): ("user", "item", "time"),
    (3, (2,)): ("user", "time", "item"),
    (4, (4,)): ("user", "item", "rating", "time"),
    (4, (3,)): ("user", "item", "time", "rating"),
}
"""Roles by position, by the number of columns and the positions of those that look like moments."""

SEARCHED = 40
"""How many unused columns are searched for moments."""


class Roles(NamedTuple):
    """Which column has which role.

    table    the rows, with a joined column if the time is in two columns
    columns  the column of each role
    notes    a sentence about each guess
    """

    table: RawTable
    columns: dict[str, str]
    notes: list[str]


def choose_columns(
    table: RawTable, named: Mapping[str, str | None], needed: Collection[str] = ("user", "item")
) -> Roles:
    """Choose the column of each role.

    table   the rows of a source
    named   the column of each role that the caller names; other roles are missing or None. The time may be the columns of
            a day and a time of day, "date,time", or "" for a log whose order of rows is the order of events
    needed  roles that must have a column

    The columns of the needed roles and of the time are guessed if they are not named.

    Raises DataError if a named column does not exist, a needed role has no column, two roles have the same column, or
    the table can be read in several ways.

    >>> table = RawTable.from_frame(pl.DataFrame({"visitor_id": [1], "itemId": [2], "stars": [3]}))
    >>> choose_columns(table, {}).columns
    {'user': 'visitor_id', 'item': 'itemId'}
    """
    # Take what the caller names.
    table, chosen = _named_columns(table, named)
    # Guess the other roles that are needed.
    notes: list[str] = []
    missing = [role for role in SYNONYMS if role not in chosen and (role in needed or role == "time")]
    if named.get("time") == "":
        missing.remove("time")
    guessed = _by_name(table.columns) if table.has_header else _by_position(table, chosen)
    for role in missing:
        column = guessed.get(role)
        if column is None and role in needed:
            raise DataError(_no_column(table, role, chosen))
        if column is not None and (column not in chosen.values() or role in needed):
            chosen[role] = column
            notes.append(_note(table, role, column))
    chosen = {role: chosen[role] for role in SYNONYMS if role in chosen}
    if len(set(chosen.values())) < len(chosen):
        raise DataError(f"each column must have one role; got {chosen}")
    # Check the guesses on the values.
    _refuse_moments_as_ids(table, chosen, [role for role in missing if role in ("user", "item")])
    if "time" in missing:
        guess = chosen.get("time")
        table, chosen, more = _checked_time(table, chosen)
        notes = [*(note for note in notes if chosen.get("time") == guess or f"as time;" not in note), *more]
    return Roles(table, chosen, [*notes, *_ignored_events(table, chosen, named)])


def flag(role: str) -> str:
    """Return how a role is named in Python and on the command line.

    role  a key of SYNONYMS

    >>> flag("event_type")
    'event_type= (--event-type)'
    """
    return f"{role}= (--{role.replace('_', '-')})"


def other_users(columns: Sequence[str], chosen: Collection[str]) -> list[str]:
    """Return the columns that could also be the user, by their names, most likely first.

    columns  the names of a table's columns        chosen  the columns that have a role

    >>> other_users(["userId", "sessionId", "itemId"], ["userId", "itemId"])
    ['sessionId']
    """
    plain = {_plain(column): column for column in columns if column not in chosen}
    return [plain[name] for name in SYNONYMS["user"] if name in plain]


def _named_columns(table: RawTable, named: Mapping[str, str | None]) -> tuple[RawTable, dict[str, str]]:
    """Return the named column of each role; a time in two columns is joined into one."""
    chosen: dict[str, str] = {}
    for role in SYNONYMS:
        column = named.get(role)
        if column is None or (role == "time" and column == ""):
            continue
        parts = [part.strip() for part in column.split(",")] if role == "time" else []
        if column not in table.columns and len(parts) > 1:
            for part in parts:
                _must_exist(table, role, part)
            table = table.with_joined(parts, column)
        _must_exist(table, role, column)
        chosen[role] = column
    return table, chosen


def _must_exist(table: RawTable, role: str, column: str) -> None:
    if column not in table.columns:
        hint = did_you_mean(column, table.columns)
        raise DataError(f"{flag(role)} must name a column; got {column!r}: {hint}")


def _by_name(columns: Sequence[str]) -> dict[str, str]:
    # The order is reversed, so that the first of several columns with the same plain name is kept.
    plain = {_plain(column): column for column in reversed(columns)}
    shorter = {name.removesuffix(end): column for end in LIST_ENDINGS for name, column in plain.items()} | plain
    guessed = {role: next((shorter[name] for name in names if name in shorter), None) for role, names in SYNONYMS.items()}
    return {role: column for role, column in guessed.items() if column is not None}


def _plain(column: str) -> str:
    return "".join(filter(str.isalnum, column.lower()))


def _by_position(table: RawTable, chosen: Mapping[str, str]) -> dict[str, str]:
    """Take columns without names as user, item, time and rating, or refuse them if there are several ways."""
    if "user" in chosen and "item" in chosen:
        return {}
    columns = table.columns
    few = table.sample(columns[:SEARCHED])
    moments = [position for position, values in enumerate(few, start=1) if looks_like_moments(values)]
    layout = LAYOUTS.get((len(columns), tuple(moments)))
    if layout is not None and not (len(few) > 2 and _counts_upward(few.to_series(0))):
        return dict(zip(layout, columns, strict=True))
    if chosen:
        return {}
    raise DataError(_which_columns(few, moments))


def _which_columns(few: pl.DataFrame, moments: Sequence[int]) -> str:
    """Say how to name columns without a header: each likely reading, and the first row."""
    positions = range(1, few.width + 1)
    counting = [1] if len(few) > 2 and _counts_upward(few.to_series(0)) else []
    ids = [position for position in positions if position not in (*moments, *counting)]
    times = list(moments[-1:]) or [None]
    if len(moments) > 1 and len(ids) < 2:  # some of these columns may be ids as well
        ids = [position for position in positions if position not in counting]
        times = list(moments)
    pairs = [(user, item, time) for time in times for user in ids[:2] for item in ids if item > user and time not in (user, item)]
    readings = [
        f"--no-header --user {user} --item {item}" + ("" if time is None else f" --time {time}") for user, item, time in pairs
    ]
    usual = LAYOUTS.get((few.width, tuple(moments)))
    if counting and usual is not None:
        flags = [f"--{role} {place}" for place, role in enumerate(usual, start=1) if role in ("user", "item", "time")]
        readings = [*readings[:1], f"--no-header {' '.join(flags)}"]
    seen = "; ".join(
        [
            *(f"column {position} looks like times" for position in moments),
            *(f"column {position} counts rows" for position in counting),
        ]
    )
    row = " | ".join(shortened(str(value)) for value in few.row(0)[:8]) if len(few) else "(none)"
    return (
        f"columns without a header must be named by their positions unless they are user, item, time; got {few.width} "
        f"columns with the first row {row}{f' ({seen})' if seen else ''}; "
        f"pass {', or '.join(readings[:3]) or '--no-header --user 1 --item 2'} (in Python user=, item=, time=)"
    )


def _counts_upward(values: pl.Series) -> bool:
    """Return whether values are the numbers of rows: each is the one before plus 1, from 0 or 1."""
    numbers = values.cast(pl.Int64, strict=False)
    return numbers.null_count() == 0 and numbers[0] in (0, 1) and bool((numbers.diff().drop_nulls() == 1).all())


def _refuse_moments_as_ids(table: RawTable, chosen: Mapping[str, str], roles: Collection[str]) -> None:
    """Raise DataError if a column that was guessed for ids holds dates."""
    for role in roles:
        values = table.sample([chosen[role]]).to_series()
        if looks_like_moments(values) == "dates":
            raise DataError(
                f"a column of moments is no column of {role}s; got {shortened(str(values[0]))} in "
                f"{_in_words(chosen[role], table)}; name the right column with {flag(role)}"
            )


def _checked_time(table: RawTable, chosen: dict[str, str]) -> tuple[RawTable, dict[str, str], list[str]]:
    """Check a guessed column of times, or search for one; return the table, the columns and sentences."""
    few, moments = _unused_moments(table, chosen)
    column = chosen.get("time")
    if column is None:
        return table, *_found_time(table, chosen, moments, few)
    values = table.sample([column]).to_series()
    if are_times_of_day(values):
        days = [other for other, kind in moments.items() if kind == "dates" or _plain(other) in ("date", "day")]
        if len(days) == 1:
            joined = f"{days[0]},{column}"
            note = f"{column} holds times of day: read {days[0]} and {column} together as time; override with {flag('time')}"
            return table.with_joined([days[0], column], joined), {**chosen, "time": joined}, [note]
        return table, chosen, []
    clocks = [other for other in few.columns if are_times_of_day(few[other])]
    if clocks:
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
        words = _in_words(dates[0], table)
        note = f"{words} holds moments ({shown[dates[0]]}): read as time; override with {flag('time')}"
        return {**chosen, "time": dates[0]}, [note]
    if dates:
        ways = ", or ".join(f"--time {column} ({shown[column]})" for column in dates[:4])
        raise DataError(
            f"one column must be the time; got {len(dates)} that hold moments; pass {ways}, or --time '' for the order of "
            "rows (in Python time=)"
        )
    return chosen, [
        f"doubt: {column} looks like times ({shown[column]}) and is not used: --time {column} reads it" for column in moments
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


def _ignored_events(table: RawTable, chosen: Mapping[str, str], named: Mapping[str, str | None]) -> list[str]:
    """Say that a column with kinds of events is not used."""
    column = _by_name(table.columns).get("event_type") if table.has_header else None
    if column is None or column in chosen.values() or named.get("event_type") is not None:
        return []
    kinds = table.sample([column]).to_series().drop_nulls().unique(maintain_order=True)
    if kinds.dtype.is_nested() or not 1 <= len(kinds) <= 20:
        return []
    shown = ", ".join(shortened(str(kind)).strip("'") for kind in kinds[:6].to_list())
    return [f"{column} is not used: events of every kind count alike ({shown}); choose some with --event-types"]


def _note(table: RawTable, role: str, column: str) -> str:
    return f"read {_in_words(column, table)} as {role.replace('_', ' ')}; override with {flag(role)}"


def _no_column(table: RawTable, role: str, chosen: Mapping[str, str]) -> str:
    """Say which columns there are when a role has none."""
    columns = "the columns " + (", ".join(repr(name[:40]) for name in table.columns[:12]) or "(none)")
    if not table.has_header:
        columns = f"{len(table.columns)} columns without a header, called 1, 2, ..."
    sentence = f"a column must hold the {role.replace('_', ' ')}; got {columns}; name it with {flag(role)}"
    if table.is_text and table.has_header and not chosen:
        sentence += "; if the first line is data and not a header, pass header=False (--no-header)"
    return sentence


def _in_words(name: str, table: RawTable) -> str:
    return name if table.has_header else f"column {name}"
