"""EASE: one linear regression, solved in closed form, that predicts each item of a user from the user's other items.

This is the strongest linear baseline for lasting taste. A matrix of the catalogue squared must fit in memory. The
model ignores the order of a history, and how often an item is in it.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import linalg

from caser.arrays.types import Int32, Scores
from caser.config import Space
from caser.data.tape import Tape
from caser.models.base import Arrays, check_shapes
from caser.models.counting.sparse_arrays import membership
from caser.models.settings import CountingSettings
from caser.system.memory import refuse_what_cannot_fit

_COPIES = 3
"""Memory for fitting, in float32 matrices of the size of B: the float64 regression takes two, the result one."""


class EASE(CountingSettings):
    """Embarrassingly shallow autoencoder: a user's items predict one another, but no item predicts itself.

        X = users by items, 1 where the user has the item        P = (X'X + penalty Id)^-1
        B = Id - P diag(1 / diag P), whose diagonal is 0         scores = x B, x the items of the whole history

    B minimises |X - X B|^2 + penalty |B|^2 among all matrices with diagonal 0. Useful when tastes are stable and the
    order of items matters little: for shops and films rather than sessions. Source: Steck, WWW 2019, equation 8.
    """

    name = "ease"
    about = "solves one linear regression over all items"
    space: ClassVar[Space] = {"penalty": (100.0, 250.0, 500.0, 1000.0, 2000.0)}
    penalty: float = Field(default=500.0, gt=0)
    """L2 penalty on the weights, the paper's lambda; a log with more users needs a higher one."""

    def build(self, num_users: int, num_items: int) -> EASEScorer:
        """Make the model before it is fitted. See `CountingSettings.build`.

        Raises ConfigError if B cannot fit in memory.
        """
        refuse_what_cannot_fit(self.name, self.shapes(num_items).values(), _COPIES)
        return EASEScorer(self, np.zeros((0, 0), dtype=np.float32))

    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> EASEScorer:
        """Make the scorer from saved parameters. See `ModelSettings.scorer`, also for what it raises."""
        check_shapes(arrays, self.shapes(num_items))
        return EASEScorer(self, arrays["B"])

    def shapes(self, num_items: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter by name.

        num_items  number of items, without padding
        """
        return {"B": (num_items + 1, num_items + 1)}


class EASEScorer:
    """The weights B, (I, I) float32. Row 0 and column 0 (padding) are zero.

    In the example, both items have the same two users, so each predicts the other with 2 / (2 + penalty).

    >>> scorer = EASE(penalty=2).build(num_users=2, num_items=3)
    >>> scorer.fit(Tape.from_sequences([[1, 2], [2, 1]], num_items=3))
    >>> scorer.scores(np.array([1]), np.array([[0, 2, 2]])).tolist()
    [[0.0, 0.5, 0.0, 0.0]]
    """

    history_length: int | None = None

    def __init__(self, config: EASE, weights_II: NDArray[np.float32]) -> None:
        """Keep the settings and the weights.

        config      the settings of the model
        weights_II  (I, I) float32, the weights B; empty before `fit`
        """
        self.config = config
        self.weights_II = weights_II

    def fit(self, tape: Tape) -> None:
        """Solve the regression.

        tape  the part to train on
        """
        # The matrix of the regression, X'X with the penalty on its diagonal.
        taken_UI = membership(tape.users, tape.items, (tape.num_users + 1, tape.num_items + 1))
        regular_II = (taken_UI.T @ taken_UI).astype(np.float64).toarray(order="F")
        np.fill_diagonal(regular_II, regular_II.diagonal() + self.config.penalty)
        # B from the inverse: column j divided by -P_jj, and a diagonal of zeros.
        inverse_II = linalg.inv(regular_II, overwrite_a=True)
        weights_II = inverse_II.astype(np.float32, order="C")
        weights_II /= -inverse_II.diagonal()
        np.fill_diagonal(weights_II, 0)
        self.weights_II = weights_II

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        """Sum the weights of the distinct items of each history. See `Scorer.scores`.

        users_B       (B,) int32; ignored
        histories_BH  (B, H) int32, left-padded with 0

        Returns floats (B, I).
        """
        rows, columns = np.nonzero(histories_BH)
        taken_BI = membership(rows, histories_BH[rows, columns], (len(histories_BH), len(self.weights_II)))
        scores_BI: Scores = taken_BI.astype(np.float32) @ self.weights_II
        return scores_BI

    def arrays(self) -> Arrays:
        """Return the weights as `B` (I, I) float32."""
        return {"B": self.weights_II}
