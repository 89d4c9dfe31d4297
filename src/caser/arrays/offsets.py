"""Offsets: the start of each row, where rows of unequal length are stored one after another in one array."""

from __future__ import annotations

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


def places_of(lengths: ArrayLike) -> Int64:
    """Return the place of every entry within its row, from 0: (sum of lengths,) int64.

    lengths  (R,) integers: the number of entries of each row

    >>> places_of([2, 0, 3]).tolist()
    [0, 1, 0, 1, 2]
    """
    offsets = offsets_of(lengths)
    return np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))
