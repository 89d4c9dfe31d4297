"""Averaged weights: what enters them, what uses them, and what training does meanwhile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from caser.training.averages import RECENT, UPDATES, Averages
from tests.training.runs import TRAINING, fresh, run, weights_digest

PLAIN = TRAINING.replace(averaging=0.0)


def average(values: list[float], epochs: float, batches: int) -> float:
    """The average after a parameter had these values, one after each batch."""
    network: Any = nn.Linear(1, 1, bias=False)
    averages = Averages(network, epochs)
    for number, value in enumerate(values):
        network.weight.detach().fill_(value)
        averages.after(number // batches, number % batches, batches)
    return float(averages.tensors["weight"])


def test_early_averages_reach_back_over_a_share_of_the_updates() -> None:
    assert average([5.0], epochs=1, batches=20) == 5
    expected = 5.0
    for number, value in enumerate([1.0, 4.0, 2.0], start=1):
        expected += RECENT / (RECENT + number) * (value - expected)
    assert average([5.0, 1.0, 4.0, 2.0], epochs=1, batches=20) == pytest.approx(expected)


@pytest.mark.parametrize(("epochs", "batches"), [(2, 20), (0.5, 20), (2, 50), (1, 150)])
def test_later_averages_reach_back_over_the_epochs_that_are_asked_for(epochs: float, batches: int) -> None:
    """A parameter that rises by 1 with each batch lags behind by the averaged batches, less one update."""
    steps = [float(number) for number in range(60 * batches)]
    between = max(1, batches // UPDATES)
    assert steps[-1] - average(steps, epochs, batches) == pytest.approx(epochs * batches - between, abs=0.2)


@pytest.mark.parametrize("batches", [1, 7, UPDATES, UPDATES + 1, 485])
def test_the_last_batch_of_an_epoch_always_enters(batches: int) -> None:
    values = [0.0] * (batches - 1) + [1.0]
    assert average(values, epochs=1, batches=batches) > 0


def test_an_average_over_less_than_one_update_is_the_last_value() -> None:
    assert average([3.0, 7.0], epochs=0.001, batches=2) == 7


def test_training_goes_on_from_the_parameters_and_the_averages_are_judged() -> None:
    plain, averaged = fresh(PLAIN), fresh(TRAINING.replace(averaging=1.0))
    run(plain, PLAIN)
    run(averaged, TRAINING.replace(averaging=1.0))
    last = weights_digest(plain)
    assert weights_digest(averaged) == last
    with averaged.as_judged():
        assert weights_digest(averaged) != last
    assert weights_digest(averaged) == last
    network = averaged.finish()
    difference = [
        (one - other).abs().max().item()
        for one, other in zip(network.parameters(), plain.network.parameters(), strict=True)
    ]
    assert max(difference) > 0
    assert np.isfinite(difference).all()


def test_an_error_while_judging_leaves_the_parameters_in_place() -> None:
    state = fresh(TRAINING.replace(averaging=1.0))
    run(state, TRAINING.replace(averaging=1.0), until=1)
    before = weights_digest(state)
    with pytest.raises(KeyboardInterrupt), state.as_judged():
        raise KeyboardInterrupt
    assert weights_digest(state) == before


def test_without_averaging_the_last_parameters_are_judged() -> None:
    state = fresh(PLAIN)
    run(state, PLAIN, until=1)
    assert state.averages is None
    before = weights_digest(state)
    with state.as_judged():
        assert weights_digest(state) == before
    assert state.finish() is state.network


def test_averages_have_no_gradient() -> None:
    network: Any = nn.Linear(2, 2)
    averages = Averages(network, epochs=1)
    averages.after(0, 0, 1)
    assert not any(tensor.requires_grad for tensor in averages.tensors.values())
    with averages.used():
        assert all(parameter.requires_grad for parameter in averages.network.parameters())
    assert torch.is_grad_enabled()
