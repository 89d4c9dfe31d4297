"""Protocols: a protocol is a named set of rules by which models are judged.

Only numbers that follow the same rules on the same data can be compared. A protocol consists of filters, a split, a
catalogue of candidates, a rule for seen items, a rule for ties, and metrics. `apply` filters and splits a log as the
protocol says. `resolve` decides the rules that depend on the log, such as the rule `auto` for seen items.
`fingerprint.py` hashes the decided rules. This module does not train or rank.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields, replace
from functools import partial

import numpy as np

from caser.arrays.types import Mask
from caser.data.cold_items import cold_items
from caser.data.filters import LogFilters, apply_filters
from caser.data.log import InteractionLog
from caser.data.new_users import new_users
from caser.data.queries import Queries
from caser.data.random_split import random_split
from caser.data.shard_parts import whole_log
from caser.data.shards import ShardedLog
from caser.data.split import (
    PROTOCOL_OF_SPLIT,
    Split,
    check_log,
    d2l,
    global_time,
    leave_one_out,
    parameters_in_name,
    sessions,
    user_fraction,
)
from caser.data.tape import Tape
from caser.data.unjudged import unjudged
from caser.data.user_sessions import user_sessions
from caser.errors import ConfigError, DataError, did_you_mean
from caser.evaluation.protocol import NO_FILTERS, Part, Protocol, RankingRules
from caser.evaluation.split_facts import repeat_share
from caser.evaluation.split_notes import note_on_targets, notes_on_part
from caser.system.kinds import must_be

DEFAULT_PROTOCOL = "leave-one-out"
"""The protocol of a command or a study if the user names none."""

MOST_REPEATS = 0.05
"""The rule `auto` removes seen items if at most this share of training targets are items that the user had before."""


_D2L = Protocol(
    name="d2l",
    summary="Dive into Deep Learning: the last interaction of each user tests, all items are candidates",
    split=d2l,
    metrics=("hit@50", "auc", "hit@10", "ndcg@10"),
    validation_metric="hit@50",
    seen="remove",
    catalogue="all",
)

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
            summary="the Caser paper: per user 70 % trains, 10 % validates, 20 % tests; one ranking per user",
            split=user_fraction,
            metrics=(
                "map", "precision@1", "precision@5", "precision@10", "recall@1", "recall@5", "recall@10", "ndcg@10",
            ),
            validation_metric="map",
            seen="remove",
            filters=LogFilters(min_item_count=5),
        ),
        Protocol(
            name=DEFAULT_PROTOCOL,
            summary="the last interaction of each user tests, the one before validates",
            split=leave_one_out,
            metrics=("hit@10", "ndcg@10", "mrr@10", "hit@50"),
            validation_metric="ndcg@10",
        ),
        Protocol(
            name="new-users",
            summary="users that training never saw test: their last interaction, given those before",
            split=new_users,
            metrics=("hit@10", "ndcg@10", "mrr@10", "hit@50"),
            validation_metric="ndcg@10",
            anonymous=True,
        ),
        Protocol(
            name="sessions",
            summary="whole sessions test: every next item, given the session so far",
            split=sessions,
            metrics=("hit@20", "mrr@20", "ndcg@10"),
            validation_metric="ndcg@10",
            seen="keep",
            anonymous=True,
            owner="session",
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
            summary="one moment cuts the log for all users; interactions after it test",
            split=global_time,
            metrics=("hit@10", "ndcg@10", "recall@10", "map"),
            validation_metric="ndcg@10",
        ),
        Protocol(
            name="random",
            summary="interactions drawn at random test, so histories read the future: to compare with the guide",
            split=random_split,
            metrics=("hit@10", "ndcg@10", "recall@10", "map"),
            validation_metric="ndcg@10",
            reads_future=True,
        ),
        Protocol(
            name="cold-items",
            summary="items that training never saw test: each interaction with one, given what came before",
            split=cold_items,
            metrics=("hit@10", "ndcg@10", "mrr@10", "hit@50"),
            validation_metric="ndcg@10",
            catalogue="all",
            anonymous=True,
        ),
    )
}  # fmt: skip
"""The protocols by name."""


def protocol_named(name: str | Protocol) -> Protocol:
    """Return the protocol of a name.

    name  a key of PROTOCOLS, or the name of a split that holds its parameters; a Protocol is returned unchanged

    Raises ConfigError for an unknown name.

    >>> protocol_named("leave-one-out").validation_metric
    'ndcg@10'
    """
    if isinstance(name, Protocol):
        return name
    must_be("protocol", name, str, "the name of a protocol, or a Protocol", f"Known: {', '.join(PROTOCOLS)}.")
    if name not in PROTOCOLS:
        if (with_parameters := _with_parameters(name)) is not None:
            return with_parameters
        raise ConfigError(f"a protocol must be a known name; got {name!r}: {did_you_mean(name, PROTOCOLS)}")
    return PROTOCOLS[name]


def _with_parameters(name: str) -> Protocol | None:
    """Return the protocol, without filters, for the name of a split with parameters; None for any other name."""
    function = name.partition(" ")[0]
    base = PROTOCOLS.get(PROTOCOL_OF_SPLIT.get(function, function))
    if base is None or not (parameters := parameters_in_name(base.split, name)):
        return None
    summary = f"the split {name}; metrics and rules of {base.name}"
    return replace(base, name=name, summary=summary, split=partial(base.split, **parameters), filters=NO_FILTERS)


def apply(name: str | Protocol, log: InteractionLog | ShardedLog, *, judged: bool = True) -> Split:
    """Filter a log as a protocol says, and split it.

    name    a protocol, or its name
    log     the whole log, in memory or in shards; a protocol that filters puts the shards together
    judged  False for a model that is trained on everything: then a log that is too short to be judged is no error, and
            the last interaction of each user chooses (see `data/unjudged.py`)

    Returns a split that carries the protocol's name. Raises ConfigError for an unknown name, and for a protocol that
    differs from the one in PROTOCOLS with its name; DataError for a log that is too short to split, or for what is no
    log.

    >>> from caser.data.synthetic import chain_world
    >>> apply("leave-one-out", chain_world(num_users=4, num_items=6, length=5, seed=0).log).name
    'leave-one-out'
    """
    protocol = protocol_named(name)
    _refuse_borrowed_name(protocol)
    check_log(log)
    _refuse_removed_targets(protocol, log)
    try:
        return _applied(protocol, log)
    except DataError as error:
        if not judged:
            return unjudged(
                apply_filters(whole_log(log), protocol.filters), protocol.name, anonymous=protocol.anonymous
            )
        raise DataError(f"{error} {_ways_on(log, protocol)}") from None


def _applied(protocol: Protocol, log: InteractionLog | ShardedLog) -> Split:
    filtered = log if protocol.filters == NO_FILTERS else apply_filters(whole_log(log), protocol.filters)
    return replace(protocol.split(filtered), name=protocol.name)


def _refuse_removed_targets(protocol: Protocol, log: InteractionLog | ShardedLog) -> None:
    """Raise ConfigError if the log has interactions that are history only, and the protocol always removes seen items.

    Such a protocol would remove what a user looked at before taking it, which is often the target.
    """
    kinds = (log.log if isinstance(log, ShardedLog) else log).kinds
    if kinds is not None and protocol.seen == "remove":
        fitting = ", ".join(name for name, each in PROTOCOLS.items() if each.seen != "remove")
        raise ConfigError(
            f"a protocol for target_events (--target-events) must decide by the log whether seen items are removed; "
            f"got {protocol.name}, which always removes them, also those that a user only looked at. Use one of "
            f"{fitting}."
        )


def _ways_on(log: InteractionLog | ShardedLog, failed: Protocol) -> str:
    """A sentence that names the protocols that can judge on a log, because another one cannot split it."""
    names = []
    for name, protocol in PROTOCOLS.items():
        if name != failed.name and protocol.catalogue != "as-published" and not protocol.reads_future:
            with suppress(DataError):
                split = _applied(protocol, log)
                names += [name] if len(split.validation) and len(split.test) else []
    if not names:
        return (
            "No other protocol can judge on this log either: it needs more interactions, three or more of a user. A "
            "model that will not be judged can be trained on it: caser train LOG --all, or split(..., judged=False)."
        )
    return f"This log can be split with the protocol {' or '.join(names)} (--protocol {names[0]})."


def _refuse_borrowed_name(protocol: Protocol) -> None:
    """Raise ConfigError for a protocol that differs from the one in PROTOCOLS with its name.

    A split keeps only the name, so the model would be judged by the rules in the table.
    """
    row = PROTOCOLS.get(protocol.name, protocol)
    if changed := [field.name for field in fields(row) if getattr(row, field.name) != getattr(protocol, field.name)]:
        raise ConfigError(
            f"a protocol that differs from {row.name} must have another name; got other {', '.join(changed)} under the "
            "same name. Give it a name and add it to caser.evaluation.protocols.PROTOCOLS; for further metrics alone, "
            "call caser.evaluate(..., metrics=[...])."
        )


def parts(split: Split, part: Part) -> tuple[Tape, Queries]:
    """Return the tape that trains and the queries that judge.

    split  a split log
    part   which of its queries judge
    """
    return (split.final, split.test) if part == "test" else (split.fit, split.validation)


def resolve(name: str | Protocol, split: Split, part: Part = "test") -> RankingRules:
    """Decide the rules of a protocol that depend on the log.

    name   a protocol, or its name
    split  the log, split as the protocol says
    part   which of its queries judge

    Raises ConfigError for an unknown name, and for the catalogue `as-published` if the raw ids are not whole numbers.
    """
    protocol = protocol_named(name)
    tape, queries = parts(split, part)
    remove_seen, seen_note = _seen_rule(protocol, split)
    candidates = _candidates(protocol, split, part)
    notes = (*note_on_targets(split.log), seen_note, *notes_on_part(split, tape, queries, candidates))
    return RankingRules(candidates, remove_seen, protocol.ties, (*split.notes, *notes))


def _seen_rule(protocol: Protocol, split: Split) -> tuple[bool, str]:
    """Decide whether seen items are removed from the candidates. Returns the decision, and a note about it.

    The rule `auto` looks at `fit` only. So the decision is the same for both parts, and independent of the test part.
    """
    share = repeat_share(split.fit.whole(split.log.num_users))
    remove = share <= MOST_REPEATS if protocol.seen == "auto" else protocol.seen == "remove"
    decision = "items that a user had are not ranked" if remove else "items that a user had are ranked too"
    return remove, f"{decision} (rule {protocol.seen}; {share:.1%} of training targets repeat an item)"


def _candidates(protocol: Protocol, split: Split, part: Part) -> Mask:
    """Return the candidates that the catalogue of a protocol allows, (I,)."""
    if protocol.catalogue == "trained":
        return parts(split, part)[0].item_counts > 0
    if protocol.catalogue == "all":
        return np.arange(split.log.num_items + 1) > 0
    raw_ids = split.log.item_vocabulary.ids
    if not raw_ids.dtype.is_integer():
        raise ConfigError(
            f"{protocol.name} needs item ids that are whole numbers; got {raw_ids.dtype}. Use the protocol d2l."
        )
    return np.concatenate([[False], raw_ids.to_numpy() <= split.log.num_users])
