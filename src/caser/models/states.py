"""The base of the NumPy scorers of all networks. They answer from saved parameters, without torch.

A subclass only says how a state is computed. Scores, parameters and user vectors work alike for every network:
score = state . vector + bias. By default, V (I, D) holds the item vectors, c (I,) the biases and P (U, E) the user
vectors, if the model has any. The user vector is then the last E columns of a state.

Shape suffixes: B queries, H history length, I catalogue + padding, D state width, E width of user vectors, U users +
the anonymous one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from caser.arrays.types import Int32, Scores
from caser.models.base import Arrays


class ArrayScorer(ABC):
    """A StateScorer that computes with NumPy arrays, given by name.

    >>> class UserTaste(ArrayScorer):
    ...     def states(self, users_B, histories_BH):
    ...         return self.vectors_of(users_B)
    >>> arrays = {"V": np.array([[0.0], [2.0], [3.0]]), "c": np.array([0.0, 0.5, 0.0]), "P": np.array([[1.0], [-1.0]])}
    >>> scorer = UserTaste(arrays, history_length=1)
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

        arrays          the parameters by name, float32
        history_length  how many of the last items of a history the model reads; None if it reads all
        vectors         the name of the item vectors that scores are computed with
        bias            the name of the item biases; None if all biases are 0
        reads_vectors   whether the model also reads rows of these vectors to compute states
        has_users       whether the parameter P, if there is one, holds user vectors
        """
        self.history_length = history_length
        # A service multiplies a few states at a time with all items. This is twice as fast with the vectors stored in
        # column order. A model that also reads rows of the vectors keeps a second array, stored in row order.
        self._vectors_ID = np.asfortranarray(arrays[vectors])
        self._bias_I = np.zeros(len(self._vectors_ID), dtype=np.float32) if bias is None else arrays[bias]
        self._arrays = dict(arrays) if reads_vectors else {**arrays, vectors: self._vectors_ID}
        self.user_columns: slice | None = None
        if has_users and "P" in arrays:
            width = self._vectors_ID.shape[1]
            self.user_columns = slice(width - arrays["P"].shape[1], width)

    @abstractmethod
    def states(self, users_B: Int32 | Scores, histories_BH: Int32) -> Scores:
        """Compute the state of every query. See `StateScorer.states`.

        users_B       (B,) int32, the user of each query; or (B, E) floats, a user vector for each query
        histories_BH  (B, H) int32, left-padded with 0

        Returns floats (B, D).
        """

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        """Score every item for every query: state . vector + bias. See `Scorer.scores`.

        users_B       (B,) int32, the user of each query
        histories_BH  (B, H) int32, left-padded with 0

        Returns floats (B, I).
        """
        scores_BI: Scores = self.states(users_B, histories_BH) @ self._vectors_ID.T
        scores_BI += self._bias_I  # in place, because a second array of this size would cost more than the sum
        return scores_BI

    def arrays(self) -> Arrays:
        """Return the parameters by name."""
        return self._arrays

    def item_vectors(self) -> tuple[Scores, Scores]:
        """Return the vectors (I, D) and the biases (I,) of the items, as floats. Row 0 is padding."""
        return self._vectors_ID, self._bias_I

    def user_vectors(self) -> Scores | None:
        """Return the user vectors P (U, E) as floats, row 0 for the anonymous user; None if the model has none."""
        return None if self.user_columns is None else self._arrays["P"]

    def vectors_of(self, users_B: Int32 | Scores) -> Scores:
        """Return the vectors of users that are given as indices or as vectors.

        users_B  (B,) int32 indices, or (B, E) floats

        Returns floats (B, E).
        """
        vectors_BE = users_B if users_B.ndim == 2 else self._arrays["P"][users_B]
        return np.asarray(vectors_BE, dtype=self._arrays["P"].dtype)
