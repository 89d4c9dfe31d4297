"""Loops that numba compiles where it is installed.

Without numba, `njit` is None, and the callers use a version of each loop that is written in torch or NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

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


def usable(values: Tensor) -> bool:
    """Return whether compiled loops can process `values`.

    values  a tensor; it must be on the CPU, and numba must be installed
    """
    return njit is not None and values.device.type == "cpu"
