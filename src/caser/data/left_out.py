"""Which interactions of a log a part of its split leaves out: what the weights of a model do not know.

A model that is to be judged is trained without the test part. Its histories hold every interaction all the same, so
that an answer reads and removes a user's newest item. This file finds the interactions between the two.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from caser.arrays.offsets import places_of
from caser.arrays.types import Int32, Int64, Mask
from caser.data.log import InteractionLog
from caser.data.tape import Tape
from caser.system.mapped import release, take


def is_in_part(log: InteractionLog, part: Tape) -> Mask:
    """Return whether each interaction of a log is in a part of its split, (N,) bool.

    log   the log
    part  the part, such as `split.final`; of equal interactions of a user it holds the earliest ones

    >>> from caser.data.split import leave_one_out
    >>> from caser.data.synthetic import chain_world
    >>> split = leave_one_out(chain_world(num_users=2, num_items=6, length=4, seed=0).log)
    >>> is_in_part(split.log, split.final).tolist()
    [True, True, True, False, True, True, True, False]
    """
    offsets = Tape.from_log(log).offsets
    is_in = np.zeros(len(log), dtype=np.bool_)
    pieces = len(part.sizes)
    for piece in part.pieces():
        # The users of this shard of the part, and where their interactions are in the log.
        first, end = (1, log.num_users + 1) if pieces == 1 else (int(piece.owners[1]), int(piece.owners[-1]) + 1)
        inside = slice(offsets[first], offsets[end])
        lengths = np.bincount(piece.owners, piece.lengths, minlength=log.num_users + 1).astype(np.int64)[first:end]
        is_in[inside] = _is_in_shard(log.users[inside] - first, log.items[inside], lengths, piece.items, log.num_items)
        release(log.users, log.items)
    return is_in


def _is_in_shard(users: Int32, items: Int32, lengths: Int64, part: Int32, num_items: int) -> Mask:
    """Whether each interaction of some users is among the items that a part holds of them, user by user.

    Users count from 0; `lengths` says how many items of `part` each of them has.
    """
    # Most splits keep the first interactions of each user.
    is_first = places_of(np.bincount(users, minlength=len(lengths))) < lengths[users]
    if np.array_equal(items[is_first], part):
        return is_first
    # Any other split: of the equal interactions of a user, as many are in the part as it holds.
    in_log = _pairs(users, items, num_items)
    in_part = _pairs(np.repeat(np.arange(len(lengths), dtype=np.int32), lengths), part, num_items)
    pairs, counts = np.unique(in_part, return_counts=True)
    places = np.minimum(np.searchsorted(pairs, in_log), max(len(pairs) - 1, 0))
    held = np.where(pairs[places] == in_log, counts[places], 0) if len(pairs) else np.zeros_like(in_log)
    is_held: Mask = _occurrences(in_log) < held
    return is_held


def left_out_facts(log: InteractionLog, is_trained: Mask) -> dict[str, Any] | None:
    """Return how many interactions the weights do not know, of how many users, and from when to when; None for none.

    log         the log
    is_trained  (N,) bool, whether the model was trained on each interaction

    The values are JSON values: `interactions`, `users`, and `since` and `until`, days as text, which are null for a log
    without times.

    >>> from caser.data.synthetic import chain_world
    >>> log = chain_world(num_users=2, num_items=6, length=3, seed=0).log
    >>> facts = left_out_facts(log, np.array([True, True, False, True, True, False]))
    >>> facts["interactions"], facts["users"]
    (2, 2)
    """
    is_left_out = ~is_trained
    if not is_left_out.any():
        return None
    left_out = np.flatnonzero(is_left_out)
    times = take(log.times, left_out)
    days = [str(np.datetime64(int(time), "us").astype("datetime64[D]")) for time in (times.min(), times.max())]
    since, until = days if log.has_times else (None, None)
    users = len(np.unique(take(log.users, left_out)))
    return {"interactions": len(left_out), "users": users, "since": since, "until": until}


def _pairs(users: Int32, items: Int32, num_items: int) -> Int64:
    """One number for each pair of a user and an item, (N,) int64."""
    return users.astype(np.int64) * (num_items + 1) + items


def _occurrences(pairs: Int64) -> Int64:
    """How often each value occurred before, (N,) int64.

    >>> _occurrences(np.array([7, 9, 7, 7])).tolist()
    [0, 0, 1, 2]
    """
    order = np.argsort(pairs, kind="stable")
    _, lengths = np.unique(pairs, return_counts=True)
    earlier = np.empty(len(pairs), dtype=np.int64)
    earlier[order] = places_of(lengths)
    return earlier
