"""Counts of which item follows which, for Markov and count kNN.

Counts are sparse matrices (I, I). I counts padding, whose row 0 and column 0 are empty.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from caser.arrays.types import Int32
from caser.data.tape import Tape


def transition_counts(tape: Tape, reach: int = 1, decay: float = 1.0) -> sparse.csr_array:
    """Count pairs: C[i, j] = sum of decay^gap over all i that j follows 1 <= gap <= reach steps later in one sequence.

    tape   the sequences; only targets are counted as j, each with the weight of its kind
    reach  the largest number of steps between the items of a pair
    decay  the factor on the weight of a pair for each step, from 0 to 1

    Returns float64 (I, I).

    >>> tape = Tape.from_sequences([[1, 2, 3], [1, 2]], num_items=3)
    >>> transition_counts(tape, reach=2, decay=0.5).toarray()
    array([[0.  , 0.  , 0.  , 0.  ],
           [0.  , 0.  , 1.  , 0.25],
           [0.  , 0.  , 0.  , 0.5 ],
           [0.  , 0.  , 0.  , 0.  ]])
    """
    size = tape.num_items + 1
    counts = sparse.csr_array((size, size), dtype=np.float64)
    for gap in range(1, min(reach, len(tape) - 1) + 1):
        together = tape.users[:-gap] == tape.users[gap:]
        if tape.kinds is not None:
            together &= tape.kinds.is_target[gap:]
        pairs = (tape.items[:-gap][together], tape.items[gap:][together])
        weights = np.full(len(pairs[0]), decay**gap)
        if tape.kinds is not None:
            weights *= tape.kinds.relative_weights[gap:][together]
        counts = counts + sparse.coo_array((weights, pairs), shape=(size, size)).tocsr()
    return counts


def sum_of_counts(tape: Tape, reach: int = 1, decay: float = 1.0) -> sparse.csr_array:
    """Add up the counts of all shards of a tape.

    tape, reach, decay  as for `transition_counts`

    Returns float64 (I, I).
    """
    counts = sparse.csr_array((tape.num_items + 1, tape.num_items + 1), dtype=np.float64)
    for piece in tape.pieces():
        counts = counts + transition_counts(piece, reach, decay)
    return counts


def weighted_histories(histories_BH: Int32, num_items: int, decay: float) -> sparse.csr_array:
    """Weight the items of histories: an item `age` steps before the last one gets decay^age, padding gets 0.

    histories_BH  (B, H) int32, left-padded with 0
    num_items     number of items, without padding
    decay         the factor on the weight of an item for each later one, from 0 to 1

    Returns float64 (B, I). An item that occurs more than once gets the sum.

    >>> weighted_histories(np.array([[0, 1, 2, 1]]), num_items=2, decay=0.5).toarray()
    array([[0.  , 1.25, 0.5 ]])
    """
    width = histories_BH.shape[1]
    rows, columns = np.nonzero(histories_BH)
    weights = decay ** (width - 1.0 - columns)
    shape = (len(histories_BH), num_items + 1)
    return sparse.coo_array((weights, (rows, histories_BH[rows, columns])), shape=shape).tocsr()
