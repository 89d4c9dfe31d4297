"""Fingerprints: what they depend on, and what they do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from caser.data.log import InteractionLog
from caser.data.synthetic import chain_world
from caser.evaluation.fingerprint import fingerprint
from caser.evaluation.protocols import Part, Protocol, apply, protocol_named, resolve
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
