"""Splits: which interactions train a model, which choose its settings, and which judge it.

Every split has four parts. `fit` trains models while their settings are chosen on `validation`. `final`, which is `fit`
and `validation` together, trains the model that is kept, and `test` judges it once. A part that trains is a Tape; a
part that judges is Queries. The parts are disjoint, and the interactions of each user stay in time order.

Each of the split functions takes a log, in memory or in shards, and returns a Split. A log in shards is cut shard by
shard (`shard_parts.py`), into the same parts as in one piece. The split for users with several sessions is in
`user_sessions.py`, those for users and items that training never saw in `new_users.py` and `cold_items.py`, a random
one in `random_split.py`; `time_windows.py` moves the global cut back in time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from inspect import signature
from numbers import Real
from typing import Any

import numpy as np

from caser.data.cuts import (
    Parts,
    by_stage,
    check_fractions,
    numbers_of,
    positions,
    prefix_queries,
    stages,
    target_places,
)
from caser.data.log import InteractionLog
from caser.data.queries import Queries
from caser.data.shard_parts import cut_shards, everything_of
from caser.data.shards import ShardedLog
from caser.data.tape import Tape
from caser.data.time_cuts import values_at
from caser.errors import DataError
from caser.system.kinds import must_be
from caser.system.notebook import table_html

_LATER = {"end"}
"""Parameters that are younger than saved names of splits: a name has them only if they are not the default ones."""

PROTOCOL_OF_SPLIT: Mapping[str, str] = {"user-fraction": "caser-paper", "random-split": "random"}
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
    shards  how the log is cut into shards; None if it is in one piece
    """

    name: str
    log: InteractionLog
    fit: Tape
    validation: Queries
    final: Tape
    test: Queries
    notes: tuple[str, ...] = ()
    shards: ShardedLog | None = None

    def __repr__(self) -> str:
        return f"Split({self.name}, {self.log!r}, validation={self.validation!r}, test={self.test!r})"

    def _repr_html_(self) -> str:
        """Show the split in a notebook: what trains, what judges, and the notes of a report."""
        rows = [(name, f"{len(tape):,} interactions") for name, tape in (("fit", self.fit), ("final", self.final))]
        for name, queries in (("validation", self.validation), ("test", self.test)):
            rows.append((name, f"{len(queries):,} queries with {len(queries.targets):,} targets"))
        return table_html(f"Split {self.name} of {self.log!r}", ["part", "holds"], rows, self.notes)

    @property
    def everything(self) -> Tape:
        """The whole log as one tape, for a model that will not be judged."""
        return Tape.from_log(self.log) if self.shards is None else everything_of(self.shards)


def leave_one_out(log: InteractionLog | ShardedLog) -> Split:
    """Split off the last target of each user to test, and the target before it to validate.

    log  the log to split; all interactions of a user with fewer than 3 of them are used for training. Unless only some
         interactions are targets (`Reading.target_events`), these are the last interaction and the one before it

    Returns a split named "leave-one-out". Raises DataError if no user has at least 3 interactions. Source: common in
    this field, for example Kang & McAuley 2018 (SASRec), section IV.

    >>> from caser.data.synthetic import chain_world
    >>> split = leave_one_out(chain_world(num_users=4, num_items=6, length=5, seed=0).log)
    >>> len(split.fit), len(split.validation), len(split.final), len(split.test)
    (12, 4, 16, 4)
    """

    def cut(shard: InteractionLog, _: int) -> Parts:
        position, length = positions(shard)
        place, number = target_places(shard)
        # Everything from the last target on tests, and everything from the target before it on validates.
        stage = stages(place >= np.maximum(number - 1, 1), place >= np.maximum(number, 1))
        has_history = (place < np.maximum(number, 1))[np.arange(len(shard)) - position]
        return by_stage(shard, stage, (length >= 3) & has_history)

    shards = in_shards(log)
    parts = cut_shards(shards, cut)
    if not len(parts.test):
        most = int(parts.fit.lengths.max())
        ends = "" if shards.log.kinds is None else ", with a target after the first of them"
        raise DataError(f"leave-one-out needs a user with at least 3 interactions{ends}; got at most {most}.")
    return _split("leave-one-out", shards, parts)


def user_fraction(log: InteractionLog | ShardedLog, test: float = 0.2, validation: float = 0.1) -> Split:
    """Split each user's interactions, in time order, by shares. By default 70 % train, 10 % validate and 20 % test.

    log         the log to split
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
    shards = in_shards(log)
    check_fractions(test, validation)
    thousandths = np.round(np.array([test, test + validation]) * 1000).astype(np.int64)

    def cut(shard: InteractionLog, _: int) -> Parts:
        position, length = positions(shard)
        from_test = length - length * thousandths[0] // 1000
        from_validation = length - length * thousandths[1] // 1000
        return by_stage(shard, stages(position >= from_validation, position >= from_test))

    parts = cut_shards(shards, cut)
    if not len(parts.test):
        raise DataError(
            f"user-fraction needs a user with at least {int(np.ceil(1 / test))} interactions; got at most "
            f"{int(parts.final.lengths.max())}."
        )
    return _split(split_name(user_fraction, test=test, validation=validation), shards, parts)


def global_time(
    log: InteractionLog | ShardedLog, test: float = 0.1, validation: float = 0.1, end: float = 1.0
) -> Split:
    """Cut the log at the same two moments for all users. No training interaction is later than a target.

    log         a log with times
    test        share of all interactions that are at or after the second cut, where the test part begins
    validation  share of all interactions between the two cuts; the validation part begins at the first cut
    end         the share of all interactions after which the test part ends; what is later is left out. With less than
                1 the cut is as it would have been earlier (see `time_windows.py`)

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
    shards = in_shards(log)
    if not shards.has_times:
        raise DataError(
            "global-time needs timestamps; this log has none. Name the time column (Reading(time=...), or --time)."
        )
    check_fractions(test, validation)
    must_be("end", end, Real, "a share from 0 to 1", "Give a number, such as 0.9.", DataError)
    if not test + validation < end <= 1:
        raise DataError(f"end must be a share above test + validation, and at most 1; got {end}.")
    num = shards.num_interactions
    begins = [int(num * (end - test - validation)), int(num * (end - test))]
    validation_begins, test_begins = values_at(begins, shards)
    # The last moment is one after all times, or the next cut: of a split with a later end, where its test part begins.
    test_ends = np.iinfo(np.int64).max if end == 1 else values_at([int(round(num * end, 6))], shards)[0]

    def cut(shard: InteractionLog, _: int) -> Parts:
        stage = stages(shard.times >= validation_begins, shard.times >= test_begins)
        return by_stage(shard, stage + (shard.times >= test_ends))

    parts = cut_shards(shards, cut)
    if not (0 < len(parts.fit) < len(parts.final) < num and test_begins < test_ends):
        raise DataError(
            f"global-time needs interactions before, between and after its two cuts; got {num:,} "
            f"interactions at {len(np.unique(shards.log.times)):,} different times."
        )
    without = parts.counted
    notes = (f"{without:,} users first appear after the cut and are not judged",) if without else ()
    return _split(split_name(global_time, test=test, validation=validation, end=end), shards, parts, notes)


def sessions(log: InteractionLog | ShardedLog, test: float = 0.1, validation: float = 0.1) -> Split:
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
    shards = in_shards(log)
    num_users = shards.num_users
    num_test, num_validation = numbers_of(num_users, test, validation)
    if num_test == 0 or num_validation == 0:
        needed = int(np.ceil(1 / min(test, validation)))
        raise DataError(f"the sessions protocol needs at least {needed} sessions; got {num_users}.")
    from_test = num_users - num_test

    def cut(shard: InteractionLog, first: int) -> Parts:
        # Each user is a session. Users are numbered in order of first appearance, so their order is the order in time.
        place = shard.users + (first - 2)
        stage = stages(place >= from_test - num_validation, place >= from_test)
        return Parts(
            fit=Tape.from_log(shard, stage == 0),
            validation=prefix_queries(shard, stage == 1),
            final=Tape.from_log(shard, stage <= 1),
            test=prefix_queries(shard, stage == 2),
        )

    return _split(split_name(sessions, test=test, validation=validation), shards, cut_shards(shards, cut))


def d2l(log: InteractionLog | ShardedLog) -> Split:
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

    def cut(shard: InteractionLog, _: int) -> Parts:
        position, length = positions(shard)
        # For each user, find the first interaction at the user's largest time.
        last_time = shard.times[np.cumsum(np.bincount(shard.users)[1:]) - 1][shard.users - 1]
        is_tied = shard.times == last_time
        first_tied = np.full(shard.num_users + 1, len(shard), dtype=np.int64)
        np.minimum.at(first_tied, shard.users[is_tied], np.flatnonzero(is_tied))
        # Move this interaction to the end of the user's sequence.
        is_test = np.arange(len(shard)) == first_tied[shard.users]
        order = np.lexsort((position, is_test, shard.users))
        num_tied = int((np.bincount(shard.users[is_tied]) > 1).sum())
        stage = stages(position >= length - 2, position >= length - 1)
        return replace(by_stage(shard, stage, length >= 3, order=order), counted=num_tied)

    shards = in_shards(log)
    parts = cut_shards(shards, cut)
    if not len(parts.test):
        most = int(parts.fit.lengths.max())
        raise DataError(f"the d2l split needs a user with at least 3 interactions; got at most {most}.")
    share = parts.counted / shards.num_users
    note = f"for {share:.1%} of users the last timestamp is tied, so file order picks the test item"
    return _split("d2l", shards, parts, (note,))


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
    shown = {key: value for key, value in parameters.items() if not (key in _LATER and value == defaults[key].default)}
    texts = {key: value if isinstance(value, str) else repr(float(value)) for key, value in shown.items()}
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
    if not texts.keys() <= defaults.keys() or not texts.keys() >= defaults.keys() - _LATER:
        return None
    try:
        return {key: type(defaults[key])(text) for key, text in texts.items()}
    except ValueError:
        return None


def check_log(log: InteractionLog | ShardedLog) -> None:
    """Raise DataError if `log` is anything but a log, in memory or in shards."""
    kinds = InteractionLog | ShardedLog
    must_be("log", log, kinds, "an interaction log", "Read it with caser.read_log.", DataError)


def in_shards(log: InteractionLog | ShardedLog) -> ShardedLog:
    """Return a log as a log in shards; a log in memory is one shard. Raises DataError for anything but a log.

    log  the log
    """
    check_log(log)
    return log if isinstance(log, ShardedLog) else ShardedLog.of(log)


def _split(name: str, shards: ShardedLog, parts: Parts, notes: tuple[str, ...] = ()) -> Split:
    return Split(name, shards.log, parts.fit, parts.validation, parts.final, parts.test, notes, shards)
