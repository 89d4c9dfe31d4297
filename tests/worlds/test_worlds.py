"""Models in worlds with a known best answer: each solves the worlds it should, and none beats chance in noise."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from caser.config import Training
from caser.data.split import Split, leave_one_out
from caser.data.synthetic import World, chain_world, noise_world, skip_world, union_world
from caser.evaluation import judge, protocols
from caser.models import COUNTING_BASELINES, model_settings
from caser.models.base import Scorer
from caser.models.caser.caser import Caser
from caser.models.factors.bpr_mf import BPRMF
from caser.models.factors.fpmc import FPMC
from caser.models.sessions.esasrec import ESASRec
from caser.models.sessions.gru4rec import GRU4Rec
from caser.models.sessions.nextitnet import NextItNet
from caser.models.sessions.sasrec import SASRec
from tests.runs import fitted

WORLDS: dict[str, Callable[[], World]] = {
    "chain": lambda: chain_world(num_users=300),
    "union": lambda: union_world(num_users=600),
    "skip": lambda: skip_world(num_users=300),
    "noise": lambda: noise_world(num_users=1000, length=12),
}
BOTH = Caser(L=3, T=1, d=24, n_v=2, n_h=16, dropout=0, user_vector=False)
MODELS: dict[str, Any] = {
    **{name: model_settings(name) for name in (*COUNTING_BASELINES, "recent-popularity", "ease", "session-knn")},
    "caser": BOTH,
    "caser, vertical filters only": BOTH.replace(n_h=0),
    "caser, with user vectors": BOTH.replace(user_vector=True),
    "bpr-mf": BPRMF(d=24),
    "fpmc": FPMC(d=24),
    "gru4rec": GRU4Rec(d=32, max_length=8, dropout=0),
    "nextitnet": NextItNet(d=24, dilations=(1,), max_length=8, dropout=0),
    "esasrec": ESASRec(d=24, max_length=8, dropout=0),
    "sasrec": SASRec(d=24, max_length=8, dropout=0),
}
TRAINING = Training(epochs=7, batch_size=256, learning_rate=0.01, schedule="linear", weight_decay=0, device="cpu")


@cache
def world_and_split(name: str) -> tuple[World, Split]:
    world = WORLDS[name]()
    return world, leave_one_out(world.log)


@cache
def scorer_in(world_name: str, model: str) -> Scorer:
    _, split = world_and_split(world_name)
    return fitted(MODELS[model], split, TRAINING, TRAINING.epochs).artefact.scorer


def hit_rate(world_name: str, model: str, k: int = 1) -> float:
    _, split = world_and_split(world_name)
    rules = protocols.resolve(split.name, split, "test")
    assert not rules.remove_seen  # items repeat in every world
    return judge.value(scorer_in(world_name, model), split.test, rules, f"hit@{k}")


def oracle_hit_rate(world_name: str) -> float:
    """How often the rule of the world predicts these test items."""
    world, split = world_and_split(world_name)
    vocabulary = split.log.item_vocabulary
    histories = np.array(vocabulary.raw(split.test.histories(slice(None), world.memory).ravel()))
    expected = world.next_items(histories.reshape(len(split.test), world.memory))
    return float(np.mean(expected == np.array(vocabulary.raw(split.test.targets))))


def luck(rate: float, num_queries: int) -> float:
    """Four standard errors of a hit rate: how far a model may exceed the expectation by chance."""
    return 4 * float(np.sqrt(rate * (1 - rate) / num_queries))


@pytest.mark.parametrize(
    "model", ["markov", "fpmc", "caser", "caser, with user vectors", "gru4rec", "nextitnet", "sasrec", "esasrec"]
)
def test_the_chain_is_solved_by_markov_and_by_every_network(model: str) -> None:
    assert hit_rate("chain", model) >= oracle_hit_rate("chain") - 0.01


@pytest.mark.parametrize("model", ["caser", "gru4rec", "nextitnet"])
def test_the_union_is_solved_where_markov_is_at_chance(model: str) -> None:
    chance = 1 / world_and_split("union")[0].num_items
    assert hit_rate("union", "markov") <= chance + luck(chance, 600)
    assert hit_rate("union", model) >= oracle_hit_rate("union") - 0.1


@pytest.mark.parametrize("model", ["caser", "caser, vertical filters only", "nextitnet", "sasrec", "esasrec"])
def test_the_skip_is_solved_with_vertical_filters_convolutions_and_attention_where_markov_is_at_chance(
    model: str,
) -> None:
    chance = 1 / world_and_split("skip")[0].num_items
    assert hit_rate("skip", "markov") <= chance + luck(chance, 300)
    assert hit_rate("skip", model) >= oracle_hit_rate("skip") - 0.01


@pytest.mark.parametrize("model", [name for name in MODELS if name != "caser, vertical filters only"])
@pytest.mark.parametrize("k", [1, 10])
def test_no_model_beats_chance_in_noise(model: str, k: int) -> None:
    chance = world_and_split("noise")[0].best_hit_rate(k)
    assert hit_rate("noise", model, k) <= chance + luck(chance, 1000)


@pytest.mark.parametrize("model", ["popularity", "markov", "count-knn", "session-knn", "caser"])
@pytest.mark.parametrize("world_name", ["chain", "union", "skip"])
def test_no_model_beats_the_best_possible_hit_rate(world_name: str, model: str) -> None:
    world, split = world_and_split(world_name)
    best = world.best_hit_rate()
    assert hit_rate(world_name, model) <= best + luck(best, len(split.test))


@pytest.mark.parametrize("world_name", ["chain", "union", "skip"])
def test_popularity_is_at_chance_where_all_items_are_equally_popular(world_name: str) -> None:
    world, split = world_and_split(world_name)
    chance = 1 / world.num_items
    assert hit_rate(world_name, "popularity") <= chance + luck(chance, len(split.test))
