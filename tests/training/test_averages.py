"""Averaged weights: what enters them, what uses them, and what training does meanwhile."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from caser.training.averages import RECENT, UPDATES, Averages, update_after
from tests.training.runs import TRAINING, fresh, run, weights_digest


def numbers(values: list[float], epochs: float) -> float:
    """The average after a parameter had these values one after the other."""
    network = nn.Linear(1, 1, bias=False)
    averages = Averages(network, epochs)
    for number, value in enumerate(values):
        network.weight.detach().fill_(value)
        averages.update(number)
    return float(averages.tensors["weight"])


def test_early_averages_reach_back_over_a_share_of_the_updates() -> None:
    assert numbers([5.0], epochs=1) == 5
    expected = 5.0
    for number, value in enumerate([1.0, 4.0, 2.0], start=1):
        expected += RECENT / (RECENT + number) * (value - expected)
    assert numbers([5.0, 1.0, 4.0, 2.0], epochs=1) == pytest.approx(expected)


def test_later_averages_reach_back_over_the_epochs_that_are_asked_for() -> None:
    """A parameter that rises by 1 with each update lags behind by the horizon minus 1."""
    steps = [float(number) for number in range(2000)]
    assert steps[-1] - numbers(steps, epochs=2) == pytest.approx(2 * UPDATES - 1, abs=0.1)


@pytest.mark.parametrize("batches", [1, 7, UPDATES, UPDATES + 1, 485, 10_000])
def test_an_epoch_has_as_many_updates_as_it_can_and_the_last_batch_is_one_of_them(batches: int) -> None:
    updates = [update_after(batch, batches) for batch in range(batches)]
    assert [update for update in updates if update is not None] == list(range(min(UPDATES, batches)))
    assert updates[-1] is not None


def test_training_goes_on_from_the_parameters_and_the_averages_are_judged() -> None:
    plain, averaged = fresh(TRAINING), fresh(TRAINING.replace(averaging=1.0))
    run(plain, TRAINING)
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
    state = fresh(TRAINING)
    run(state, TRAINING, until=1)
    assert state.averages is None
    before = weights_digest(state)
    with state.as_judged():
        assert weights_digest(state) == before
    assert state.finish() is state.network


def test_averages_have_no_gradient() -> None:
    averages = Averages(nn.Linear(2, 2), epochs=1)
    averages.update(1)
    assert not any(tensor.requires_grad for tensor in averages.tensors.values())
    with averages.used():
        assert all(parameter.requires_grad for parameter in averages.network.parameters())
    assert torch.is_grad_enabled()
