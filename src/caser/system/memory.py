"""Memory: whether a model can fit at all, asked before anything is allocated, and what work takes at most."""

from __future__ import annotations

import ctypes
import gc
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from caser.errors import ConfigError

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _KEPT_BYTES = -1, -3, 2**28  # the first two are names of glibc's mallopt

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


@dataclass
class Peak:
    """Megabytes, once the work is done; None where they cannot be measured (only Linux tells)."""

    megabytes: float | None = None


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """Measure the work inside.

    >>> with peak_memory() as peak:
    ...     _ = bytes(1000)
    >>> peak.megabytes is None or peak.megabytes >= 0
    True
    """
    peak = Peak()
    _give_back()
    with suppress(OSError):
        _CLEAR.write_text("5")  # forgets the peak so far
    before = _resident("VmRSS")
    try:
        yield peak
    finally:
        after = _resident("VmHWM")
        if before is not None and after is not None:
            peak.megabytes = round(max(after - before, 0) / 1024, 1)


def keep_freed_memory() -> None:
    """Let this process keep what it frees, for the next step of training to use.

    glibc returns big blocks to the system at once, and each page of a block taken anew costs a fault: thousands
    in a step on large batches. Other systems' allocators are left as they are.
    """
    with suppress(OSError, AttributeError, TypeError):
        libc = ctypes.CDLL(None)
        for setting in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            libc.mallopt(setting, _KEPT_BYTES)


def _give_back() -> None:
    """Return to the system what earlier work has freed, which would hide what this work takes."""
    gc.collect()
    with suppress(OSError, AttributeError):  # not everybody's libc has it
        ctypes.CDLL(None).malloc_trim(0)


def _resident(name: str) -> int | None:
    """A line of the process's status, in kilobytes."""
    with suppress(OSError):
        if found := re.search(rf"^{name}:\s+(\d+) kB", _STATUS.read_text(), flags=re.MULTILINE):
            return int(found[1])
    return None
