"""Whether a network can fit in memory at all, asked before anything is allocated."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable

from caser.errors import ConfigError

COPIES = 4
"""Parameters, their gradients and Adam's two moments, float32 each."""


def refuse_what_cannot_fit(name: str, shapes: Iterable[tuple[int, ...]]) -> None:
    """Raise ConfigError with both numbers if parameters of these shapes, and what trains them, exceed the memory.

    >>> refuse_what_cannot_fit("caser", [(1000, 50)])
    """
    needed = 4 * COPIES * sum(math.prod(shape) for shape in shapes)
    if needed > (have := memory()):
        raise ConfigError(
            f"training {name} must fit in memory; it needs at least {needed / 1e9:,.1f} GB and there are "
            f"{have / 1e9:,.1f}. Use narrower vectors, or fewer users and items (--k-core, --min-item-count)."
        )


def memory() -> float:
    """Bytes of memory this process may use, as far as the platform tells; infinite where it does not."""
    limits = [math.inf]
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ()):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    if sys.platform != "win32":
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        limits.append(math.inf if soft == resource.RLIM_INFINITY else soft)
    return min(limits)
