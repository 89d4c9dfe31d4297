"""What the NumPy forms of session models share: no user vectors, and a state made of the last items of a history alone.

A session model is given by its equations as one function, from the items that it reads to the last state.

Shape suffixes: B queries, H history length, X items that are read, I catalogue + padding, D state width.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from caser.data.log import Int32
from caser.data.tape import last_items
from caser.models.base import Arrays, Scores

Equations = Callable[[Int32], Scores]
"""Items (B, X), left-padded with zeros, to last states (B, D)."""

_MOST_CELLS = 2**21
"""Cells of an (X, X) table per query that are held at once."""


class SessionScorer:
    """Answer without torch: state . vector + bias, the user ignored."""

    def __init__(
        self, arrays: Arrays, history_length: int, item_vectors: tuple[Scores, Scores], equations: Equations
    ) -> None:
        self.history_length: int | None = history_length
        self.user_columns: slice | None = None
        self._arrays, self._item_vectors, self._equations = dict(arrays), item_vectors, equations
        self._most_items = history_length

    def arrays(self) -> Arrays:
        """The parameters by name."""
        return self._arrays

    def item_vectors(self) -> tuple[Scores, Scores]:
        """Vectors (I, D) and biases (I,)."""
        return self._item_vectors

    def user_vectors(self) -> Scores | None:
        """None: there are no user vectors."""
        return None

    def states(self, users_B: Int32 | Scores, histories_BH: Int32) -> Scores:
        """The last states, (B, D)."""
        tape_BX = last_items(histories_BH, self._most_items)
        size = max(1, _MOST_CELLS // tape_BX.shape[1] ** 2)
        blocks = [self._equations(tape_BX[start : start + size]) for start in range(0, len(tape_BX), size)]
        return np.concatenate(blocks) if blocks else np.zeros((0, self._item_vectors[0].shape[1]), dtype=np.float32)

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        """Scores, state . vector + bias: (B, I)."""
        vectors_ID, bias_I = self._item_vectors
        return self.states(users_B, histories_BH) @ vectors_ID.T + bias_I


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
