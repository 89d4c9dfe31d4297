"""Answering from saved parameters without torch: what the NumPy twins of all networks share.

A twin says how a state is made; parameters, scores and user vectors are the same for every model. Assumes the letters
of `caser.py`: V (I, D) and c (I,) are the output vectors and biases, P (U, E) the user vectors, where there are any,
and the user vector is the last E columns of a state. A model that has it otherwise overrides the method.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from caser.data.log import Int32
from caser.models.base import Arrays, Scores


class ArrayScorer(ABC):
    """A StateScorer over named arrays: score = state . V + c.

    >>> class Taste(ArrayScorer):
    ...     def states(self, users_B, histories_BH):
    ...         return self.vectors_of(users_B)
    >>> arrays = {"V": np.array([[0.0], [2.0], [3.0]]), "c": np.array([0.0, 0.5, 0.0]), "P": np.array([[1.0], [-1.0]])}
    >>> scorer = Taste(arrays, history_length=1)
    >>> scorer.scores(np.array([0, 1]), np.array([[0], [0]])).tolist(), scorer.user_columns
    ([[0.0, 2.5, 3.0], [0.0, -1.5, -3.0]], slice(0, 1, None))
    """

    def __init__(self, arrays: Arrays, history_length: int | None) -> None:
        self.history_length = history_length
        # By columns: a few states against all items, as a service asks, are then a product twice as fast.
        self._arrays = {**arrays, "V": np.asfortranarray(arrays["V"])}
        self.user_columns: slice | None = None
        if "P" in arrays:
            width = arrays["V"].shape[1]
            self.user_columns = slice(width - arrays["P"].shape[1], width)

    @abstractmethod
    def states(self, users_B: Int32 | Scores, histories_BH: Int32) -> Scores:
        """(B, D); `users_B` are indices, or float user vectors (B, E)."""

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        """Scores, state . vector + bias, for every item: (B, I)."""
        vectors_ID, bias_I = self.item_vectors()
        scores_BI = self.states(users_B, histories_BH) @ vectors_ID.T
        scores_BI += bias_I  # in place: a second array of this size would cost more than the sum
        return scores_BI

    def arrays(self) -> Arrays:
        """The parameters by name."""
        return self._arrays

    def item_vectors(self) -> tuple[Scores, Scores]:
        """V (I, D) and c (I,)."""
        return self._arrays["V"], self._arrays["c"]

    def user_vectors(self) -> Scores | None:
        """P (U, E), row 0 for anonymous users; None without user vectors."""
        return self._arrays.get("P")

    def vectors_of(self, users_B: Int32 | Scores) -> Scores:
        """The user part of states, (B, E), of users given as indices or as vectors."""
        vectors_BE = users_B if users_B.ndim == 2 else self._arrays["P"][users_B]
        return np.asarray(vectors_BE, dtype=self._arrays["P"].dtype)
