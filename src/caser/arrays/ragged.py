"""Rows of unequal length: cut to the same length and padded with zeros on the left, which is where the past is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from caser.arrays.types import Int32, Int64


def padded_histories(items: Int32, starts: Int64, ends: Int64, length: int) -> Int32:
    """The last `length` entries of each slice items[start:end], left-padded with 0: (B, length)."""
    positions = ends[:, None] - np.arange(length, 0, -1)
    inside = positions >= starts[:, None]
    if len(items) == 0:
        return np.zeros(positions.shape, dtype=np.int32)
    return np.where(inside, items[np.where(inside, positions, 0)], 0).astype(np.int32)


def pad_left(sequences: Sequence[Sequence[int] | Int32], length: int | None = None) -> Int32:
    """Stack sequences of indices into one left-padded array; `length` defaults to the longest.

    >>> pad_left([[1, 2, 3], [4]], length=2).tolist()
    [[2, 3], [0, 4]]
    """
    width = max((len(sequence) for sequence in sequences), default=0) if length is None else length
    padded = np.zeros((len(sequences), max(width, 1)), dtype=np.int32)
    for row, sequence in enumerate(sequences):
        tail = sequence[-width:] if width else []
        if len(tail):
            padded[row, -len(tail) :] = tail
    return padded


def last_columns(histories_BH: Int32, length: int) -> Int32:
    """Cut or left-pad histories to exactly `length` columns.

    >>> last_columns(np.array([[1, 2, 3]], dtype=np.int32), 2).tolist()
    [[2, 3]]
    >>> last_columns(np.array([[1, 2, 3]], dtype=np.int32), 4).tolist()
    [[0, 1, 2, 3]]
    """
    missing = length - histories_BH.shape[1]
    return histories_BH[:, -length:] if missing <= 0 else np.pad(histories_BH, ((0, 0), (missing, 0)))


def last_items(histories_BH: Int32, length: int) -> Int32:
    """Cut histories to at most `length` columns, without those on the left that are padding in every row; one stays.

    >>> last_items(np.array([[0, 0, 1, 2], [0, 0, 0, 3]], dtype=np.int32), 3).tolist()
    [[1, 2], [0, 3]]
    """
    last_BH = last_columns(histories_BH, max(1, min(length, histories_BH.shape[1])))
    is_used_H = (last_BH != 0).any(axis=0)
    return last_BH[:, int(is_used_H.argmax()) if is_used_H.any() else -1 :]
