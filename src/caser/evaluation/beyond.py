"""Measures beyond accuracy: how much of the catalogue lists show, how evenly, how novel and how different items are.

A model that recommends the same ten items to every user may be accurate, but it does not sell a catalogue. All
functions take `top_QK`, (Q, K) int32: the best items of every query, best first, 0 where a list is shorter than K. All
values but the novelty lie between 0 and 1.

Shape suffixes: Q queries, K length of a list, I items and padding, P pairs of items.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from caser.arrays.offsets import blocks_of
from caser.arrays.types import Int32, Int64, Mask, Scores
from caser.data.tape import Tape

_MOST_LISTS = 500
"""How many lists show how different their items are: all, or so many, evenly spaced."""

_MOST_CELLS = 2**22
"""How many users of items are compared at once."""


def beyond_accuracy(tops: Sequence[Int32], candidates: Mask, is_head: Mask, tape: Tape) -> dict[str, float]:
    """Compute every measure of this module, averaged over seeds.

    tops        one (Q, K) int32 array of lists per seed
    candidates  (I,) bool, the items that may be listed
    is_head     (I,) bool, the popular items
    tape        what trained the models

    Returns name -> value, with the length of the lists in the name: `coverage@10`.

    >>> tape = Tape.from_sequences([[1, 2], [1, 3, 4]], num_items=4)
    >>> beyond_accuracy([np.array([[1, 2]])], np.arange(5) > 0, np.arange(5) == 1, tape)
    {'coverage@2': 0.5, 'gini@2': 0.666..., 'head_share@2': 0.5, 'novelty@2': 1.82..., 'diversity@2': 0.29...}
    """
    per_seed = [
        {
            "coverage": coverage(top_QK, candidates),
            "gini": gini(top_QK, candidates),
            "head_share": head_share(top_QK, is_head),
            "novelty": novelty(top_QK, tape.item_counts),
            "diversity": diversity(top_QK, tape),
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


def novelty(top_QK: Int32, item_counts: Int64) -> float:
    """Mean self-information of the listed items, in bits: how little an item is known.

        mean over all filled places of -log2(n_i / n)

    where n_i of the n training interactions are with the item. An item without any counts as if it had one. It is 0
    without any listed item.

    top_QK       (Q, K) int32, the lists
    item_counts  (I,) int64, the training interactions of each item

    Source: Zhou et al. 2010, Solving the apparent diversity-accuracy dilemma of recommender systems, with the share of
    interactions (Vargas & Castells 2011, section 4) in place of the share of users.

    >>> novelty(np.array([[1, 2], [2, 0]]), np.array([0, 4, 2, 2]))
    1.6666666666666667
    """
    listed = top_QK[top_QK > 0]
    if not len(listed):
        return 0.0
    shares = np.maximum(item_counts[listed], 1) / max(1, item_counts.sum())
    return float(-np.log2(shares).mean())


def diversity(top_QK: Int32, tape: Tape) -> float:
    """Mean distance of two items of a list: 0 if the same users had all of them, 1 if no user had two of them.

        mean over lists of the mean over pairs i < j of the list of 1 - |U_i and U_j| / sqrt(|U_i| |U_j|)

    where U_i are the training sequences (users, or sessions) that hold item i. An item that none holds is at distance 1
    from all others. The distance depends on the log alone, so models can be compared. Lists with fewer than two items
    have no pairs; it is 0 without any pair. Of more than 500 lists, 500 are taken, evenly spaced.

    top_QK  (Q, K) int32, the lists
    tape    what trained the models

    Source: Ziegler et al. 2005, Improving recommendation lists through topic diversification (intra-list similarity),
    with the cosine of Sarwar et al. 2001 over users.

    >>> tape = Tape.from_sequences([[1, 2], [1, 2, 3], [3]], num_items=3)
    >>> diversity(np.array([[1, 2, 3]]), tape)  # distances 0, 1/2 and 1/2
    0.3333333333333333
    """
    rows = np.unique(np.linspace(0, len(top_QK) - 1, min(_MOST_LISTS, len(top_QK))).astype(np.int64))
    first, second = np.triu_indices(top_QK.shape[1], 1)
    firsts_QP, seconds_QP = top_QK[rows][:, first].astype(np.int64), top_QK[rows][:, second].astype(np.int64)
    is_pair_QP = (firsts_QP > 0) & (seconds_QP > 0)
    num_pairs_Q = is_pair_QP.sum(axis=1)
    if not num_pairs_Q.any():
        return 0.0
    # The cosine is symmetric, and many lists share pairs: each is computed once.
    low_P, high_P = np.minimum(firsts_QP, seconds_QP)[is_pair_QP], np.maximum(firsts_QP, seconds_QP)[is_pair_QP]
    distinct, places = np.unique(low_P * (tape.num_items + 1) + high_P, return_inverse=True)
    distance_P = 1 - _cosines(*np.divmod(distinct, tape.num_items + 1), tape)[places]
    list_P = np.nonzero(is_pair_QP)[0]
    sums_Q = np.bincount(list_P, distance_P, minlength=len(rows))
    has_pairs_Q = num_pairs_Q > 0
    return float((sums_Q[has_pairs_Q] / num_pairs_Q[has_pairs_Q]).mean())


def _cosines(first_P: Int64, second_P: Int64, tape: Tape) -> Scores:
    """The cosine of the users of two items, (P,), for pairs of items."""
    items = np.unique([first_P, second_P])
    place_I = np.full(tape.num_items + 1, -1)
    place_I[items] = np.arange(len(items))
    num_each, num_shared_P = np.zeros(len(items)), np.zeros(len(first_P))
    # The sequences of a user are in one shard, so the numbers of the shards add up.
    for piece in tape.pieces():
        places = place_I[piece.items]
        is_listed = places >= 0
        shape = (len(items), piece.num_users + 1)
        has = csr_array((np.ones(int(is_listed.sum())), (places[is_listed], piece.users[is_listed])), shape=shape)
        has.data[:] = 1.0  # a user who had an item twice is one user
        num_users = np.diff(has.indptr)
        num_each += num_users
        for start, end in blocks_of(num_users[place_I[first_P]] + num_users[place_I[second_P]], _MOST_CELLS):
            one, other = has[place_I[first_P[start:end]]], has[place_I[second_P[start:end]]]
            num_shared_P[start:end] += np.asarray(one.multiply(other).sum(axis=1)).ravel()
    both_P = num_each[place_I[first_P]] * num_each[place_I[second_P]]
    cosines_P: Scores = num_shared_P / np.sqrt(np.maximum(both_P, 1))
    return cosines_P


def _exposure(top_QK: Int32, candidates: Mask) -> Int64:
    """The number of lists that contain each candidate; padding, index 0, is never a candidate."""
    is_item = np.arange(len(candidates)) > 0
    return np.bincount(top_QK.ravel(), minlength=len(candidates))[candidates & is_item]
