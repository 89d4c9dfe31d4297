"""The number type of products: what is measured, what it decides, and that training in it stays close to float32."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from caser.training import precision as precision_module
from caser.training.precision import choose_precision, settled, speed_of_bfloat16
from tests.training.runs import TRAINING, fresh, run, weights_digest


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let even small tables be measured, and forge the result: the last number of the list that is returned."""
    speeds: list[float] = []
    monkeypatch.setattr(precision_module, "SMALL_TABLE", 1)
    monkeypatch.setattr(precision_module, "speed_of_bfloat16", lambda *sizes: speeds[-1])
    return speeds


@pytest.mark.parametrize(("speed", "chosen"), [(0.5, "float32"), (1.1, "float32"), (1.3, "bfloat16"), (8, "bfloat16")])
def test_bfloat16_is_chosen_where_it_is_clearly_faster(measured: list[float], speed: float, chosen: str) -> None:
    measured.append(speed)
    network = fresh().network
    assert choose_precision(TRAINING, network) == chosen
    assert settled(TRAINING, network) == TRAINING.replace(precision=chosen)


def test_a_type_that_is_named_is_not_measured(measured: list[float]) -> None:
    for named in ("float32", "bfloat16"):
        training = TRAINING.replace(precision=named)
        assert choose_precision(training, fresh().network) == named
        assert settled(training, fresh().network) is training


def test_small_products_are_not_measured_and_stay_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision_module, "speed_of_bfloat16", None)
    assert choose_precision(TRAINING, fresh().network) == "float32"


@pytest.mark.parametrize(("num_negatives", "chosen"), [(6, "bfloat16"), (5, "float32")])
def test_the_size_of_a_product_with_shared_negatives_is_their_number(
    measured: list[float], monkeypatch: pytest.MonkeyPatch, num_negatives: int, chosen: str
) -> None:
    measured.append(2.0)
    network = fresh().network
    width = network.item_vectors()[0].shape[1]
    monkeypatch.setattr(precision_module, "SMALL_TABLE", 6 * width)
    training = TRAINING.replace(loss="sampled-softmax", negatives="shared", num_negatives=num_negatives)
    assert settled(training, network).precision == chosen


def test_a_loss_without_a_choice_is_left_alone(measured: list[float]) -> None:
    training = TRAINING.replace(loss="bce")
    assert settled(training, fresh().network) is training


def test_a_measured_speed_is_a_ratio_of_times(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {torch.float32: 6.0, torch.bfloat16: 2.0}
    monkeypatch.setattr(precision_module, "_seconds", lambda states, vectors: seconds[states.dtype])
    assert speed_of_bfloat16(30, 8) == 3


def test_products_of_both_types_are_timed() -> None:
    assert speed_of_bfloat16(300, 8) > 0


@pytest.mark.parametrize("loss", [{}, {"loss": "sampled-softmax", "negatives": "shared", "num_negatives": 20}])
def test_training_in_bfloat16_is_close_to_float32_and_keeps_its_parameters_in_it(loss: dict[str, Any]) -> None:
    base = TRAINING.replace(learning_rate=0.02, **loss)
    exact, reduced = (base.replace(precision=name) for name in ("float32", "bfloat16"))
    states = fresh(exact), fresh(reduced)
    losses = [epoch.loss for epoch in run(states[0], exact)]
    assert losses[-1] < 0.97 * losses[0]
    assert [epoch.loss for epoch in run(states[1], reduced)] == pytest.approx(losses, rel=1e-2)
    assert weights_digest(states[0]) != weights_digest(states[1])
    assert {parameter.dtype for parameter in states[1].network.parameters()} == {torch.float32}


def test_training_with_the_chosen_type_equals_training_with_the_named_one(measured: list[float]) -> None:
    measured.append(2.0)
    chosen, named = TRAINING, TRAINING.replace(precision="bfloat16")
    states = fresh(chosen), fresh(named)
    run(states[0], chosen)
    run(states[1], named)
    assert weights_digest(states[0]) == weights_digest(states[1])
