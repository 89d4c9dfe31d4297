"""Roles: decide which column holds the user, the item, the time, the rating and the kind of event.

Columns are found by name (`names.py`), or by position in a file without a header (`positions.py`). The time is searched
for among the values, too (`time_column.py`). A column of moments is never an item. Every guess is a sentence that says
how to override it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import polars as pl

from caser.data.column_words import NAMES, NOUNS, OTHER_NOUNS, candidates, has_words, word_set
from caser.data.dialect import SEPARATORS
from caser.data.ids import shortened
from caser.data.joined_times import joined_time
from caser.data.matrix import advice_on_matrix
from caser.data.names import SYNONYMS, are_event_kinds, by_name, columns_named, flag, in_words, option
from caser.data.nested import advice_on_fields
from caser.data.places import LARGEST_KNOWN
from caser.data.positions import SEARCHED, by_position
from caser.data.rivals import doubts_on_guess, may_be_ids, passed_over
from caser.data.tables import RawTable
from caser.data.time_column import checked_time
from caser.data.time_parts import doubts_on_time
from caser.data.times import looks_like_moments
from caser.data.uncounted import doubts_on_uncounted
from caser.data.unused import doubts_without_time
from caser.errors import DataError, did_you_mean

MOST_SHOWN = 20
"""How many columns a sentence lists."""

NO_PERSON = NAMES | word_set("year uri link genre category kind status text description")
"""Words in the names of columns that hardly hold persons."""

WHEN = word_set("date time at timestamp ts watched played")
"""Words in the names of columns that a log has, and a table of items has not."""

MOST_LIKELY = 5
"""So many columns that may hold a role are not named."""

FEWEST_IDS = 5
"""A column of fewer values is rather one of kinds."""


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
    named   the column of each role that the caller names; other roles are missing or None. The time may be the columns
            of a day and a time of day, "date,time", or "" for a log whose order of rows is the order of events
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
    guessed = _guessed_by_name(table) if table.has_header else by_position(table, chosen)
    for role in missing:
        column = guessed.get(role)
        if column is None and role in needed:
            raise DataError(_no_column(table, role, chosen))
        if column is not None and (column not in chosen.values() or role in needed):
            chosen[role] = column
            _refuse_two_of_a_name(table, role, column)
            notes.append(_note(table, role, column, chosen.values()))
    chosen = {role: chosen[role] for role in SYNONYMS if role in chosen}
    if len(set(chosen.values())) < len(chosen):
        raise DataError(f"each column must have one role; got {chosen}")
    # Check the guesses on the values.
    _refuse_moments_as_ids(table, chosen, [role for role in missing if role in ("user", "item")])
    if "time" in missing:
        guess = chosen.get("time")
        table, chosen, more = checked_time(table, chosen)
        notes = [*(note for note in notes if chosen.get("time") == guess or f"read {guess} as time" not in note), *more]
    for role in ("user", "item"):
        notes += doubts_on_guess(table, chosen, role) if role in missing else []
    if "time" in chosen:
        notes += doubts_on_time(table, chosen)
    elif named.get("time") != "":
        notes += doubts_without_time(table, chosen)
    return Roles(
        table,
        chosen,
        [
            *notes,
            *_ignored_events(table, chosen, named),
            *_ignored_number(table, chosen, guessed),
            *doubts_on_uncounted(table, chosen.values()),
        ],
    )


def _guessed_by_name(table: RawTable) -> dict[str, str]:
    """Return the most likely column of each role by its name, where its values may be ids."""
    found = by_name(table.columns)
    for role in ("user", "item"):
        if names := passed_over(table, candidates(table.columns, role)):
            found[role] = names[0]
    return found


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
            table = joined_time(table, parts, column)
        _must_exist(table, role, column)
        chosen[role] = column
    return table, chosen


def _must_exist(table: RawTable, role: str, column: str) -> None:
    if column not in table.columns:
        hint = did_you_mean(column, table.columns)
        raise DataError(f"{flag(role)} must name a column; got {column!r}: {hint}")


def _refuse_moments_as_ids(table: RawTable, chosen: Mapping[str, str], roles: Collection[str]) -> None:
    """Raise DataError if a column that was guessed for ids holds dates."""
    for role in roles:
        values = table.sample([chosen[role]]).to_series()
        if looks_like_moments(values) == "dates":
            raise DataError(
                f"a column of moments is no column of {role}s; got {shortened(str(values[0]))} in "
                f"{in_words(chosen[role], table)}; name the right column with {flag(role)}"
            )


def _ignored_number(table: RawTable, chosen: Mapping[str, str], guessed: Mapping[str, str]) -> list[str]:
    """Say that a third column without a name is not used, if its numbers are too large for ratings."""
    column = guessed.get("rating")
    if table.has_header or column is None or "time" in chosen or column in chosen.values():
        return []
    values = table.sample([column]).to_series().cast(pl.Float64, strict=False)
    largest = values.max()
    if not isinstance(largest, float) or largest <= LARGEST_KNOWN:
        return []
    user, item = chosen["user"], chosen["item"]
    as_item = f"; if it is the item, pass --no-header --user {item} --item {column}"
    return [
        f"doubt: column {column} (up to {largest:g}) is not used: if it is the time, pass --no-header "
        f"--user {user} --item {item} --time {column}{as_item if 2 * values.n_unique() <= len(values) else ''}"
    ]


def _ignored_events(table: RawTable, chosen: Mapping[str, str], named: Mapping[str, str | None]) -> list[str]:
    """Say that a column with kinds of events is not used."""
    column = by_name(table.columns).get("event_type")
    if not table.has_header:
        few = table.sample([one for one in table.columns if one not in chosen.values()][:SEARCHED])
        column = next((values.name for values in few if are_event_kinds(values.unique())), None)
    if column is None or column in chosen.values() or named.get("event_type") is not None:
        return []
    kinds = table.sample([column]).to_series().drop_nulls().unique(maintain_order=True)
    if kinds.dtype.is_nested() or not 1 <= len(kinds) <= 20:
        return []
    shown = ", ".join(shortened(str(kind)).strip("'") for kind in kinds[:6].to_list())
    words = in_words(column, table)
    return [
        f"{words} is not used: events of every kind count alike ({shown}); choose some with --event-types, or those "
        "that are predicted, with the others as history, with --target-events"
    ]


def _note(table: RawTable, role: str, column: str, chosen: Collection[str]) -> str:
    """Say which column was guessed, and which others have a name for the same role."""
    is_guess_by_name = table.has_header and role != "time"  # times are compared by their values
    names = candidates(table.columns, role) if role in ("user", "item") else columns_named(table.columns, role)
    rivals = [one for one in names if is_guess_by_name and one not in chosen]
    there = f"; {' and '.join(rivals[:4])} {'is' if len(rivals) == 1 else 'are'} there too" if rivals else ""
    return f"read {in_words(column, table)} as {role.replace('_', ' ')}{there}; override with {flag(role)}"


def _refuse_two_of_a_name(table: RawTable, role: str, column: str) -> None:
    """Raise DataError if two columns with the name of a guess hold different values; the reader adds # to a second."""
    twin = f"{column}#"
    if not table.has_header or twin not in table.columns:
        return
    few = table.sample([column, twin])
    differ = few.filter(pl.col(column).ne_missing(pl.col(twin)))
    if len(differ):
        first, second = (shortened(value) for value in differ.row(0))
        places = " and ".join(str(table.columns.index(name) + 1) for name in (column, twin))
        name = role.replace("_", " ")
        raise DataError(
            f"the columns must have different names; got {column!r} twice, as columns {places}, with {first} and "
            f"{second} in one row; pass {role}={column!r} (--{name.replace(' ', '-')} {column}) if the first is the "
            f"{name}, or {role}={twin!r} (--{name.replace(' ', '-')} '{twin}') if the second is"
        )


def _no_column(table: RawTable, role: str, chosen: Mapping[str, str]) -> str:
    """Say which columns there are when a role has none."""
    more = f" and {len(table.columns) - MOST_SHOWN:,} more" if len(table.columns) > MOST_SHOWN else ""
    columns = "the columns " + (", ".join(repr(name[:40]) for name in table.columns[:MOST_SHOWN]) or "(none)") + more
    if not table.has_header:
        columns = f"{len(table.columns)} columns without a header, called 1, 2, ..."
    sentence = f"a column must hold the {role.replace('_', ' ')}; got {columns}; name it with {flag(role)}"
    if len(table.columns) == 1 and any(one in table.columns[0] for one in SEPARATORS):
        return (
            f"{sentence}; each line seems to be one quoted field: remove the quotes around it, and write quotes inside "
            f'it once: sed \'s/^"//;s/"\\r*$//;s/""/"/g\' FILE > log.csv'
        )
    if table.is_header_guessed and not chosen:
        sentence += "; if the first line is data and not a header, pass header=False (--no-header)"
    return (
        sentence + (advice_on_fields(table, chosen.values()) or _likely(table, role, chosen)) + advice_on_matrix(table)
    )


def _likely(table: RawTable, role: str, chosen: Mapping[str, str]) -> str:
    """Name the columns whose values may be ids, with their flags, if there are few."""
    if role not in ("user", "item") or not table.has_header or not by_name(table.columns):
        return ""
    other = "item" if role == "user" else "user"
    words = (NOUNS[other] | OTHER_NOUNS[other] | (NO_PERSON if role == "user" else frozenset())) - NOUNS[role]
    few = table.sample([one for one in table.columns if one not in chosen.values()][:SEARCHED])
    found = [
        option(role, values.name)
        for values in few
        if may_be_ids(values, len(few)) and values.n_unique() >= FEWEST_IDS and not has_words(values.name, words)
    ]
    if role == "user" and not found and any(has_words(one, WHEN) for one in table.columns):
        return "; if all rows are of one person, add a column with one name for all of them"
    return f"; its values may be those of {' or '.join(found)}" if 0 < len(found) < MOST_LIKELY else ""
