"""Answering from saved parameters without torch: what the NumPy scorers of all networks share.

A scorer says how a state is made. Parameters, scores and user vectors are the same for every network:
score = state . vector + bias. By default V (I, D) are the output vectors, c (I,) the biases and P (U, E) the user
vectors, where there are any; the user vector is then the last E columns of a state.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from caser.arrays.types import Int32, Scores
from caser.models.base import Arrays


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

    def __init__(
        self,
        arrays: Arrays,
        history_length: int | None,
        *,
        vectors: str = "V",
        bias: str | None = "c",
        reads_vectors: bool = False,
        has_users: bool = True,
    ) -> None:
        """Keep the parameters.

        vectors, bias  names of the output vectors and of their biases; without a name, all biases are 0
        reads_vectors  whether states are made of the output vectors too, so that rows of them must be quick to take
        has_users  whether P, where there is one, holds user vectors
        """
        self.history_length = history_length
        # By columns, a product of a few states with all items is twice as fast, and a service asks for few at a time.
        self._vectors_ID = np.asfortranarray(arrays[vectors])
        self._bias_I = np.zeros(len(self._vectors_ID), dtype=np.float32) if bias is None else arrays[bias]
        self._arrays = dict(arrays) if reads_vectors else {**arrays, vectors: self._vectors_ID}
        self.user_columns: slice | None = None
        if has_users and "P" in arrays:
            width = self._vectors_ID.shape[1]
            self.user_columns = slice(width - arrays["P"].shape[1], width)

    @abstractmethod
    def states(self, users_B: Int32 | Scores, histories_BH: Int32) -> Scores:
        """(B, D); `users_B` are indices, or float user vectors (B, E)."""

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        """Scores, state . vector + bias, for every item: (B, I)."""
        scores_BI: Scores = self.states(users_B, histories_BH) @ self._vectors_ID.T
        scores_BI += self._bias_I  # in place: a second array of this size would cost more than the sum
        return scores_BI

    def arrays(self) -> Arrays:
        """The parameters by name."""
        return self._arrays

    def item_vectors(self) -> tuple[Scores, Scores]:
        """Output vectors (I, D) and biases (I,), row 0 being padding."""
        return self._vectors_ID, self._bias_I

    def user_vectors(self) -> Scores | None:
        """P (U, E), row 0 for anonymous users; None without user vectors."""
        return None if self.user_columns is None else self._arrays["P"]

    def vectors_of(self, users_B: Int32 | Scores) -> Scores:
        """The user part of states, (B, E), of users given as indices or as vectors."""
        vectors_BE = users_B if users_B.ndim == 2 else self._arrays["P"][users_B]
        return np.asarray(vectors_BE, dtype=self._arrays["P"].dtype)
