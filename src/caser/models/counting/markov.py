"""A first-order Markov chain: it counts which item follows the last item most often.

This baseline shows how much a longer history adds, because it only reads the last item. It does not smooth the counts.
Popularity decides between items with equal counts, most of which are 0. Without a history, it ranks by popularity.
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
from caser.models.counting.transitions import sum_of_counts
from caser.models.settings import CountingSettings


class Markov(CountingSettings):
    """Score of item j = how often j came directly after the last item of the history + share of j in all interactions.

    The share is below 1, so it only decides between equal counts. Useful when the next item depends on the last one, as
    in sessions and playlists. Source: the chain of FPMC (Rendle et al. 2010), not factorised, with one chain for all
    users.
    """

    name = "markov"
    about = "counts which item follows which"

    def build(self, num_users: int, num_items: int) -> MarkovScorer:
        """Make the model before it is fitted. See `CountingSettings.build`."""
        return MarkovScorer(self, num_items)

    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> MarkovScorer:
        """Make the scorer from saved parameters. See `ModelSettings.scorer`, also for what it raises."""
        return MarkovScorer.from_arrays(self, arrays, num_items)


class MarkovScorer:
    """The counts of adjacent pairs, a sparse matrix (I, I), and the share of each item in all interactions, (I,).

    >>> scorer = Markov().build(num_users=2, num_items=3)
    >>> scorer.fit(Tape.from_sequences([[1, 2, 1, 3], [1, 2]], num_items=3))
    >>> scorer.scores(np.array([1, 0]), np.array([[2, 1], [0, 0]])).round(3).tolist()
    [[0.0, 0.429, 2.286, 1.143], [0.0, 0.429, 0.286, 0.143]]
    """

    history_length: int | None = 1

    def __init__(self, config: Markov, num_items: int) -> None:
        """Keep the settings; `fit` counts.

        config     the settings of the model
        num_items  number of items, without padding
        """
        self.config = config
        self.counts = sparse.csr_array((num_items + 1, num_items + 1))
        self.shares: Scores = np.zeros(num_items + 1)

    def fit(self, tape: Tape) -> None:
        """Count the adjacent pairs and the items.

        tape  the part to train on
        """
        self.counts = sum_of_counts(tape)
        self.shares = tape.target_counts / (tape.target_counts.sum() + 1)

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        """Return the counts after each last item plus the shares. See `Scorer.scores`.

        users_B       (B,) int32; ignored
        histories_BH  (B, H) int32, left-padded with 0

        Returns floats (B, I).
        """
        return dense(self.counts[histories_BH[:, -1]]) + self.shares

    def arrays(self) -> Arrays:
        """Return counts, `data` (n,) float64, `indices` (n,), `indptr` (I + 1,) int64; and `shares` (I,) float64."""
        return {**to_arrays(self.counts), "shares": self.shares}

    @classmethod
    def from_arrays(cls, config: Markov, arrays: Arrays, num_items: int) -> Self:
        """Make the scorer from saved parameters.

        config     the settings of the model
        arrays     the parameters by name, as `arrays` returned them
        num_items  number of items, without padding

        Raises ArtefactError if the parameters do not belong to a catalogue of this size.
        """
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
