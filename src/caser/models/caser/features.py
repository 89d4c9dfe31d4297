"""Caser's features, [o~; o] of every window, in torch's own operations: for GPUs, and for machines without numba.

What a filter answers at a tape position does not depend on the window it is read in, so it is computed once per
position, and a window's maximum is a maximum over positions: answers_CXA, then features. Short filters are summed row
by row; long ones are multiplied in the frequency domain, which costs a filter the same whatever its height.

Shape suffixes: C chunks, W windows per chunk, X = W + L - 1 tape positions, d width of vectors, n filters per height,
A = heights * n, K = sum of heights * n, V vertical filters, Y = 2 * (X // 2 + 1) real and imaginary parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}


LONG = 8
"""Mean height above which filters are cheaper in the frequency domain, as measured."""


def are_long(heights: Sequence[int]) -> bool:
    """Whether such filters are for the frequency domain.

    >>> are_long(range(1, 6)), are_long(range(1, 51))
    (False, True)
    """
    return sum(heights) > LONG * len(heights)


def stacked(filters_hdn: Sequence[Tensor]) -> Tensor:
    """All rows of all filters as one matrix (d, K): row r of each that is higher than r, for r = 0, 1, ..."""
    rows = [list(one.unbind(0)) for one in filters_hdn]
    return torch.cat([each[r] for r in range(len(rows[-1])) for each in rows if r < len(each)], dim=1)


def sum_rows(products_CXK: Tensor, heights: Sequence[int]) -> Tensor:
    """answers_CXA: equation 3 from what each filter row says of each position; beyond the tape there is nothing."""
    X = products_CXK.shape[1]
    n = products_CXK.shape[2] // sum(heights)
    widths = [n * sum(h > r for h in heights) for r in range(heights[-1])]
    answers_CXA, *rows = torch.split(products_CXK, widths, dim=2)
    for r, row in enumerate(rows[: X - 1], start=1):
        answers_CXA = answers_CXA + functional.pad(row[:, r:], (widths[0] - widths[r], 0, 0, r))
    return answers_CXA


def correlate(E_CXd: Tensor, filters_hdn: Sequence[Tensor]) -> Tensor:
    """answers_CXA by way of the frequency domain, where a correlation is a product: A(f) = E(f) conj(F(f)).

    The transforms are products too, which beats an FFT here: a filter has few rows, and no axis need move. A chunk is
    taken as periodic; an answer that would end beyond it is mixed with its beginning, and no window reads it.
    """
    (C, X, d), highest = E_CXd.shape, len(filters_hdn[-1])
    forth_YX, back_XY = _waves(X, E_CXd.dtype, E_CXd.device)
    real, imaginary = (forth_YX @ E_CXd.transpose(0, 1).reshape(X, C * d)).view(-1, 2, C, d).unbind(1)
    # (re, im) of E conj(F) are rows (re E, im E) and (im E, -re E) times columns (re F, im F).
    left = torch.stack([torch.cat([real, imaginary], 2), torch.cat([imaginary, -real], 2)], 1).view(-1, 2 * C, 2 * d)
    padded = torch.stack([functional.pad(one, (0, 0, 0, 0, 0, highest - len(one))) for one in filters_hdn], 2)
    right = (forth_YX[:, :highest] @ padded.view(highest, -1)).view(len(left), 2 * d, -1)
    spectra_CYA = torch.bmm(left, right).view(len(forth_YX), C, -1).transpose(0, 1)
    return back_XY @ spectra_CYA


@lru_cache(maxsize=16)
def _waves(X: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """The real Fourier transform of X places as a matrix (Y, X), and its inverse (X, Y)."""
    frequencies = torch.arange(X // 2 + 1, dtype=torch.float64)
    angles = frequencies[:, None] * torch.arange(X) * (2 * math.pi / X)
    forth = torch.stack([angles.cos(), -angles.sin()], 1)
    is_alone = (frequencies == 0) | (2 * frequencies == X)  # all other frequencies stand for their mirror image as well
    weights = (2 - is_alone.double()) / X
    back = forth * weights[:, None, None]
    return forth.flatten(0, 1).to(device, dtype), back.flatten(0, 1).T.contiguous().to(device, dtype)


def largest(answers_CXA: Tensor, heights: Sequence[int], L: int) -> Tensor:
    """Equation 5, short of phi_c and the bias, which change no winner: (C, W, A)."""
    X = answers_CXA.shape[1]
    parts = torch.split(answers_CXA, answers_CXA.shape[2] // len(heights), dim=2)
    return torch.cat(
        [_sliding_maximum(part[:, : X - h + 1], L - h + 1) for h, part in zip(heights, parts, strict=True)], dim=2
    )


def _sliding_maximum(values_CPn: Tensor, width: int) -> Tensor:
    """The largest of each `width` neighbouring places, (C, P - width + 1, n), in about log2(width) steps."""
    done = 1
    while 2 * done <= width:
        values_CPn = torch.maximum(values_CPn[:, :-done], values_CPn[:, done:])
        done *= 2
    rest = width - done
    return torch.maximum(values_CPn[:, :-rest], values_CPn[:, rest:]) if rest else values_CPn


def sum_windows(E_CXd: Tensor, G_VL: Tensor) -> Tensor:
    """Equation 6, short of the bias: V weighted sums of the L rows of each window, (C, V, W, d).

    All windows of a chunk are one product: row (v, w) of the band has the weights of filter v at columns w..w+L-1.
    """
    C, X, d = E_CXd.shape
    (V, L), W = G_VL.shape, X - G_VL.shape[1] + 1
    columns_WL = (torch.arange(W)[:, None] + torch.arange(L)).to(E_CXd.device)
    band_VWX = E_CXd.new_zeros(V, W, X).scatter(2, columns_WL.expand(V, W, L), G_VL[:, None].expand(V, W, L))
    return (band_VWX.view(V * W, X) @ E_CXd).view(C, V, W, d)
