"""Parts of compiled loops (`compiled.py`): room in an array, and the k-th largest of some numbers."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from caser.system.compiled import compiled

Array = np.ndarray[Any, np.dtype[Any]]


@partial(compiled, as_written=True)
def with_room(values: Array, used: Any, more: Any) -> Array:
    """Return an array with room for more values, for compiled loops: the same array if it has that room.

    values  the array, of which the first `used` entries are in use
    used    how many entries are kept
    more    how many entries must fit behind them

    >>> with_room(np.array([1, 2, 3]), 2, 4)[:2].tolist()
    [1, 2]
    """
    if used + more <= len(values):
        return values
    larger = np.empty(2 * (used + more), values.dtype)
    larger[:used] = values[:used]
    return larger


@partial(compiled, as_written=True)
def kth_largest(values: Array, k: Any) -> Any:
    """Return the k-th largest of some numbers, for compiled loops; numba needs seconds to compile `np.partition`.

    values  numbers, none of them NaN; their order changes
    k       from 1 to how many there are

    Source: Hoare, Algorithm 65 (Find), CACM 1961.

    >>> float(kth_largest(np.array([3.0, 1.0, 3.0, 2.0]), 3))
    2.0
    """
    first, last, wanted = 0, len(values) - 1, len(values) - k
    while first < last:
        # Bring what is below the pivot to its left, and what is above it to its right.
        pivot, low, high = values[(first + last) // 2], first, last
        while low <= high:
            while values[low] < pivot:
                low += 1
            while values[high] > pivot:
                high -= 1
            if low <= high:
                values[low], values[high] = values[high], values[low]
                low += 1
                high -= 1
        # Go on in the part with the wanted place; between the parts, all equal the pivot.
        if wanted <= high:
            last = high
        elif wanted >= low:
            first = low
        else:
            break
    return values[wanted]
