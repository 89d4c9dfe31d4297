"""Fingerprints: what they depend on, and what they do not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from caser.data.log import InteractionLog
from caser.data.queries import Queries
from caser.data.split import Split
from caser.data.synthetic import chain_world
from caser.data.user_sessions import Reads, user_sessions
from caser.errors import ConfigError
from caser.evaluation.fingerprint import MOST_NAMED, describe, fingerprint, refuse_mixed
from caser.evaluation.protocol import Part, Protocol
from caser.evaluation.protocols import apply, parts, protocol_named, resolve
from caser.evaluation.split_facts import queries_hasher
from tests.data.logs import with_pauses
from tests.evaluation.logs import log_of


def fingerprint_of(log: InteractionLog, protocol: str | Protocol = "leave-one-out", part: Part = "test") -> str:
    split = apply(protocol_named(protocol).name, log)
    return fingerprint(split, resolve(protocol, split, part), part)


SEQUENCES = {1: [1, 2, 3, 4], 2: [2, 4, 1, 3]}


def test_a_fingerprint_does_not_depend_on_raw_ids() -> None:
    assert fingerprint_of(log_of(SEQUENCES)) == fingerprint_of(log_of(SEQUENCES, shift=500))


def test_targets_parts_protocols_and_rules_change_the_fingerprint() -> None:
    log = log_of(SEQUENCES)
    keep = replace(protocol_named("leave-one-out"), seen="keep")
    by_index = replace(protocol_named("leave-one-out"), ties="index")
    whole = replace(protocol_named("leave-one-out"), catalogue="all")
    fingerprints = [
        fingerprint_of(log),
        fingerprint_of(log, part="validation"),
        fingerprint_of(log, keep),
        fingerprint_of(log, by_index),
        fingerprint_of(log_of({1: [1, 2, 3, 4], 2: [2, 4, 3, 1]})),
        fingerprint_of(log_of({1: [1, 2, 3, 4], 2: [4, 2, 1, 3]})),
        fingerprint_of(log, "d2l"),
    ]
    assert len(set(fingerprints)) == len(fingerprints)
    assert fingerprint_of(log, whole) == fingerprint_of(log)  # every item is trained here: the same candidates


def test_a_filter_that_drops_nothing_still_changes_the_fingerprint() -> None:
    log = log_of(SEQUENCES)
    assert fingerprint_of(log) != fingerprint_of(log.keep(np.ones(len(log), dtype=bool), "k_core=2"))


def test_a_fingerprint_is_the_same_twice_and_changes_with_the_queries() -> None:
    split = apply("leave-one-out", chain_world(num_users=40, num_items=12, length=20, seed=0).log)
    rules = resolve("leave-one-out", split)
    queries = split.test
    other = replace(split, test=replace(queries, targets=queries.targets[::-1].copy()))
    found = [fingerprint(one, rules) for one in (split, split, other)]
    assert found[0] == found[1] != found[2]


# A split of one's own


def with_queries(split: Split, **changes: Any) -> Split:
    return replace(split, test=replace(split.test, **changes))


def of(split: Split) -> str:
    return fingerprint(split, resolve("leave-one-out", split))


@pytest.fixture
def custom() -> Split:
    """A split with a name of its own; its histories begin at the third interaction of each user."""
    split = apply("leave-one-out", chain_world(num_users=9, num_items=7, length=9, seed=0).log)
    return with_queries(replace(split, name="mine"), starts=split.test.starts + 2)


CHANGES: Mapping[str, Any] = {
    "users": lambda queries: np.zeros_like(queries.users),
    "items": lambda queries: queries.items[::-1].copy(),
    "starts": lambda queries: queries.starts + 1,
    "ends": lambda queries: queries.ends - 1,
    "targets": lambda queries: queries.targets[::-1].copy(),
    "target_offsets": lambda queries: np.minimum(queries.target_offsets, 5),
    "owners": lambda queries: np.ones_like(queries.owners),
    "seen_starts": lambda queries: queries.starts - 2,
}


def test_every_field_of_the_queries_of_a_custom_split_changes_the_fingerprint(custom: Split) -> None:
    decides_no_number = {"target_times", "kinds"}  # a note and a slice only
    assert CHANGES.keys() == Queries.__dataclass_fields__.keys() - decides_no_number
    changed = [of(with_queries(custom, **{name: change(custom.test)})) for name, change in CHANGES.items()]
    another = of(with_queries(custom, seen_starts=custom.test.starts - 1))
    assert len({of(custom), another, *changed}) == len(changed) + 2


def test_seen_items_that_are_named_and_those_that_are_not_are_the_same(custom: Split) -> None:
    assert of(with_queries(custom, seen_starts=custom.test.starts.copy())) == of(custom)


@pytest.mark.parametrize("part", ["validation", "test"])
@pytest.mark.parametrize("reads", ["all", "session"])
def test_the_fingerprint_of_sessions_is_the_one_that_was_published_unless_other_items_are_seen(
    reads: Reads, part: Part
) -> None:
    split = user_sessions(with_pauses(chain_world(num_users=9, num_items=6, length=21, seed=0).log), reads=reads)
    rules = resolve(split.name, split, part)
    # As it was hashed before the seen items were: the queries, the candidates and the settings.
    queries = parts(split, part)[1]
    hasher = queries_hasher(queries).copy()
    candidates = rules.candidates.astype(np.int32)
    hasher.update(f"{candidates.shape}".encode() + candidates.tobytes())
    settings = {"protocol": split.name, "part": part, "seen": rules.remove_seen, "ties": "against", "filters": []}
    hasher.update(json.dumps(settings, sort_keys=True).encode())
    assert fingerprint(split, rules, part) == hasher.hexdigest()[:16]
    changed = replace(queries, seen_starts=queries.ends.copy())
    other = replace(split, test=changed) if part == "test" else replace(split, validation=changed)
    assert fingerprint(other, rules, part) != fingerprint(split, rules, part)


# Tables of numbers


def test_facts_count_owners_queries_targets_and_candidates() -> None:
    split = apply("sessions", chain_world(num_users=20, num_items=6, length=5, seed=0).log)
    facts = describe(split, replace(resolve("sessions", split), candidates=np.arange(7) == 3))
    counts = {name: facts[name] for name in ("num_users", "num_queries", "num_targets", "num_candidates")}
    assert counts == {"num_users": 2, "num_queries": 8, "num_targets": 8, "num_candidates": 1}
    assert (facts["seen"], facts["ties"], facts["part"], facts["filters"]) == ("keep", "against", "test", [])


def test_numbers_of_different_fingerprints_are_refused_with_the_first_facts_that_differ() -> None:
    one = {"a": 1, "b": 1, "c": 1, "d": 1, "same": 0, "fingerprint": "x"}
    other = {"a": 2, "b": 2, "c": 2, "d": 2, "same": 0, "fingerprint": "y"}
    with pytest.raises(ConfigError, match=r"m has x and n has y, which differ in a 1 and 2, b 1 and 2, c 1 and 2\. "):
        refuse_mixed({"m": one, "k": one, "n": other})
    assert MOST_NAMED == 3
    with pytest.raises(ConfigError, match="differ in the histories or the targets themselves"):
        refuse_mixed({"m": one, "n": {**one, "fingerprint": "z"}})
    with pytest.raises(ConfigError, match="differ in extra None and 1"):
        refuse_mixed({"m": one, "n": {**one, "extra": 1, "fingerprint": "z"}})
    with pytest.raises(ConfigError, match="m has None and n has None"):
        refuse_mixed({"m": {"a": 1}, "n": {"a": 1}})  # numbers of which nobody knows how they were made
    refuse_mixed({"m": one, "n": {**one, "a": 5}})  # equal fingerprints are enough
    refuse_mixed({"m": {}})
