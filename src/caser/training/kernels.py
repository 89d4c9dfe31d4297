"""The loops that numba compiles for training. They need numba; own_scores.py and log_sums.py have their torch forms.

Shape suffixes: M states, K items that a state scores, I catalogue + padding, J items of a softmax, D state width.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from caser.arrays.types import Int16, Int64, Mask, Scores
from caser.system.compiled import compiled


@compiled
def put_scores(states_MD: Scores, vectors_ID: Scores, bias_I: Scores, items_MK: Int64, scores_MK: Scores) -> None:
    """Compute the score of each state with its own items.

    states_MD  (M, D) floats    vectors_ID  (I, D) floats    bias_I  (I,) floats
    items_MK   (M, K) int64     scores_MK   (M, K) floats, written
    """
    M, K = items_MK.shape
    D = states_MD.shape[1]
    for m in range(M):
        for k in range(K):
            item = items_MK[m, k]
            total = bias_I[item]
            for d in range(D):
                total += states_MD[m, d] * vectors_ID[item, d]
            scores_MK[m, k] = total


@compiled
def add_gradients(
    states_MD: Scores,
    vectors_ID: Scores,
    items_MK: Int64,
    of_scores_MK: Scores,
    of_states_MD: Scores,
    of_vectors_ID: Scores,
    of_bias_I: Scores,
) -> None:
    """Add the gradients of states, vectors and biases.

    states_MD     (M, D) floats               vectors_ID     (I, D) floats            items_MK   (M, K) int64
    of_scores_MK  (M, K) floats, the gradients of the scores
    of_states_MD  (M, D) floats, added to     of_vectors_ID  (I, D) floats, added to  of_bias_I  (I,) floats, added to
    """
    M, K = items_MK.shape
    D = states_MD.shape[1]
    for m in range(M):
        for k in range(K):
            item, slope = items_MK[m, k], of_scores_MK[m, k]
            of_bias_I[item] += slope
            for d in range(D):
                of_states_MD[m, d] += slope * vectors_ID[item, d]
                of_vectors_ID[item, d] += slope * states_MD[m, d]


@compiled
def put_probabilities(scores_MJ: Scores, bias_J: Scores, masked_MJ: Mask, log_sums_M: Scores) -> None:
    """Replace the scores of each state by the probabilities of their softmax, in float32.

    scores_MJ   (M, J) float32 without the biases, overwritten by the probabilities
    bias_J      (J,) float32, added to each row
    masked_MJ   (M, J) bool, True where a score counts as -inf; (0, 0) masks none
    log_sums_M  (M,) float32, written: the log of the sum of e^(score + bias) over a row
    """
    for m in range(len(scores_MJ)):
        if len(masked_MJ):
            _mask(scores_MJ[m], masked_MJ[m])
        log_sums_M[m] = _to_probabilities(scores_MJ[m], bias_J)


@compiled
def put_probabilities_bfloat16(bits_MJ: Int16, bias_J: Scores, masked_MJ: Mask, log_sums_M: Scores) -> None:
    """Do the same for scores in bfloat16, which NumPy does not know: `bits_MJ` holds them as int16.

    bits_MJ     (M, J) int16, the bits of the scores, overwritten by those of the probabilities
    bias_J      (J,) float32, added to each row
    masked_MJ   (M, J) bool, True where a score counts as -inf; (0, 0) masks none
    log_sums_M  (M,) float32, written: the log of the sum of e^(score + bias) over a row

    Everything between reading and writing is in float32, one row at a time.
    """
    M, J = bits_MJ.shape
    row_J = np.empty(J, np.float32)
    for m in range(M):
        # A bfloat16 is the upper half of a float32.
        for j in range(J):
            row_J[j] = np.int32(np.int32(bits_MJ[m, j]) << 16).view(np.float32)
        if len(masked_MJ):
            _mask(row_J, masked_MJ[m])
        log_sums_M[m] = _to_probabilities(row_J, bias_J)
        # Round to the nearest; if two are equally near, to the even one.
        for j in range(J):
            bits = np.float32(row_J[j]).view(np.int32)
            bits_MJ[m, j] = np.int16((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16)


@compiled
def _mask(row_J: Scores, masked_J: Mask) -> None:
    """Replace masked scores by -inf."""
    for j in range(len(row_J)):
        row_J[j] = -np.inf if masked_J[j] else row_J[j]


@compiled
def _to_probabilities(row_J: Scores, bias_J: Scores) -> Any:
    """Replace the scores of one state by probabilities, and return the log of their sum; -inf if all are -inf."""
    # Find the highest score. As integers, floats compare in the right order if those below 0 are mirrored; and the
    # compiler turns a maximum of integers into vector instructions.
    highest = np.int32(-0x80000000)
    for j in range(len(row_J)):
        score = row_J[j] + bias_J[j]
        row_J[j] = score
        highest = max(highest, _mirrored(np.float32(score).view(np.int32)))
    high = np.int32(_mirrored(highest)).view(np.float32)
    if high == -np.inf:
        row_J[:] = 0
        return high
    # Exponentiate, sum, divide.
    total = np.float32(0)
    for j in range(len(row_J)):
        power = _exp(row_J[j] - high)
        row_J[j] = power
        total += power
    share = np.float32(1) / total
    for j in range(len(row_J)):
        row_J[j] *= share
    return high + np.log(total)


@compiled
def _mirrored(bits: Any) -> Any:
    """Reverse the order of the floats below 0, given as their bits."""
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


@compiled
def _exp(x: Any) -> Any:
    """e^x for x up to 0, to about 6 digits; 0 for x below -69. The compiler turns it into vector instructions."""
    # e^x = 2^n 2^f with a whole n and -1/2 <= f <= 1/2.
    power = x * _LOG2_E
    bounded = _LOWEST_POWER if power < _LOWEST_POWER else power
    n = np.int32(bounded - np.float32(0.5))
    f = bounded - np.float32(n)
    # The polynomial of degree 5 with the smallest relative error, among those with value 1 at 0.
    value = np.float32(0.001326472731307149)
    value = value * f + np.float32(0.009671512991189957)
    value = value * f + np.float32(0.05550733581185341)
    value = value * f + np.float32(0.24022242426872253)
    value = value * f + np.float32(0.6931470036506653)
    value = value * f + np.float32(1.0)
    # Multiply by 2^n: add n to the exponent.
    result = np.int32(np.float32(value).view(np.int32) + (n << 23)).view(np.float32)
    return np.float32(0) if power < _LOWEST_POWER else result


_LOG2_E = np.float32(1.4426950408889634)
_LOWEST_POWER = np.float32(-100)
"""Powers of 2 below this one count as 0. So no probability is a denormal number, with which products are slow."""
