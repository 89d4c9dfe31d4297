"""Protocols: names, the seen rule, the catalogue, and what the notes say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from caser.data.log import InteractionLog
from caser.data.synthetic import chain_world
from caser.errors import ConfigError
from caser.evaluation.metrics import parse_metric
from caser.evaluation.protocol import Part
from caser.evaluation.protocols import PROTOCOLS, apply, protocol_named, resolve
from caser.evaluation.split_facts import repeat_share
from tests.data.logs import for_every_protocol
from tests.evaluation.logs import log_of

LOG = chain_world(num_users=40, num_items=12, length=20, seed=0).log


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_splits_a_log_and_measures_by_metrics_that_exist(name: str) -> None:
    chosen = protocol_named(name)
    split = apply(name, for_every_protocol(LOG))
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
    assert ("are not ranked" if removed else "are ranked too") in rules.notes[0]


def test_auto_decides_on_the_training_part_of_validation_so_the_test_part_cannot_change_it() -> None:
    split = apply("leave-one-out", log_of({1: [1, 2, 3, 4, 1, 1], 2: [1, 2, 3, 4, 1, 1]}))
    assert repeat_share(split.fit) == 0
    assert resolve("leave-one-out", split).remove_seen


def test_a_trained_catalogue_holds_the_items_of_the_part_that_trained() -> None:
    split = apply("leave-one-out", log_of({1: [1, 2, 3, 4], 2: [2, 1, 5]}))
    raw = split.log.item_vocabulary.ids.to_list()

    def catalogue(part: Part) -> set[int]:
        return {raw[index - 1] for index in np.flatnonzero(resolve("leave-one-out", split, part).candidates)}

    assert catalogue("validation") == {1, 2}
    assert catalogue("test") == {1, 2, 3}


def test_a_note_counts_the_targets_that_no_model_can_find() -> None:
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


def test_a_note_gives_the_share_of_training_interactions_from_the_future() -> None:
    # All of user 2 comes after user 1: half of the training interactions are later than user 1's target, none later
    # than user 2's.
    split = apply("leave-one-out", log_of({1: [1, 2, 3], 2: [1, 2, 3]}))
    assert (
        "25.0% of training interactions are later than the one they help to predict" in resolve(split.name, split).notes
    )


def test_a_note_says_that_no_time_of_a_target_is_read_if_there_are_times() -> None:
    ids = pl.Series([1, 2, 3])
    without = InteractionLog.from_columns(pl.Series(["ann"] * 3), ids, None)
    noted = [
        "reads the target's time: no" in resolve("leave-one-out", apply("leave-one-out", log)).notes
        for log in (log_of({1: [1, 2, 3]}), without)
    ]
    assert noted == [True, False]


def test_no_model_sees_the_future_under_a_global_cut() -> None:
    split = apply("global-time", LOG)
    assert any(note.startswith("0.0% of training interactions are later") for note in resolve(split.name, split).notes)


def test_a_changed_protocol_needs_another_name() -> None:
    changed = replace(protocol_named("leave-one-out"), metrics=("ndcg@5",), validation_metric="ndcg@5")
    with pytest.raises(ConfigError, match=r"got other metrics, validation_metric under the same name. Give it a name"):
        apply(changed, LOG)
    assert apply(replace(changed, name="at five"), LOG).name == "at five"
    assert apply(protocol_named("leave-one-out"), LOG).name == "leave-one-out"
