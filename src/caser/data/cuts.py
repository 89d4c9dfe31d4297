"""How a split cuts a log, or one shard of it, into parts: the rules of `split.py`, once the stages are known.

A stage is a number for each interaction: 0 fit, 1 validation, 2 test, and 3 for what is left out. It never decreases
within a user.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from caser.arrays.offsets import offsets_of
from caser.arrays.ragged import concat_slices, distinct_in_rows
from caser.arrays.types import Int64, Mask
from caser.data.log import InteractionLog
from caser.data.queries import Queries
from caser.data.tape import Tape
from caser.errors import DataError
from caser.system.kinds import must_be


@dataclass(frozen=True, eq=False)
class Parts:
    """The four parts of a log, or of one shard of it. Users are numbered as in the log or the shard.

    fit, validation, final, test  see `Split`
    counted  the number of users that a note of the split is about
    """

    fit: Tape
    validation: Queries
    final: Tape
    test: Queries
    counted: int = 0


def positions(log: InteractionLog) -> tuple[Int64, Int64]:
    """Return the place of each interaction in its user's sequence, from 0, and the sequence's length, both (N,)."""
    lengths = np.bincount(log.users, minlength=log.num_users + 1)
    starts = offsets_of(lengths)
    return np.arange(len(log)) - starts[log.users], lengths[log.users]


def target_places(log: InteractionLog) -> tuple[Int64, Int64]:
    """Return how many targets of its user there are up to each interaction, and how many the user has, both (N,).

    Where every interaction is a target, these are the place of an interaction, from 1, and the length of the sequence.

    >>> import polars as pl
    >>> from caser.data.event_kinds import EventKinds
    >>> users, items = pl.Series(["ann"] * 4), pl.Series([1, 2, 3, 4])
    >>> kinds = EventKinds(np.array([0, 1, 0, 1], np.uint8), {"buy": 1.0})
    >>> log = InteractionLog.from_columns(users, items, None, kinds=kinds)
    >>> target_places(log)[0].tolist()
    [0, 1, 1, 2]
    """
    position, length = positions(log)
    if log.kinds is None:
        return position + 1, length
    is_target = log.targets.astype(np.int64)
    so_far: Int64 = np.cumsum(is_target)
    before_user: Int64 = (so_far - is_target)[np.arange(len(log)) - position]
    numbers: Int64 = np.bincount(log.users[log.targets], minlength=log.num_users + 1)
    return so_far - before_user, numbers[log.users]


def are_last_targets(log: InteractionLog) -> Mask:
    """Return whether each interaction is the last target of its user, (N,) bool."""
    place, number = target_places(log)
    are_last: Mask = (place == number) & log.targets
    return are_last


def stages(is_after_fit: Mask, is_after_validation: Mask) -> NDArray[np.int64]:
    """Return the stage of each interaction, (N,): 0 fit, 1 validation, 2 test.

    is_after_fit, is_after_validation  (N,) bool, whether an interaction is later than these parts
    """
    return is_after_fit.astype(np.int64) + is_after_validation


def by_stage(
    log: InteractionLog,
    stage: NDArray[np.int64],
    is_judged: Mask | bool = True,
    *,
    order: Int64 | None = None,
) -> Parts:
    """Cut each user's sequence into the parts of a split. Each part that judges has one query per user.

    log        a log, or a shard of one; where only some of its interactions are targets, the others are history only
    stage      (N,) the stage of each interaction
    is_judged  (N,) bool; where it is False, an interaction is used for training only
    order      (N,) rearranges the interactions within each user; `stage` and `is_judged` follow the new order

    `counted` is the number of users with test targets but without a history, who are not judged.
    """
    items = log.items if order is None else log.items[order]
    times = None if not log.has_times else log.times if order is None else log.times[order]
    kinds = log.kinds if log.kinds is None or order is None else log.kinds[order]
    stage = np.where(is_judged, stage, 0)
    # counts[s] is the number of interactions of each user up to stage s; begin is where all items of a user begin.
    counts = [np.bincount(log.users[stage <= last], minlength=log.num_users + 1) for last in (0, 1, 2)]
    begin = offsets_of(np.bincount(log.users, minlength=log.num_users + 1))[:-1]

    def tape(last: int) -> Tape:
        mask = stage <= last
        own = None if kinds is None else kinds[mask]
        return Tape(items[mask], offsets_of(counts[last]), log.num_items, log_times=times, log_mask=mask, kinds=own)

    def queries(judged: int) -> tuple[Queries, int]:
        """Return the queries whose targets are in one stage, and the number of users with targets but no history."""
        has_targets = counts[judged] > counts[judged - 1]
        if kinds is not None:
            predicted_users = log.users[(stage == judged) & kinds.is_target]
            has_targets = np.bincount(predicted_users, minlength=log.num_users + 1) > 0
        has_history = counts[judged - 1] > 0
        owners = np.flatnonzero(has_targets & has_history)
        ends = begin[owners] + counts[judged - 1][owners]
        rows, targets = concat_slices(items, ends, begin[owners] + counts[judged][owners])
        own = None
        if kinds is not None:
            _, codes = concat_slices(kinds.codes, ends, begin[owners] + counts[judged][owners])
            rows, targets = rows[codes > 0], targets[codes > 0]
            own = replace(kinds, codes=codes[codes > 0]).of_distinct(rows, targets)
        targets, offsets = distinct_in_rows(rows, targets, len(owners))
        users = owners.astype(np.int32)
        num_without = int((has_targets & ~has_history).sum())
        return Queries(users, items, begin[owners], ends, targets, offsets, users, kinds=own), num_without

    validation, _ = queries(1)
    test, num_without_history = queries(2)
    return Parts(tape(0), validation, tape(1), test, num_without_history)


def prefix_queries(log: InteractionLog, mask: Mask) -> Queries:
    """Return one query for every target in `mask`, except the first of each session. The prefix is the history.

    log   a log in which each user is a session, or a shard of one
    mask  (N,) bool, which interactions
    """
    position, _ = positions(log)
    target = np.flatnonzero(mask & (position > 0) & log.targets)
    return Queries(
        users=np.zeros(len(target), dtype=np.int32),
        items=log.items,
        starts=target - position[target],
        ends=target,
        targets=log.items[target],
        target_offsets=np.arange(len(target) + 1, dtype=np.int64),
        owners=log.users[target],
        kinds=None if log.kinds is None else log.kinds[target],
    )


def check_fractions(test: float, validation: float) -> None:
    """Raise DataError unless the shares `test` and `validation` are numbers above 0 with a sum below 1."""
    for name, fraction in {"test": test, "validation": validation}.items():
        must_be(name, fraction, Real, "a share between 0 and 1", "Give a number, such as 0.1.", DataError)
    if not (0 < test < 1 and 0 < validation < 1 and test + validation < 1):
        raise DataError(f"fractions must be positive with a sum below 1; got test={test}, validation={validation}.")


def numbers_of(total: int, test: float, validation: float) -> tuple[int, int]:
    """Return how many of `total` test and how many validate, rounded down. Raises as `check_fractions` does."""
    check_fractions(test, validation)
    return int(total * test), int(total * validation)


def check_seed(seed: object) -> None:
    """Raise DataError unless `seed` is a whole number, at least 0."""
    must_be("seed", seed, int, "a whole number", "Give a number, such as 0.", DataError)
    if isinstance(seed, int) and seed < 0:
        raise DataError(f"seed must be at least 0; got {seed}.")
