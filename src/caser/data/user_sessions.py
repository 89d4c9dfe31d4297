"""The split for users who return: a pause cuts each user's interactions into sessions, and the last session tests.

The same log can be read in two ways. `all`: the history of a query is everything that the user did before, earlier
sessions included. `session`: each session is a sequence of its own, and a history begins with its session. The targets
are the same in both, so models that read sessions and models that read users can be compared on one log.
"""

from __future__ import annotations

from numbers import Real
from typing import Literal, get_args

import numpy as np

from caser.arrays.offsets import offsets_of
from caser.arrays.types import Int64, Mask
from caser.data.log import InteractionLog
from caser.data.queries import Queries
from caser.data.shard_parts import whole_log
from caser.data.shards import ShardedLog
from caser.data.split import Split, check_log, split_name
from caser.data.tape import Tape
from caser.errors import ConfigError, DataError
from caser.system.kinds import must_be

Reads = Literal["all", "session"]
"""What a history is: everything that the user did before, or the session so far."""

DEFAULT_GAP = 30 * 60.0
"""Seconds without an interaction after which a new session begins; half an hour is usual on the web."""


def user_sessions(log: InteractionLog | ShardedLog, gap: float = DEFAULT_GAP, reads: Reads = "all") -> Split:
    """Split off each user's last session as test part and the session before as validation part.

    log    a log with times; users with fewer than 3 sessions only train. A log in shards is put together
    gap    seconds, above 0: a longer pause between two interactions of a user begins a new session
    reads  what a history is: `all` that the user did before, or only the `session` so far

    Every position of a judged session from the second on is a query, so every history has an item of the session. Items
    of earlier sessions count as seen in both readings. Confidence intervals resample users.

    Returns a split named "user-sessions", with `gap` and `reads` in the name if they are not the default ones. Raises
    DataError for what is no log, for a log without times or without users to judge, and for a gap that is not above 0;
    ConfigError for another value of `reads`. Source: ours.

    >>> from caser.data.synthetic import chain_world
    >>> log = chain_world(num_users=2, num_items=6, length=9, seed=0).log  # one event every two seconds
    >>> user_sessions(log, gap=1.0)
    Traceback (most recent call last):
    caser.errors.DataError: this protocol needs users with at least 3 sessions, the last with 2 interactions; ...
    """
    check_log(log)
    log = whole_log(log)
    must_be("gap", gap, Real, "a number of seconds", "Give a number, such as 1800.", DataError)
    if not log.has_times:
        raise DataError(
            "sessions need timestamps; this log has none. Name the time column with --time, or, where a user of the "
            "log is a session, use the protocol `sessions`."
        )
    if not gap > 0:
        raise DataError(f"a pause between sessions must be longer than 0 seconds; got {gap}.")
    if reads not in get_args(Reads):
        raise ConfigError(f"reads must be one of {', '.join(get_args(Reads))}; got {reads!r}.")
    # Number the sessions over all users, and find the owner and the user's last session for each.
    session = session_numbers(log, gap)
    user_of_session = log.users[np.flatnonzero(np.diff(session, prepend=0))]
    last_session_of_user = np.zeros(log.num_users + 1, dtype=np.int64)
    last_session_of_user[user_of_session] = np.arange(1, len(user_of_session) + 1)
    # Stages 0 fit, 1 validation, 2 test, by the distance to the user's last session.
    from_last = last_session_of_user[log.users] - session
    is_judged = np.bincount(user_of_session, minlength=log.num_users + 1)[log.users] >= 3
    stage = np.where(is_judged, (from_last <= 1) * 1 + (from_last == 0) * 1, 0)
    if not bool(_is_query(session, stage == 2).any()):
        raise DataError(
            f"this protocol needs users with at least 3 sessions, the last with 2 interactions; got none at a pause of "
            f"{gap:,.0f} seconds. Use a shorter pause."
        )
    num_judged = int((np.bincount(user_of_session) >= 3).sum())
    return Split(
        name=split_name(user_sessions, gap=gap, reads=reads),
        log=log,
        fit=_tape(log, session, stage == 0, reads),
        validation=_queries(log, session, stage == 1, reads),
        final=_tape(log, session, stage <= 1, reads),
        test=_queries(log, session, stage == 2, reads),
        notes=(
            f"a pause of more than {gap:,.0f} s begins a new session: {len(user_of_session):,} sessions of "
            f"{log.num_users:,} users; {num_judged:,} users have at least 3 sessions and are judged",
        ),
    )


def session_numbers(log: InteractionLog, gap: float) -> Int64:
    """Return the session of each interaction, counted from 1 over all users in their order: (N,) int64.

    gap  seconds; a longer pause begins a new session, and so does another user

    >>> from caser.data.synthetic import chain_world
    >>> log = chain_world(num_users=2, num_items=6, length=9, seed=0).log  # one event every two seconds
    >>> session_numbers(log, gap=1.0).max(), session_numbers(log, gap=2.0).max()
    (np.int64(18), np.int64(2))
    """
    is_first = np.ones(len(log), dtype=bool)
    is_first[1:] = (np.diff(log.users) != 0) | (np.diff(log.times) > gap * 1e6)
    return np.cumsum(is_first)


def _tape(log: InteractionLog, session: Int64, mask: Mask, reads: Reads) -> Tape:
    """Return the interactions in `mask` as a tape with one sequence per user, or per session."""
    if reads == "all":
        return Tape.from_log(log, mask)
    numbers, lengths = np.unique(session[mask], return_counts=True)
    firsts = np.searchsorted(session, numbers)
    owners = np.concatenate([[0], log.users[firsts]]).astype(np.int32)
    times = log.times if log.has_times else None
    kinds = None if log.kinds is None else log.kinds[mask]
    return Tape(log.items[mask], offsets_of([0, *lengths]), log.num_items, owners, times, mask, kinds)


def _is_query(session: Int64, mask: Mask) -> Mask:
    """Return which positions of the sessions in `mask` are queries: all but the first of each session, (N,)."""
    continues: Mask = np.diff(session, prepend=0) == 0
    return mask & continues


def _queries(log: InteractionLog, session: Int64, mask: Mask, reads: Reads) -> Queries:
    rows = np.flatnonzero(_is_query(session, mask) & log.targets)
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
        kinds=None if log.kinds is None else log.kinds[rows],
    )
