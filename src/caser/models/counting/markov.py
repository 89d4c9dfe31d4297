"""First-order Markov counts: what follows the last item most often.

For: the baseline that shows how much a longer history adds. Assumes that only the last item matters. Will not smooth
the counts; where they tie, at 0 above all, popularity decides, so with no history at all it ranks by popularity.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from scipy import sparse

from caser.arrays.types import Int32, Scores
from caser.data.tape import Tape
from caser.errors import ArtefactError
from caser.models.base import Arrays
from caser.models.counting.sparse_arrays import dense, from_arrays, to_arrays
from caser.models.counting.transitions import transition_counts
from caser.models.settings import CountingSettings


class Markov(CountingSettings):
    """Score of item j = times j came directly after the last item of the history + share of j in all interactions.

    The share is below 1, so it decides between equal counts only. Useful when the next item depends on the last one:
    sessions, playlists, chains. Source: the chain of FPMC (Rendle et al. 2010), unfactorised and shared by all users.
    """

    name = "markov"

    def build(self, num_users: int, num_items: int) -> MarkovScorer:
        """Return a scorer that has counted nothing yet."""
        return MarkovScorer(self, num_items)

    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> MarkovScorer:
        """Answer from what was counted. Raises ArtefactError if it does not fit the catalogue."""
        return MarkovScorer.from_arrays(self, arrays, num_items)


class MarkovScorer:
    """Counts of adjacent pairs (I, I), sparse, and the share of each item in all interactions (I,).

    >>> scorer = Markov().build(num_users=2, num_items=3)
    >>> scorer.fit(Tape.from_sequences([[1, 2, 1, 3], [1, 2]], num_items=3))
    >>> scorer.scores(np.array([1, 0]), np.array([[2, 1], [0, 0]])).round(3).tolist()
    [[0.0, 0.429, 2.286, 1.143], [0.0, 0.429, 0.286, 0.143]]
    """

    history_length: int | None = 1

    def __init__(self, config: Markov, num_items: int) -> None:
        self.config = config
        self.counts = sparse.csr_array((num_items + 1, num_items + 1))
        self.shares: Scores = np.zeros(num_items + 1)

    def fit(self, tape: Tape) -> None:
        """Count adjacent pairs, and items."""
        self.counts = transition_counts(tape)
        self.shares = tape.item_counts / (len(tape) + 1)

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        """The counts after each last item, plus the shares: (B, I)."""
        return dense(self.counts[histories_BH[:, -1]]) + self.shares

    def arrays(self) -> Arrays:
        """The sparse counts, `data`, `indices`, `indptr`, and `shares`."""
        return {**to_arrays(self.counts), "shares": self.shares}

    @classmethod
    def from_arrays(cls, config: Markov, arrays: Arrays, num_items: int) -> Self:
        """Restore a scorer from what `arrays` gave; ArtefactError if it does not fit `num_items`."""
        counts = dict(arrays)
        shares = counts.pop("shares", np.zeros(0))
        if shares.shape != (num_items + 1,):
            raise ArtefactError(
                f"markov needs an array shares of shape ({num_items + 1},); got {shares.shape}. Train again."
            )
        scorer = cls(config, num_items)
        scorer.counts = from_arrays(counts, (num_items + 1, num_items + 1))
        scorer.shares = shares
        return scorer
