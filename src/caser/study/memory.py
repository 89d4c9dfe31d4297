"""How much memory a piece of work takes at most, beyond what the process held before, where the system tells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


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
    with suppress(OSError):
        _CLEAR.write_text("5")  # forgets the peak so far
    before = _resident("VmRSS")
    try:
        yield peak
    finally:
        after = _resident("VmHWM")
        if before is not None and after is not None:
            peak.megabytes = round(max(after - before, 0) / 1024, 1)


def _resident(name: str) -> int | None:
    """A line of the process's status, in kilobytes."""
    with suppress(OSError):
        if found := re.search(rf"^{name}:\s+(\d+) kB", _STATUS.read_text(), flags=re.MULTILINE):
            return int(found[1])
    return None
