"""Protocols: everything that decides what a number means, under one name, with a fingerprint.

A protocol is a filter, a split, candidates, a rule for seen items, a rule for ties, and metrics. `apply` makes the
split, `resolve` settles what depends on the log, and `fingerprint` hashes all of it: numbers with different
fingerprints do not belong in one table. Will not train or rank.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Literal, TypeVar, TypeVarTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from caser.data.filters import LogFilters, apply_filters
from caser.data.log import InteractionLog
from caser.data.split import Mask, Queries, Split, d2l, global_time, leave_one_out, sessions, user_fraction
from caser.data.tape import Tape
from caser.data.user_sessions import user_sessions
from caser.errors import ConfigError, did_you_mean
from caser.evaluation.ranking import Ties

Part = Literal["validation", "test"]
"""Which queries judge: `validation` judges a model trained on `fit`, `test` one trained on `final`."""

Facts = Mapping[str, Any]
"""What was settled before anything was ranked: JSON values."""

MOST_NAMED = 3
"""As many differing facts as one sentence holds."""

MOST_REPEATS = 0.05
"""The `auto` rule removes seen items up to this share of repeats."""

NO_FILTERS = LogFilters()

_Hasher = Any  # hashlib has no public name for it
_About = TypeVar("_About")
_Found = TypeVar("_Found")
_More = TypeVarTuple("_More")


@dataclass(frozen=True)
class Protocol:
    """One way to judge.

    seen       remove: items of the history are no candidates; keep: they are; auto: decided by how often users repeat
    catalogue  trained: items with an interaction in the part that trained; all: every item of the log;
               as-published: raw ids from 1 to the number of users, the bug of the guide's evaluator
    anonymous  users have no vector, because those who are judged never appear in training
    filters    applied before the split, part of what the number means
    """

    name: str
    summary: str
    split: Callable[[InteractionLog], Split]
    metrics: tuple[str, ...]
    validation_metric: str
    seen: Literal["remove", "keep", "auto"] = "auto"
    catalogue: Literal["trained", "all", "as-published"] = "trained"
    ties: Ties = "against"
    anonymous: bool = False
    filters: LogFilters = NO_FILTERS


@dataclass(frozen=True, eq=False)
class RankingRules:
    """What a protocol means for one log: `candidates` (I,), and sentences that a report must print."""

    candidates: Mask
    remove_seen: bool
    ties: Ties
    notes: tuple[str, ...]


def _once(function: Callable[[_About, *_More], _Found]) -> Callable[[_About, *_More], _Found]:
    """Remember what was found of an object that never changes, for as long as the object lives."""
    known: WeakKeyDictionary[_About, dict[tuple[*_More], _Found]] = WeakKeyDictionary()

    @wraps(function)
    def remembered(about: _About, *more: *_More) -> _Found:
        found = known.setdefault(about, {})
        if more not in found:
            found[more] = function(about, *more)
        return found[more]

    return remembered


_D2L = Protocol(
    name="d2l",
    summary="Dive into Deep Learning: the last interaction of each user tests, all items are candidates",
    split=d2l,
    metrics=("hit@50", "auc", "hit@10", "ndcg@10"),
    validation_metric="hit@50",
    seen="remove",
    catalogue="all",
)

DEFAULT_PROTOCOL = "leave-one-out"
"""The protocol that judges unless another is named."""

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        _D2L,
        replace(
            _D2L,
            name="d2l-as-published",
            summary="d2l with the bug of its evaluator: only raw ids up to the number of users are candidates",
            catalogue="as-published",
        ),
        Protocol(
            name="caser-paper",
            summary="the Caser paper: per user 70 % trains, 10 % chooses, 20 % tests; one ranking per user",
            split=user_fraction,
            metrics=(
                "map", "precision@1", "precision@5", "precision@10", "recall@1", "recall@5", "recall@10", "ndcg@10",
            ),
            validation_metric="map",
            seen="remove",
            filters=LogFilters(min_item_count=5),
        ),
        Protocol(
            name="leave-one-out",
            summary="the last interaction of each user tests, the one before chooses",
            split=leave_one_out,
            metrics=("hit@10", "ndcg@10", "mrr@10", "hit@50"),
            validation_metric="ndcg@10",
        ),
        Protocol(
            name="sessions",
            summary="whole sessions test: every next item, given the session so far",
            split=sessions,
            metrics=("hit@20", "mrr@20", "ndcg@10"),
            validation_metric="ndcg@10",
            seen="keep",
            anonymous=True,
        ),
        Protocol(
            name="user-sessions",
            summary="the last session of each returning user tests: every next item, given what came before",
            split=user_sessions,
            metrics=("hit@20", "mrr@20", "ndcg@10"),
            validation_metric="ndcg@10",
        ),
        Protocol(
            name="global-time",
            summary="one moment cuts the log for all users; what lies after it tests",
            split=global_time,
            metrics=("hit@10", "ndcg@10", "recall@10", "map"),
            validation_metric="ndcg@10",
        ),
    )
}  # fmt: skip


def protocol_named(name: str | Protocol) -> Protocol:
    """Return the protocol of a name, or the protocol itself. Raises ConfigError for an unknown name.

    >>> protocol_named("leave-one-out").validation_metric
    'ndcg@10'
    """
    if isinstance(name, Protocol):
        return name
    if name not in PROTOCOLS:
        raise ConfigError(f"a protocol must be a known name; got {name!r}: {did_you_mean(name, PROTOCOLS)}")
    return PROTOCOLS[name]


def apply(name: str | Protocol, log: InteractionLog) -> Split:
    """Filter the log as the protocol asks, and split it; the split carries the protocol's name.

    >>> from caser.data.synthetic import chain_world
    >>> apply("leave-one-out", chain_world(num_users=4, num_items=6, length=5, seed=0).log).name
    'leave-one-out'
    """
    chosen = protocol_named(name)
    return replace(chosen.split(apply_filters(log, chosen.filters)), name=chosen.name)


def parts(split: Split, part: Part) -> tuple[Tape, Queries]:
    """The tape that trains and the queries that judge."""
    return (split.final, split.test) if part == "test" else (split.fit, split.validation)


def resolve(name: str | Protocol, split: Split, part: Part = "test") -> RankingRules:
    """Settle the rules that depend on the log. Raises ConfigError if `as-published` meets ids that are not numbers."""
    chosen = protocol_named(name)
    remove_seen, sentence = _seen_rule(chosen, split)
    candidates = _candidates(chosen, split, part)
    notes = [sentence, *_unfindable(parts(split, part)[1], candidates), *_later_events(split, part)]
    return RankingRules(candidates, remove_seen, chosen.ties, (*split.notes, *notes))


def fingerprint(split: Split, rules: RankingRules, part: Part = "test") -> str:
    """16 hex digits over histories, targets, candidates, rules and filters; renaming ids changes nothing."""
    hasher = _hashed(parts(split, part)[1]).copy()
    _hash(hasher, rules.candidates.astype(np.int32))
    hasher.update(json.dumps(_settled(split, rules, part), sort_keys=True).encode())
    return str(hasher.hexdigest())[:16]


@_once
def _hashed(queries: Queries) -> _Hasher:
    """A hasher that has read the histories and targets."""
    hasher = hashlib.sha256()
    who, where = (queries.users, queries.owners), (queries.items, queries.starts, queries.ends)
    for array in (*who, *where, queries.targets, queries.target_offsets):
        _hash(hasher, array)
    return hasher


def _hash(hasher: _Hasher, array: NDArray[Any]) -> None:
    hasher.update(f"{array.shape}".encode())
    hasher.update(np.ascontiguousarray(array).tobytes())


def describe(split: Split, rules: RankingRules, part: Part = "test") -> Facts:
    """The settled facts behind a fingerprint, and the fingerprint: what must be equal where numbers are compared.

    >>> from caser.data.synthetic import chain_world
    >>> split = apply("leave-one-out", chain_world(num_users=4, num_items=6, length=5, seed=0).log)
    >>> facts = describe(split, resolve("leave-one-out", split))
    >>> facts["protocol"], facts["part"], facts["num_queries"]
    ('leave-one-out', 'test', 4)
    """
    queries = parts(split, part)[1]
    return {
        **_settled(split, rules, part),
        "seen": "remove" if rules.remove_seen else "keep",
        "num_users": len(np.unique(queries.owners)),
        "num_queries": len(queries),
        "num_targets": len(queries.targets),
        "num_candidates": int(rules.candidates.sum()),
        "fingerprint": fingerprint(split, rules, part),
    }


def refuse_mixed(described: Mapping[str, Facts]) -> None:
    """Raise ConfigError, naming the first facts that differ, unless all have one fingerprint.

    >>> refuse_mixed({"caser": {"part": "test", "fingerprint": "ab"}, "gru": {"part": "test", "fingerprint": "ab"}})
    """
    (first, facts), *others = described.items()
    for name, other in others:
        if other.get("fingerprint") == facts.get("fingerprint") is not None:
            continue
        keys = [key for key in {**facts, **other} if key != "fingerprint" and facts.get(key) != other.get(key)]
        differ = ", ".join(f"{key} {facts.get(key)} and {other.get(key)}" for key in keys[:MOST_NAMED])
        raise ConfigError(
            f"numbers of one table must have one fingerprint; {first} has {facts.get('fingerprint')} and {name} has "
            f"{other.get('fingerprint')}, which differ in {differ or 'the histories or the targets themselves'}. "
            "Judge both under one protocol, on one log."
        )


@_once
def repeat_share(tape: Tape) -> float:
    """Share of positions, each user's first left out, whose item the user had before.

    >>> repeat_share(Tape.from_sequences([[1, 2, 1], [3, 4, 4]], num_items=4))
    0.5
    """
    pairs = np.sort(tape.users.astype(np.int64) * (tape.num_items + 1) + tape.items)  # far faster than np.unique
    targets = len(tape) - int((tape.lengths > 0).sum())
    return int(np.count_nonzero(pairs[1:] == pairs[:-1])) / max(targets, 1)


def _settled(split: Split, rules: RankingRules, part: Part) -> Facts:
    """What was decided, apart from who is asked and for what."""
    filters = sorted({step["filter"] for step in split.log.provenance.get("filters", [])})
    return {"protocol": split.name, "part": part, "seen": rules.remove_seen, "ties": rules.ties, "filters": filters}


@_once
def later_share(split: Split, part: Part) -> float | None:
    """Share of training interactions later than the target they help to predict, over all pairs; None without times."""
    queries, log = parts(split, part)[1], split.log
    if not log.has_times or len(queries) == 0:
        return None
    tape = parts(split, part)[0].whole(log.num_users)
    position = np.arange(len(log)) - Tape.from_log(log).offsets[log.users]
    trained = np.sort(log.times[position < tape.lengths[log.users]])
    first_target = log.times[queries.ends]
    return 1 - float(np.searchsorted(trained, first_target, "right").mean()) / len(trained)


def _seen_rule(chosen: Protocol, split: Split) -> tuple[bool, str]:
    """Whether seen items leave the candidates, and the sentence that says so. Decided on `fit`, once for both parts."""
    share = repeat_share(split.fit.whole(split.log.num_users))
    remove = share <= MOST_REPEATS if chosen.seen == "auto" else chosen.seen == "remove"
    what = "seen items are removed from the candidates" if remove else "seen items stay candidates"
    why = "rule auto" if chosen.seen == "auto" else f"rule {chosen.seen}"
    return remove, f"{what} ({why}; {share:.1%} of training targets repeat an item)"


def _candidates(chosen: Protocol, split: Split, part: Part) -> Mask:
    items = np.arange(split.log.num_items + 1)
    if chosen.catalogue == "trained":
        return parts(split, part)[0].item_counts > 0
    if chosen.catalogue == "as-published":
        ids = split.log.item_vocabulary.ids
        if not ids.dtype.is_integer():
            raise ConfigError(
                f"{chosen.name} needs item ids that are whole numbers; got {ids.dtype}. Use the protocol d2l."
            )
        return np.concatenate([[False], ids.to_numpy() <= split.log.num_users])
    return items > 0


def _unfindable(queries: Queries, candidates: Mask) -> list[str]:
    """A sentence on targets that no model can find, if there are any."""
    lost = int((~candidates[queries.targets]).sum())
    total = len(queries.targets)
    return [f"{lost:,} of {total:,} targets are not candidates: no model can find them"] if lost else []


def _later_events(split: Split, part: Part) -> list[str]:
    """A sentence on the leak that every split has but global-time."""
    later = later_share(split, part)
    return (
        [] if later is None else [f"{later:.1%} of training interactions are later than the one they help to predict"]
    )
