"""Scores of each state with its own items, in torch's operations, and by a kernel that reads every vector once.

Torch gathers the vectors of all items, (M, K, D), multiplies them, and scatters their gradients: four passes over the
largest array of a step. The kernel reads the vectors where they are, and adds their gradients in place. It runs on the
CPU if numba is installed. The two agree up to rounding.

Shape suffixes: M states, K items that a state scores, I catalogue + padding, D state width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from caser.system.compiled import usable
from caser.training import kernels


def own_scores(states_MD: Tensor, vectors_ID: Tensor, bias_I: Tensor, items_MK: Tensor) -> Tensor:
    """Compute the score state_m . vector + bias for each item k of each state m.

    states_MD   (M, D) floats
    vectors_ID  (I, D) floats, the item vectors
    bias_I      (I,) floats, the item biases
    items_MK    (M, K) int64, the items of each state

    Returns floats (M, K).

    >>> vectors, bias = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]), torch.tensor([0.0, 0.5, 0.0])
    >>> own_scores(torch.tensor([[3.0, 4.0]]), vectors, bias, torch.tensor([[2, 1]]))
    tensor([[8.0000, 3.5000]])
    """
    if usable(states_MD):
        scores: Tensor = _OwnScores.apply(states_MD, vectors_ID, bias_I, items_MK)  # type: ignore[no-untyped-call]
        return scores
    return plain_own_scores(states_MD, vectors_ID, bias_I, items_MK)


def plain_own_scores(states_MD: Tensor, vectors_ID: Tensor, bias_I: Tensor, items_MK: Tensor) -> Tensor:
    """Compute the same scores in torch's operations: for GPUs, and without numba.

    states_MD, vectors_ID, bias_I, items_MK  as in `own_scores`

    Returns floats (M, K).
    """
    vectors_MKD = functional.embedding(items_MK, vectors_ID)
    return torch.einsum("md,mkd->mk", states_MD, vectors_MKD) + bias_I[items_MK]


class _OwnScores(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, vectors: Tensor, bias: Tensor, items: Tensor) -> Tensor:
        states, vectors, items = states.contiguous(), vectors.contiguous(), items.contiguous()
        ctx.save_for_backward(states, vectors, items)
        scores = states.new_empty(items.shape)
        kernels.put_scores(*map(_numpy, (states, vectors, bias, items, scores)))
        return scores

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        states, vectors, items = ctx.saved_tensors
        of_scores = gradients[0].contiguous()
        sums = torch.zeros_like(states), torch.zeros_like(vectors), states.new_zeros(len(vectors))
        kernels.add_gradients(*map(_numpy, (states, vectors, items, of_scores, *sums)))
        return *sums, None


def _numpy(tensor: Tensor) -> Any:
    return tensor.detach().numpy()
