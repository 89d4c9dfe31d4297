"""Counts of which item follows which: what Markov and count kNN are made of.

Assumes a tape. Counts are sparse, (I, I) with row 0 and column 0 (padding) empty. Will not score.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from caser.arrays.types import Int32
from caser.data.tape import Tape


def transition_counts(tape: Tape, reach: int = 1, decay: float = 1.0) -> sparse.csr_array:
    """Count pairs: C[i, j] = sum of decay^gap over all i followed by j, 1 <= gap <= reach steps later, in one sequence.

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
        pairs = (tape.items[:-gap][together], tape.items[gap:][together])
        weights = np.full(len(pairs[0]), decay**gap)
        counts = counts + sparse.coo_array((weights, pairs), shape=(size, size)).tocsr()
    return counts


def weighted_histories(histories_BH: Int32, num_items: int, decay: float) -> sparse.csr_array:
    """Spread histories over the items: (B, I), an item `age` steps before the last one weighs decay^age; padding 0.

    >>> weighted_histories(np.array([[0, 1, 2, 1]]), num_items=2, decay=0.5).toarray()
    array([[0.  , 1.25, 0.5 ]])
    """
    width = histories_BH.shape[1]
    rows, columns = np.nonzero(histories_BH)
    weights = decay ** (width - 1.0 - columns)
    shape = (len(histories_BH), num_items + 1)
    return sparse.coo_array((weights, (rows, histories_BH[rows, columns])), shape=shape).tocsr()
