"""Rows of unequal length: cut to one length, padded with zeros on the left, or concatenated.

Padding stands on the left because a row is a history: the newest entry is always the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from caser.arrays.offsets import offsets_of, places_of
from caser.arrays.types import Int32, Int64

Value = TypeVar("Value", bound=np.generic)


def padded_histories(items: Int32, starts: Int64, ends: Int64, length: int) -> Int32:
    """Return the last `length` entries of each slice items[start:end], left-padded with 0: (B, length) int32.

    items   (M,) int32        starts, ends  (B,) int64: the slices, which may be empty
    length  number of columns, at least 0

    >>> items = np.array([3, 1, 4, 1, 5], dtype=np.int32)
    >>> padded_histories(items, np.array([0, 3]), np.array([3, 4]), length=2).tolist()
    [[1, 4], [0, 1]]
    """
    positions = ends[:, None] - np.arange(length, 0, -1)
    inside = positions >= starts[:, None]
    if len(items) == 0:
        return np.zeros(positions.shape, dtype=np.int32)
    return np.where(inside, items[np.where(inside, positions, 0)], 0).astype(np.int32)


def pad_left(sequences: Sequence[Sequence[int] | Int32], length: int | None = None) -> Int32:
    """Stack B sequences into one left-padded array: (B, length) int32.

    sequences  indices of items, oldest first
    length     number of columns; longer sequences keep their newest entries; by default the longest sequence fits. The
               array always has at least one column

    >>> pad_left([[1, 2, 3], [4]], length=2).tolist()
    [[2, 3], [0, 4]]
    """
    width = max((len(sequence) for sequence in sequences), default=0) if length is None else length
    padded = np.zeros((len(sequences), max(width, 1)), dtype=np.int32)
    for row, sequence in enumerate(sequences):
        newest = sequence[-width:] if width else []
        if len(newest):
            padded[row, -len(newest) :] = newest
    return padded


def last_columns(histories_BH: Int32, length: int) -> Int32:
    """Return histories with exactly `length` columns, cut or padded with 0 on the left: (B, length) int32.

    histories_BH  (B, H) int32, left-padded        length  at least 1

    >>> last_columns(np.array([[1, 2, 3]], dtype=np.int32), 2).tolist()
    [[2, 3]]
    >>> last_columns(np.array([[1, 2, 3]], dtype=np.int32), 4).tolist()
    [[0, 1, 2, 3]]
    """
    missing = length - histories_BH.shape[1]
    return histories_BH[:, -length:] if missing <= 0 else np.pad(histories_BH, ((0, 0), (missing, 0)))


def last_items(histories_BH: Int32, length: int) -> Int32:
    """Return histories with at most `length` columns, without the left columns that are padding in every row.

    histories_BH  (B, H) int32, left-padded        length  the most columns to keep

    The result has shape (B, h) with 1 <= h <= length: one column stays even if all are padding.

    >>> last_items(np.array([[0, 0, 1, 2], [0, 0, 0, 3]], dtype=np.int32), 3).tolist()
    [[1, 2], [0, 3]]
    """
    last_BH = last_columns(histories_BH, max(1, min(length, histories_BH.shape[1])))
    is_used_H = (last_BH != 0).any(axis=0)
    return last_BH[:, int(is_used_H.argmax()) if is_used_H.any() else -1 :]


def concat_slices(values: NDArray[Value], starts: Int64, ends: Int64) -> tuple[Int64, NDArray[Value]]:
    """Concatenate the slices values[start:end]; return the slice that each entry is from, (N,) int64, and the entries.

    values  (M,) of any dtype        starts, ends  (R,) int64

    >>> rows, entries = concat_slices(np.array([3, 1, 4, 1], dtype=np.int32), np.array([1, 0]), np.array([3, 1]))
    >>> rows.tolist(), entries.tolist()
    ([0, 0, 1], [1, 4, 3])
    """
    lengths = ends - starts
    rows = np.repeat(np.arange(len(starts)), lengths)
    return rows, values[starts[rows] + places_of(lengths)] if len(rows) else values[:0]


def distinct_in_rows(rows: Int64, values: Int32, num_rows: int) -> tuple[Int32, Int64]:
    """Drop values that stood in the same row before; return the rest, (K,) int32, and their offsets, (num_rows + 1,).

    rows    (N,) int64, non-decreasing: the row of each value, from 0        values  (N,) int32

    >>> values, offsets = distinct_in_rows(np.array([0, 0, 0, 2]), np.array([7, 5, 7, 7], dtype=np.int32), num_rows=3)
    >>> values.tolist(), offsets.tolist()
    ([7, 5, 7], [0, 2, 2, 3])
    """
    _, first = np.unique(np.stack([rows, values.astype(np.int64)]), axis=1, return_index=True)
    keep = np.sort(first)
    return values[keep], offsets_of(np.bincount(rows[keep], minlength=num_rows))
