"""The loops that numba compiles for training. Their forms in torch are in own_scores.py. They need numba.

Shape suffixes: M states, K items that a state scores, I catalogue + padding, D state width.
"""

from __future__ import annotations

from caser.arrays.types import Int64, Scores
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
