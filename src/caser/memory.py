"""Whether a model can fit in memory at all, asked before anything is allocated."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable

from caser.errors import ConfigError

TRAINING_COPIES = 4
"""What a network keeps of each parameter: its value, its gradient and Adam's two moments."""


def refuse_what_cannot_fit(name: str, shapes: Iterable[tuple[int, ...]], copies: int) -> None:
    """Raise ConfigError with both numbers if `copies` float32 arrays of each of these shapes exceed the memory.

    >>> refuse_what_cannot_fit("caser", [(1000, 50)], TRAINING_COPIES)
    """
    needed = 4 * copies * sum(math.prod(shape) for shape in shapes)
    if needed > (have := memory()):
        raise ConfigError(
            f"training {name} must fit in memory; it needs at least {needed / 1e9:,.1f} GB and there are "
            f"{have / 1e9:,.1f}. Use fewer users and items (--k-core, --min-item-count), or a smaller model."
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
