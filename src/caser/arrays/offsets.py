"""Offsets: the start of each row, where rows of unequal length are stored one after another in one array."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from caser.arrays.types import Int64


def offsets_of(lengths: ArrayLike) -> Int64:
    """Return the start of each row, followed by the end of the last row: (R + 1,) int64.

    lengths  (R,) integers: the number of entries of each row

    >>> offsets_of([2, 0, 3]).tolist()
    [0, 2, 2, 5]
    """
    lengths_R = np.asarray(lengths, dtype=np.int64)
    offsets = np.zeros(len(lengths_R) + 1, dtype=np.int64)
    np.cumsum(lengths_R, out=offsets[1:])
    return offsets


def blocks_of(lengths: ArrayLike, size: int) -> Iterator[tuple[int, int]]:
    """Group neighbouring rows into blocks with at most `size` entries; a longer row is a block of its own.

    lengths  (R,) integers: the number of entries of each row        size  at least 1

    Yields the first row of each block and the row after its last.

    >>> list(blocks_of([2, 0, 3, 9, 1], size=5))
    [(0, 3), (3, 4), (4, 5)]
    """
    offsets = offsets_of(lengths)
    begin, last = 0, len(offsets) - 1
    while begin < last:
        end = int(np.searchsorted(offsets, offsets[begin] + size, side="right")) - 1
        end = min(max(end, begin + 1), last)
        yield begin, end
        begin = end


def places_of(lengths: ArrayLike) -> Int64:
    """Return the place of every entry within its row, from 0: (sum of lengths,) int64.

    lengths  (R,) integers: the number of entries of each row

    >>> places_of([2, 0, 3]).tolist()
    [0, 1, 0, 1, 2]
    """
    offsets = offsets_of(lengths)
    return np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))


def rows_by_time(times: Int64) -> Int64:
    """Return the rows that interactions would have in a source in the order of time, (N,): equal times keep theirs.

    times  (N,) int64

    >>> rows_by_time(np.array([30, 10, 20])).tolist()
    [2, 0, 1]
    """
    rows = np.empty(len(times), dtype=np.int64)
    rows[np.argsort(times, kind="stable")] = np.arange(len(times))
    return rows
