"""Causal self-attention in NumPy, for SASRec and eSASRec. The form that trains is in `attention_network.py`.

Shape suffixes: B queries, X items that are read, Y places whose state is wanted, d width of vectors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caser.arrays.types import Scores


def count_earlier(is_item_BX: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count the items before each item: the index of its position vector.

    is_item_BX  (B, X) bool, False where a place holds padding

    Returns int64 (B, X), 0 for padding on the left.

    >>> count_earlier(np.array([[False, True, True]])).tolist()
    [[0, 0, 1]]
    """
    result: NDArray[np.int64] = np.maximum(is_item_BX.cumsum(axis=1) - 1, 0)
    return result


def may_attend(is_item_BX: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which place may attend to which: to items up to itself, and always to itself.

    is_item_BX  (B, X) bool, False where a place holds padding

    Returns bool (B, X, X), one row for each place that attends. Padding attends to itself only, and no item attends to
    padding.

    >>> may_attend(np.array([[False, True, True]])).astype(int).tolist()
    [[[1, 0, 0], [0, 1, 0], [0, 1, 1]]]
    """
    width = is_item_BX.shape[1]
    result: NDArray[np.bool_] = np.tri(width, dtype=bool) & is_item_BX[:, None, :] | np.eye(width, dtype=bool)
    return result


def attend(q_BYd: Scores, k_BXd: Scores, v_BXd: Scores, num_heads: int, may_attend_BYX: NDArray[np.bool_]) -> Scores:
    """Compute attention head by head: softmax(Q K^T / sqrt(width of a head)) V, equations 2 and 3 of SASRec's paper.

    q_BYd           (B, Y, d) floats, the queries of the places whose state is wanted
    k_BXd, v_BXd    (B, X, d) floats, the keys and the values of all places
    num_heads       the number of heads; each takes d / num_heads neighbouring columns
    may_attend_BYX  (B, Y, X) bool, which place may attend to which; at least one in each row

    Returns floats (B, Y, d).
    """
    q, k, v = (np.split(part, num_heads, axis=-1) for part in (q_BYd, k_BXd, v_BXd))
    heads = [_attend_with_one_head(*head, may_attend_BYX) for head in zip(q, k, v, strict=True)]
    return np.concatenate(heads, axis=-1)


def _attend_with_one_head(q: Scores, k: Scores, v: Scores, may_attend_BYX: NDArray[np.bool_]) -> Scores:
    """Attention of one head, (B, Y, width of a head)."""
    weights = np.where(may_attend_BYX, q @ k.swapaxes(1, 2) / np.sqrt(np.float32(q.shape[-1])), -np.inf)
    weights = np.exp(weights - weights.max(axis=-1, keepdims=True))
    result: Scores = (weights / weights.sum(axis=-1, keepdims=True)) @ v
    return result
