"""The loop of `products.py`, which numba compiles (`system/compiled.py`)."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from caser.system.compiled import compiled
from caser.system.loops import kth_largest, with_room

Array = np.ndarray[Any, np.dtype[Any]]


@partial(compiled, as_written=True)
def best_of_products(
    left: tuple[Array, Array, Array],
    right: tuple[Array, Array, Array],
    is_barred_N: Array,
    seen: tuple[Array, Array],
    k: Any,
) -> tuple[Array, Array, Array, Any]:
    """Multiply two sparse matrices row by row, and keep the entries above 0 that reach the k-th best of their row.

    left, right  the matrices (B, M) and (M, N), each as offsets of the rows, columns and values
    is_barred_N  (N,) bool, the columns that no row may keep
    seen         offsets (B + 1,) and columns: those that each row may not keep
    k            how many entries of a row are wanted; more stay where some are equal

    Returns offsets of the rows (B + 1,), columns, values, and the first row with a value that is NaN or infinite: -1
    if there is none.
    """
    (offsets, middles, weights), (ends, columns, values) = left, right
    num_rows, num_columns = len(offsets) - 1, len(is_barred_N)
    sums_N, touched = np.zeros(num_columns, np.float64), np.empty(num_columns, np.int64)
    # The row, from 1, in which a column was last touched, and the one in which it was last seen.
    touched_in_N, seen_in_N = np.zeros(num_columns, np.int64), np.zeros(num_columns, np.int64)
    kept_offsets, num_kept = np.zeros(num_rows + 1, np.int64), 0
    kept_columns, kept_values = np.empty(k * num_rows, np.int64), np.empty(k * num_rows, np.float64)
    for row in range(num_rows):
        # Add up the row.
        num_touched = 0
        for p in range(offsets[row], offsets[row + 1]):
            for q in range(ends[middles[p]], ends[middles[p] + 1]):
                column = columns[q]
                if touched_in_N[column] != row + 1:
                    touched_in_N[column] = row + 1
                    touched[num_touched] = column
                    num_touched += 1
                    sums_N[column] = 0
                sums_N[column] += weights[p] * values[q]
        # Leave out what may not be kept.
        for p in range(seen[0][row], seen[0][row + 1]):
            seen_in_N[seen[1][p]] = row + 1
        num_left = 0
        for t in range(num_touched):
            column = touched[t]
            if not is_barred_N[column] and seen_in_N[column] != row + 1:
                if not sums_N[column] < np.inf:
                    return kept_offsets, kept_columns, kept_values, row
                if sums_N[column] > 0:
                    touched[num_left] = column
                    num_left += 1
        # Keep what reaches the k-th best.
        bound = 0.0
        if num_left > k:
            bound = kth_largest(sums_N[touched[:num_left]], k)
        kept_columns = with_room(kept_columns, num_kept, num_left)
        kept_values = with_room(kept_values, num_kept, num_left)
        for t in range(num_left):
            if sums_N[touched[t]] >= bound:
                kept_columns[num_kept] = touched[t]
                kept_values[num_kept] = sums_N[touched[t]]
                num_kept += 1
        kept_offsets[row + 1] = num_kept
    return kept_offsets, kept_columns[:num_kept], kept_values[:num_kept], -1
