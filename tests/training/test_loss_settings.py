"""The settings of a loss reach the loss function, and a loss from outside the library trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from caser.config import LOSSES, register_loss
from caser.errors import ConfigError
from tests.training.runs import TRAINING, fresh, run


def losses_of(loss: str, **settings: float) -> list[float]:
    """The loss of each epoch with these settings of the loss."""
    training = TRAINING.replace(loss=loss, num_negatives=5, epochs=2, loss_settings=settings)
    return [epoch.loss for epoch in run(fresh(training), training)]


@pytest.fixture
def squared_hinge(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """A registered loss with a setting; it records the share and the margin that it gets."""
    monkeypatch.setattr(LOSSES, "_rows", dict(LOSSES._rows))
    calls: list[tuple[float, float]] = []

    def function(positive_M: Tensor, negative_MN: Tensor, share: float, *, margin: float) -> Tensor:
        calls.append((share, margin))
        return (torch.relu(margin - positive_M[:, None] + negative_MN) ** 2).sum() / len(positive_M)

    register_loss("squared-hinge", function, form="sampled", settings={"margin": 1.0}, takes_share=True)
    return calls


@pytest.mark.parametrize(
    ("loss", "setting", "default", "other"),
    [("gbce", "calibration", 0.75, 0.5), ("bpr-max", "regularisation", 1.0, 0.2)],
)
def test_a_setting_of_a_loss_changes_what_training_minimises(
    loss: str, setting: str, default: float, other: float
) -> None:
    assert losses_of(loss) == losses_of(loss, **{setting: default})
    assert losses_of(loss) != pytest.approx(losses_of(loss, **{setting: other}), rel=1e-3)


def test_gbce_without_calibration_is_bce() -> None:
    assert losses_of("gbce", calibration=0) == pytest.approx(losses_of("bce"), rel=1e-6)


def test_a_registered_loss_trains_with_its_settings(squared_hinge: list[tuple[float, float]]) -> None:
    losses = losses_of("squared-hinge")
    assert losses[-1] < losses[0]
    num_items = 30
    assert set(squared_hinge) == {(5 / (num_items - 1), 1.0)}
    squared_hinge.clear()
    assert losses_of("squared-hinge", margin=2.0)[0] > losses[0]
    assert {margin for _, margin in squared_hinge} == {2.0}


def test_a_registered_loss_may_be_one_over_the_whole_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LOSSES, "_rows", dict(LOSSES._rows))
    softmax = LOSSES["softmax"].load()

    def twice(states_MD: Tensor, vectors_ID: Tensor, bias_I: Tensor, targets_MT: Tensor) -> Tensor:
        return 2 * softmax(states_MD, vectors_ID, bias_I, targets_MT)

    register_loss("twice", twice, form="full")
    training = TRAINING.replace(epochs=1, learning_rate=1e-12, weight_decay=0.0)
    doubled = training.replace(loss="twice")
    (epoch,), (expected,) = run(fresh(doubled), doubled), run(fresh(training), training)
    assert epoch.loss == pytest.approx(2 * expected.loss, rel=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_registered_loss_gets_the_number_type_if_it_takes_it(precision: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LOSSES, "_rows", dict(LOSSES._rows))
    got = set()

    def mine(states_MD: Tensor, vectors_ID: Tensor, bias_I: Tensor, targets_MT: Tensor, *, precision: str) -> Tensor:
        got.add(precision)
        return (states_MD @ vectors_ID[1:].T).square().mean()

    register_loss("mine", mine, form="full", takes_precision=True)
    training = TRAINING.replace(loss="mine", precision=precision, epochs=1)
    run(fresh(training), training)
    assert got == {precision}


@pytest.mark.parametrize(
    ("returned", "got"),
    [
        (lambda scores_M: scores_M, r"a tensor of shape \(\d+,\)"),
        (lambda scores_M: "low", "str"),
        (lambda scores_M: 3.0, "float"),
        (lambda scores_M: (scores_M > 0).sum(), "a tensor of torch.int64"),
    ],
)
def test_a_loss_that_does_not_return_one_number_is_refused_by_name(
    returned: Callable[[Tensor], object], got: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LOSSES, "_rows", dict(LOSSES._rows))

    def mine(positive_M: Tensor, negative_MN: Tensor) -> Any:
        return returned(positive_M)

    register_loss("mine", mine, form="sampled")
    with pytest.raises(ConfigError, match=f"a loss must return one number, .*; mine returned {got}"):
        losses_of("mine")
