"""The bootstrap over owners and seeds: how a mean would vary with other users, and with other seeds.

Owners are users, or sessions. One draw takes n of the n owners with replacement, and S - 1 of the S seeds. The mean of
m seeds drawn from S has the variance (S - 1) / S * s^2 / m. With m = S - 1 this is s^2 / S, which is unbiased; m = S
would give too little.

Owners and seeds are drawn separately. Drawing both at once would count the interaction of seed and owner (the luck of
one seed with one owner) three times (Owen 2007, The pigeonhole bootstrap), and for two similar neural models this
interaction is most of the variance. So owners are drawn with the mean over all seeds, which contains the interaction
once; and of the variance between seeds, only the part that the interaction does not explain is drawn.

Assumes that owners are independent, and that seeds are. This module does not make intervals; `statistics.py` does.

Shape suffixes: S seeds, Q queries, O owners or groups of owners, D draws.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from caser.arrays.types import Int32
from caser.evaluation.metrics import Values
from caser.system.randomness import numpy_generator

DRAWS = 2000
"""The number of draws; a standard error is then known to within 1.6 %."""

MOST_OWNERS = 10_000
"""With more owners than this, owners are dealt into this many groups, and the groups are drawn instead.

Groups of independent owners are independent too, so the variance stays the same and memory stays bounded.
"""

_DRAWS_PER_BLOCK = 250


def owner_draws(values_Q: Values, owners_Q: Int32, seed: int = 0) -> Values:
    """Draw owners anew, and return the mean over queries of each draw: sum(n_do * v_o) / sum(n_do * c_o).

    values_Q  (Q,) float64, one value per query
    owners_Q  (Q,) int32, the owner of each query
    seed      of the random stream

    v_o is the sum of an owner's values, c_o the number of its queries, and n_do how often draw d takes it. Returns (D,)
    float64. The n_do depend only on the seed and the number of owners, so all models get the same draws: the difference
    of two models' draws is the draw of their difference.

    >>> means = owner_draws(np.array([0.0, 1.0, 0.0, 1.0]), np.array([1, 2, 3, 4], dtype=np.int32))
    >>> means.shape, round(float(means.mean()), 1)
    ((2000,), 0.5)
    """
    groups_Q = np.unique(owners_Q, return_inverse=True)[1] % MOST_OWNERS
    sums_and_counts_O2 = np.stack([np.bincount(groups_Q, values_Q), np.bincount(groups_Q)], axis=1)
    times_drawn_DO = _owner_counts(len(sums_and_counts_O2), seed)
    # Block by block, because a product makes floats of the counts.
    blocks = [slice(start, start + _DRAWS_PER_BLOCK) for start in range(0, DRAWS, _DRAWS_PER_BLOCK)]
    drawn_D2 = np.concatenate([times_drawn_DO[block] @ sums_and_counts_O2 for block in blocks])
    means_D: Values = drawn_D2[:, 0] / drawn_D2[:, 1]
    return means_D


def seed_draws(values_SQ: Values, owners_Q: Int32, seed: int = 0) -> Values:
    """Draw seeds anew, and return the mean of each draw minus the mean over all seeds.

    values_SQ  (S, Q) float64, one value per seed and query, with at least 2 seeds
    owners_Q   (Q,) int32, the owner of each query
    seed       of the random stream

    Returns (D,) float64. The variance between the means of the seeds is s^2. The interaction of seed and owner explains
    l = sum(r_so^2) / ((S - 1) * Q^2) * n / (n - 1) of it, where r_so is v_so (the sum of seed s over the queries of
    owner o) minus the effects of seed and owner. The draws are scaled to the variance s^2 - l, or to 0 if l is larger.

    >>> draws = seed_draws(np.array([[0.2, 0.4], [0.4, 0.6], [0.6, 0.8]]), np.array([1, 2], dtype=np.int32))
    >>> round(float(draws.var()), 3), round(0.2**2 / 3, 3)
    (0.013, 0.013)
    """
    means_S = values_SQ.mean(axis=1)
    variance = float(means_S.var(ddof=1))
    unexplained = max(0.0, 1 - _interaction_variance(values_SQ, owners_Q) / variance) if variance else 0.0
    draws_D: Values = np.sqrt(unexplained) * (_seed_shares(len(means_S), seed) @ (means_S - means_S.mean()))
    return draws_D


def _interaction_variance(values_SQ: Values, owners_Q: Int32) -> float:
    """The variance of a seed's mean that the interaction of seed and owner explains; 0 in the limit of many owners."""
    owner_of_Q = np.unique(owners_Q, return_inverse=True)[1]
    without_seed_SQ = values_SQ - values_SQ.mean(axis=1, keepdims=True)
    residuals_SQ = without_seed_SQ - without_seed_SQ.mean(axis=0)
    residuals_SO = np.stack([np.bincount(owner_of_Q, residuals_Q) for residuals_Q in residuals_SQ])
    num_seeds, num_owners = residuals_SO.shape
    correction = num_owners / max(num_owners - 1, 1) / (num_seeds - 1)
    return float(np.sum(residuals_SO**2) * correction / len(owners_Q) ** 2)


@lru_cache(maxsize=1)
def _owner_counts(num_owners: int, seed: int) -> NDArray[np.uint8]:
    """How often each draw takes each owner, (D, O); in practice never more than 255 times."""
    generator = numpy_generator(seed, "bootstrap", num_owners)
    times_drawn_DO = np.empty((DRAWS, num_owners), dtype=np.uint8)
    for draw in range(DRAWS):
        times_drawn_DO[draw] = np.bincount(generator.integers(0, num_owners, num_owners), minlength=num_owners)
    return times_drawn_DO


@lru_cache(maxsize=8)
def _seed_shares(num_seeds: int, seed: int) -> Values:
    """The share of each seed in each draw, (D, S)."""
    generator = numpy_generator(seed, "bootstrap", 0, num_seeds)
    return generator.multinomial(num_seeds - 1, np.full(num_seeds, 1 / num_seeds), size=DRAWS) / (num_seeds - 1)
