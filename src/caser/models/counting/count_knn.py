"""Count kNN: items that often come within a few steps after the items of a history.

This baseline is hard to beat and fits in seconds. It uses the order of items only through decaying weights. It does
not learn vectors, and it does not distinguish users with the same recent history.
"""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field
from scipy import sparse

from caser.arrays.types import Int32, Scores
from caser.config import Space
from caser.data.tape import Tape
from caser.models.base import Arrays
from caser.models.counting.sparse_arrays import from_arrays, product, to_arrays
from caser.models.counting.transitions import sum_of_counts, weighted_histories
from caser.models.settings import CountingSettings


class CountKNN(CountingSettings):
    """Item neighbours by decayed co-occurrence, divided by popularity.

        C_ij  = sum of gap_decay^gap over all i followed by j, 1 <= gap <= reach, in one sequence
        W_ij  = C_ij / ((n_i + shrinkage)^history_exponent (n_j + shrinkage)^candidate_exponent)
        score_j = sum over the last `history_length` items i of the history of age_decay^age_i W_ij

    where n is the number of interactions of an item in the training part, and age is 0 for the last item. Useful when
    you want most of the quality of a sequence model without training one. Source: ours, in the family of item kNN
    (Sarwar et al. 2001) and session kNN with decay (Ludewig & Jannach 2018).
    """

    name = "count-knn"
    about = "counts which items come within a few steps of each other"
    space: ClassVar[Space] = {
        "reach": (1, 3, 10, 20),
        "gap_decay": (0.5, 0.8, 0.9, 1.0),
        "history_length": (3, 10, 20, 50),
        "age_decay": (0.6, 0.85, 0.95, 1.0),
        "history_exponent": (0.3, 0.5, 0.7, 0.9),
        "candidate_exponent": (0.0, 0.15, 0.3, 0.5),
    }
    reach: int = Field(default=10, ge=1, le=10_000)
    """Largest number of steps between two items that are counted as a pair."""
    gap_decay: float = Field(default=0.8, gt=0, le=1)
    """Factor on the weight of a pair for each step between its items."""
    history_length: int = Field(default=20, ge=1, le=10_000)
    """How many of the last items of a history the model reads."""
    age_decay: float = Field(default=0.85, gt=0, le=1)
    """Factor on the weight of an item of the history for each later item."""
    shrinkage: float = Field(default=10.0, gt=0)
    """Added to every popularity, so that rare items do not win by chance."""
    history_exponent: float = Field(default=0.7, ge=0)
    """Exponent of the popularity of the history's item, by which its counts are divided."""
    candidate_exponent: float = Field(default=0.3, ge=0)
    """Exponent of the popularity of the candidate, by which its counts are divided."""

    def build(self, num_users: int, num_items: int) -> CountKNNScorer:
        """Make the model before it is fitted. See `CountingSettings.build`."""
        return CountKNNScorer(self, num_items)

    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> CountKNNScorer:
        """Make the scorer from saved parameters. See `ModelSettings.scorer`, also for what it raises."""
        return CountKNNScorer.from_arrays(self, arrays, num_items)


class CountKNNScorer:
    """The divided counts W, a sparse matrix (I, I).

    >>> import numpy as np
    >>> config = CountKNN(gap_decay=0.5, age_decay=0.5, shrinkage=1, history_exponent=0, candidate_exponent=0)
    >>> scorer = config.build(num_users=1, num_items=3)
    >>> scorer.fit(Tape.from_sequences([[1, 2, 3]], num_items=3))
    >>> scorer.scores(np.array([0]), np.array([[1, 2]])).tolist()
    [[0.0, 0.0, 0.25, 0.625]]
    """

    def __init__(self, config: CountKNN, num_items: int) -> None:
        """Keep the settings; `fit` counts.

        config     the settings of the model
        num_items  number of items, without padding
        """
        self.config = config
        self.history_length: int | None = config.history_length
        self.weights = sparse.csr_array((num_items + 1, num_items + 1))

    def fit(self, tape: Tape) -> None:
        """Count the pairs within reach, and divide the counts by popularity.

        tape  the part to train on
        """
        counts = sum_of_counts(tape, self.config.reach, self.config.gap_decay)
        in_history, as_target = (n + self.config.shrinkage for n in (tape.item_counts, tape.target_counts))
        of_history = sparse.diags_array(in_history**-self.config.history_exponent)
        of_candidate = sparse.diags_array(as_target**-self.config.candidate_exponent)
        self.weights = (of_history @ counts @ of_candidate).tocsr()

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        """Sum the neighbours of the last items, with decay. See `Scorer.scores`.

        users_B       (B,) int32; ignored
        histories_BH  (B, H) int32, left-padded with 0

        Returns floats (B, I).
        """
        return product(*self.factors(users_B, histories_BH))

    def factors(self, users_B: Int32, histories_BH: Int32) -> tuple[sparse.csr_array, sparse.csr_array]:
        """Return the weights of the items of each history, (B, I), and W. See `SparseScorer.factors`.

        users_B       (B,) int32; ignored
        histories_BH  (B, H) int32, left-padded with 0
        """
        recent = histories_BH[:, -self.config.history_length :]
        return weighted_histories(recent, self.weights.shape[0] - 1, self.config.age_decay), self.weights

    def arrays(self) -> Arrays:
        """Return the divided counts as `data` (n,) float64, `indices` (n,) and `indptr` (I + 1,) int64."""
        return to_arrays(self.weights)

    @classmethod
    def from_arrays(cls, config: CountKNN, arrays: Arrays, num_items: int) -> Self:
        """Make the scorer from saved parameters.

        config     the settings of the model
        arrays     the parameters by name, as `arrays` returned them
        num_items  number of items, without padding

        Raises ArtefactError if the parameters do not belong to a catalogue of this size.
        """
        scorer = cls(config, num_items)
        scorer.weights = from_arrays(arrays, (num_items + 1, num_items + 1))
        return scorer
