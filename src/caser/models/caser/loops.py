"""The loops of `kernel.py`. numba compiles them (`system/compiled.py`).

All arrays are NumPy's. Outputs are the last arguments and are filled in place. The inner loops run over neighbours in
memory and have one or two lines, so that the compiler turns them into vector instructions. There is one thread and one
order of additions, so the results are the same bits every time.

Shape suffixes: C chunks, W windows per chunk, X = W + L - 1 tape positions, M wanted windows, R rows of vectors of
width d, V vertical filters, n filters per height, A = heights * n, K = sum of heights * n, F = V * d + A features.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caser.system.compiled import compiled

Array = np.ndarray[Any, np.dtype[Any]]


@compiled
def _copy(to: Array, values: Array) -> None:
    for t in range(len(values)):
        to[t] = values[t]


@compiled
def _add(to: Array, values: Array) -> None:
    for t in range(len(values)):
        to[t] += values[t]


@compiled
def _add_times(to: Array, weight: Any, values: Array) -> None:
    for t in range(len(values)):
        to[t] += weight * values[t]


@compiled
def _dot(left: Array, right: Array) -> Any:
    total = left.dtype.type(0)
    for t in range(len(left)):
        total += left[t] * right[t]
    return total


@compiled
def _keep_larger(best: Array, winner: Array, values: Array, place: Any) -> None:
    for t in range(len(values)):
        if values[t] > best[t]:
            best[t] = values[t]
            winner[t] = place


@compiled
def _drop(values: Array, noise: Array, threshold: Any, scale: Any, zero: Any) -> None:
    for t in range(len(values)):
        values[t] = values[t] * scale if noise[t] >= threshold else zero


@compiled
def sum_rows(products_RK: Array, row_CX: Array, heights: Array, answers_CXA: Array) -> None:
    """Compute answers_CXA: the sum over a filter's rows, each at its own position.

    products_RK  (R, K) floats            row_CX       (C, X) int64
    heights      (heights,) int64, rising answers_CXA  (C, X, A) floats, written
    """
    C, X, A = answers_CXA.shape
    n = A // len(heights)
    for chunk in range(C):
        for x in range(X):
            _copy(answers_CXA[chunk, x], products_RK[row_CX[chunk, x], :A])
            column = lower = 0
            for r in range(1, min(heights[-1], X - x)):
                column += A - lower  # skip the row before: it has one column for each filter above `lower`
                while heights[lower // n] <= r:
                    lower += n
                _add(answers_CXA[chunk, x, lower:], products_RK[row_CX[chunk, x + r], column : column + A - lower])


@compiled
def sum_rows_backward(d_answers_CXA: Array, row_CX: Array, heights: Array, d_products_RK: Array) -> None:
    """Add the gradient of the products.

    d_answers_CXA  (C, X, A) floats         row_CX         (C, X) int64
    heights        (heights,) int64, rising d_products_RK  (R, K) floats, added to
    """
    C, X, A = d_answers_CXA.shape
    n = A // len(heights)
    for chunk in range(C):
        for x in range(X):
            column = lower = 0
            for r in range(min(heights[-1], X - x)):
                while heights[lower // n] <= r:
                    lower += n
                _add(d_products_RK[row_CX[chunk, x + r], column:], d_answers_CXA[chunk, x, lower:])
                column += A - lower


@compiled
def sum_windows(E_Rd: Array, G_VL: Array, row_CX: Array, sums_CVWd: Array) -> None:
    """Compute sums_CVWd: equation 6 for every window.

    E_Rd    (R, d) floats       G_VL       (V, L) floats
    row_CX  (C, X) int64        sums_CVWd  (C, V, W, d) floats, zeros that are added to
    """
    (C, V, W, d), L = sums_CVWd.shape, G_VL.shape[1]
    vectors = np.empty((W + L - 1) * d, E_Rd.dtype)
    for chunk in range(C):
        for x in range(W + L - 1):
            _copy(vectors[x * d :], E_Rd[row_CX[chunk, x]])
        for v in range(V):
            sums = sums_CVWd[chunk, v].reshape(W * d)
            for place in range(L):
                _add_times(sums, G_VL[v, place], vectors[place * d : (place + W) * d])


@compiled
def sum_windows_backward(
    d_sums_CVWd: Array, E_Rd: Array, G_VL: Array, row_CX: Array, dE_Rd: Array, dG_VL: Array
) -> None:
    """Add the gradients of the vectors and of the filters.

    d_sums_CVWd  (C, V, W, d) floats    E_Rd   (R, d) floats            G_VL   (V, L) floats
    row_CX       (C, X) int64           dE_Rd  (R, d) floats, added to  dG_VL  (V, L) floats, added to
    """
    (C, V, W, d), L = d_sums_CVWd.shape, G_VL.shape[1]
    vectors, d_vectors = np.empty((W + L - 1) * d, E_Rd.dtype), np.empty((W + L - 1) * d, E_Rd.dtype)
    for chunk in range(C):
        d_vectors[:] = 0
        for x in range(W + L - 1):
            _copy(vectors[x * d :], E_Rd[row_CX[chunk, x]])
        for v in range(V):
            d_sums = d_sums_CVWd[chunk, v].reshape(W * d)
            for place in range(L):
                dG_VL[v, place] += _dot(d_sums, vectors[place * d : (place + W) * d])
                _add_times(d_vectors[place * d :], G_VL[v, place], d_sums)
        for x in range(W + L - 1):
            _add(dE_Rd[row_CX[chunk, x]], d_vectors[x * d : x * d + d])


@compiled
def make_features(
    sums_CVWd: Array,
    bG_V: Array,
    answers_CXA: Array,
    bF_A: Array,
    chunk_M: Array,
    window_M: Array,
    noise_MF: Array,
    threshold: Any,
    phi: int,
    heights: Array,
    L: int,
    o_MF: Array,
    winner_MA: Array,
) -> None:
    """Compute the features of the wanted windows, and where each maximum was found.

    sums_CVWd    (C, V, W, d) floats    bG_V       (V,) floats
    answers_CXA  (C, X, A) floats       bF_A       (A,) floats
    chunk_M      (M,) int64             window_M   (M,) int64: the wanted windows
    noise_MF     (M, F) uint8           threshold  uint8: a feature is dropped where its byte is below
    phi          the place of the activation function in ACTIVATIONS
    heights      (heights,) int64       L          the width of a window
    o_MF         (M, F) floats, written
    winner_MA    (M, A) int16, written: the distance of each maximum from the first place of its window
    """
    (_, V, _, d), (M, A), number = sums_CVWd.shape, winner_MA.shape, o_MF.dtype.type
    n = A // max(1, len(heights))
    scale, zero, half = number(256 / (256 - threshold)), number(0), number(0.5)
    for m in range(M):
        chunk, x, best, winner = chunk_M[m], window_M[m], o_MF[m, V * d :], winner_MA[m]
        # The vertical features.
        for v in range(V):
            for i in range(d):
                o_MF[m, v * d + i] = sums_CVWd[chunk, v, x, i] + bG_V[v]
        # The horizontal features: the maximum over the places of the window.
        _copy(best, answers_CXA[chunk, x])
        winner[:] = 0
        upper = len(heights)
        for shift in range(1, L):
            while upper and heights[upper - 1] > L - shift:  # higher filters have fewer places in a window
                upper -= 1
            _keep_larger(best, winner, answers_CXA[chunk, x + shift, : upper * n], np.int16(shift))
        # Bias, activation and dropout.
        _add(best, bF_A)
        if phi == 1:
            for a in range(A):
                best[a] = zero if best[a] < zero else best[a]
        elif phi == 2:
            for a in range(A):
                best[a] = math.tanh(best[a])
        elif phi == 3:
            for a in range(A):
                best[a] = half + half * math.tanh(half * best[a])
        if threshold:
            _drop(o_MF[m], noise_MF[m], threshold, scale, zero)


@compiled
def features_backward(
    d_o_MF: Array,
    chunk_M: Array,
    window_M: Array,
    noise_MF: Array,
    o_MF: Array,
    winner_MA: Array,
    threshold: Any,
    phi: int,
    d_sums_CVWd: Array,
    dbG_V: Array,
    d_answers_CXA: Array,
    dbF_A: Array,
) -> None:
    """Add the gradients of the sums, of the answers and of the biases.

    d_o_MF       (M, F) floats, the gradient of the features
    chunk_M, window_M, noise_MF, threshold, phi, o_MF, winner_MA  as in `make_features`
    d_sums_CVWd, dbG_V, d_answers_CXA, dbF_A  floats, added to, with the shapes of what they are the gradients of
    """
    (_, V, _, d), (M, A), number = d_sums_CVWd.shape, winner_MA.shape, o_MF.dtype.type
    d_row, y = np.empty(V * d + A, number), np.empty(A, number)
    d_best = d_row[V * d :]
    scale, zero, one = number(256 / (256 - threshold)), number(0), number(1)
    for m in range(M):
        chunk, x, winner = chunk_M[m], window_M[m], winner_MA[m]
        # Back through dropout.
        _copy(d_row, d_o_MF[m])
        if threshold:
            _drop(d_row, noise_MF[m], threshold, scale, zero)
        # The vertical features.
        for v in range(V):
            _add(d_sums_CVWd[chunk, v, x], d_row[v * d : v * d + d])
            for i in range(d):
                dbG_V[v] += d_row[v * d + i]
        # Back through the activation. y is the feature after dropout, so y / scale is the activation's output.
        _copy(y, o_MF[m, V * d :])
        if phi == 1:
            for a in range(A):
                d_best[a] = d_best[a] if y[a] > zero else zero
        elif phi == 2:
            for a in range(A):
                d_best[a] *= one - y[a] / scale * (y[a] / scale)
        elif phi == 3:
            for a in range(A):
                d_best[a] *= y[a] / scale * (one - y[a] / scale)
        # The gradient of a maximum goes to the place where it was found.
        _add(dbF_A, d_best)
        for a in range(A):
            d_answers_CXA[chunk, x + winner[a], a] += d_best[a]
