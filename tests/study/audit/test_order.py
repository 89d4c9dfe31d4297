"""Does order matter: simulated logs for which the answer is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from caser.config import Training
from caser.data.log import InteractionLog
from caser.data.split import leave_one_out
from caser.data.synthetic import World, chain_world, noise_world, skip_world, union_world
from caser.models.caser.caser import Caser
from caser.study.audit.finished_parts import FinishedParts
from caser.study.audit.order import Effects, order_effects
from caser.study.audit.order_findings import blocks_finding, order_finding
from caser.study.audit.shown import losses
from caser.study.audit.verdict import verdict
from tests.data.logs import log_of_sequences


class QuickCaser(Caser):
    """Caser with a training that learns small logs in a moment."""

    training: ClassVar[Training] = Training(
        epochs=10, patience=0, batch_size=256, learning_rate=0.01, schedule="linear", weight_decay=0.0, device="cpu"
    )


class BriefCaser(Caser):
    """Caser that stops before it has learned much."""

    training: ClassVar[Training] = Training(epochs=2, batch_size=256, device="cpu")


NETWORK = QuickCaser(L=3, reach=3, T=1, d=24, n_v=2, n_h=16, dropout=0, user_vector=False)


def drift_world(num_users: int = 200, phases: int = 4, length: int = 16) -> InteractionLog:
    """Every user goes through phases, each a group of 5 of 60 items, taken in any order: recency is all there is."""
    random = np.random.default_rng(0)
    groups = np.array([random.permutation(12)[:phases] for _ in range(num_users)])
    items = groups.repeat(length, axis=1) * 5 + random.integers(0, 5, size=(num_users, phases * length))
    return log_of_sequences({user: (row + 1).tolist() for user, row in enumerate(items)})


def effects_in(log: InteractionLog, block: int = 5, network: Any = None, kept: Path | None = None) -> Effects:
    return order_effects(leave_one_out(log), network, block, 0, FinishedParts(kept), lambda _: None)


@pytest.fixture(scope="module")
def chain() -> Effects:
    return effects_in(chain_world(num_users=150, length=20).log)


def test_in_a_chain_order_matters(chain: Effects) -> None:
    assert verdict(chain).startswith("Order matters")
    assert chain.best_model == "markov"
    assert order_finding(chain).severity == "good"
    assert blocks_finding(chain).sentence.startswith("markov loses 0.")
    assert "only 2 neighbours" in blocks_finding(chain).sentence


def test_popularity_sees_no_order(chain: Effects) -> None:
    asked = chain.values["popularity"]
    assert all(np.array_equal(asked[1], values) for values in asked.values())


def test_what_a_model_has_over_popularity_is_order_recency_and_the_set_of_items(chain: Effects) -> None:
    facts = order_finding(chain).facts
    parts = [facts[name] for name in ("order", "recency", "set of items")]
    assert sum(float(part or 0) for part in parts) == pytest.approx(chain.gain(chain.best_model).value)


def test_in_noise_no_history_helps() -> None:
    found = effects_in(noise_world(num_users=300, length=12).log)
    assert verdict(found).startswith(
        "Nothing in the history is shown to help, as far as markov and count-knn can use it"
    )
    assert order_finding(found).advice[0].startswith("No model of this audit beats popularity. Audit with a network")


def test_where_tastes_drift_recency_matters_and_order_does_not() -> None:
    found = effects_in(drift_world())
    assert verdict(found).startswith("Recent items matter, but no worth of their order is shown")
    assert "is not shown to lose when 10 neighbours are shuffled" in blocks_finding(found).sentence


def test_where_only_the_set_of_items_counts_neither_matters() -> None:
    found = effects_in(drift_world(phases=1, length=30))
    assert verdict(found).startswith("Order is not shown to matter")


@pytest.mark.parametrize("world", [union_world(), skip_world(), chain_world(order=2)], ids=["union", "skip", "chain"])
def test_where_counting_models_cannot_read_the_order_they_do_not_deny_it(world: World) -> None:
    found = effects_in(world.log)
    assert losses(found)[0].low <= 0
    assert verdict(found).startswith(
        "Recent items matter, but no worth of their order is shown, as far as count-knn can use it: "
    )
    assert "Audit with a network that reads the order" in order_finding(found).advice[0]


def test_blocks_are_tested_from_the_largest_down() -> None:
    found = effects_in(skip_world().log)  # blocks of 2 cost a little by chance, blocks of 5 nothing
    assert found.loss("count-knn", 1, 2).low > 0
    assert blocks_finding(found).sentence.startswith(
        "count-knn is not shown to lose when 5 neighbours are shuffled, but"
    )


@pytest.mark.slow
def test_in_a_union_a_network_shows_the_order_that_count_knn_cannot_read() -> None:
    found = effects_in(union_world(num_users=600).log, network=NETWORK)
    assert verdict(found).startswith("Order matters")
    assert "caser, which reads the order of several items, loses" in blocks_finding(found).sentence


@pytest.mark.slow
def test_in_a_union_the_last_two_items_matter_but_not_their_order() -> None:
    # A window of two: a longer one would see items that, out of order, contradict what it has learned.
    found = effects_in(union_world(num_users=600).log, block=2, network=NETWORK.replace(L=2, reach=2))
    assert found.best_model == "caser"
    assert verdict(found).startswith("Recent items matter, but no worth of their order is shown")


@pytest.mark.slow
def test_in_a_skip_order_matters_and_a_network_shows_it() -> None:
    found = effects_in(skip_world(num_users=300).log, network=NETWORK)
    assert found.best_model == "caser"
    order, _ = losses(found)
    assert order.low > 0.2
    assert verdict(found).startswith("Order matters")


def test_finished_parts_are_not_done_again(tmp_path: Path) -> None:
    log = chain_world(num_users=30, num_items=8, length=9).log
    first = effects_in(log, kept=tmp_path)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = effects_in(log, kept=tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files
    assert all(
        np.array_equal(first.values["markov"][block], again.values["markov"][block]) for block in (1, 5, "whole")
    )
    effects_in(log, kept=tmp_path, block=3)
    assert len(list(tmp_path.iterdir())) > len(files)


class KilledError(Exception):
    """What stops an audit in these tests."""


def test_a_network_that_was_killed_continues_at_its_last_epoch_and_gives_the_same_values(tmp_path: Path) -> None:
    split = leave_one_out(chain_world(num_users=20, num_items=8, length=9).log)
    network = BriefCaser(L=2, T=1, d=8, n_v=1, n_h=2, dropout=0.5)
    said: list[str] = []

    def dies(sentence: str) -> None:
        if "caser, all shuffled: choosing, epoch 2" in sentence:
            raise KilledError

    with pytest.raises(KilledError):
        order_effects(split, network, 5, 0, FinishedParts(tmp_path), dies)
    assert list(tmp_path.glob("*.checkpoint"))
    found = order_effects(split, network, 5, 0, FinishedParts(tmp_path), said.append)
    unbroken = order_effects(split, network, 5, 0, FinishedParts(None), lambda _: None)
    assert not [sentence for sentence in said if "choosing" in sentence]
    assert any("caser, all shuffled: refitting" in sentence for sentence in said)
    assert not list(tmp_path.glob("*.checkpoint"))
    assert np.array_equal(found.values["caser"]["whole"], unbroken.values["caser"]["whole"])
