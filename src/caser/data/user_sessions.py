"""Sessions of returning users: a pause cuts each user's interactions into sessions, and whole sessions test.

One log, read in two ways. `all`: a user's history is everything before, earlier sessions included. `session`: each
session is a sequence of its own, and its history begins with it. The targets are the same in both, so a model that
reads sessions and one that reads users can be compared on one log.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from caser.arrays.offsets import offsets_of
from caser.arrays.types import Int64
from caser.data.log import InteractionLog
from caser.data.split import Mask, Queries, Split
from caser.data.tape import Tape
from caser.errors import DataError

Reads = Literal["all", "session"]

DEFAULT_GAP = 30 * 60.0
"""Seconds without an interaction after which a new session begins, as is usual on the web."""


def user_sessions(log: InteractionLog, gap: float = DEFAULT_GAP, reads: Reads = "all") -> Split:
    """Each user's last session tests, the one before validates; users with fewer than 3 sessions only train.

    gap    seconds; a longer pause begins a new session       reads  what a history is: `all` before, or the `session`

    Every position of a judged session from the second on is a query, so there is always something of the session to
    read. What was seen in earlier sessions counts as seen in either reading; intervals resample users. Raises DataError
    for a log without times or without returning users.

    >>> from caser.data.synthetic import chain_world
    >>> log = chain_world(num_users=2, num_items=6, length=9, seed=0).log  # one event every two seconds
    >>> session_numbers(log, gap=1.0).tolist()[-1], session_numbers(log, gap=2.0).tolist()[-1]
    (18, 2)
    """
    if not log.has_times:
        raise DataError(
            "sessions need timestamps; this log has none. Name the time column with --time, or, where a user of the "
            "log is a session, use the protocol `sessions`."
        )
    if not gap > 0:
        raise DataError(f"a pause between sessions must be longer than 0 seconds; got {gap}.")
    session = session_numbers(log, gap)
    user_of = log.users[np.flatnonzero(np.diff(session, prepend=0))]  # of each session
    last_of = np.zeros(log.num_users + 1, dtype=np.int64)
    last_of[user_of] = np.arange(1, len(user_of) + 1)
    from_end = last_of[log.users] - session
    returns = np.bincount(user_of, minlength=log.num_users + 1)[log.users] >= 3
    stage = np.where(returns, (from_end <= 1) * 1 + (from_end == 0) * 1, 0)
    if not bool(_queried(session, stage == 2).any()):
        raise DataError(
            f"this protocol needs users with at least 3 sessions, the last with 2 interactions; got none at a pause of "
            f"{gap:,.0f} seconds. Use a shorter pause, or, where a user of the log is a session, the protocol "
            "`sessions`."
        )
    return Split(
        name="user-sessions",
        log=log,
        fit=_tape(log, session, stage == 0, reads),
        validation=_queries(log, session, stage == 1, reads),
        final=_tape(log, session, stage <= 1, reads),
        test=_queries(log, session, stage == 2, reads),
        notes=(
            f"a pause of more than {gap:,.0f} s begins a new session: {len(user_of):,} sessions of {log.num_users:,} "
            f"users; {int((np.bincount(user_of) >= 3).sum()):,} users return often enough to be judged",
        ),
    )


def session_numbers(log: InteractionLog, gap: float) -> Int64:
    """The session of each interaction, counted from 1 over all users in their order, (N,)."""
    starts = np.ones(len(log), dtype=bool)
    starts[1:] = (np.diff(log.users) != 0) | (np.diff(log.times) > gap * 1e6)
    return np.cumsum(starts)


def _tape(log: InteractionLog, session: Int64, mask: Mask, reads: Reads) -> Tape:
    if reads == "all":
        return Tape.from_log(log, mask)
    numbers, lengths = np.unique(session[mask], return_counts=True)
    firsts = np.searchsorted(session, numbers)
    offsets = offsets_of([0, *lengths])
    owners = np.concatenate([[0], log.users[firsts]]).astype(np.int32)
    return Tape(log.items[mask], offsets, log.num_items, owners)


def _queried(session: Int64, mask: Mask) -> Mask:
    """Of some sessions, the positions from the second on."""
    again: Mask = np.diff(session, prepend=0) == 0
    return mask & again


def _queries(log: InteractionLog, session: Int64, mask: Mask, reads: Reads) -> Queries:
    rows = np.flatnonzero(_queried(session, mask))
    user_starts = np.searchsorted(log.users, log.users[rows])
    session_starts = np.searchsorted(session, session[rows])
    return Queries(
        users=log.users[rows],
        items=log.items,
        starts=user_starts if reads == "all" else session_starts,
        ends=rows,
        targets=log.items[rows],
        target_offsets=np.arange(len(rows) + 1, dtype=np.int64),
        owners=log.users[rows],
        seen_starts=user_starts,
    )
