"""Splits: which interactions train a model, which choose its settings, and which judge it.

Every split has four parts. `fit` trains models while their settings are chosen on `validation`. `final`, which is `fit`
and `validation` together, trains the model that is kept, and `test` judges it once. A part that trains is a Tape; a
part that judges is Queries. The parts are disjoint, and the interactions of each user stay in time order.

Each of the split functions takes a log and returns a Split. The split for users with several sessions is in
`user_sessions.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import signature
from numbers import Real
from typing import Any

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

PROTOCOL_OF_SPLIT: Mapping[str, str] = {"user-fraction": "caser-paper"}
"""The name of the protocol of a split function, for each function whose protocol has another name."""


@dataclass(frozen=True, eq=False)
class Split:
    """A log in parts.

    name   the protocol that the split was made for, such as "leave-one-out"; if the parameters of the split are not the
           default ones, its name holds them, such as "user-fraction test=0.5 validation=0.1"
    log    the whole log
    fit    trains models while settings are chosen        validation  judges the models that were trained on `fit`
    final  `fit` and `validation` together                test        judges the model that was trained on `final`
    notes  sentences that a report must print
    """

    name: str
    log: InteractionLog
    fit: Tape
    validation: Queries
    final: Tape
    test: Queries
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Split({self.name}, {self.log!r}, validation={self.validation!r}, test={self.test!r})"

    @property
    def everything(self) -> Tape:
        """The whole log as one tape, for a model that will not be judged."""
        return Tape.from_log(self.log)


def leave_one_out(log: InteractionLog) -> Split:
    """Split off the last interaction of each user as test target, and the one before it as validation target.

    log  the log to split; all interactions of a user with fewer than 3 of them are used for training

    Returns a split named "leave-one-out". Raises DataError if no user has at least 3 interactions. Source: common in
    this field, for example Kang & McAuley 2018 (SASRec), section IV.

    >>> from caser.data.synthetic import chain_world
    >>> split = leave_one_out(chain_world(num_users=4, num_items=6, length=5, seed=0).log)
    >>> len(split.fit), len(split.validation), len(split.final), len(split.test)
    (12, 4, 16, 4)
    """
    check_log(log)
    position, length = _positions(log)
    is_judged = length >= 3
    if not bool(is_judged.any()):
        raise DataError(f"leave-one-out needs a user with at least 3 interactions; got at most {int(length.max())}.")
    stage = _stages(position >= length - 2, position >= length - 1)
    return _by_stage("leave-one-out", log, stage, is_judged)


def user_fraction(log: InteractionLog, test: float = 0.2, validation: float = 0.1) -> Split:
    """Split each user's interactions, in time order, by shares. By default 70 % train, 10 % validate and 20 % test.

    test        share for testing: of a user's n interactions, the last floor(test n)
    validation  share for validation: test and validation together are the last floor((test + validation) n)

    Both shares are rounded to thousandths. They must be positive, with a sum below 1. There is one query per user; its
    targets are all interactions of the user in the part that judges. Returns a split named "caser-paper" for the
    default shares, because the Caser paper uses these shares and this rounding. Other shares become part of the name.
    Raises DataError if the shares are not allowed, or if every user has too few interactions for a test target.
    Source: Tang & Wang 2018, section 4.1.

    >>> from caser.data.synthetic import chain_world
    >>> log = chain_world(num_users=4, num_items=6, length=10, seed=0).log
    >>> user_fraction(log).name, user_fraction(log, test=0.5).name
    ('caser-paper', 'user-fraction test=0.5 validation=0.1')
    """
    check_log(log)
    _check_fractions(test, validation)
    position, length = _positions(log)
    thousandths = np.round(np.array([test, test + validation]) * 1000).astype(np.int64)
    from_test = length - length * thousandths[0] // 1000
    from_validation = length - length * thousandths[1] // 1000
    stage = _stages(position >= from_validation, position >= from_test)
    if not bool((stage == 2).any()):
        raise DataError(
            f"user-fraction needs a user with at least {int(np.ceil(1 / test))} interactions; got at most "
            f"{int(length.max())}."
        )
    return _by_stage(split_name(user_fraction, test=test, validation=validation), log, stage)


def global_time(log: InteractionLog, test: float = 0.1, validation: float = 0.1) -> Split:
    """Cut the log at the same two moments for all users. No training interaction is later than a target.

    log         a log with times
    test        share of all interactions that are at or after the second cut, where the test part begins
    validation  share of all interactions between the two cuts; the validation part begins at the first cut

    The shares must be positive, with a sum below 1. An interaction at the moment of a cut belongs to the later part, so
    equal times can make a part larger. There is one query per user, asked at the moment of the cut; its targets are the
    items of the user in the part that begins there. A user without an interaction before the cut is not judged; `notes`
    has the number of such users.

    Returns a split named "global-time", with the shares in the name if they are not the default ones. Raises DataError
    for a log without times or with too few different times, and for shares that are not allowed.
    Source: ours; Ji et al. 2023 (A critical study on data leakage) give the reasons for one cut.

    >>> from caser.data.synthetic import chain_world
    >>> split = global_time(chain_world(num_users=4, num_items=6, length=10, seed=0).log)
    >>> len(split.fit), len(split.final), len(split.test.targets)
    (32, 36, 4)
    """
    check_log(log)
    if not log.has_times:
        raise DataError(
            "global-time needs timestamps; this log has none. Name the time column (Reading(time=...), or --time)."
        )
    _check_fractions(test, validation)
    ordered = np.sort(log.times)
    validation_begins = ordered[int(len(log) * (1 - test - validation))]
    test_begins = ordered[int(len(log) * (1 - test))]
    stage = _stages(log.times >= validation_begins, log.times >= test_begins)
    if len(np.unique(stage)) < 3:
        raise DataError(
            f"global-time needs interactions before, between and after its two cuts; got {len(log):,} "
            f"interactions at {len(np.unique(ordered)):,} different times."
        )
    return _by_stage(split_name(global_time, test=test, validation=validation), log, stage)


def sessions(log: InteractionLog, test: float = 0.1, validation: float = 0.1) -> Split:
    """Split whole sessions by the time when they begin: the latest ones test, those before validate, the rest train.

    log         a log in which each user is one session; if users have several sessions, use `user_sessions`
    test        share of the sessions for testing, rounded down        validation  share for validation, rounded down

    The shares must be positive, with a sum below 1. Every interaction of a session except the first is the target of
    one query; the interactions before it are the history. No user vector is used, and confidence intervals resample
    sessions.

    Returns a split named "sessions", with the shares in the name if they are not the default ones. Raises DataError if
    a share is less than one session, and for shares that are not allowed.
    Source: ours; Hidasi et al. 2016 (GRU4Rec), section 4, test on the sessions of the last day instead.

    >>> from caser.data.synthetic import chain_world
    >>> split = sessions(chain_world(num_users=10, num_items=6, length=5, seed=0).log)
    >>> len(split.fit), len(split.validation), len(split.final), len(split.test)
    (40, 4, 45, 4)
    """
    check_log(log)
    _check_fractions(test, validation)
    num_test, num_validation = int(log.num_users * test), int(log.num_users * validation)
    if num_test == 0 or num_validation == 0:
        needed = int(np.ceil(1 / min(test, validation)))
        raise DataError(f"the sessions protocol needs at least {needed} sessions; got {log.num_users}.")
    # Each user is a session. Users are numbered in order of first appearance, so their order is the order in time.
    place = log.users - 1
    from_test = log.num_users - num_test
    stage = _stages(place >= from_test - num_validation, place >= from_test)
    return Split(
        name=split_name(sessions, test=test, validation=validation),
        log=log,
        fit=Tape.from_log(log, stage == 0),
        validation=_prefix_queries(log, stage == 1),
        final=Tape.from_log(log, stage <= 1),
        test=_prefix_queries(log, stage == 2),
    )


def d2l(log: InteractionLog) -> Split:
    """Split as the guide Dive into Deep Learning does: the last interaction of each user is the test target.

    log  the log to split; all interactions of a user with fewer than 3 of them are used for training

    If several interactions of a user have the largest time, the first of them in the file is the test target. The
    others keep their order: by time, then by place in the file. The guide has no validation part. Here, the last
    remaining interaction of each user is the validation target.

    Returns a split named "d2l", with a note on how often the largest time is tied. Raises DataError if no user has at
    least 3 interactions. Source: Zhang et al., Dive into Deep Learning, "The MovieLens Dataset", mode `seq-aware`.

    >>> from caser.data.synthetic import chain_world
    >>> split = d2l(chain_world(num_users=4, num_items=6, length=5, seed=0).log)
    >>> split.notes
    ('for 0.0% of users the last timestamp is tied, so file order picks the test item',)
    """
    check_log(log)
    position, length = _positions(log)
    is_judged = length >= 3
    if not bool(is_judged.any()):
        raise DataError(f"the d2l split needs a user with at least 3 interactions; got at most {int(length.max())}.")
    # For each user, find the first interaction at the user's largest time.
    last_time = log.times[np.cumsum(np.bincount(log.users)[1:]) - 1][log.users - 1]
    is_tied = log.times == last_time
    first_tied = np.full(log.num_users + 1, len(log), dtype=np.int64)
    np.minimum.at(first_tied, log.users[is_tied], np.flatnonzero(is_tied))
    # Move this interaction to the end of the user's sequence.
    is_test = np.arange(len(log)) == first_tied[log.users]
    order = np.lexsort((position, is_test, log.users))
    share = float(np.mean(np.bincount(log.users[is_tied], minlength=log.num_users + 1)[1:] > 1))
    note = f"for {share:.1%} of users the last timestamp is tied, so file order picks the test item"
    stage = _stages(position >= length - 2, position >= length - 1)
    return _by_stage("d2l", log, stage, is_judged, order=order, notes=(note,))


def split_name(function: Callable[..., Split], **parameters: float | str) -> str:
    """Return the name of a split: the protocol's name if all parameters are defaults, else a name that holds them all.

    function    the function that made the split        parameters  the values that it was called with, by name

    >>> split_name(global_time, test=0.1, validation=0.1), split_name(global_time, test=0.25, validation=0.1)
    ('global-time', 'global-time test=0.25 validation=0.1')
    """
    name = function.__name__.replace("_", "-")
    defaults = signature(function).parameters
    if all(value == defaults[parameter].default for parameter, value in parameters.items()):
        return PROTOCOL_OF_SPLIT.get(name, name)
    texts = {key: value if isinstance(value, str) else repr(float(value)) for key, value in parameters.items()}
    return " ".join([name, *(f"{key}={text.removesuffix('.0')}" for key, text in texts.items())])


def parameters_in_name(function: Callable[..., Split], name: str) -> dict[str, Any] | None:
    """Read the parameters that `split_name` wrote into a name. Returns None if they are not those of the function.

    function    the function that made the split        name  the name of the split

    >>> parameters_in_name(global_time, "global-time test=0.25 validation=0.1")
    {'test': 0.25, 'validation': 0.1}
    """
    described = signature(function).parameters.values()
    defaults = {each.name: each.default for each in described if each.default is not each.empty}
    texts = dict(pair.partition("=")[::2] for pair in name.split(" ")[1:])
    if texts.keys() != defaults.keys():
        return None
    try:
        return {key: type(default)(texts[key]) for key, default in defaults.items()}
    except ValueError:
        return None


def check_log(log: InteractionLog) -> None:
    """Raise DataError if `log` is anything but a log."""
    must_be("log", log, InteractionLog, "an interaction log", "Read it with caser.read_log.", DataError)


def _check_fractions(test: float, validation: float) -> None:
    for name, fraction in {"test": test, "validation": validation}.items():
        must_be(name, fraction, Real, "a share between 0 and 1", "Give a number, such as 0.1.", DataError)
    if not (0 < test < 1 and 0 < validation < 1 and test + validation < 1):
        raise DataError(f"fractions must be positive with a sum below 1; got test={test}, validation={validation}.")


def _positions(log: InteractionLog) -> tuple[Int64, Int64]:
    """Return, for each interaction, its place in its user's sequence, from 0, and the sequence's length, both (N,)."""
    lengths = np.bincount(log.users, minlength=log.num_users + 1)
    starts = offsets_of(lengths)
    return np.arange(len(log)) - starts[log.users], lengths[log.users]


def _stages(is_after_fit: Mask, is_after_validation: Mask) -> NDArray[np.int64]:
    """Return the stage of each interaction, (N,): 0 fit, 1 validation, 2 test."""
    return is_after_fit.astype(np.int64) + is_after_validation


def _by_stage(
    name: str,
    log: InteractionLog,
    stage: NDArray[np.int64],
    is_judged: Mask | bool = True,
    *,
    order: Int64 | None = None,
    notes: tuple[str, ...] = (),
) -> Split:
    """Cut each user's sequence into the parts of a split. Each part that judges has one query per user.

    `stage` is the stage of each interaction; it must not decrease within a user. Where `is_judged` is False, an
    interaction is used for training only. `order` rearranges the interactions within each user; `stage` and `is_judged`
    follow the new order.
    """
    items = log.items if order is None else log.items[order]
    times = None if not log.has_times else log.times if order is None else log.times[order]
    stage = np.where(is_judged, stage, 0)
    # counts[s] is the number of interactions of each user up to stage s; begin is where each user's items begin.
    counts = [np.bincount(log.users[stage <= last], minlength=log.num_users + 1) for last in (0, 1, 2)]
    begin = offsets_of(counts[2])[:-1]

    def tape(last: int) -> Tape:
        mask = stage <= last
        return Tape(items[mask], offsets_of(counts[last]), log.num_items, log_times=times, log_mask=mask)

    def queries(judged: int) -> tuple[Queries, int]:
        """Return the queries whose targets are in one stage, and the number of users with targets but no history."""
        has_targets = counts[judged] > counts[judged - 1]
        has_history = counts[judged - 1] > 0
        owners = np.flatnonzero(has_targets & has_history)
        ends = begin[owners] + counts[judged - 1][owners]
        rows, targets = concat_slices(items, ends, begin[owners] + counts[judged][owners])
        targets, offsets = distinct_in_rows(rows, targets, len(owners))
        users = owners.astype(np.int32)
        return Queries(users, items, begin[owners], ends, targets, offsets, users), int(
            (has_targets & ~has_history).sum()
        )

    validation, _ = queries(1)
    test, num_without_history = queries(2)
    if num_without_history:
        notes = (*notes, f"{num_without_history:,} users first appear after the cut and are not judged")
    return Split(name, log, tape(0), validation, tape(1), test, notes)


def _prefix_queries(log: InteractionLog, mask: Mask) -> Queries:
    """Return one query for every interaction in `mask`, except the first of each session. The prefix is the history."""
    position, _ = _positions(log)
    target = np.flatnonzero(mask & (position > 0))
    return Queries(
        users=np.zeros(len(target), dtype=np.int32),
        items=log.items,
        starts=target - position[target],
        ends=target,
        targets=log.items[target],
        target_offsets=np.arange(len(target) + 1, dtype=np.int64),
        owners=log.users[target],
    )
