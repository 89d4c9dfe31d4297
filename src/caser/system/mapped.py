"""Memory-mapped arrays: give back the pages that were read, so that reading a large file does not fill memory.

The system would take such pages back by itself when memory is short. To give them back early keeps what a process uses
bounded and easy to measure.
"""

from __future__ import annotations

import mmap
from typing import Any

from numpy.typing import NDArray


def release(*arrays: NDArray[Any]) -> None:
    """Give back the pages of arrays that are mapped for reading; the next access reads the file again.

    arrays  any arrays, or parts of them; all others are left alone

    >>> import numpy as np
    >>> release(np.zeros(3))
    """
    advice = getattr(mmap, "MADV_DONTNEED", None)
    for array in arrays if advice is not None else ():
        owner: Any = array
        while owner is not None and not isinstance(owner, mmap.mmap):
            owner = getattr(owner, "base", None)
        if owner is None:
            continue
        with memoryview(owner) as content:
            is_fixed = content.readonly  # otherwise what was written would be lost
        if is_fixed:
            owner.madvise(advice)
