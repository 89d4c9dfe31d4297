"""Protocols: names, the seen rule, the catalogue, what notes say, and what a fingerprint depends on."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from caser.data.log import InteractionLog
from caser.data.synthetic import chain_world
from caser.data.tape import Tape
from caser.errors import ConfigError
from caser.evaluation.metrics import parse_metric
from caser.evaluation.protocols import (
    PROTOCOLS,
    Part,
    Protocol,
    _once,
    apply,
    fingerprint,
    protocol_named,
    repeat_share,
    resolve,
)
from tests.data.logs import with_pauses


def log_of(sequences: dict[int, list[int]], shift: int = 0) -> InteractionLog:
    """Users one after another, one interaction a second; item ids start at `shift`."""
    users = [user for user, items in sequences.items() for _ in items]
    items = [item + shift for own in sequences.values() for item in own]
    return InteractionLog.from_columns(pl.Series(users), pl.Series(items), np.arange(len(users)) * 1_000_000)


LOG = chain_world(num_users=40, num_items=12, length=20, seed=0).log


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_splits_a_log_and_measures_by_metrics_that_exist(name: str) -> None:
    chosen = protocol_named(name)
    split = apply(name, with_pauses(LOG))
    assert split.name == chosen.name == name
    assert len(split.test) > 0
    assert all(parse_metric(metric).name == metric for metric in chosen.metrics)
    assert chosen.validation_metric in chosen.metrics


def test_a_misspelt_protocol_gets_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"did you mean leave-one-out\?"):
        apply("leave-one-oui", LOG)


def test_the_filter_of_a_protocol_is_applied_before_the_split() -> None:
    log = log_of({1: [1, 2, 1, 1, 1, 1, 1, 1, 1, 1]})
    split = apply("caser-paper", log)
    assert split.log.num_items == 1
    assert split.log.provenance["filters"] == [{"filter": "min_item_count=5", "dropped": 1}]


@pytest.mark.parametrize(("sequence", "removed"), [([1, 2, 3, 4, 5, 6], True), ([1, 2, 1, 2, 1, 2], False)])
def test_auto_keeps_seen_items_where_users_repeat(sequence: list[int], removed: bool) -> None:
    rules = resolve("leave-one-out", apply("leave-one-out", log_of({1: sequence, 2: sequence})))
    assert rules.remove_seen is removed
    assert ("seen items are removed" if removed else "seen items stay candidates") in rules.notes[0]


def test_auto_decides_on_the_part_that_chooses_so_the_test_part_cannot_turn_it() -> None:
    split = apply("leave-one-out", log_of({1: [1, 2, 3, 4, 1, 1], 2: [1, 2, 3, 4, 1, 1]}))
    assert repeat_share(split.fit) == 0
    assert resolve("leave-one-out", split).remove_seen


def test_a_trained_catalogue_follows_the_part_that_trained() -> None:
    split = apply("leave-one-out", log_of({1: [1, 2, 3, 4], 2: [2, 1, 5]}))
    raw = split.log.item_vocabulary.ids.to_list()

    def catalogue(part: Part) -> set[int]:
        return {raw[index - 1] for index in np.flatnonzero(resolve("leave-one-out", split, part).candidates)}

    assert catalogue("validation") == {1, 2}
    assert catalogue("test") == {1, 2, 3}


def test_targets_that_cannot_be_found_are_counted_in_a_sentence() -> None:
    split = apply("leave-one-out", log_of({1: [1, 2, 3, 4], 2: [2, 1, 3]}))
    assert any("1 of 2 targets are not candidates" in note for note in resolve("leave-one-out", split).notes)


def test_the_published_catalogue_ends_at_the_number_of_users() -> None:
    log = log_of({user: [user, 2, 3, 7] for user in range(1, 4)})
    rules = resolve("d2l-as-published", apply("d2l-as-published", log))
    raw = np.array([0, *log.item_vocabulary.ids.to_list()])
    assert set(raw[rules.candidates].tolist()) == {1, 2, 3}
    assert not rules.candidates[0]


def test_the_published_catalogue_needs_ids_that_are_numbers() -> None:
    log = InteractionLog.from_columns(pl.Series(["u"] * 4), pl.Series(["a", "b", "c", "d"]), None)
    with pytest.raises(ConfigError, match="whole numbers"):
        resolve("d2l-as-published", apply("d2l-as-published", log))


def test_the_share_of_later_training_interactions_is_said() -> None:
    # All of user 2 comes after user 1: half of what trains is later than user 1's target, nothing than user 2's.
    split = apply("leave-one-out", log_of({1: [1, 2, 3], 2: [1, 2, 3]}))
    assert (
        "25.0% of training interactions are later than the one they help to predict" in resolve(split.name, split).notes
    )


def test_no_model_sees_the_future_under_a_global_cut() -> None:
    split = apply("global-time", LOG)
    assert any(note.startswith("0.0% of training interactions are later") for note in resolve(split.name, split).notes)


def print_of(log: InteractionLog, chosen: str | Protocol = "leave-one-out", part: Part = "test") -> str:
    split = apply(chosen, log)
    return fingerprint(split, resolve(chosen, split, part), part)


SEQUENCES = {1: [1, 2, 3, 4], 2: [2, 4, 1, 3]}


def test_a_fingerprint_does_not_depend_on_what_ids_are_called() -> None:
    assert print_of(log_of(SEQUENCES)) == print_of(log_of(SEQUENCES, shift=500))


def test_a_fingerprint_tells_targets_parts_protocols_and_rules_apart() -> None:
    log = log_of(SEQUENCES)
    keep = replace(protocol_named("leave-one-out"), seen="keep")
    by_index = replace(protocol_named("leave-one-out"), ties="index")
    whole = replace(protocol_named("leave-one-out"), catalogue="all")
    prints = [
        print_of(log),
        print_of(log, part="validation"),
        print_of(log, keep),
        print_of(log, by_index),
        print_of(log_of({1: [1, 2, 3, 4], 2: [2, 4, 3, 1]})),
        print_of(log_of({1: [1, 2, 3, 4], 2: [4, 2, 1, 3]})),
        print_of(log, "d2l"),
    ]
    assert len(set(prints)) == len(prints)
    assert print_of(log, whole) == print_of(log)  # every item is trained here: the same candidates


def test_a_filter_that_drops_nothing_still_marks_the_fingerprint() -> None:
    log = log_of(SEQUENCES)
    assert print_of(log) != print_of(log.keep(np.ones(len(log), dtype=bool), "k_core=2"))


def test_what_was_found_of_a_tape_is_remembered_as_long_as_it_lives() -> None:
    calls = []

    @_once
    def length(tape: Tape, unit: int) -> int:
        calls.append((tape.items.tolist(), unit))
        return len(tape) * unit

    tape, other = (Tape.from_sequences([items], num_items=4) for items in ([1, 2, 1], [3, 4, 4]))
    assert [length(tape, 1), length(tape, 1), length(tape, 2), length(other, 1)] == [3, 3, 6, 3]
    assert calls == [([1, 2, 1], 1), ([1, 2, 1], 2), ([3, 4, 4], 1)]
    calls.clear()
    dead = weakref.ref(tape)
    del tape
    gc.collect()
    assert dead() is None


def test_a_fingerprint_taken_twice_is_the_same_and_follows_the_queries() -> None:
    split = apply("leave-one-out", LOG)
    rules = resolve("leave-one-out", split)
    queries = split.test
    other = replace(split, test=replace(queries, targets=queries.targets[::-1].copy()))
    found = [fingerprint(one, rules) for one in (split, split, other)]
    assert found[0] == found[1] != found[2]
