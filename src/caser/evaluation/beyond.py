"""Measures beyond accuracy: how much of the catalogue all lists together show, and how evenly.

A model that recommends the same ten items to every user may be accurate, but it does not sell a catalogue. All
functions take `top_QK`, (Q, K) int32: the best items of every query, best first, 0 where a list is shorter than K. All
values lie between 0 and 1.

Shape suffixes: Q queries, K length of a list, I items and padding.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from caser.arrays.types import Int32, Int64, Mask


def beyond_accuracy(tops: Sequence[Int32], candidates: Mask, is_head: Mask) -> dict[str, float]:
    """Compute every measure of this module, averaged over seeds.

    tops        one (Q, K) int32 array of lists per seed
    candidates  (I,) bool, the items that may be listed
    is_head     (I,) bool, the popular items

    Returns name -> value, with the length of the lists in the name: `coverage@10`.

    >>> beyond_accuracy([np.array([[1, 2]])], np.arange(5) > 0, np.arange(5) == 1)
    {'coverage@2': 0.5, 'gini@2': 0.666..., 'head_share@2': 0.5}
    """
    per_seed = [
        {
            "coverage": coverage(top_QK, candidates),
            "gini": gini(top_QK, candidates),
            "head_share": head_share(top_QK, is_head),
        }
        for top_QK in tops
    ]
    length = tops[0].shape[1]
    return {f"{name}@{length}": float(np.mean([values[name] for values in per_seed])) for name in per_seed[0]}


def coverage(top_QK: Int32, candidates: Mask) -> float:
    """Number of candidates that are in at least one list, divided by the number of all candidates.

    top_QK      (Q, K) int32, the lists
    candidates  (I,) bool, the items that may be listed

    Reading: how much of the catalogue is shown at all.
    Source: Herlocker et al. 2004, Evaluating collaborative filtering recommender systems, section 4.1.

    >>> coverage(np.array([[1, 2], [2, 0]]), np.array([False, True, True, True, True]))
    0.5
    """
    return float(np.mean(_exposure(top_QK, candidates) > 0))


def gini(top_QK: Int32, candidates: Mask) -> float:
    """Gini index of how often candidates are listed: 0 if all are listed equally often, 1 if only one is listed.

        sum over j = 1..n of (2 j - n - 1) p_j / (n - 1)

    where p_1 <= ... <= p_n are the n candidates' shares of all places in lists. It is 0 without any listed candidate.

    top_QK      (Q, K) int32, the lists
    candidates  (I,) bool, the items that may be listed

    Source: Shani & Gunawardana 2011, Evaluating recommendation systems, section 8.3.3.

    >>> candidates = np.array([False, True, True, True])
    >>> gini(np.array([[1], [2], [3]]), candidates), gini(np.array([[2], [2], [2]]), candidates)
    (0.0, 1.0)
    """
    exposure = np.sort(_exposure(top_QK, candidates))
    num_candidates, total = len(exposure), exposure.sum()
    if total == 0 or num_candidates < 2:
        return 0.0
    weights = 2 * np.arange(1, num_candidates + 1) - num_candidates - 1
    return float(weights @ exposure / (total * (num_candidates - 1)))


def head_share(top_QK: Int32, is_head: Mask) -> float:
    """Number of places in lists that hold a popular item, divided by the number of all filled places.

    top_QK   (Q, K) int32, the lists
    is_head  (I,) bool, the popular items

    Reading: how much of the lists is what sells anyway. Source: Abdollahpouri et al. 2019, Managing popularity bias in
    recommender systems with personalized re-ranking; it is 1 minus their average percentage of tail items, taken over
    all lists together.

    >>> head_share(np.array([[1, 2], [1, 0]]), np.array([False, True, False]))
    0.6666666666666666
    """
    listed = top_QK[top_QK > 0]
    return float(is_head[listed].mean()) if len(listed) else 0.0


def _exposure(top_QK: Int32, candidates: Mask) -> Int64:
    """The number of lists that contain each candidate; padding, index 0, is never a candidate."""
    is_item = np.arange(len(candidates)) > 0
    return np.bincount(top_QK.ravel(), minlength=len(candidates))[candidates & is_item]
