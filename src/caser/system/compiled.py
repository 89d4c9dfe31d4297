"""Loops that numba compiles, where it is installed; without it, `njit` is None, and each loop has a twin in torch."""

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


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile at the first call, and keep the machine code beside the source or in the user's cache, if one can be.

    Sums may be taken in another order, so that they become vector instructions. Without numba nothing may call it.

    >>> @compiled
    ... def double(values):
    ...     return values * 2
    >>> callable(double)
    True
    """
    if njit is None:
        return function
    compile_: Any = partial(njit, nogil=True, fastmath={"contract", "reassoc", "nsz", "arcp"}, error_model="numpy")
    made: Callable[..., Any]
    try:
        made = compile_(cache=True)(function)
    except RuntimeError:  # no folder to keep it in
        made = compile_()(function)
    return made


def usable(values: Tensor) -> bool:
    """Whether compiled loops can serve: numba is here, and the values are on the processor."""
    return njit is not None and values.device.type == "cpu"
