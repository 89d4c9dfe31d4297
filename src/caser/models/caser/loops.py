"""The loops of `caser_kernel.py`, which numba compiles (`compiled.py`).

Arrays are NumPy's, outputs come last and are filled in place. Inner loops run over neighbours in memory and have one
line or two, so that they become vector instructions. One thread and one order: the same bits every time.

Shape suffixes: C chunks, W windows per chunk, X = W + L - 1 tape positions, M wanted windows, R rows of vectors of
width d, V vertical filters, n filters per height, A = heights * n, K = sum of heights * n, F = V * d + A features.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caser.system.compiled import compiled

Array = np.ndarray[Any, np.dtype[Any]]

PHI = ("identity", "relu", "tanh", "sigmoid")
"""phi_c by number."""


@compiled
def _copy(to: Array, what: Array) -> None:
    for t in range(len(what)):
        to[t] = what[t]


@compiled
def _add(to: Array, what: Array) -> None:
    for t in range(len(what)):
        to[t] += what[t]


@compiled
def _add_times(to: Array, weight: Any, what: Array) -> None:
    for t in range(len(what)):
        to[t] += weight * what[t]


@compiled
def _dot(left: Array, right: Array) -> Any:
    total = left.dtype.type(0)
    for t in range(len(left)):
        total += left[t] * right[t]
    return total


@compiled
def _keep_larger(best: Array, winner: Array, values: Array, name: Any) -> None:
    for t in range(len(values)):
        if values[t] > best[t]:
            best[t] = values[t]
            winner[t] = name


@compiled
def _drop(values: Array, noise: Array, threshold: Any, scale: Any, zero: Any) -> None:
    for t in range(len(values)):
        values[t] = values[t] * scale if noise[t] >= threshold else zero


@compiled
def sum_rows(products_RK: Array, row_CX: Array, heights: Array, answers_CXA: Array) -> None:
    """answers_CXA: the sum of a filter's rows over the positions that follow each other."""
    C, X, A = answers_CXA.shape
    n = A // len(heights)
    for chunk in range(C):
        for x in range(X):
            _copy(answers_CXA[chunk, x], products_RK[row_CX[chunk, x], :A])
            column = lower = 0
            for r in range(1, min(heights[-1], X - x)):
                column += A - lower  # past the row before: those of all filters but the `lower`
                while heights[lower // n] <= r:
                    lower += n
                _add(answers_CXA[chunk, x, lower:], products_RK[row_CX[chunk, x + r], column : column + A - lower])


@compiled
def sum_rows_backward(d_answers_CXA: Array, row_CX: Array, heights: Array, d_products_RK: Array) -> None:
    """The gradient of the products, added."""
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
    """sums_CVWd, which must be zeros: equation 6 for every window."""
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
    """The gradients of vectors and filters, added."""
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
    """o_MF, and winner_MA: how far from the window's first place each maximum lies."""
    (_, V, _, d), (M, A), number = sums_CVWd.shape, winner_MA.shape, o_MF.dtype.type
    n = A // max(1, len(heights))
    scale, zero, half = number(256 / (256 - threshold)), number(0), number(0.5)
    for m in range(M):
        chunk, x, best, winner = chunk_M[m], window_M[m], o_MF[m, V * d :], winner_MA[m]
        for v in range(V):
            for i in range(d):
                o_MF[m, v * d + i] = sums_CVWd[chunk, v, x, i] + bG_V[v]
        _copy(best, answers_CXA[chunk, x])
        winner[:] = 0
        upper = len(heights)
        for shift in range(1, L):
            while upper and heights[upper - 1] > L - shift:  # those stand at fewer places
                upper -= 1
            _keep_larger(best, winner, answers_CXA[chunk, x + shift, : upper * n], np.int16(shift))
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
    """The gradients of sums, answers and biases, added."""
    (_, V, _, d), (M, A), number = d_sums_CVWd.shape, winner_MA.shape, o_MF.dtype.type
    d_row, y = np.empty(V * d + A, number), np.empty(A, number)
    d_best = d_row[V * d :]
    scale, zero, one = number(256 / (256 - threshold)), number(0), number(1)
    for m in range(M):
        chunk, x, winner = chunk_M[m], window_M[m], winner_MA[m]
        _copy(d_row, d_o_MF[m])
        if threshold:
            _drop(d_row, noise_MF[m], threshold, scale, zero)
        for v in range(V):
            _add(d_sums_CVWd[chunk, v, x], d_row[v * d : v * d + d])
            for i in range(d):
                dbG_V[v] += d_row[v * d + i]
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
        _add(dbF_A, d_best)
        for a in range(A):
            d_answers_CXA[chunk, x + winner[a], a] += d_best[a]
