"""The base of the NumPy forms of session models. Their states depend only on the last items of a history.

A session model gives its equations as one function, from the items that it reads to the last state.

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
"""A function from items, int32 (B, X), left-padded with 0, to the last states, float32 (B, D)."""

_MOST_CELLS = 2**21
"""The largest number of cells that the (X, X) tables of a block of queries may have together."""


class SessionScorer(ArrayScorer):
    """A StateScorer without user vectors, whose states are a function of the last items."""

    def __init__(
        self, arrays: Arrays, history_length: int, equations: Equations, *, vectors: str = "V", bias: str | None = "c"
    ) -> None:
        """Keep the parameters and the equations.

        arrays          the parameters by name, float32
        history_length  the largest number of items that are read
        equations       the function from items to last states
        vectors         the name of the item vectors that scores are computed with
        bias            the name of the item biases; None if all biases are 0
        """
        super().__init__(arrays, history_length, vectors=vectors, bias=bias, reads_vectors=True, has_users=False)
        self._equations, self._most_items = equations, history_length

    def states(self, users_B: Int32 | Scores, histories_BH: Int32) -> Scores:
        """Compute the state of every query. See `StateScorer.states`.

        users_B       ignored
        histories_BH  (B, H) int32, left-padded with 0

        Returns float32 (B, D).
        """
        tape_BX = last_items(histories_BH, self._most_items)
        size = max(1, _MOST_CELLS // tape_BX.shape[1] ** 2)
        blocks = [self._equations(tape_BX[start : start + size]) for start in range(0, len(tape_BX), size)]
        return np.concatenate(blocks) if blocks else np.zeros((0, self._vectors_ID.shape[1]), dtype=np.float32)


def layer_norm(values: Scores, gain_d: Scores, shift_d: Scores) -> Scores:
    """Normalise the last axis to mean 0 and variance 1, then scale and shift (Ba et al., 2016).

    values           floats (..., d)
    gain_d, shift_d  (d,) floats, the factors and the summands

    Returns floats (..., d).

    >>> layer_norm(np.array([[1.0, 3.0]]), np.ones(2), np.zeros(2)).round(2).tolist()
    [[-1.0, 1.0]]
    """
    centred = values - values.mean(axis=-1, keepdims=True)
    standardised = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + LAYER_NORM_EPSILON)
    result: Scores = standardised * gain_d + shift_d
    return result


LAYER_NORM_EPSILON = 1e-5
"""Added to the variance, so that it is never 0. Torch uses the same value."""
