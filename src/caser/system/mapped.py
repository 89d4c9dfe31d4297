"""Memory-mapped arrays: large ones that are not held in memory, and giving back the pages that were read.

The system would take such pages back by itself when memory is short. To give them back early keeps what a process uses
bounded and easy to measure.
"""

from __future__ import annotations

import mmap
import sys
import weakref
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

LARGE = 2**26
"""Arrays with more bytes are written to a temporary file, and mapped."""


class Gathered:
    """An array that is put together from parts. A large one is in a temporary file, not in memory.

    >>> import numpy as np
    >>> gathered = Gathered(np.dtype(np.int32))
    >>> gathered.add(np.array([7, 8], np.int32))
    >>> gathered.add(np.array([9], np.int32))
    >>> gathered.array().tolist()
    [7, 8, 9]
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        """Begin without a part.

        dtype  the type of the entries
        """
        self._dtype, self._length = dtype, 0
        self._parts: list[NDArray[Any]] = []
        self._file: IO[bytes] | None = None

    def add(self, part: NDArray[Any]) -> None:
        """Add a part at the end.

        part  one-dimensional, of the type of the array
        """
        self._length += len(part)
        self._parts.append(part)
        if self._file is None and self._length * self._dtype.itemsize > LARGE:
            self._file = file = TemporaryFile()  # noqa: SIM115
            weakref.finalize(self, file.close)
        if self._file is not None:
            for each in self._parts:
                self._file.write(np.ascontiguousarray(each).data)
            self._parts = []

    def array(self) -> NDArray[Any]:
        """Return all parts as one array, (N,); one in a file is read-only, and its file goes away with it."""
        if self._file is None:
            return np.concatenate([np.empty(0, self._dtype), *self._parts])
        self._file.flush()
        return np.memmap(self._file, self._dtype, "r", shape=(self._length,))


_BLOCK = 2**16
"""So many entries are looked up before pages are given back."""


def take(array: NDArray[Any], places: NDArray[np.integer[Any]]) -> NDArray[Any]:
    """Return the entries of an array at some places, (P,), without keeping the pages of a mapped one.

    array   one-dimensional
    places  (P,) integers; ascending ones are read from neighbouring pages

    >>> take(np.array([5, 6, 7]), np.array([2, 0])).tolist()
    [7, 5]
    """
    taken = np.empty(len(places), dtype=array.dtype)
    for begin in range(0, len(places), _BLOCK):
        inside = slice(begin, begin + _BLOCK)
        taken[inside] = array[places[inside]]
        release(array)
    return taken


def release(*arrays: NDArray[Any]) -> None:
    """Give back the pages of arrays that are mapped for reading; the next access reads the file again.

    arrays  any arrays, or parts of them; all others are left alone

    >>> import numpy as np
    >>> release(np.zeros(3))
    """
    if sys.platform == "win32":
        return
    for array in arrays:
        owner: Any = array
        while owner is not None and not isinstance(owner, mmap.mmap):
            owner = getattr(owner, "base", None)
        if owner is None:
            continue
        with memoryview(owner) as content:
            is_fixed = content.readonly  # otherwise what was written would be lost
        if is_fixed:
            owner.madvise(mmap.MADV_DONTNEED)
