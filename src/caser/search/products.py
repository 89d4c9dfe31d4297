"""The best items where the scores are the product of two sparse matrices, as those of counting models are.

Most scores of such a model are 0: for these, `exact.py` would fill, compare and search the whole catalogue. Here only
the entries that are not 0 are computed and looked at, by a compiled loop.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import numpy as np
from scipy import sparse

from caser.arrays.offsets import offsets_of
from caser.search.exact import Candidates, NotFiniteError, TopK, check_k, keep_best

FEWEST_QUERIES, FEWEST_SCORES = 32, 2**21
"""From this many queries at once with this many scores, it pays to load the compiled loop. The first time on a machine,
it takes seconds to compile."""


def loop_pays(num_queries: int, num_items: int) -> bool:
    """Return whether a compiled loop over queries is worth loading; never without numba.

    num_queries  how many queries are answered at once
    num_items    how many items are scored for each
    """
    are_many = num_queries >= FEWEST_QUERIES and num_queries * num_items >= FEWEST_SCORES
    return are_many and has_numba()


@cache
def has_numba() -> bool:
    """Return whether numba is installed. This looks through the folders of packages, so it is asked once."""
    return find_spec("numba") is not None


def find_positive_top_k(left: sparse.csr_array, right: sparse.csr_array, k: int, candidates: Candidates) -> TopK:
    """Find the k best candidates of each query among the items with a score above 0. Needs numba.

    left        (B, M) sparse float64, a row for each query
    right       (M, I) sparse floats; the scores are `left @ right`
    k           the length of the lists; a list is shorter where fewer candidates have a score above 0
    candidates  which items may be recommended; its `chosen` must be None

    Among equal scores, the lowest index comes first. The sums are those of `left @ right`, bit by bit. Raises
    ConfigError for `k` below 1, and NotFiniteError when the score of a candidate is NaN or infinite.

    >>> from scipy import sparse
    >>> left, right = sparse.csr_array([[1.0, 2.0]]), sparse.csr_array([[0.0, 0.0, 5.0, 1.0], [0.0, 0.0, 0.0, 2.0]])
    >>> found = find_positive_top_k(left, right, k=3, candidates=Candidates(barred=np.array([0])))
    >>> found.items.tolist(), found.scores.tolist()
    ([2, 3], [5.0, 5.0])
    """
    from caser.search.loops import best_of_products  # imports numba

    check_k(k)
    num_queries, num_items = left.shape[0], right.shape[1]
    is_barred_I = np.zeros(num_items, dtype=bool)
    is_barred_I[candidates.barred] = True
    seen = (
        offsets_of(np.bincount(candidates.seen_rows, minlength=num_queries)),
        candidates.seen_items.astype(np.int64),
    )
    parts_of_both = ((matrix.indptr, matrix.indices, matrix.data) for matrix in (left, right))
    offsets, items, scores, bad_row = best_of_products(*parts_of_both, is_barred_I, seen, min(k, num_items))
    if bad_row >= 0:
        raise NotFiniteError(bad_row)
    return TopK(*keep_best(np.repeat(np.arange(num_queries), np.diff(offsets)), items, scores, k))
