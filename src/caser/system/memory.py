"""Memory: refuse a model that cannot fit before anything is allocated, and measure the peak memory of some work."""

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

_STATUS, _CLEAR_PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_MEMORY = Path("/proc/meminfo")
_GROUPS, _ALL_GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's malloc.h
_KEPT_BYTES = 2**28

TRAINING_COPIES = 4
"""Arrays that training keeps for each parameter: its value, its gradient, Adam's moments. An average is one more."""


def refuse_what_cannot_fit(name: str, shapes: Iterable[tuple[int, ...]], copies: int) -> None:
    """Raise ConfigError if a model's float32 parameters need more memory than is free.

    name    the model, for the message        shapes  shapes of its parameters
    copies  how many arrays of each shape are needed at once, such as TRAINING_COPIES

    >>> refuse_what_cannot_fit("caser", [(1000, 50)], TRAINING_COPIES)
    """
    needed = 4 * copies * sum(math.prod(shape) for shape in shapes)
    free = free_memory()
    if needed > free:
        raise ConfigError(
            f"training {name} must fit in memory; it needs at least {needed / 1e9:,.1f} GB and only "
            f"{free / 1e9:,.1f} GB are free. Use fewer users and items (--k-core, --min-item-count) or a "
            "smaller model."
        )


def refuse_whole(what: str, num_bytes: float) -> None:
    """Raise ConfigError if something that is used whole does not fit into the memory that is free.

    what       what it is, for the message, such as "1,000 interactions"
    num_bytes  about how many bytes it takes

    >>> refuse_whole("1,000 interactions", 24_000)
    """
    free = free_memory()
    if num_bytes > free:
        raise ConfigError(
            f"{what} must fit into memory, because this model or command uses them all at once; they take about "
            f"{num_bytes / 1e9:,.1f} GB and only {free / 1e9:,.1f} GB are free. Take a network or a model that counts "
            "shard by shard (popularity, markov, count-knn), or a larger machine."
        )


def free_memory() -> float:
    """Return the bytes that this process may still allocate; infinite where the platform does not tell.

    The memory of the machine that is free, what the control group of the process has left (`docker run --memory`), and
    what the limit of its address space leaves (`ulimit -v`): the smallest counts. Files that are read are compared with
    it before they are read, and models before they are trained.

    >>> free_memory() > 0
    True
    """
    limits = [math.inf, *_left_in_control_groups()]
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ()):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(OSError):
        if match := re.search(r"^MemAvailable:\s+(\d+) kB", _MEMORY.read_text(), flags=re.MULTILINE):
            limits.append(1024 * int(match[1]))
    if sys.platform != "win32":
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            limits.append(max(soft - 1024 * (_status_kilobytes("VmSize") or 0), 0))
    return min(limits)


def _left_in_control_groups() -> Iterator[float]:
    """Yield what the control group of this process, and each group around it, may still allocate, on Linux.

    Cached files count as free, because the kernel drops them where memory is short.
    """
    with suppress(OSError, ValueError):
        [name] = re.findall(r"^0::/(.*)$", _GROUPS.read_text(), flags=re.MULTILINE)
        group = _ALL_GROUPS / name
        for folder in [group, *group.parents]:
            with suppress(OSError, ValueError):  # the outermost group has no limit, and "max" is none
                most = int((folder / "memory.max").read_text())
                cached = re.findall(r"^(?:in)?active_file (\d+)$", (folder / "memory.stat").read_text(), re.MULTILINE)
                used = int((folder / "memory.current").read_text()) - sum(map(int, cached))
                yield max(most - used, 0)


@dataclass
class Peak:
    """The result of `peak_memory`."""

    megabytes: float | None = None
    """Set when the work is done; stays None on systems other than Linux, where it cannot be measured."""


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """Measure by how much the memory of this process grows, at most, while the `with` block runs.

    The yielded `Peak` holds the result after the block.

    >>> with peak_memory() as peak:
    ...     _ = bytes(1000)
    >>> peak.megabytes is None or peak.megabytes >= 0
    True
    """
    peak = Peak()
    _return_freed_memory()
    with suppress(OSError):
        _CLEAR_PEAK.write_text("5")  # resets the peak that the kernel reports as VmHWM
    current_kb = _status_kilobytes("VmRSS")
    try:
        yield peak
    finally:
        peak_kb = _status_kilobytes("VmHWM")
        if current_kb is not None and peak_kb is not None:
            peak.megabytes = round(max(peak_kb - current_kb, 0) / 1024, 1)


def keep_freed_memory() -> None:
    """Make the allocator keep freed memory for later use instead of returning it to the system.

    By default glibc returns large blocks at once. When training allocates them again, every page causes a page fault:
    thousands in each step on large batches. On systems without glibc this function does nothing.
    """
    with suppress(OSError, AttributeError, TypeError):
        libc = ctypes.CDLL(None)
        for setting in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            libc.mallopt(setting, _KEPT_BYTES)


def _return_freed_memory() -> None:
    """Return freed memory to the system. Work that reuses freed memory would otherwise seem to need none."""
    gc.collect()
    with suppress(OSError, AttributeError):  # only glibc has malloc_trim
        ctypes.CDLL(None).malloc_trim(0)


def _status_kilobytes(name: str) -> int | None:
    """Read one entry, in kilobytes, of this process's status; None where there is none."""
    with suppress(OSError):
        if match := re.search(rf"^{name}:\s+(\d+) kB", _STATUS.read_text(), flags=re.MULTILINE):
            return int(match[1])
    return None
