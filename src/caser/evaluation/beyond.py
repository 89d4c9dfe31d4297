"""Beyond accuracy: what lists of recommendations are like together, whoever they are for.

A model that gives everybody the same ten items may be accurate; a catalogue is not sold that way. All functions read
the top of every list, (Q, K), best first, 0 where a list is shorter; values lie in 0..1.

Shape suffixes: Q queries, K length of a list, I items and padding.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from caser.arrays.types import Int32, Int64, Mask


def beyond_accuracy(tops: Sequence[Int32], candidates: Mask, is_head: Mask) -> dict[str, float]:
    """Every measure by name, `coverage@10` and so on; the mean over seeds, one (Q, K) per seed.

    `candidates` and `is_head` (I,): items that may be listed, and popular ones.

    >>> beyond_accuracy([np.array([[1, 2]])], np.arange(5) > 0, np.arange(5) == 1)
    {'coverage@2': 0.5, 'gini@2': 0.666..., 'head_share@2': 0.5}
    """
    found = [
        {
            "coverage": coverage(top_QK, candidates),
            "gini": gini(top_QK, candidates),
            "head_share": head_share(top_QK, is_head),
        }
        for top_QK in tops
    ]
    length = tops[0].shape[1]
    return {f"{name}@{length}": float(np.mean([one[name] for one in found])) for name in found[0]}


def coverage(top_QK: Int32, candidates: Mask) -> float:
    """Candidates that are in any list, divided by all candidates. Reading: how much of the catalogue is shown at all.

    Source: Herlocker et al. 2004, Evaluating collaborative filtering recommender systems, section 4.1.

    >>> coverage(np.array([[1, 2], [2, 0]]), np.array([False, True, True, True, True]))
    0.5
    """
    return float(np.mean(_exposure(top_QK, candidates) > 0))


def gini(top_QK: Int32, candidates: Mask) -> float:
    """How unequally lists are spread over candidates: 0 if all are listed equally often, 1 if only one is.

        sum over j = 1..n of (2 j - n - 1) p_j / (n - 1)

    with n candidates and p_j their shares of all places in lists, ascending. Source: Shani & Gunawardana 2011,
    Evaluating recommendation systems, section 8.3.3.

    >>> everybody = np.array([False, True, True, True])
    >>> gini(np.array([[1], [2], [3]]), everybody), gini(np.array([[2], [2], [2]]), everybody)
    (0.0, 1.0)
    """
    exposure = np.sort(_exposure(top_QK, candidates))
    num_candidates, total = len(exposure), exposure.sum()
    if total == 0 or num_candidates < 2:
        return 0.0
    weights = 2 * np.arange(1, num_candidates + 1) - num_candidates - 1
    return float(weights @ exposure / (total * (num_candidates - 1)))


def head_share(top_QK: Int32, is_head: Mask) -> float:
    """Places in lists that a popular item has, divided by all places taken. Reading: how much of what sells anyway.

    Source: 1 less the average percentage of tail items of Abdollahpouri et al. 2019, Managing popularity bias in
    recommender systems with personalized re-ranking, over all lists together.

    >>> head_share(np.array([[1, 2], [1, 0]]), np.array([False, True, False]))
    0.6666666666666666
    """
    listed = top_QK[top_QK > 0]
    return float(is_head[listed].mean()) if len(listed) else 0.0


def _exposure(top_QK: Int32, candidates: Mask) -> Int64:
    """In how many lists each candidate is."""
    return np.bincount(top_QK.ravel(), minlength=len(candidates))[candidates & (np.arange(len(candidates)) > 0)]
