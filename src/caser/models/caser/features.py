"""Caser's features [o~; o] of every window, in torch's operations: for GPUs, and for machines without numba.

The answer of a filter at a tape position does not depend on the window that reads it. Each answer is therefore computed
once per position (answers_CXA), and the maximum of a window is a maximum over positions. The answers of short filters
are summed row by row. Long filters are multiplied in the frequency domain, where the cost is the same for all heights.

Shape suffixes: C chunks, W windows per chunk, X = W + L - 1 tape positions, d width of vectors, n filters per height,
A = heights * n, K = sum of heights * n, V vertical filters, Y = 2 * (X // 2 + 1) real and imaginary parts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from caser.models.activations import ACTIVATIONS, Activation

LONG = 8
"""The mean height of filters above which the frequency domain is faster, as measured."""


def activate(name: Activation, values: Tensor) -> Tensor:
    """Apply an activation function.

    name    the name of the function
    values  floats of any shape

    >>> activate("relu", torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    result: Tensor = getattr(torch, ACTIVATIONS[name].torch)(values)
    return result


def are_long(heights: Sequence[int]) -> bool:
    """Return whether filters of these heights are faster in the frequency domain.

    heights  the heights of the filters

    >>> are_long(range(1, 6)), are_long(range(1, 51))
    (False, True)
    """
    return sum(heights) > LONG * len(heights)


def stacked(filters_hdn: Sequence[Tensor]) -> Tensor:
    """Put all rows of all filters into one matrix: first row 0 of each filter, then row 1 of each that has one, ...

    filters_hdn  the filters of each height h, (h, d, n) floats, with rising heights

    Returns floats (d, K).
    """
    rows = [list(filters.unbind(0)) for filters in filters_hdn]
    return torch.cat([each[r] for r in range(len(rows[-1])) for each in rows if r < len(each)], dim=1)


def sum_rows(products_CXK: Tensor, heights: Sequence[int]) -> Tensor:
    """Compute the answers of all filters at all positions: equation 3.

    products_CXK  (C, X, K) floats, the product of each position's vector with each column of `stacked`
    heights       the heights of the filters, rising

    Returns floats (C, X, A). An answer that would end beyond the chunk is the sum of the rows inside it.
    """
    X = products_CXK.shape[1]
    n = products_CXK.shape[2] // sum(heights)
    widths = [n * sum(h > r for h in heights) for r in range(heights[-1])]
    answers_CXA, *rows = torch.split(products_CXK, widths, dim=2)
    # Row r of a filter reads the vector r positions further on. Only the last columns have filters that high.
    for r, row in enumerate(rows[: X - 1], start=1):
        answers_CXA = answers_CXA + functional.pad(row[:, r:], (widths[0] - widths[r], 0, 0, r))
    return answers_CXA


def correlate(E_CXd: Tensor, filters_hdn: Sequence[Tensor]) -> Tensor:
    """Compute the answers of all filters in the frequency domain, where a correlation is a product: A = E conj(F).

    E_CXd        (C, X, d) floats, the vectors at each position
    filters_hdn  the filters of each height h, (h, d, n) floats, with rising heights

    Returns floats (C, X, A). A chunk is treated as periodic, so an answer that would end beyond the chunk is mixed with
    the chunk's beginning; no window reads such an answer. The transforms are matrix products. They are faster than an
    FFT here, because a filter has few rows and no axis has to move.
    """
    (C, X, d), highest = E_CXd.shape, len(filters_hdn[-1])
    # Transform the vectors.
    forth_YX, back_XY = _waves(X, E_CXd.dtype, E_CXd.device)
    real, imaginary = (forth_YX @ E_CXd.transpose(0, 1).reshape(X, C * d)).view(-1, 2, C, d).unbind(1)
    # (re, im) of E conj(F) are rows (re E, im E) and (im E, -re E) times columns (re F, im F).
    left = torch.stack([torch.cat([real, imaginary], 2), torch.cat([imaginary, -real], 2)], 1).view(-1, 2 * C, 2 * d)
    # Transform the filters.
    padded = torch.stack([functional.pad(each, (0, 0, 0, 0, 0, highest - len(each))) for each in filters_hdn], 2)
    right = (forth_YX[:, :highest] @ padded.view(highest, -1)).view(len(left), 2 * d, -1)
    # Multiply, and transform back.
    spectra_CYA = torch.bmm(left, right).view(len(forth_YX), C, -1).transpose(0, 1)
    return back_XY @ spectra_CYA


@lru_cache(maxsize=16)
def _waves(X: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """The real Fourier transform of X places as a matrix, (Y, X), and its inverse, (X, Y)."""
    frequencies = torch.arange(X // 2 + 1, dtype=torch.float64)
    angles = frequencies[:, None] * torch.arange(X) * (2 * math.pi / X)
    forth = torch.stack([angles.cos(), -angles.sin()], 1)
    is_alone = (frequencies == 0) | (2 * frequencies == X)  # every other frequency also counts for its mirror image
    weights = (2 - is_alone.double()) / X
    back = forth * weights[:, None, None]
    return forth.flatten(0, 1).to(device, dtype), back.flatten(0, 1).T.contiguous().to(device, dtype)


def largest(answers_CXA: Tensor, heights: Sequence[int], L: int) -> Tensor:
    """Compute the largest answer of each filter in each window: equation 5, before bias and phi_c.

    answers_CXA  (C, X, A) floats, the answers at each position
    heights      the heights of the filters, rising
    L            the width of a window

    Returns floats (C, W, A). Bias and phi_c never change which answer is the largest.
    """
    X = answers_CXA.shape[1]
    parts = torch.split(answers_CXA, answers_CXA.shape[2] // len(heights), dim=2)
    return torch.cat(
        [_sliding_maximum(part[:, : X - h + 1], L - h + 1) for h, part in zip(heights, parts, strict=True)], dim=2
    )


def _sliding_maximum(values_CPn: Tensor, width: int) -> Tensor:
    """The maximum over each run of `width` neighbouring places, (C, P - width + 1, n), in about log2(width) steps."""
    done = 1
    while 2 * done <= width:
        values_CPn = torch.maximum(values_CPn[:, :-done], values_CPn[:, done:])
        done *= 2
    rest = width - done
    return torch.maximum(values_CPn[:, :-rest], values_CPn[:, rest:]) if rest else values_CPn


def sum_windows(E_CXd: Tensor, G_VL: Tensor) -> Tensor:
    """Compute the weighted sums of the L rows of every window: equation 6, before the bias.

    E_CXd  (C, X, d) floats, the vectors at each position
    G_VL   (V, L) floats, the weights of the vertical filters

    Returns floats (C, V, W, d). All windows of a chunk are one product with a band matrix: its row (v, w) has the
    weights of filter v at the columns w to w + L - 1.
    """
    C, X, d = E_CXd.shape
    (V, L), W = G_VL.shape, X - G_VL.shape[1] + 1
    columns_WL = (torch.arange(W)[:, None] + torch.arange(L)).to(E_CXd.device)
    band_VWX = E_CXd.new_zeros(V, W, X).scatter(2, columns_WL.expand(V, W, L), G_VL[:, None].expand(V, W, L))
    return (band_VWX.view(V * W, X) @ E_CXd).view(C, V, W, d)
