"""Studies in worlds whose right answer is known: the ablation must find the branch that carries the result.

Both worlds get one network: horizontal filters that see one item or two neighbours, wherever they are, and an identity
as phi_a, so that what the vertical filters say is a sum over items, each at its place.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

from caser.config import Training
from caser.data.synthetic import World, noise_world, skip_world, union_world
from caser.evaluation import protocols
from caser.models.caser.caser import Caser
from caser.study.ablate import ablate
from caser.study.compare import compare
from caser.study.engine import Plan
from caser.study.study import Study

FULL = Caser(L=3, T=1, d=16, n_v=2, reach=None, n_h=16, heights=(1, 2), phi_a="identity", dropout=0, item_dropout=0)
TRAINING = Training(epochs=8, batch_size=256, learning_rate=0.01, schedule="linear", weight_decay=0, device="cpu")
WORLDS: dict[str, Callable[..., World]] = {"union": union_world, "skip": skip_world}
SEEDS = pytest.mark.parametrize("seed", [0, 1, 2])


@cache
def ablation(name: str, seed: int) -> Study:
    world = WORLDS[name](num_users=300 if name == "union" else 150, num_items=10, length=20, seed=seed)
    split = protocols.apply("leave-one-out", world.log)
    plan = Plan(seeds=(seed,), store=Path(mkdtemp()))
    return ablate(split, FULL, TRAINING, plan, removals=False, choose=False)


def value(study: Study, label: str) -> float:
    return study.report.estimate(label, study.metric).value


def is_shown_to_lose(study: Study, label: str) -> bool:
    difference = study.differences[label]
    return difference.is_shown and difference.value < 0


@pytest.mark.slow
@SEEDS
def test_in_the_union_world_the_horizontal_branch_carries_the_result(seed: int) -> None:
    study = ablation("union", seed)
    assert is_shown_to_lose(study, "pv")
    alone = study.report.difference("h", "v", study.metric)
    assert alone.is_shown
    assert alone.value > 0.1
    assert value(study, "ph") > value(study, "pvh") - 0.05
    assert study.verdicts[0].startswith("The horizontal filters matter most. Without them, ndcg@10 falls by ")
    assert study.verdicts[1].startswith("Without the horizontal filters: pv loses to pvh by ")
    assert study.verdicts[4].startswith("Alone: h beats v by ")


@pytest.mark.slow
@SEEDS
def test_in_the_skip_world_the_vertical_branch_carries_the_result(seed: int) -> None:
    study = ablation("skip", seed)
    assert is_shown_to_lose(study, "ph")
    assert not is_shown_to_lose(study, "pv")  # n_h = 0 suffices
    assert study.verdicts[0].startswith("The vertical filters matter most. Without them, ndcg@10 falls by ")
    assert study.verdicts[2].startswith("Without the vertical filters: ph loses to pvh by ")
    assert study.verdicts[4].startswith("Alone: h loses to v by ")


@pytest.mark.slow
@SEEDS
def test_no_network_beats_chance_in_noise(seed: int, tmp_path: Path) -> None:
    split = protocols.apply("leave-one-out", noise_world(num_users=300, num_items=20, length=12, seed=seed).log)
    training = {"epochs": 3, "device": "cpu"}
    study = compare(split, ["caser", "fpmc"], Plan(seeds=(0, 1), store=tmp_path), training=training)
    verdict, *later = study.verdicts
    assert verdict.startswith("No model beats chance")
    assert all("was still improving when training ended after 3 epochs" in sentence for sentence in later)
