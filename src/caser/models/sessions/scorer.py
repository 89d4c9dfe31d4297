"""What the NumPy forms of session models share: no user vectors, and a state made of the last items of a history alone.

A session model is given by its equations as one function, from the items that it reads to the last state.

Shape suffixes: B queries, H history length, X items that are read, I catalogue + padding, D state width.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from caser.arrays.ragged import last_items
from caser.arrays.types import Int32, Scores
from caser.models.base import Arrays
from caser.models.states import ArrayScorer

Equations = Callable[[Int32], Scores]
"""Items (B, X), left-padded with zeros, to last states (B, D)."""

_MOST_CELLS = 2**21
"""Cells of an (X, X) table per query that are held at once."""


class SessionScorer(ArrayScorer):
    """A scorer without user vectors, whose states are a function of the last items."""

    def __init__(
        self, arrays: Arrays, history_length: int, equations: Equations, *, vectors: str = "V", bias: str | None = "c"
    ) -> None:
        super().__init__(arrays, history_length, vectors=vectors, bias=bias, reads_vectors=True, has_users=False)
        self._equations, self._most_items = equations, history_length

    def states(self, users_B: Int32 | Scores, histories_BH: Int32) -> Scores:
        """The last states, (B, D); the users are ignored."""
        tape_BX = last_items(histories_BH, self._most_items)
        size = max(1, _MOST_CELLS // tape_BX.shape[1] ** 2)
        blocks = [self._equations(tape_BX[start : start + size]) for start in range(0, len(tape_BX), size)]
        return np.concatenate(blocks) if blocks else np.zeros((0, self._vectors_ID.shape[1]), dtype=np.float32)


def layer_norm(values: Scores, gain_d: Scores, shift_d: Scores) -> Scores:
    """Normalise the last axis to mean 0 and variance 1, then scale and shift (Ba et al., 2016).

    >>> layer_norm(np.array([[1.0, 3.0]]), np.ones(2), np.zeros(2)).round(2).tolist()
    [[-1.0, 1.0]]
    """
    away = values - values.mean(axis=-1, keepdims=True)
    normal = away / np.sqrt((away**2).mean(axis=-1, keepdims=True) + LAYER_NORM_EPSILON)
    normalised: Scores = normal * gain_d + shift_d
    return normalised


def sigmoid(values: Scores) -> Scores:
    """1 / (1 + e^-x), without overflow.

    >>> sigmoid(np.array([-1000.0, 0.0])).tolist()
    [0.0, 0.5]
    """
    answer: Scores = 0.5 * (np.tanh(0.5 * values) + 1)
    return answer


LAYER_NORM_EPSILON = 1e-5
