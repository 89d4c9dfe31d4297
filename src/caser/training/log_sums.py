"""The log of the sum of e^score over many items: what a softmax needs of the items that are no target.

    log_sum_m = log sum_j e^(state_m . vector_j + bias_j)

Its gradient is the softmax itself, so the scores become probabilities in place, and nothing else of that size is made.
The three matrix products, scores and two gradients, may be in bfloat16: their inputs and results are rounded to three
digits. Biases, exponentials, sums, and the gradients as they are added up over blocks, are in float32.

The pass over the scores is a compiled loop on the CPU if numba is installed, and torch's operations otherwise.

Shape suffixes: M states, I catalogue + padding, J items of the sum, D state width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from caser.config import Precision
from caser.system.compiled import usable
from caser.training import kernels

MOST_SCORES = 2**22
"""Scores that are held at once. Fewer are not faster on one thread, and a tenth slower on two."""

_FEWEST_STATES = 256
"""The smallest block of states. With fewer, adding up the gradients of a large catalogue costs as much as the products:
at 100,000 items, blocks of 64 take 1.6 times as long in bfloat16."""


def sum_over_catalogue(
    states_MD: Tensor, vectors_ID: Tensor, bias_I: Tensor, weights_M: Tensor, precision: Precision
) -> Tensor:
    """Compute the weighted sum of the states' log sums over the whole catalogue: sum_m weight_m log_sum_m.

    states_MD   (M, D) floats
    vectors_ID  (I, D) floats, the item vectors; row 0 (padding) is ignored
    bias_I      (I,) floats, the item biases
    weights_M   (M,) whole numbers, such as the number of targets of each state
    precision   the number type of the matrix products

    Returns a float scalar. The gradients are computed at the same time, block by block, so that all scores never exist
    at once.

    >>> sum_over_catalogue(torch.zeros(1, 2), torch.zeros(5, 2), torch.zeros(5), torch.tensor([2]), "float32").item()
    2.772588...
    """
    total: Tensor = _SumOverCatalogue.apply(states_MD, vectors_ID, bias_I, weights_M, precision)  # type: ignore[no-untyped-call]
    return total


class _SumOverCatalogue(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, states_MD: Tensor, vectors_ID: Tensor, bias_I: Tensor, weights_M: Tensor, precision: Precision
    ) -> Tensor:
        kind = product_dtype(precision, states_MD)
        vectors_JD, bias_J = vectors_ID[1:].to(kind), bias_I[1:]
        total = states_MD.new_zeros(())
        of_states_MD = torch.empty_like(states_MD)
        of_vectors_ID, of_bias_I = torch.zeros_like(vectors_ID), torch.zeros_like(bias_I)
        size = max(_FEWEST_STATES, MOST_SCORES // max(1, len(vectors_JD)))
        blocks = (torch.split(one, size) for one in (states_MD, weights_M, of_states_MD))
        for states_BD, weights_B, of_states_BD in zip(*blocks, strict=True):
            low_BD = states_BD.to(kind)
            share_BJ, log_sums_B = probabilities(low_BD @ vectors_JD.T, bias_J)
            total += log_sums_B @ weights_B.to(log_sums_B.dtype)
            # Whole numbers are exact in bfloat16; the mean over targets divides the gradients later, in float32.
            torch.mul((share_BJ @ vectors_JD).to(states_MD.dtype), weights_B[:, None], out=of_states_BD)
            add_product(of_vectors_ID[1:], share_BJ.T, low_BD * weights_B[:, None].to(kind))
            of_bias_I[1:] += weights_B.to(kind) @ share_BJ
        ctx.save_for_backward(of_states_MD, of_vectors_ID, of_bias_I)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return *(gradients[0] * one for one in ctx.saved_tensors), None, None


def log_sums(states_MD: Tensor, vectors_JD: Tensor, bias_J: Tensor, masked_MJ: Tensor, precision: Precision) -> Tensor:
    """Compute the log sum of each state over a few items, such as the negatives that all states share.

    states_MD   (M, D) floats
    vectors_JD  (J, D) floats, the vectors of the items
    bias_J      (J,) floats, added to the scores of each state
    masked_MJ   (M, J) bool, True where an item does not count for a state
    precision   the number type of the matrix products

    Returns floats (M,); -inf where no item counts. The probabilities, (M, J), are kept for the gradients.

    >>> masked = torch.tensor([[False, False, True]])
    >>> log_sums(torch.zeros(1, 2), torch.ones(3, 2), torch.zeros(3), masked, "float32")
    tensor([0.6931])
    """
    sums: Tensor = _LogSums.apply(states_MD, vectors_JD, bias_J, masked_MJ, precision)  # type: ignore[no-untyped-call]
    return sums


class _LogSums(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, states_MD: Tensor, vectors_JD: Tensor, bias_J: Tensor, masked_MJ: Tensor, precision: Precision
    ) -> Tensor:
        kind = product_dtype(precision, states_MD)
        low_JD = vectors_JD.to(kind)
        share_MJ, log_sums_M = probabilities(states_MD.to(kind) @ low_JD.T, bias_J, masked_MJ)
        ctx.save_for_backward(states_MD, low_JD, share_MJ)
        return log_sums_M

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        states_MD, low_JD, share_MJ = ctx.saved_tensors
        weights_M, kind = gradients[0], share_MJ.dtype
        of_states_MD = (share_MJ @ low_JD).to(states_MD.dtype) * weights_M[:, None]
        of_vectors_JD = share_MJ.T @ (states_MD * weights_M[:, None]).to(kind)
        of_bias_J = weights_M.to(kind) @ share_MJ
        return of_states_MD, of_vectors_JD.to(states_MD.dtype), of_bias_J.to(states_MD.dtype), None, None


def product_dtype(precision: Precision, like: Tensor) -> torch.dtype:
    """Return torch's type for the inputs of products. "float32" leaves them in the type of the parameters.

    precision  the number type of products
    like       a tensor in the type of the parameters
    """
    return torch.bfloat16 if precision == "bfloat16" else like.dtype


def probabilities(scores_MJ: Tensor, bias_J: Tensor, masked_MJ: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Compute the softmax of each row of `scores + bias`, and the log of the sum of its exponentials.

    scores_MJ  (M, J) floats, overwritten
    bias_J     (J,) floats, in the type of the log sums
    masked_MJ  (M, J) bool, True where a score counts as -inf; None masks none

    Returns the probabilities, (M, J) in the type of the scores, and the log sums, (M,). A row of -inf has the
    probabilities 0 and the log sum -inf.

    >>> probabilities(torch.tensor([[0.0, 1.0]]), torch.tensor([1.0, 0.0]))
    (tensor([[0.5000, 0.5000]]), tensor([1.6931]))
    """
    compiled_types = {torch.float32: torch.float32, torch.bfloat16: torch.int16}
    if not usable(scores_MJ) or scores_MJ.dtype not in compiled_types or bias_J.dtype != torch.float32:
        return plain_probabilities(scores_MJ, bias_J, masked_MJ)
    masked_MJ = torch.empty(0, 0, dtype=torch.bool) if masked_MJ is None else masked_MJ
    log_sums_M = bias_J.new_empty(len(scores_MJ))
    put = kernels.put_probabilities if scores_MJ.dtype == torch.float32 else kernels.put_probabilities_bfloat16
    scores = scores_MJ.view(compiled_types[scores_MJ.dtype]).numpy()
    put(scores, bias_J.contiguous().numpy(), masked_MJ.numpy(), log_sums_M.numpy())
    return scores_MJ, log_sums_M


def plain_probabilities(scores_MJ: Tensor, bias_J: Tensor, masked_MJ: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Compute the same in torch's operations: for GPUs, without numba, and in double precision.

    scores_MJ, bias_J, masked_MJ  as in `probabilities`

    Returns what `probabilities` returns.
    """
    values_MJ = scores_MJ.to(bias_J.dtype).add_(bias_J)
    if masked_MJ is not None:
        values_MJ.masked_fill_(masked_MJ, -torch.inf)
    high_M = values_MJ.amax(dim=1)
    share_MJ = torch.softmax(values_MJ, dim=1)
    # The item with the highest score has the probability 1 / sum e^(score - highest).
    log_sums_M = high_M - share_MJ.amax(dim=1).log()
    is_empty_M = high_M == -torch.inf
    share_MJ.masked_fill_(is_empty_M[:, None], 0)
    return share_MJ.to(scores_MJ.dtype), torch.where(is_empty_M, high_M, log_sums_M)


def add_product(total_JD: Tensor, left_JM: Tensor, right_MD: Tensor) -> None:
    """Add a matrix product to a sum, which may be in a finer type than the factors.

    total_JD           (J, D) floats, added to
    left_JM, right_MD  (J, M) and (M, D) floats of one type
    """
    if total_JD.dtype == left_JM.dtype:
        total_JD.addmm_(left_JM, right_MD)
    else:
        total_JD += left_JM @ right_MD
