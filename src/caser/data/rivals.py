"""Rivals: what the values of the first rows say against a column that was guessed by its name.

A user has several sessions, an item several lines of orders, and a place several items. So a column of which the guess
is only a part, or a whole, is named in a doubt. Counts, numbers of lines and words such as yes and no are no ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from caser.data.column_words import SERVED, SERVES, SHARED, candidates, has_words, is_last, speaks_for
from caser.data.ids import shortened
from caser.data.names import LIST_ENDINGS, SYNONYMS, in_words, option, plain_name
from caser.data.tables import RawTable
from caser.data.time_units import NEARLY_ALL
from caser.data.times import looks_like_moments

FLAGS = frozenset(("true", "false", "yes", "no", "t", "f", "y", "n", "ja", "nein", "oui", "non", "si", "sí"))
"""Words for yes and no, in lower case."""

FRACTION = r"^\s*-?\d*[.,]\d*[1-9]\d*\s*$"
"""A number with a fraction, such as a price or a place."""

FEWEST = 20
"""How many rows are needed before a few ids are strange."""

MOST_SMALL = 5
"""If all ids are the numbers from 1 to at most this one, they are rather counts or numbers of lines."""

MOST_COUNTED = 99
"""The largest number of things in one order."""

SEARCHED = 40

TIMES_AS_MANY = 3
"""If another column of persons has so many times as many values, the guessed one rather holds those who serve."""


def are_flags(values: pl.Series) -> bool:
    """Return whether values are words for yes and no, which identify nobody.

    values  the first values of a column

    >>> are_flags(pl.Series([True, False])), are_flags(pl.Series(["yes", "No"])), are_flags(pl.Series(["7", "no"]))
    (True, True, False)
    """
    if values.dtype == pl.Boolean:
        return True
    if values.dtype != pl.String:
        return False
    words = values.drop_nulls().str.strip_chars().str.to_lowercase().unique()
    return 0 < len(words) <= len(FLAGS) and set(words.to_list()) <= FLAGS


def have_fractions(values: pl.Series) -> bool:
    """Return whether some values are numbers with a fraction, such as prices or places.

    values  the first values of a column

    >>> have_fractions(pl.Series(["7", "7.5"])), have_fractions(pl.Series(["7.0"])), have_fractions(pl.Series([0.5]))
    (True, False, True)
    """
    if values.dtype == pl.String:
        return bool(values.str.contains(FRACTION).any())
    return values.dtype.is_float() and bool((values.drop_nulls().drop_nans() % 1 != 0).any())


def whole_numbers(values: pl.Series) -> pl.Series | None:
    """Return values as integers, each in its row, if nearly all are whole numbers; else None.

    values  the first values of a column

    >>> whole_numbers(pl.Series(["7", "8"])).to_list(), whole_numbers(pl.Series(["7", "tea"]))
    ([7, 8], None)
    """
    if (values.dtype != pl.String and not values.dtype.is_numeric()) or have_fractions(values):
        return None
    floats = values.cast(pl.Float64, strict=False)
    return floats.cast(pl.Int64, strict=False) if floats.count() >= NEARLY_ALL * len(values) > 0 else None


def doubts_on_guess(table: RawTable, chosen: Mapping[str, str], role: str) -> list[str]:
    """Return the doubts on a column of users or items that was guessed by its name.

    table   the rows        chosen  the columns by role
    role    "user" or "item", which was guessed

    >>> rows = pl.DataFrame({"user": [row % 7 for row in range(42)], "event_id": [row % 6 for row in range(42)]})
    >>> table = RawTable.from_frame(rows.with_columns(venue_id=10 * (pl.col("event_id") // 2)))
    >>> doubts_on_guess(table, {"user": "user", "item": "venue_id"}, "item")
    ['doubt: each event_id has one venue_id, but not the reverse: is it the item? --item event_id reads it']
    """
    column = chosen[role]
    unused = [name for name in table.columns if name not in chosen.values()][:SEARCHED]
    few = table.sample([*unused, chosen["user"], chosen["item"]])
    values = few[column]
    if values.dtype.is_nested() or values.dtype == pl.Binary or values.count() == 0:
        return []
    doubts = _on_values(values, column, role, _better(few.select(unused), role), table)
    if doubts or not table.has_header:
        return doubts
    if role == "item":
        rivals = [name for name in unused if _is_finer(few, name, column, chosen["user"])]
        said = [f"each {name} has one {column}, but not the reverse: is it the item?" for name in rivals]
    else:
        if shared := _on_persons(few, unused, column):
            return shared
        rivals = [name for name in unused if is_last(column, role) and _is_owner(few, name, column)]
        said = [f"each {column} has one {name}, but not the reverse: is it the user?" for name in rivals]
    sure = "" if role == "item" and speaks_for(column, role) == 0 and not is_last(column, role) else "doubt: "
    return [f"{sure}{one} {option(role, name)} reads it" for one, name in list(zip(said, rivals, strict=True))[:2]]


def _on_persons(few: pl.DataFrame, unused: Sequence[str], column: str) -> list[str]:
    """Doubt users that may be those who serve, where a column has many more persons; and what several persons share."""
    kinds = few[column].n_unique()
    for name in candidates([column, *unused], "user"):
        is_person = name != column and not is_last(name, "user") and speaks_for(name, "user") in (0, 1, 2, 3)
        if is_person and may_be_ids(few[name], len(few)) and few[name].n_unique() >= TIMES_AS_MANY * kinds:
            return [
                f"doubt: {name} has {few[name].n_unique():,} values where {column} has {kinds:,}: does {column} hold "
                f"those who serve, or whole firms? {option('user', name)} reads it"
            ]
    if has_words(column, SHARED):
        return [f"doubt: several persons may share one {column}, and one may have several: is it the user?"]
    if has_words(column, SERVES) and any(has_words(name, SERVED) for name in unused):
        return [f"doubt: {column} may hold those who serve, and not those who are served: is it the user?"]
    return []


def _on_values(values: pl.Series, column: str, role: str, rival: str, table: RawTable) -> list[str]:
    """Doubt ids that are words for yes and no, or the numbers from 1 to a few."""
    words = in_words(column, table)
    if len(values) < FEWEST:
        return []
    if are_flags(values):
        shown = " and ".join(map(str, values.drop_nulls().unique(maintain_order=True)[:2].to_list()))
        return [f"doubt: {words} holds only {shown}: does it identify the {role}?{rival}"]
    numbers = values if values.dtype.is_integer() else values.cast(pl.String).cast(pl.Int64, strict=False)
    numbers = numbers.drop_nulls()
    if len(numbers) < values.count():
        few = values.n_unique()
        if role == "item" and few <= 3 and rival:
            return [f"doubt: {words} has {few} values only, such as {shortened(values[0])}: is it the item?{rival}"]
        return []
    least, most = int(str(numbers.min())), int(str(numbers.max()))
    is_run = least in (0, 1) and numbers.n_unique() == most - least + 1
    is_plural = plain_name(column) not in SYNONYMS[role] and plain_name(column).endswith(LIST_ENDINGS)
    is_small = most <= MOST_SMALL and (rival or most > 3)  # another doubt names fewer than five items
    if role == "item" and table.has_header and is_run and (is_small or (is_plural and most <= MOST_COUNTED)):
        return [
            f"doubt: {words} holds only the numbers from {least} to {most}: are they numbers of things, or of lines of "
            f"an order, and no {role}s?{rival}"
        ]
    return []


def _better(few: pl.DataFrame, role: str) -> str:
    """Name the unused column of more values whose name speaks for a role, with its flag."""
    found = [
        one.name
        for one in few
        if (speaks_for(one.name, role) is not None or _names_a_thing(one.name))
        and not one.dtype.is_nested()
        and one.n_unique() > MOST_SMALL
    ]
    return (
        f" {found[0]} ({few[found[0]].n_unique():,} values) is not used: {option(role, found[0])} reads it"
        if found
        else ""
    )


def _names_a_thing(name: str) -> bool:
    return plain_name(name).endswith("name")


def _is_finer(few: pl.DataFrame, name: str, item: str, user: str) -> bool:
    """Return whether a column divides the items, and several users share its values."""
    if not may_be_ids(few[name], len(few)) or few[user].dtype.is_nested():
        return False
    kinds, items = few[name].n_unique(), few[item].n_unique()
    shared = few.select(pl.struct(name, user).n_unique()).item() > 1.2 * kinds
    return kinds >= 1.5 * items and shared and few.select(pl.struct(name, item).n_unique()).item() == kinds


def _is_owner(few: pl.DataFrame, name: str, session: str) -> bool:
    """Return whether a column may hold the users of sessions: each session has one, and a user several sessions."""
    if not may_be_ids(few[name], len(few)):
        return False
    owners, sessions = few[name].n_unique(), few[session].n_unique()
    is_one = few.select(pl.struct(name, session).n_unique()).item() == sessions
    return is_one and sessions < len(few) and max(MOST_SMALL + 1, sessions / 4) <= owners < sessions


def may_be_ids(values: pl.Series, count: int) -> bool:
    """Return whether values may be ids of things that occur several times.

    values  the first values of a column        count  the number of rows

    >>> may_be_ids(pl.Series(["tea", "milk"] * 10), 20), may_be_ids(pl.Series([0.5, 1.5] * 10), 20)
    (True, False)
    """
    if values.dtype.is_nested() or values.dtype in (pl.Date, pl.Datetime, pl.Time, pl.Boolean):
        return False
    return (
        values.count() >= 0.9 * count
        and 2 * values.n_unique() <= count >= FEWEST
        and not have_fractions(values)
        and looks_like_moments(values) is None
    )


def passed_over(table: RawTable, names: Sequence[str]) -> list[str]:
    """Return the columns, most likely first, without those that are empty or whose values identify nobody if there are
    others.

    table  the rows        names  columns that may have one role, the most likely one first

    >>> rows = pl.DataFrame({"user": [True, False], "user_name": ["ann", "bob"]})
    >>> passed_over(RawTable.from_frame(rows), ["user", "user_name"])
    ['user_name']
    """
    few = table.sample(names) if len(names) > 1 else pl.DataFrame()
    good = [values.name for values in few if not are_flags(values) and values.null_count() < len(values)]
    return good or list(names)
