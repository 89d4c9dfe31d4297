"""Scores of each state with its own items: the kernel equals the form in torch, forward and backward."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from caser.system import compiled
from caser.system.randomness import torch_generator
from caser.training.own_scores import own_scores, plain_own_scores
from tests.skips import NEEDS_EXTRAS

SIZES = list(product((1, 3, 70), (1, 2, 12), (1, 5, 100), (1, 9)))


def a_case(M: int, K: int, D: int, num_items: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """States, vectors, bias and items, some of them twice and some of them padding."""
    generator = torch_generator(0, "case", M, K, D, num_items)
    states, vectors, bias = (
        torch.randn(*shape, generator=generator).requires_grad_()
        for shape in ((M, D), (num_items + 1, D), (num_items + 1,))
    )
    return states, vectors, bias, torch.randint(0, num_items + 1, (M, K), generator=generator)


@pytest.mark.parametrize(("M", "K", "D", "num_items"), SIZES)
def test_the_kernel_equals_the_plain_form_forward_and_backward(M: int, K: int, D: int, num_items: int) -> None:
    pytest.importorskip("numba", reason=NEEDS_EXTRAS)
    *arrays, items = a_case(M, K, D, num_items)
    states, vectors, bias = arrays
    slopes = torch.randn(M, K, generator=torch_generator(1, "slopes"))
    found, expected = own_scores(states, vectors, bias, items), plain_own_scores(states, vectors, bias, items)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    pairs = zip(*(torch.autograd.grad(scores, arrays, slopes) for scores in (found, expected)), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_arrays_that_are_not_contiguous_give_the_same_scores() -> None:
    states, vectors, bias, items = a_case(4, 6, 3, 5)
    turned = (states.T.contiguous().T, vectors.T.contiguous().T, bias, items.T.contiguous().T)
    torch.testing.assert_close(own_scores(*turned), plain_own_scores(states, vectors, bias, items))
    scores = own_scores(states, vectors, bias, items)
    every_slope_one = scores.new_ones(1).expand_as(scores)
    (found,) = torch.autograd.grad(scores, vectors, every_slope_one)
    (expected,) = torch.autograd.grad(plain_own_scores(states, vectors, bias, items).sum(), vectors)
    torch.testing.assert_close(found, expected)


def test_double_precision_is_kept() -> None:
    states, vectors, bias, items = (one.double() if one.is_floating_point() else one for one in a_case(4, 6, 3, 5))
    found = own_scores(states, vectors, bias, items)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, plain_own_scores(states, vectors, bias, items))


def test_without_numba_the_torch_form_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    states, vectors, bias, items = a_case(4, 6, 3, 5)
    monkeypatch.setattr(compiled, "njit", None)
    assert torch.equal(own_scores(states, vectors, bias, items), plain_own_scores(states, vectors, bias, items))
