"""How the threads of torch wait for work: asleep.

By default they spin: they keep a core busy while they wait, which makes training several times slower on cores that
another process needs too. The OpenMP library of torch (libgomp, on Windows and macOS those of Intel and LLVM) reads
OMP_WAIT_POLICY once, when torch is loaded. So `caser` sets it when it is imported, because it loads torch later. What a
caller has set stays as it is.
"""

from __future__ import annotations

import os
import sys
import warnings

VARIABLE = "OMP_WAIT_POLICY"

_is_late = False
"""Whether torch was loaded before this library, so that the variable came too late."""


def let_idle_threads_sleep() -> None:
    """Ask the threads of torch to sleep while they wait. Has an effect only before torch is loaded."""
    global _is_late
    _is_late = "torch" in sys.modules and VARIABLE not in os.environ
    os.environ.setdefault(VARIABLE, "PASSIVE")


def warn_of_busy_threads(num_threads: int) -> None:
    """Warn if torch was loaded too early and has several threads, which spin while they wait.

    num_threads  how many threads torch uses
    """
    if _is_late and num_threads > 1:
        warnings.warn(
            "torch was loaded before caser, so its idle threads keep cores busy; on shared cores training is several "
            f'times slower. Import caser before torch, or begin with: import os; os.environ["{VARIABLE}"] = "PASSIVE"',
            RuntimeWarning,
            stacklevel=2,
        )
