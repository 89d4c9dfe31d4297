"""Count kNN: items that often come within a few steps after the items of a history.

For: the baseline that is hard to beat; it fits in seconds. Assumes that order matters roughly, through decaying
weights. Will not learn a vector, or tell users with the same recent history apart.
"""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field
from scipy import sparse

from caser.arrays.types import Int32, Scores
from caser.config import Space
from caser.data.tape import Tape
from caser.models.base import Arrays
from caser.models.counting.sparse_arrays import dense, from_arrays, to_arrays
from caser.models.counting.transitions import transition_counts, weighted_histories
from caser.models.settings import CountingSettings


class CountKNN(CountingSettings):
    """Neighbours by decayed co-occurrence, divided by popularity.

        C_ij  = sum of gap_decay^gap over all i followed by j, 1 <= gap <= reach, in one sequence
        W_ij  = C_ij / ((n_i + shrinkage)^history_exponent (n_j + shrinkage)^candidate_exponent)
        score_j = sum over the last `history_length` items i of the history of age_decay^age_i W_ij

    with n the interactions of an item in the part that trains, and age 0 for the last item. Useful when you want most
    of what a sequence model gives, without training. Source: ours, in the family of item kNN (Sarwar et al. 2001) and
    session kNN with decay (Ludewig & Jannach 2018).
    """

    name = "count-knn"
    space: ClassVar[Space] = {
        "reach": (1, 3, 10, 20),
        "gap_decay": (0.5, 0.8, 0.9, 1.0),
        "history_length": (3, 10, 20, 50),
        "age_decay": (0.6, 0.85, 0.95, 1.0),
        "history_exponent": (0.3, 0.5, 0.7, 0.9),
        "candidate_exponent": (0.0, 0.15, 0.3, 0.5),
    }
    reach: int = Field(10, ge=1)
    """Steps after an item within which another counts as following it."""
    gap_decay: float = Field(0.8, gt=0, le=1)
    """What a pair loses in weight with each step between its items."""
    history_length: int = Field(20, ge=1)
    """Last items of a history that are read."""
    age_decay: float = Field(0.85, gt=0, le=1)
    """What an item of the history loses in weight with each later one."""
    shrinkage: float = Field(10.0, gt=0)
    """Added to every popularity, so that rare items do not win by chance."""
    history_exponent: float = Field(0.7, ge=0)
    """How strongly the popularity of the history's item divides."""
    candidate_exponent: float = Field(0.3, ge=0)
    """How strongly the popularity of the candidate divides."""

    def build(self, num_users: int, num_items: int) -> CountKNNScorer:
        """Return a scorer that has counted nothing yet."""
        return CountKNNScorer(self, num_items)

    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> CountKNNScorer:
        """Answer from what was counted. Raises ArtefactError if it does not fit the catalogue."""
        return CountKNNScorer.from_arrays(self, arrays, num_items)


class CountKNNScorer:
    """Divided counts W, (I, I) sparse.

    >>> import numpy as np
    >>> config = CountKNN(gap_decay=0.5, age_decay=0.5, shrinkage=1, history_exponent=0, candidate_exponent=0)
    >>> scorer = config.build(num_users=1, num_items=3)
    >>> scorer.fit(Tape.from_sequences([[1, 2, 3]], num_items=3))
    >>> scorer.scores(np.array([0]), np.array([[1, 2]])).tolist()
    [[0.0, 0.0, 0.25, 0.625]]
    """

    def __init__(self, config: CountKNN, num_items: int) -> None:
        self.config = config
        self.history_length: int | None = config.history_length
        self.weights = sparse.csr_array((num_items + 1, num_items + 1))

    def fit(self, tape: Tape) -> None:
        """Count pairs within reach and divide them by popularity."""
        counts = transition_counts(tape, self.config.reach, self.config.gap_decay)
        popularity = tape.item_counts + self.config.shrinkage
        of_history = sparse.diags_array(popularity**-self.config.history_exponent)
        of_candidate = sparse.diags_array(popularity**-self.config.candidate_exponent)
        self.weights = (of_history @ counts @ of_candidate).tocsr()

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        """Decayed sum of the neighbours of the last items: (B, I)."""
        recent = histories_BH[:, -self.config.history_length :]
        return dense(weighted_histories(recent, self.weights.shape[0] - 1, self.config.age_decay) @ self.weights)

    def arrays(self) -> Arrays:
        """The divided counts: `data`, `indices`, `indptr`."""
        return to_arrays(self.weights)

    @classmethod
    def from_arrays(cls, config: CountKNN, arrays: Arrays, num_items: int) -> Self:
        """Restore a scorer from what `arrays` gave; ArtefactError if it does not fit `num_items`."""
        scorer = cls(config, num_items)
        scorer.weights = from_arrays(arrays, (num_items + 1, num_items + 1))
        return scorer
