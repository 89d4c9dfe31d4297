"""Caser's features by compiled loops, for the CPU: one pass over the data, without temporary arrays.

row_CX holds, for each tape position, the row of E_Rd with the position's vector; so an item that occurs many times in a
batch is multiplied once. Only the features of the wanted windows are computed. The gradient of a maximum goes to the
place where the maximum was found. `features.py` computes the same in torch's operations, for machines without numba and
for GPUs; the tests hold the two to equal results. The loops, and the legend of shape suffixes, are in `loops.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from caser.models.activations import ACTIVATIONS, Activation
from caser.models.caser import loops as caser_loops
from caser.models.caser.loops import Array

_NUMBERS: dict[Activation, int] = {name: number for number, name in enumerate(ACTIVATIONS)}
"""The number by which the loops know an activation function."""


def sum_windows(E_Rd: Tensor, G_VL: Tensor, row_CX: Tensor) -> Tensor:
    """Compute the weighted sums of the L rows of every window: equation 6, before the bias.

    E_Rd    (R, d) floats, distinct vectors
    G_VL    (V, L) floats, the weights of the vertical filters
    row_CX  (C, X) int64, which row of E_Rd is at each tape position

    Returns floats (C, V, W, d).
    """
    return _apply(_WindowSums, E_Rd, G_VL, row_CX)


def sum_rows(products_RK: Tensor, row_CX: Tensor, heights: Sequence[int]) -> Tensor:
    """Compute the answers of all filters at all tape positions: equation 3.

    products_RK  (R, K) floats, the product of each vector with each filter row, in the order of `features.stacked`
    row_CX       (C, X) int64, which row of products_RK is at each tape position
    heights      the heights of the filters, rising

    Returns floats (C, X, A). An answer that would end beyond the chunk is the sum of the rows inside it; no window
    reads it.
    """
    return _apply(_RowSums, products_RK, row_CX, np.array(heights, np.int64))


def make_features(
    sums_CVWd: Tensor,
    bG_V: Tensor,
    answers_CXA: Tensor,
    bF_A: Tensor,
    rows: tuple[Tensor, Tensor],
    noise: tuple[Tensor, int],
    heights: Sequence[int],
    L: int,
    phi: Activation,
) -> Tensor:
    """Compute the features [o~; o] of the wanted windows, after dropout.

    sums_CVWd    (C, V, W, d) floats, from `sum_windows`
    bG_V         (V,) floats, the biases of the vertical filters
    answers_CXA  (C, X, A) floats, from `sum_rows`
    bF_A         (A,) floats, the biases of the horizontal filters
    rows         the wanted windows: their chunks and their places, each (M,) int64
    noise        uint8 (M, F) and a threshold: a feature whose byte is below the threshold is dropped, and every other
                 one is multiplied by 256 / (256 - threshold)
    heights      the heights of the horizontal filters, rising
    L            the width of a window
    phi          the activation function of the horizontal filters

    Returns floats (M, F). Without a branch, V or A is 0.
    """
    return _apply(
        _Features,
        sums_CVWd,
        bG_V,
        answers_CXA,
        bF_A,
        rows,
        noise,
        np.array(heights, np.int64),
        L,
        _NUMBERS[phi],
    )


def _apply(function: Any, *arguments: Any) -> Tensor:
    result: Tensor = function.apply(*arguments)
    return result


class _WindowSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, E_Rd: Tensor, G_VL: Tensor, row_CX: Tensor) -> Tensor:
        """The weighted sums of the rows of each window: equation 6."""
        (C, X), (V, L) = row_CX.shape, G_VL.shape
        sums_CVWd = E_Rd.new_zeros(C, V, X - L + 1, E_Rd.shape[1])
        ctx.save_for_backward(E_Rd, G_VL, row_CX)
        caser_loops.sum_windows(*_arrays(E_Rd, G_VL, row_CX, sums_CVWd))
        return sums_CVWd

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of the vectors and of the filters."""
        E_Rd, G_VL, row_CX = ctx.saved_tensors
        dE_Rd, dG_VL = torch.zeros_like(E_Rd), torch.zeros_like(G_VL)
        caser_loops.sum_windows_backward(*_arrays(gradients[0], E_Rd, G_VL, row_CX, dE_Rd, dG_VL))
        return dE_Rd, dG_VL, None


class _RowSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, products_RK: Tensor, row_CX: Tensor, heights: Array) -> Tensor:
        """The answers of the filters at each position: equation 3."""
        n = products_RK.shape[1] // int(heights.sum())
        answers_CXA = products_RK.new_empty(*row_CX.shape, len(heights) * n)
        ctx.save_for_backward(row_CX)
        ctx.heights, ctx.shape = heights, products_RK.shape
        caser_loops.sum_rows(*_arrays(products_RK, row_CX), heights, *_arrays(answers_CXA))
        return answers_CXA

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of the products."""
        d_products_RK = gradients[0].new_zeros(ctx.shape)
        caser_loops.sum_rows_backward(*_arrays(gradients[0], *ctx.saved_tensors), ctx.heights, *_arrays(d_products_RK))
        return d_products_RK, None, None


class _Features(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        sums_CVWd: Tensor,
        bG_V: Tensor,
        answers_CXA: Tensor,
        bF_A: Tensor,
        rows: tuple[Tensor, Tensor],
        noise: tuple[Tensor, int],
        heights: Array,
        L: int,
        phi: int,
    ) -> Tensor:
        """Equations 4 to 7. phi_c never decreases, so the maximum comes before it."""
        (_, V, _, d), A = sums_CVWd.shape, len(bF_A)
        o_MF, winner_MA = bF_A.new_empty(len(rows[0]), V * d + A), bF_A.new_empty(len(rows[0]), A, dtype=torch.int16)
        ctx.settings = np.uint8(noise[1]), phi
        inputs = _arrays(sums_CVWd, bG_V, answers_CXA, bF_A, *rows, noise[0])
        caser_loops.make_features(*inputs, *ctx.settings, heights, L, *_arrays(o_MF, winner_MA))
        ctx.save_for_backward(*rows, noise[0], o_MF, winner_MA)
        ctx.shapes = sums_CVWd.shape, bG_V.shape, answers_CXA.shape, bF_A.shape
        return o_MF

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of sums, answers and biases."""
        inputs = [gradients[0].new_zeros(shape) for shape in ctx.shapes]
        caser_loops.features_backward(*_arrays(gradients[0], *ctx.saved_tensors), *ctx.settings, *_arrays(*inputs))
        return *inputs, None, None, None, None, None


def _arrays(*tensors: Tensor) -> tuple[Array, ...]:
    return tuple(tensor.detach().contiguous().numpy() for tensor in tensors)
