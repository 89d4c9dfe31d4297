"""Losses give the results of their formulas: full softmax in two lines, and sampled softmax as its estimate."""

from __future__ import annotations

import math
from functools import partial
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from caser.system.randomness import torch_generator
from caser.training.losses import bce, bpr, bpr_max, gbce, hinge, sampled_softmax, softmax

SIZES = [
    (M, num_items, T, D)
    for M, num_items, T, D in product((1, 3, 70), (2, 3, 100), (1, 2, 3, 4), (1, 5))
    if num_items > T
]

BPR_MAX = partial(bpr_max, regularisation=1.0)
GBCE = partial(gbce, share=1.0, calibration=0.75)


def two_lines(states_MD: Tensor, vectors_ID: Tensor, bias_I: Tensor, targets_MT: Tensor) -> Tensor:
    """The formula of `softmax`: log-probabilities over items 1..I, and the mean over targets."""
    log_probability_MJ = torch.log_softmax(states_MD @ vectors_ID[1:].T + bias_I[1:], dim=1)
    return -torch.cat([log_probability_MJ[row, own[own > 0] - 1] for row, own in enumerate(targets_MT)]).mean()


def a_case(M: int, num_items: int, T: int, D: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, ...]:
    """States, vectors, bias and targets; a third of the states lack their last targets."""
    generator = torch_generator(0, "case", M, num_items, T, D)
    states, vectors, bias = (
        torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_()
        for shape in ((M, D), (num_items + 1, D), (num_items + 1,))
    )
    targets = torch.randint(1, num_items + 1, (M, T), generator=generator)
    kept = torch.where(
        torch.rand(M, generator=generator) < 1 / 3, torch.randint(1, T + 1, (M,), generator=generator), T
    )
    return states, vectors, bias, torch.where(torch.arange(T) < kept[:, None], targets, 0)


@pytest.mark.parametrize(("M", "num_items", "T", "D"), SIZES)
def test_softmax_equals_its_formula_forward_and_backward(M: int, num_items: int, T: int, D: int) -> None:
    states, vectors, bias, targets = a_case(M, num_items, T, D)
    loss, expected = softmax(states, vectors, bias, targets), two_lines(states, vectors, bias, targets)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    found, gradients = (torch.autograd.grad(one, (states, vectors, bias)) for one in (loss, expected))
    for one, other in zip(found, gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_softmax_equals_its_formula_for_a_catalogue_in_blocks() -> None:
    states, vectors, bias, targets = a_case(M=150, num_items=40_000, T=3, D=4, dtype=torch.float64)
    loss, expected = softmax(states, vectors, bias, targets), two_lines(states, vectors, bias, targets)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    found, gradients = (torch.autograd.grad(one, (states, vectors, bias)) for one in (loss, expected))
    for one, other in zip(found, gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("T", [1, 3])
def test_softmax_equals_its_formula_to_double_precision(T: int) -> None:
    states, vectors, bias, targets = a_case(M=40, num_items=30, T=T, D=3, dtype=torch.float64)
    loss, expected = softmax(states, vectors, bias, targets), two_lines(states, vectors, bias, targets)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    found, gradients = (torch.autograd.grad(one, (states, vectors, bias)) for one in (loss, expected))
    for one, other in zip(found, gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("T", [1, 3])
@pytest.mark.parametrize("num_items", [30, 3000])
def test_softmax_in_bfloat16_is_close_to_its_formula(T: int, num_items: int) -> None:
    states, vectors, bias, targets = a_case(M=70, num_items=num_items, T=T, D=32)
    assert (targets == 0).any() == (T > 1)
    exact = [part.detach().double().requires_grad_() for part in (states, vectors, bias)]
    expected = two_lines(exact[0], exact[1], exact[2], targets)
    loss = softmax(states, vectors, bias, targets, precision="bfloat16")
    assert loss.item() == pytest.approx(expected.item(), rel=1e-2)
    found, gradients = torch.autograd.grad(loss, (states, vectors, bias)), torch.autograd.grad(expected, exact)
    for one, other in zip(found, gradients, strict=True):
        assert one.dtype == torch.float32
        assert float((one - other).norm() / other.norm()) < 0.02


def test_padding_does_not_change_softmax_and_gets_no_gradient() -> None:
    states, vectors, bias, targets = a_case(M=9, num_items=4, T=3, D=2)
    louder = bias.detach().clone()
    louder[0] = 1e6
    assert torch.equal(softmax(states, vectors, louder, targets), softmax(states, vectors, bias, targets))
    _, of_vectors, of_bias = torch.autograd.grad(softmax(states, vectors, bias, targets), (states, vectors, bias))
    assert (of_vectors[0] == 0).all()
    assert of_bias[0] == 0


@pytest.mark.parametrize(
    ("loss", "value"),
    [
        (bpr, math.log(1 + math.exp(-1)) + math.log(1 + math.exp(1))),
        (
            BPR_MAX,
            (0.0 + math.exp(2) * 4) / (1 + math.exp(2))
            - math.log((1 / (1 + math.exp(-1)) + math.exp(2) / (1 + math.exp(1))) / (1 + math.exp(2))),
        ),
        (hinge, 0.0 + 2.0),
        (bce, math.log(1 + math.exp(-1)) + math.log(1 + math.exp(0)) + math.log(1 + math.exp(2))),
        (GBCE, math.log(1 + math.exp(-1)) + math.log(1 + math.exp(0)) + math.log(1 + math.exp(2))),
        (sampled_softmax, math.log(math.exp(1) + math.exp(0) + math.exp(2)) - 1),
    ],
    ids=["bpr", "bpr-max", "hinge", "bce", "gbce, everything drawn", "sampled-softmax"],
)
def test_a_sampled_loss_by_hand(loss: object, value: float) -> None:
    assert callable(loss)
    assert loss(torch.tensor([1.0]), torch.tensor([[0.0, 2.0]])).item() == pytest.approx(value)


def test_sampled_softmax_with_every_other_item_as_negative_is_softmax() -> None:
    states, vectors, bias, _ = a_case(M=5, num_items=8, T=1, D=3)
    targets = torch.tensor([[1], [8], [4], [4], [2]])
    scores = states @ vectors.T + bias
    others = torch.tensor([[item for item in range(1, 9) if item != target] for target in targets[:, 0].tolist()])
    sampled = sampled_softmax(scores.gather(1, targets)[:, 0], scores.gather(1, others))
    torch.testing.assert_close(sampled, softmax(states, vectors, bias, targets))


def test_many_easy_negatives_do_not_outweigh_the_hard_ones_in_bpr_max() -> None:
    positive, hard = torch.tensor([1.0]), torch.tensor([[2.0, 0.5]])
    with_easy = torch.cat([hard, torch.full((1, 1000), -50.0)], dim=1)
    torch.testing.assert_close(BPR_MAX(positive, with_easy), BPR_MAX(positive, hard))


def test_the_regularisation_of_bpr_max_pulls_scores_towards_zero_from_both_sides() -> None:
    for negative, sign in ((-3.0, -1), (3.0, 1)):
        scores = torch.tensor([[negative]], requires_grad=True)
        (gradient,) = torch.autograd.grad(BPR_MAX(torch.tensor([50.0]), scores), scores)
        assert gradient.item() * sign > 1


@pytest.mark.parametrize(("share", "calibration", "power"), [(1.0, 0.75, 1.0), (0.1, 0.0, 1.0), (0.1, 1.0, 0.1)])
def test_gbce_raises_the_probability_of_a_target_to_a_power(share: float, calibration: float, power: float) -> None:
    positive, negative = torch.tensor([1.0, -2.0]), torch.tensor([[0.5], [3.0]])
    expected = -power * torch.sigmoid(positive).log() - (1 - torch.sigmoid(negative[:, 0])).log()
    torch.testing.assert_close(gbce(positive, negative, share, calibration=calibration), expected.mean())


def test_full_calibration_makes_the_optimum_of_gbce_the_true_probability() -> None:
    """An item is next in p of all states and drawn in `share` of the others; then the best score is logit p."""
    p, share = 0.2, 0.05
    score = torch.tensor(math.log(p / (1 - p)), requires_grad=True)
    as_target, as_negative = (
        gbce(score[None], torch.full((1, 1), -torch.inf), share, calibration=1.0),
        functional.softplus(score),
    )
    (gradient,) = torch.autograd.grad(p * as_target + share * (1 - p) * as_negative, score)
    assert gradient.item() == pytest.approx(0, abs=1e-7)


def test_a_target_whose_negatives_are_all_masked_has_a_bpr_max_of_zero() -> None:
    assert BPR_MAX(torch.tensor([0.3, -2.0]), torch.full((2, 4), -torch.inf)).item() == 0
