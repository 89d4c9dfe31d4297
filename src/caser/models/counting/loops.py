"""The loop of `session_knn.py`, which numba compiles (`system/compiled.py`)."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from caser.system.compiled import compiled
from caser.system.loops import kth_largest, with_room

Array = np.ndarray[Any, np.dtype[Any]]


@partial(compiled, as_written=True)
def nearest_sequences(
    weights: tuple[Array, Array, Array], sequences: tuple[Array, Array], num_sequences: Any, sample_size: Any, k: Any
) -> tuple[Array, Array, Array]:
    """Find the most similar sequences of each history, and what each of them votes with.

    weights        a sparse matrix (B, I) as offsets, items and values: the weight of each item of a history
    sequences      a sparse matrix (I, N) as offsets and sequences: which sequences contain an item
    num_sequences  N
    sample_size    how many of the latest sequences that share an item with a history are looked at
    k              how many of these vote; among equals, the latest

    Returns a sparse matrix (B, N) as offsets, sequences and votes. The sequences of a row ascend. A vote is the sum of
    the weights of the shared items, times the largest of them.
    """
    offsets, items, values = weights
    ends, members = sequences
    sums_N, largest_N = np.zeros(num_sequences, np.float64), np.zeros(num_sequences, np.float64)
    touched, touched_in_N = np.empty(num_sequences, np.int64), np.zeros(num_sequences, np.int64)
    kept_offsets, num_kept = np.zeros(len(offsets), np.int64), 0
    neighbours, votes = np.empty(1024, np.int64), np.empty(1024, np.float64)
    for row in range(len(offsets) - 1):
        # Add up the weights of the shared items.
        num_touched = 0
        for p in range(offsets[row], offsets[row + 1]):
            for q in range(ends[items[p]], ends[items[p] + 1]):
                sequence = members[q]
                if touched_in_N[sequence] != row + 1:
                    touched_in_N[sequence] = row + 1
                    touched[num_touched] = sequence
                    num_touched += 1
                    sums_N[sequence] = largest_N[sequence] = 0
                sums_N[sequence] += values[p]
                largest_N[sequence] = max(largest_N[sequence], values[p])
        # Among the latest of them, keep the k most similar: what is above the k-th best, and the latest that equal it.
        found = np.sort(touched[:num_touched])[max(0, num_touched - sample_size) :]
        bound, num_at_bound = 0.0, len(found)
        if len(found) > k:
            bound = kth_largest(sums_N[found], k)
            num_at_bound = k - np.sum(sums_N[found] > bound)
        place = num_kept + min(len(found), k)
        neighbours, votes = (
            with_room(neighbours, num_kept, place - num_kept),
            with_room(votes, num_kept, place - num_kept),
        )
        num_kept = place
        for t in range(len(found) - 1, -1, -1):
            similarity = sums_N[found[t]]
            if similarity > bound or (similarity == bound and num_at_bound > 0):
                num_at_bound -= similarity == bound
                place -= 1
                neighbours[place] = found[t]
                votes[place] = similarity * largest_N[found[t]]
        kept_offsets[row + 1] = num_kept
    return kept_offsets, neighbours[:num_kept], votes[:num_kept]
