"""What is proposed for a log: the full softmax up to a size, and its estimate above it; how long training waits."""

from __future__ import annotations

import pytest

from caser.config import LOSSES, Training
from caser.data.split import leave_one_out
from caser.data.synthetic import union_world
from caser.fitting.fit import choose
from caser.models.caser.caser import Caser
from caser.models.default_training import FEW_INTERACTIONS, MOST_FOR_SOFTMAX, default_loss, default_training
from caser.models.facts import LogFacts


@pytest.mark.parametrize(
    ("num_items", "form"),
    [(1, "full"), (MOST_FOR_SOFTMAX, "full"), (MOST_FOR_SOFTMAX + 1, "sampled"), (10**7, "sampled")],
)
def test_the_whole_catalogue_is_scored_up_to_a_size(num_items: int, form: str) -> None:
    assert LOSSES[default_loss(num_items)["loss"]].form == form


def test_a_large_catalogue_gets_shared_negatives_by_popularity_and_may_choose_the_type_of_its_products() -> None:
    training = Training(**default_loss(10**6), precision="bfloat16")
    assert (training.negatives, training.popularity_exponent) == ("shared", 1)
    assert training.loss_row.corrects_for_sampling
    assert training.num_negatives < MOST_FOR_SOFTMAX


def test_training_waits_longer_on_smaller_logs() -> None:
    sizes = (2_000, FEW_INTERACTIONS - 1, FEW_INTERACTIONS, 10**6, 10**8)
    plans = [default_training(LogFacts(num_users=100, num_items=50, num_interactions=size)) for size in sizes]
    assert [(plan["epochs"], plan["patience"]) for plan in plans] == [(25, 25), (25, 25), (25, 6), (12, 3), (5, 3)]


@pytest.mark.slow
def test_a_small_log_trains_until_the_network_has_found_what_decides() -> None:
    """Validation stands still for ten epochs or so before pairs of items are found."""
    split = leave_one_out(union_world(num_users=120, num_items=12, length=20, seed=0).log)
    assert choose(Caser(), split).value > 0.8
