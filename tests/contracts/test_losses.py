"""The contract of every loss in LOSSES, tested as a function of the scores of targets and of other items."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from caser.config import LOSSES, Training
from caser.data.split import leave_one_out
from caser.data.synthetic import chain_world
from caser.models.caser.caser import Caser
from caser.models.neural import NeuralScorer
from caser.system.randomness import torch_generator
from caser.training.loop import start
from tests.training.runs import train_on

KEEPS_SCORES_NEAR_ZERO = {"bpr-max"}
"""Losses with a penalty on scores far from zero, which may raise the score of a negative far below the others."""

every_loss = pytest.mark.parametrize("name", LOSSES)
sampled_losses = pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if loss.form == "sampled"])


def loss_of(name: str, positive_M: Tensor, negative_MN: Tensor) -> Tensor:
    """Any loss of these scores. For a full loss, the catalogue consists of the target (item 1) and the negatives."""
    loss = LOSSES[name]
    if loss.form == "sampled":
        share = (0.5,) if loss.takes_share else ()
        found: Tensor = loss.load()(positive_M, negative_MN, *share, **loss.settings)
        return found
    scores_MI = torch.cat([torch.full((len(positive_M), 1), 7.0), positive_M[:, None], negative_MN], dim=1)
    num_columns = scores_MI.shape[1]
    targets_M1 = torch.ones(len(positive_M), 1, dtype=torch.int64)
    over_all: Tensor = loss.load()(scores_MI, torch.eye(num_columns), torch.zeros(num_columns), targets_M1)
    return over_all


def some_scores(M: int = 6, N: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch_generator(0, "scores")
    return torch.randn(M, generator=generator), torch.randn(M, N, generator=generator)


def gradients(name: str, positive_M: Tensor, negative_MN: Tensor) -> tuple[Tensor, Tensor]:
    positive_M, negative_MN = positive_M.clone().requires_grad_(), negative_MN.clone().requires_grad_()
    of_positive_M, of_negative_MN = torch.autograd.grad(
        loss_of(name, positive_M, negative_MN), (positive_M, negative_MN)
    )
    return of_positive_M, of_negative_MN


@every_loss
def test_it_and_its_gradient_are_finite_for_extreme_scores(name: str) -> None:
    for positive in (-100.0, 0.0, 100.0):
        for negative in (-100.0, 0.0, 100.0):
            scores = torch.full((3,), positive), torch.full((3, 4), negative)
            assert torch.isfinite(loss_of(name, *scores))
            assert all(torch.isfinite(gradient).all() for gradient in gradients(name, *scores))


@every_loss
def test_it_pulls_targets_up_and_pushes_negatives_down(name: str) -> None:
    positive_M, negative_MN = gradients(name, torch.zeros(3), torch.zeros(3, 4))
    assert (positive_M < 0).all()
    assert (negative_MN > 0).all()
    positive_M, negative_MN = gradients(name, *some_scores())
    assert (positive_M <= 0).all()
    assert (negative_MN >= 0).all() or name in KEEPS_SCORES_NEAR_ZERO


@every_loss
def test_it_is_almost_zero_for_a_target_far_above_all_negatives(name: str) -> None:
    negative = 0.0 if name in KEEPS_SCORES_NEAR_ZERO else -50.0
    assert loss_of(name, torch.full((2,), 50.0), torch.full((2, 3), negative)).item() == pytest.approx(0, abs=1e-6)


@every_loss
def test_the_order_of_negatives_changes_nothing(name: str) -> None:
    positive_M, negative_MN = some_scores()
    order = torch.tensor([3, 0, 4, 2, 1])
    loss, permuted = loss_of(name, positive_M, negative_MN), loss_of(name, positive_M, negative_MN[:, order])
    torch.testing.assert_close(loss, permuted, rtol=1e-6, atol=0)


@every_loss
def test_it_is_a_mean_over_targets(name: str) -> None:
    positive_M, negative_MN = some_scores()
    alone = [loss_of(name, positive_M[m : m + 1], negative_MN[m : m + 1]) for m in range(len(positive_M))]
    torch.testing.assert_close(loss_of(name, positive_M, negative_MN), torch.stack(alone).mean())


@sampled_losses
def test_a_masked_negative_adds_nothing_and_gets_no_gradient(name: str) -> None:
    positive_M, negative_MN = some_scores(N=3)
    masked_MN = torch.cat([negative_MN[:, :1], torch.full((6, 2), -torch.inf), negative_MN[:, 1:]], dim=1)
    torch.testing.assert_close(loss_of(name, positive_M, masked_MN), loss_of(name, positive_M, negative_MN))
    of_positive_M, of_masked_MN = gradients(name, positive_M, masked_MN)
    assert (of_masked_MN[:, 1:3] == 0).all()
    torch.testing.assert_close(of_positive_M, gradients(name, positive_M, negative_MN)[0])


@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if loss.sums_negatives])
def test_one_number_stands_for_all_negatives_of_a_loss_that_sums_them(name: str) -> None:
    positive_M, negative_MN = some_scores()
    sums_M1 = torch.logsumexp(negative_MN, dim=1, keepdim=True)
    torch.testing.assert_close(loss_of(name, positive_M, sums_M1), loss_of(name, positive_M, negative_MN))
    assert torch.isfinite(loss_of(name, positive_M, torch.full((6, 1), -torch.inf)))


@sampled_losses
def test_a_target_whose_negatives_are_all_masked_is_finite(name: str) -> None:
    positive_M, negative_MN = torch.tensor([0.3]), torch.full((1, 4), -torch.inf)
    assert torch.isfinite(loss_of(name, positive_M, negative_MN))
    assert all(torch.isfinite(gradient).all() for gradient in gradients(name, positive_M, negative_MN))


@every_loss
def test_it_learns_the_easy_world(name: str) -> None:
    world = chain_world(num_users=120, num_items=10, length=20, predictability=1.0, seed=1)
    split = leave_one_out(world.log)
    model = Caser(L=2, T=1, d=16, n_v=1, n_h=4, dropout=0, user_vector=False)
    drawn: dict[str, Any] = {"num_negatives": 4} if LOSSES[name].form == "sampled" else {}
    training = Training(loss=name, epochs=25, batch_size=128, learning_rate=0.01, seed=1, device="cpu", **drawn)
    state = start(model.build(world.log.num_users, world.log.num_items, training.seed), training)
    for _ in train_on(state, split.fit, training, num_targets=model.T):
        pass
    queries = split.test
    scores = NeuralScorer(state.network).scores(queries.users, queries.histories(slice(None), model.L))
    hits = scores[:, 1:].argmax(axis=1) + 1 == queries.targets
    assert hits.mean() > 0.95
