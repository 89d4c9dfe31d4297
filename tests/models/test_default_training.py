"""The loss that is proposed for a catalogue: the full softmax up to a size, and its estimate above it."""

from __future__ import annotations

import pytest

from caser.config import LOSSES, Training
from caser.models.default_training import MOST_FOR_SOFTMAX, default_loss


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
