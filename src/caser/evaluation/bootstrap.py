"""The bootstrap over owners and seeds: what a mean would have been with other users, and with other seeds.

A draw takes n of the n owners (users, or sessions) with replacement, and S - 1 of the S seeds. The mean of m seeds
drawn from S varies by (S - 1) / S * s^2 / m: m = S - 1 gives s^2 / S, which is unbiased, m = S too little.

Drawing both at once would count the luck that one seed has with one owner three times (Owen 2007, The pigeonhole
bootstrap); for two neural models that differ by little it is most of what there is. So owners are drawn with the mean
over all seeds, which holds that luck once, and of the spread between seeds only the part beyond it is drawn.

Assumes that owners are independent, and seeds too. Will not make an interval (`statistics.py` does).

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
"""How often is drawn; a standard error is then known to 1.6 %."""

MOST_OWNERS = 10_000
"""More owners than this are dealt into as many groups, which are as independent, and drawn instead of them."""

_DRAWS_PER_BLOCK = 250


def owner_draws(values_Q: Values, owners_Q: Int32, seed: int = 0) -> Values:
    """Means over queries with owners drawn anew, (D,): sum(n_do * v_o) / sum(n_do * c_o).

    v_o is the sum of an owner's values, c_o the number of its queries, n_do how often a draw takes it. As n_do depends
    on the number of owners only, models are drawn alike: the difference of two draws is the draw of the difference.

    >>> means = owner_draws(np.array([0.0, 1.0, 0.0, 1.0]), np.array([1, 2, 3, 4], dtype=np.int32))
    >>> means.shape, round(float(means.mean()), 1)
    ((2000,), 0.5)
    """
    groups_Q = np.unique(owners_Q, return_inverse=True)[1] % MOST_OWNERS
    sums_O2 = np.stack([np.bincount(groups_Q, values_Q), np.bincount(groups_Q)], axis=1)
    taken_DO = _taken_owners(len(sums_O2), seed)
    drawn_D2 = np.concatenate(
        [taken_DO[start : start + _DRAWS_PER_BLOCK] @ sums_O2 for start in range(0, DRAWS, _DRAWS_PER_BLOCK)]
    )
    means: Values = drawn_D2[:, 0] / drawn_D2[:, 1]
    return means


def seed_draws(values_SQ: Values, owners_Q: Int32, seed: int = 0) -> Values:
    """Means over seeds with seeds drawn anew, less the mean over all, (D,); 2 seeds at least.

    The spread between the means m_s of the seeds is s^2. Of it l = sum(r_so^2) / ((S - 1) * Q^2) * n / (n - 1) is luck
    with single owners, r_so being what is left of v_so after the means of seed and owner; draws are scaled to s^2 - l.

    >>> draws = seed_draws(np.array([[0.2, 0.4], [0.4, 0.6], [0.6, 0.8]]), np.array([1, 2], dtype=np.int32))
    >>> round(float(draws.var()), 3), round(0.2**2 / 3, 3)
    (0.013, 0.013)
    """
    means_S = values_SQ.mean(axis=1)
    spread = float(means_S.var(ddof=1))
    beyond = max(0.0, 1 - _luck(values_SQ, owners_Q) / spread) if spread else 0.0
    draws: Values = np.sqrt(beyond) * (_seed_shares(len(means_S), seed) @ (means_S - means_S.mean()))
    return draws


def _luck(values_SQ: Values, owners_Q: Int32) -> float:
    """The variance of a seed's mean that comes from single owners; it vanishes as owners become many."""
    owner_of_Q = np.unique(owners_Q, return_inverse=True)[1]
    own_SQ = values_SQ - values_SQ.mean(axis=1, keepdims=True)
    residuals_SO = np.stack([np.bincount(owner_of_Q, values_Q) for values_Q in own_SQ - own_SQ.mean(axis=0)])
    num_seeds, num_owners = residuals_SO.shape
    correction = num_owners / max(num_owners - 1, 1) / (num_seeds - 1)
    return float(np.sum(residuals_SO**2) * correction / len(owners_Q) ** 2)


@lru_cache(maxsize=1)
def _taken_owners(num_owners: int, seed: int) -> NDArray[np.uint8]:
    """How often each draw takes each owner, (D, O); no draw takes one more than 255 times."""
    generator = numpy_generator(seed, "bootstrap", num_owners)
    taken_DO = np.empty((DRAWS, num_owners), dtype=np.uint8)
    for draw in range(DRAWS):
        taken_DO[draw] = np.bincount(generator.integers(0, num_owners, num_owners), minlength=num_owners)
    return taken_DO


@lru_cache(maxsize=8)
def _seed_shares(num_seeds: int, seed: int) -> Values:
    """The share of each seed in each draw, (D, S)."""
    generator = numpy_generator(seed, "bootstrap", 0, num_seeds)
    return generator.multinomial(num_seeds - 1, np.full(num_seeds, 1 / num_seeds), size=DRAWS) / (num_seeds - 1)
