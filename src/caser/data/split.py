"""Splits: which interactions train, which choose, which judge.

Every split gives four parts. `fit` trains while settings are chosen on `validation`; `final` (= fit + validation)
trains the model that ships, and `test` judges it, once. `everything` is the whole log, for a model that will not be
judged. A part to train on is a Tape; a part to judge on is Queries. Parts are disjoint, and within a user they are in
time order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caser.arrays.offsets import offsets_of, places_of
from caser.arrays.ragged import padded_histories
from caser.arrays.types import Int32, Int64
from caser.data.log import InteractionLog
from caser.data.tape import Tape
from caser.errors import DataError

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Queries:
    """Questions put to a model: after this history, what came next?

    users    (Q,) int32, the user vector to use, 0 for anonymous
    items    (M,) int32, the array that histories are slices of
    starts, ends  (Q,) int64: the history of query q is items[starts[q]:ends[q]]
    targets  int32, the items that truly came next, distinct within a query;
    target_offsets  (Q + 1,) int64: query q owns targets[target_offsets[q]:target_offsets[q + 1]]
    owners   (Q,) int32, the user or session the query is about; intervals resample owners
    seen_starts  (Q,) int64: what counts as seen is items[seen_starts[q]:ends[q]]; the history itself by default
    """

    users: Int32
    items: Int32
    starts: Int64
    ends: Int64
    targets: Int32
    target_offsets: Int64
    owners: Int32
    seen_starts: Int64 | None = None

    def __len__(self) -> int:
        return len(self.users)

    @property
    def starts_of_seen(self) -> Int64:
        """Where what counts as seen begins, (Q,)."""
        return self.starts if self.seen_starts is None else self.seen_starts

    @property
    def num_targets(self) -> Int64:
        """Targets per query, (Q,)."""
        return np.diff(self.target_offsets)

    def histories(self, block: slice, length: int | None) -> Int32:
        """Histories of a block of queries, left-padded: (B, length), or as wide as the longest if `length` is None."""
        starts, ends = self.starts[block], self.ends[block]
        width = int((ends - starts).max(initial=1)) if length is None else length
        return padded_histories(self.items, starts, ends, max(width, 1))

    def seen(self, block: slice) -> tuple[Int64, Int32]:
        """Every (row in the block, item seen before): what a `remove` rule takes from the candidates."""
        return _ragged(self.items, self.starts_of_seen[block], self.ends[block])

    def target_pairs(self, block: slice) -> tuple[Int64, Int32]:
        """Every (row in the block, target)."""
        bounds = self.target_offsets
        rows = np.arange(len(self))[block]
        return _ragged(self.targets, bounds[rows], bounds[rows + 1])


@dataclass(frozen=True, eq=False)
class Split:
    """A log in parts. `name` is the protocol it was made for; `notes` are sentences a report must print."""

    name: str
    log: InteractionLog
    fit: Tape
    validation: Queries
    final: Tape
    test: Queries
    notes: tuple[str, ...] = ()

    @property
    def everything(self) -> Tape:
        """The whole log as one tape, for a model that will not be judged."""
        return Tape.from_log(self.log)


def leave_one_out(log: InteractionLog) -> Split:
    """Each user's last interaction tests, the one before validates; users with fewer than 3 interactions only train.

    >>> from caser.data.synthetic import chain_world
    >>> split = leave_one_out(chain_world(num_users=4, num_items=6, length=5, seed=0).log)
    >>> len(split.fit), len(split.validation), len(split.final), len(split.test)
    (12, 4, 16, 4)
    """
    position, length = _positions(log)
    judged = length >= 3
    if not bool(judged.any()):
        raise DataError(
            "leave-one-out needs a user with at least 3 interactions; got none. Use a longer log or `global-time`."
        )
    return _by_stage("leave-one-out", log, (position >= length - 2) * 1 + (position == length - 1) * 1, judged)


def user_fraction(log: InteractionLog, test: float = 0.2, validation: float = 0.1) -> Split:
    """Per user in time order: the last floor(test n) test, the rest of the last floor((test + validation) n) validate.

    The 70/10/20 split of the Caser paper (Tang & Wang 2018, section 4.1), with its rounding.
    """
    _check_fractions(test, validation)
    position, length = _positions(log)
    thousandths = np.round(np.array([test, test + validation]) * 1000).astype(np.int64)
    from_test = length - length * thousandths[0] // 1000
    from_validation = length - length * thousandths[1] // 1000
    stage = (position >= from_validation) * 1 + (position >= from_test) * 1
    if not bool((stage == 2).any()):
        raise DataError(
            f"user-fraction needs a user with at least {int(np.ceil(1 / test))} interactions; got none. "
            "Use a longer log or `leave-one-out`."
        )
    return _by_stage("caser-paper", log, stage, np.ones(len(log), dtype=bool))


def global_time(log: InteractionLog, test: float = 0.1, validation: float = 0.1) -> Split:
    """One moment cuts the log for all users: what lies after it tests. The only split that shows no model the future.

    The moments are the times below which 1 - test (and 1 - test - validation) of all interactions lie; interactions at
    the moment itself lie after it. One ranking per user, made at the moment of the cut; every later item is a target.
    Users who first appear after a cut cannot have a history there: they are counted in `notes` and not judged.
    """
    if not log.has_times:
        raise DataError(
            "global-time needs timestamps; this log has none. Name the time column with --time, or use `leave-one-out`."
        )
    _check_fractions(test, validation)
    ordered = np.sort(log.times)
    cut_validation = ordered[int(len(log) * (1 - test - validation))]
    cut_test = ordered[int(len(log) * (1 - test))]
    stage = (log.times >= cut_validation) * 1 + (log.times >= cut_test) * 1
    if len(np.unique(stage)) < 3:
        raise DataError(
            "global-time needs interactions before, between and after its two moments; this log has too few different "
            "times. Use a longer log or `leave-one-out`."
        )
    return _by_stage("global-time", log, stage, np.ones(len(log), dtype=bool))


def sessions(log: InteractionLog, test: float = 0.1, validation: float = 0.1) -> Split:
    """Whole sessions are the unit: the last tenth by start time tests, the tenth before validates, the rest trains.

    The log's users are the sessions. Every position from the second on is a query: the session so far is the history,
    no user vector is used, and the intervals resample sessions.
    """
    _check_fractions(test, validation)
    num_test, num_validation = int(log.num_users * test), int(log.num_users * validation)
    if num_test == 0 or num_validation == 0:
        raise DataError(f"the sessions protocol needs at least 10 sessions; got {log.num_users}.")
    # Users are numbered in order of first appearance, so a session's index is its place in time.
    place = log.users - 1
    stage = (place >= log.num_users - num_test - num_validation) * 1 + (place >= log.num_users - num_test) * 1
    return Split(
        name="sessions",
        log=log,
        fit=Tape.from_log(log, stage == 0),
        validation=_prefix_queries(log, stage == 1),
        final=Tape.from_log(log, stage <= 1),
        test=_prefix_queries(log, stage == 2),
    )


def d2l(log: InteractionLog) -> Split:
    """The split of the Dive into Deep Learning guide: per user the last interaction tests.

    Among equal largest times the first in file order is the test item; the others keep (time, file) order. The guide
    has no validation part; ours is the last remaining interaction of each user.
    """
    position, length = _positions(log)
    last_time = log.times[np.cumsum(np.bincount(log.users)[1:]) - 1][log.users - 1]
    tied = log.times == last_time
    first_tied = np.full(log.num_users + 1, len(log), dtype=np.int64)
    np.minimum.at(first_tied, log.users[tied], np.flatnonzero(tied))
    is_test = np.arange(len(log)) == first_tied[log.users]
    order = np.lexsort((position, is_test, log.users))
    share = float(np.mean(np.bincount(log.users[tied], minlength=log.num_users + 1)[1:] > 1))
    note = f"for {share:.1%} of users the last timestamp is tied, so file order picks the test item"
    judged = length >= 3
    if not bool(judged.any()):
        raise DataError("the d2l split needs a user with at least 3 interactions; got none.")
    stage = (position >= length - 2) * 1 + (position == length - 1) * 1
    return _by_stage("d2l", log, stage, judged, order=order, notes=(note,))


SPLITS: dict[str, Callable[[InteractionLog], Split]] = {
    "leave-one-out": leave_one_out,
    "user-fraction": user_fraction,
    "global-time": global_time,
    "sessions": sessions,
    "d2l": d2l,
}


def _check_fractions(test: float, validation: float) -> None:
    if not (0 < test < 1 and 0 < validation < 1 and test + validation < 1):
        raise DataError(f"fractions must be positive with a sum below 1; got test={test}, validation={validation}.")


def _positions(log: InteractionLog) -> tuple[Int64, Int64]:
    """Place of each interaction in its user's sequence, and that sequence's length, both (N,)."""
    lengths = np.bincount(log.users, minlength=log.num_users + 1)
    starts = offsets_of(lengths)
    return np.arange(len(log)) - starts[log.users], lengths[log.users]


def _by_stage(
    name: str,
    log: InteractionLog,
    stage: NDArray[np.integer],
    judged: Mask,
    *,
    order: Int64 | None = None,
    notes: tuple[str, ...] = (),
) -> Split:
    """Cut each user's sequence into stages 0 fit, 1 validation, 2 test, non-decreasing; users not `judged` only train.

    `order` rearranges each user's interactions (stage and judged are in the new order).
    """
    items = log.items if order is None else log.items[order]
    stage = np.where(judged, stage, 0)
    counts = [np.bincount(log.users[stage <= last], minlength=log.num_users + 1) for last in (0, 1, 2)]
    begin = offsets_of(counts[2])[:-1]

    def tape(last: int) -> Tape:
        return Tape(items[stage <= last], offsets_of(counts[last]), log.num_items)

    def queries(which: int) -> tuple[Queries, int]:
        has_targets = counts[which] > counts[which - 1]
        has_history = counts[which - 1] > 0
        owners = np.flatnonzero(has_targets & has_history)
        ends = begin[owners] + counts[which - 1][owners]
        rows, targets = _ragged(items, ends, begin[owners] + counts[which][owners])
        targets, offsets = _distinct(rows, targets, len(owners))
        query = Queries(owners.astype(np.int32), items, begin[owners], ends, targets, offsets, owners.astype(np.int32))
        return query, int((has_targets & ~has_history).sum())

    validation, _ = queries(1)
    test, cold = queries(2)
    if cold:
        notes = (*notes, f"{cold:,} users first appear after the cut and are not judged")
    return Split(name, log, tape(0), validation, tape(1), test, notes)


def _prefix_queries(log: InteractionLog, mask: Mask) -> Queries:
    """A query for every position but the first of each session in `mask`."""
    position, _ = _positions(log)
    chosen = np.flatnonzero(mask & (position > 0))
    return Queries(
        users=np.zeros(len(chosen), dtype=np.int32),
        items=log.items,
        starts=chosen - position[chosen],
        ends=chosen,
        targets=log.items[chosen],
        target_offsets=np.arange(len(chosen) + 1, dtype=np.int64),
        owners=log.users[chosen],
    )


def _ragged(values: Int32, starts: Int64, ends: Int64) -> tuple[Int64, Int32]:
    """Concatenate values[start:end] over all slices; return (which slice, value)."""
    lengths = ends - starts
    rows = np.repeat(np.arange(len(starts)), lengths)
    within = places_of(lengths)
    return rows, values[starts[rows] + within] if len(rows) else values[:0]


def _distinct(rows: Int64, targets: Int32, num_rows: int) -> tuple[Int32, Int64]:
    """Keep the first of equal targets within a row; return the targets and their offsets."""
    _, first = np.unique(np.stack([rows, targets.astype(np.int64)]), axis=1, return_index=True)
    keep = np.sort(first)
    return targets[keep], offsets_of(np.bincount(rows[keep], minlength=num_rows))
