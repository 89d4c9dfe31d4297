"""Loops that numba compiles where it is installed.

Without numba, `njit` is None, and the callers use a version of each loop that is written in torch or NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Array = np.ndarray[Any, np.dtype[Any]]

njit: Any = None
with suppress(ImportError):
    from numba import njit


def compiled(function: Callable[..., Any], *, as_written: bool = False) -> Callable[..., Any]:
    """Return a version of `function` that numba compiles at its first call; the function itself without numba.

    function    a loop over NumPy arrays and numbers, in the part of Python that numba knows
    as_written  whether sums keep their order, so that the result has the same bits as without numba; otherwise the
                compiler may reorder them, because this lets it use vector instructions

    The machine code is cached beside the source or in the user's cache folder, where one of them can be written.
    Without numba, callers must not call the result (see `usable`): it would be a slow Python loop.

    >>> @compiled
    ... def double(values):
    ...     return values * 2
    >>> callable(double)
    True
    """
    if njit is None:
        return function
    freedom: bool | set[str] = False if as_written else {"contract", "reassoc", "nsz", "arcp"}
    compile_: Any = partial(njit, nogil=True, fastmath=freedom, error_model="numpy")
    compiled_function: Callable[..., Any]
    try:
        compiled_function = compile_(cache=True)(function)
    except RuntimeError:  # no cache folder can be written
        compiled_function = compile_()(function)
    return compiled_function


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


def usable(values: Tensor) -> bool:
    """Return whether compiled loops can process `values`.

    values  a tensor; it must be on the CPU, and numba must be installed
    """
    return njit is not None and values.device.type == "cpu"
