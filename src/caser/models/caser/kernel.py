"""Caser's features by compiled loops, for the processor: one pass each, and no temporaries in between.

Vectors come by number: row_CX says which row of E_Rd stands at each tape position, so an item that a batch holds many
times is multiplied once. Features are made for the wanted windows alone, and a maximum hands its gradient to the one
place that won it. `caser_features.py` has the same in torch's operations, for machines without numba and for GPUs; it
is the judge. The loops are in `caser_loops.py`, and so is the legend of shape suffixes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from caser.models.caser import loops as caser_loops
from caser.models.caser.loops import PHI, Array


def sum_windows(E_Rd: Tensor, G_VL: Tensor, row_CX: Tensor) -> Tensor:
    """Sums of the L rows of every window with the weights of each vertical filter, short of the bias: (C, V, W, d)."""
    return _apply(_WindowSums, E_Rd, G_VL, row_CX)


def sum_rows(products_RK: Tensor, row_CX: Tensor, heights: Sequence[int]) -> Tensor:
    """What every filter answers at every tape position, answers_CXA, from what its rows say of each vector.

    `heights` rise. products_RK holds, for r = 0, 1, ..., row r of all filters higher than r. An answer that would end
    beyond the tape is the sum of what there is, and no window reads it.
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
    phi: str,
) -> Tensor:
    """[o~; o] of the windows `rows` after dropout, (M, F).

    `noise` are bytes (M, F) and a threshold: a feature is dropped where its byte is below the threshold, and multiplied
    by 256 / (256 - threshold) elsewhere. A branch that is left out has no filters: V or A is 0.
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
        PHI.index(phi),
    )


def _apply(function: Any, *arguments: Any) -> Tensor:
    made: Tensor = function.apply(*arguments)
    return made


class _WindowSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, E_Rd: Tensor, G_VL: Tensor, row_CX: Tensor) -> Tensor:
        """Equation 6."""
        (C, X), (V, L) = row_CX.shape, G_VL.shape
        sums_CVWd = E_Rd.new_zeros(C, V, X - L + 1, E_Rd.shape[1])
        ctx.save_for_backward(E_Rd, G_VL, row_CX)
        caser_loops.sum_windows(*_arrays(E_Rd, G_VL, row_CX, sums_CVWd))
        return sums_CVWd

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Of vectors and filters."""
        E_Rd, G_VL, row_CX = ctx.saved_tensors
        dE_Rd, dG_VL = torch.zeros_like(E_Rd), torch.zeros_like(G_VL)
        caser_loops.sum_windows_backward(*_arrays(gradients[0], E_Rd, G_VL, row_CX, dE_Rd, dG_VL))
        return dE_Rd, dG_VL, None


class _RowSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, products_RK: Tensor, row_CX: Tensor, heights: Array) -> Tensor:
        """Equation 3."""
        n = products_RK.shape[1] // int(heights.sum())
        answers_CXA = products_RK.new_empty(*row_CX.shape, len(heights) * n)
        ctx.save_for_backward(row_CX)
        ctx.heights, ctx.shape = heights, products_RK.shape
        caser_loops.sum_rows(*_arrays(products_RK, row_CX), heights, *_arrays(answers_CXA))
        return answers_CXA

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Of the products."""
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
        """Equations 4 to 7: the maximum first and phi_c after it, which changes no winner."""
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
        """Of sums, answers and biases."""
        made = [gradients[0].new_zeros(shape) for shape in ctx.shapes]
        caser_loops.features_backward(*_arrays(gradients[0], *ctx.saved_tensors), *ctx.settings, *_arrays(*made))
        return *made, None, None, None, None, None


def _arrays(*tensors: Tensor) -> tuple[Array, ...]:
    return tuple(tensor.detach().contiguous().numpy() for tensor in tensors)
