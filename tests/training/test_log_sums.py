"""The log of a sum of exponentials over a catalogue: its value, its gradients, its blocks, and its number types."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from caser.config import Precision
from caser.system import compiled
from caser.system.randomness import torch_generator
from caser.training import log_sums
from caser.training.log_sums import plain_probabilities, probabilities, sum_over_catalogue
from tests.skips import NEEDS_EXTRAS

TOLERANCE: dict[Precision, float] = {"float32": 2e-6, "bfloat16": 2e-2}
"""The largest error of a gradient, as a share of its length. A number in bfloat16 has an error of up to 2^-9."""

every_precision = pytest.mark.parametrize("precision", TOLERANCE)
SIZES = list(product((1, 3, 70), (1, 2, 100), (1, 5, 32)))


def a_case(M: int, num_items: int, D: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """States, vectors, bias, and weights from 1 to 3."""
    generator = torch_generator(0, "case", M, num_items, D)
    states, vectors, bias = (
        torch.randn(*shape, generator=generator).to(dtype).requires_grad_()
        for shape in ((M, D), (num_items + 1, D), (num_items + 1,))
    )
    return states, vectors, bias, torch.randint(1, 4, (M,), generator=generator)


def expected(states: Tensor, vectors: Tensor, bias: Tensor, weights: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The formula and its gradients, in double precision."""
    parts = [part.detach().double().requires_grad_() for part in (states, vectors, bias)]
    total = (torch.logsumexp(parts[0] @ parts[1][1:].T + parts[2][1:], dim=1) * weights).sum()
    return total, torch.autograd.grad(total, parts)


def distance(found: Tensor, exact: Tensor) -> float:
    """The length of the error, as a share of the length of the exact tensor."""
    return float((found.double() - exact).norm() / exact.norm().clamp(min=1e-3))


@every_precision
@pytest.mark.parametrize(("M", "num_items", "D"), SIZES)
def test_the_sum_and_its_gradients_are_those_of_double_precision(
    M: int, num_items: int, D: int, precision: Precision
) -> None:
    case = a_case(M, num_items, D)
    total, gradients = expected(*case)
    found = sum_over_catalogue(*case, precision)
    error = abs(found.item() - total.item()) / case[3].sum().item()
    assert error < 2 * TOLERANCE[precision]  # of a mean; scores are up to about 10
    for one, exact in zip(torch.autograd.grad(found, case[:3]), gradients, strict=True):
        assert one.dtype == torch.float32
        assert distance(one, exact) < TOLERANCE[precision]


def test_parameters_in_double_precision_keep_it() -> None:
    case = a_case(9, 20, 4, torch.float64)
    total, gradients = expected(*case)
    found = sum_over_catalogue(*case, "float32")
    torch.testing.assert_close(found, total, rtol=1e-12, atol=0)
    torch.testing.assert_close(torch.autograd.grad(found, case[:3]), gradients, rtol=1e-10, atol=1e-14)


@every_precision
def test_blocks_of_states_change_nothing_but_rounding(precision: Precision, monkeypatch: pytest.MonkeyPatch) -> None:
    case = a_case(70, 100, 5)
    whole = sum_over_catalogue(*case, precision)
    gradients = torch.autograd.grad(whole, case[:3])
    monkeypatch.setattr(log_sums, "MOST_SCORES", 800)
    monkeypatch.setattr(log_sums, "_FEWEST_STATES", 1)  # eight states in a block, six in the last
    in_blocks = sum_over_catalogue(*case, precision)
    assert in_blocks.item() == pytest.approx(whole.item(), rel=1e-6)
    for one, other in zip(torch.autograd.grad(in_blocks, case[:3]), gradients, strict=True):
        assert distance(one, other.double()) < TOLERANCE[precision]


@every_precision
def test_padding_adds_nothing_and_gets_no_gradient(precision: Precision) -> None:
    states, vectors, bias, weights = a_case(9, 4, 2)
    louder = bias.detach().clone()
    louder[0] = 1e6
    total = sum_over_catalogue(states, vectors, bias, weights, precision)
    assert torch.equal(sum_over_catalogue(states, vectors, louder, weights, precision), total)
    _, of_vectors, of_bias = torch.autograd.grad(total, (states, vectors, bias))
    assert (of_vectors[0] == 0).all()
    assert of_bias[0] == 0


@every_precision
def test_a_gradient_from_above_multiplies_all_gradients(precision: Precision) -> None:
    case = a_case(6, 7, 3)
    once = torch.autograd.grad(sum_over_catalogue(*case, precision), case[:3])
    thrice = torch.autograd.grad(3 * sum_over_catalogue(*case, precision), case[:3])
    torch.testing.assert_close(thrice, tuple(3 * gradient for gradient in once))


# The sum over a few items


@every_precision
@pytest.mark.parametrize(("M", "num_items", "D"), SIZES)
def test_log_sums_of_items_that_count_are_those_of_double_precision(
    M: int, num_items: int, D: int, precision: Precision
) -> None:
    states, vectors, bias, weights = a_case(M, num_items, D)
    masked = torch.rand(M, num_items + 1, generator=torch_generator(0, "masked")) < 0.4
    masked[:, 0] = False  # in every row, one item counts
    exact = [part.detach().double().requires_grad_() for part in (states, vectors, bias)]
    expected_sums = torch.logsumexp((exact[0] @ exact[1].T + exact[2]).masked_fill(masked, -torch.inf), dim=1)
    found = log_sums.log_sums(states, vectors, bias, masked, precision)
    assert (found - expected_sums).abs().mean().item() < 2 * TOLERANCE[precision]  # scores are up to about 10
    gradients = torch.autograd.grad((expected_sums * weights).sum(), exact)
    ours = torch.autograd.grad((found * weights).sum(), (states, vectors, bias))
    for one, other in zip(ours, gradients, strict=True):
        assert one.dtype == torch.float32
        assert distance(one, other) < TOLERANCE[precision]


@every_precision
def test_an_item_that_counts_for_no_state_gets_no_gradient_and_a_state_without_items_gives_none(
    precision: Precision,
) -> None:
    states, vectors, bias, _ = a_case(4, 6, 3)
    masked = torch.zeros(4, 7, dtype=torch.bool)
    masked[:, 2] = True
    masked[1] = True
    sums = log_sums.log_sums(states, vectors, bias, masked, precision)
    assert sums.isinf().tolist() == [False, True, False, False]
    of_states, of_vectors, of_bias = torch.autograd.grad(sums, (states, vectors, bias), torch.ones(4))
    assert (of_vectors[2] == 0).all()
    assert of_bias[2] == 0
    assert (of_states[1] == 0).all()


# The pass over the scores


def scores(M: int, J: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Scores up to about 40, and biases."""
    generator = torch_generator(0, "scores", M, J)
    return (10 * torch.randn(M, J, generator=generator)).to(dtype), torch.randn(J, generator=generator)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("M", "J"), [(1, 1), (3, 2), (5, 17), (4, 1000)])
@pytest.mark.parametrize("share_masked", [None, 0.3])
def test_the_compiled_pass_equals_the_plain_one(M: int, J: int, dtype: torch.dtype, share_masked: float | None) -> None:
    pytest.importorskip("numba", reason=NEEDS_EXTRAS)
    values, bias = scores(M, J, dtype)
    generator = torch_generator(0, "masked")
    masked = None if share_masked is None else torch.rand(M, J, generator=generator) < share_masked
    shares, sums = plain_probabilities(values.clone(), bias, masked)
    found = probabilities(values.clone(), bias, masked)
    torch.testing.assert_close(found[1], sums)
    # In bfloat16 both round to the nearest number; they differ where the numbers before rounding do.
    torch.testing.assert_close(found[0], shares, rtol=1e-5 if dtype == torch.float32 else 2**-7, atol=1e-30)
    assert ((found[0] != shares).double().mean() < 0.01) or dtype == torch.float32


def test_probabilities_by_hand() -> None:
    for one_pass in (probabilities, plain_probabilities):
        shares, sums = one_pass(torch.tensor([[0.0, 1.0, 1.0]]), torch.tensor([1.0, 0.0, -torch.inf]))
        assert shares.tolist() == [pytest.approx([0.5, 0.5, 0.0])]
        assert sums.tolist() == pytest.approx([1 + 0.6931472])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("high", [-1e4, -100.0, 0.0, 100.0, 1e4])
def test_scores_far_from_zero_overflow_nowhere(dtype: torch.dtype, high: float) -> None:
    for one_pass in (probabilities, plain_probabilities):
        shares, sums = one_pass(torch.tensor([[high, high, -3e4]]).to(dtype), torch.zeros(3))
        assert shares.tolist() == [[0.5, 0.5, 0.0]]
        assert sums.item() == pytest.approx(high + 0.6931472, rel=2**-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_without_a_finite_score_has_no_probabilities(dtype: torch.dtype) -> None:
    for one_pass in (probabilities, plain_probabilities):
        shares, sums = one_pass(torch.tensor([[-torch.inf] * 3, [0.0] * 3]).to(dtype), torch.zeros(3))
        assert shares.float().tolist() == [[0.0] * 3, pytest.approx([1 / 3] * 3, rel=2**-8)]
        assert sums[0] == -torch.inf


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("broken", [torch.nan, -torch.nan, torch.inf])
def test_a_score_that_is_not_finite_is_seen_in_the_sum(dtype: torch.dtype, broken: float) -> None:
    for one_pass in (probabilities, plain_probabilities):
        _, sums = one_pass(torch.tensor([[0.0, broken, 1.0]]).to(dtype), torch.zeros(3))
        assert not torch.isfinite(sums).any()


def test_without_numba_the_plain_pass_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    values, bias = scores(4, 6, torch.float32)
    monkeypatch.setattr(compiled, "njit", None)
    for one, other in zip(probabilities(values.clone(), bias), plain_probabilities(values, bias), strict=True):
        assert torch.equal(one, other)
