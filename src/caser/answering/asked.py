"""Ids as callers give them: one or many, in a list, an array, a column of a table, or a generator.

What has another shape is refused with a sentence, never read as if it were ids: a table would give the names of its
columns, a dict its keys, bytes their numbers, and a set an order that nobody chose.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np

from caser.arrays.types import RawId
from caser.data.id_text import in_words, plain
from caser.errors import ConfigError

Ids = RawId | Iterable[RawId]
"""One raw id or many."""

Histories = Iterable[RawId] | Iterable[Iterable[RawId]]
"""One history, oldest item first, or many."""

_ONE_ID = (str, int, float, np.generic)
_MOST = 2**63
_SIGNS_OF_A_TABLE = ("collect_schema", "column_names", "columns")
"""What tables have and columns lack: those of polars, of Arrow and of pandas."""


def listed(ids: Any, name: str = "ids", *, is_ordered: bool = False) -> list[RawId]:
    """Return one raw id or many as a list of plain Python values.

    ids         text, a number, or an iterable of these, such as a list, a NumPy array or a column of a table
    name        the name of the argument, for the message
    is_ordered  whether the order of the ids matters, so that a set is refused

    Raises ConfigError for a value that cannot be an id, and for a table, a dict, bytes, a file, or an array with rows.

    >>> listed("tea"), listed(np.array([3, 4])), listed(one for one in "ab")
    (['tea'], [3, 4], ['a', 'b'])
    """
    where = f"an id in {name}"
    if isinstance(ids, _ONE_ID):
        return [plain(ids, where)]
    if type(ids) is not list:
        _refuse_other_shapes(ids, name, is_ordered=is_ordered)
    if not isinstance(ids, Iterable):
        return [plain(ids, where)]
    if isinstance(ids, np.ndarray) and ids.ndim != 1:
        raise ConfigError(f"{name} must be one row of ids; got an array of shape {ids.shape}. Give one column of it.")
    # Most ids need no conversion: a test of the type here saves a call for each item of a history.
    return [
        one if (type(one) is int and -_MOST <= one <= _MOST) or (type(one) is str and one and one.isascii())
        else plain(one, where)
        for one in ids
    ]  # fmt: skip


def pair(users: Ids | None, histories: Histories | None) -> list[tuple[RawId | None, Iterable[RawId] | None]]:
    """Return one (user, history) per question, with None in place of the one that was not given.

    users      raw ids, one or many, or None
    histories  one history or many, or None

    Raises ConfigError if both are None, if the number of users is not the number of histories, and as `listed` does.

    >>> pair(["ann", "bob"], None), pair(None, ["tea", "milk"])
    ([('ann', None), ('bob', None)], [(None, ['tea', 'milk'])])
    """
    if users is None and histories is None:
        raise ConfigError("a question needs users, histories or both; got neither.")
    if users is None:
        return [(None, history) for history in _list_histories(histories)]
    user_list = listed(users, "users", is_ordered=True)
    if histories is None:
        return [(user, None) for user in user_list]
    history_list = _list_histories(histories)
    if len(user_list) != len(history_list):
        raise ConfigError(
            f"users and histories must pair up; got {len(user_list)} users and {len(history_list)} histories."
        )
    return list(zip(user_list, history_list, strict=True))


def _list_histories(histories: Any) -> list[list[RawId]]:
    """One list of ids per history. Ids that are not in lists of their own are one history."""
    _refuse_other_shapes(histories, "histories", is_ordered=True)
    if isinstance(histories, _ONE_ID) or not isinstance(histories, Iterable):
        raise ConfigError(f"a history must be a list of ids; got {in_words(histories)}. Put it in a list.")
    entries = list(histories)
    is_one_history = bool(entries) and all(isinstance(entry, _ONE_ID) for entry in entries)
    return [listed(entries, "histories")] if is_one_history else [_list_history(entry) for entry in entries]


def _list_history(history: Any) -> list[RawId]:
    _refuse_other_shapes(history, "a history", is_ordered=True)
    if isinstance(history, _ONE_ID) or not isinstance(history, Iterable):
        raise ConfigError(f"each history must be a list of ids; got {in_words(history)} among the histories.")
    return listed(history, "a history", is_ordered=True)


def _refuse_other_shapes(ids: Any, name: str, *, is_ordered: bool) -> None:
    """Raise ConfigError for what can be iterated over, but holds no ids, or no order."""
    kind = type(ids).__name__
    if isinstance(ids, bytes | bytearray | memoryview):
        raise ConfigError(f"{name} must be text or numbers; got {kind}. Decode it first: raw.decode().")
    if isinstance(ids, Mapping):
        raise ConfigError(
            f"{name} must be a list; got a {kind}. For a dict of histories by user, pass users=list(d) and "
            "histories=list(d.values())."
        )
    if any(hasattr(ids, sign) for sign in _SIGNS_OF_A_TABLE):
        raise ConfigError(
            f"{name} must be ids; got a table, a {kind}. Pass one column of it, such as table['user_id'] for users; "
            "for histories, one list of items per user, oldest first."
        )
    if isinstance(ids, io.IOBase):
        raise ConfigError(f"{name} must be ids; got an open file. Pass a list: [line.rstrip('\\n') for line in file].")
    if is_ordered and isinstance(ids, Set) and not isinstance(ids, type({}.keys())):
        raise ConfigError(f"{name} must have an order; got a {kind}. Pass a list, such as sorted(ids).")
