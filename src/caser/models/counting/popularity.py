"""Popularity: every user gets the same items, those with the most interactions.

Every report must show this baseline. It does not personalise.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from caser.arrays.types import Int32
from caser.config import Space
from caser.data.tape import Tape
from caser.errors import ArtefactError
from caser.models.base import Arrays
from caser.models.settings import CountingSettings

Weights = NDArray[np.float64]


class Popularity(CountingSettings):
    """Score of item j = number of its interactions in the training part.

    Useful when you want to see what a model learns beyond popularity. Source: folklore.
    """

    name = "popularity"
    about = "counts how often each item was taken"

    def weights(self, tape: Tape) -> Weights:
        """Return the weight of each interaction.

        tape  the part to train on, of N interactions

        Returns float64 (N,).
        """
        return np.ones(len(tape))

    def build(self, num_users: int, num_items: int) -> PopularityScorer:
        """Make the model before it is fitted. See `CountingSettings.build`."""
        return PopularityScorer(self, num_items)

    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> PopularityScorer:
        """Make the scorer from saved parameters. See `ModelSettings.scorer`, also for what it raises."""
        return PopularityScorer.from_arrays(self, arrays, num_items)


class RecentPopularity(CountingSettings):
    """Score of item j = sum of 2^(-steps / half_life) over its interactions; steps from there to the user's last one.

    A tape has the order of each user's items but no times, so "recent" means late in the user's own sequence. Useful
    when tastes change, or when users end with other items than those they try first. Source: ours.

    >>> scorer = RecentPopularity(half_life=1).build(num_users=1, num_items=3)
    >>> scorer.fit(Tape.from_sequences([[1, 2, 2, 3]], num_items=3))
    >>> scorer.scores(np.array([1]), np.array([[0]])).tolist()
    [[0.0, 0.125, 0.75, 1.0]]
    """

    name = "recent-popularity"
    about = "counts how often each item was taken lately"
    space: ClassVar[Space] = {"half_life": (1.0, 3.0, 10.0, 30.0, 100.0)}
    half_life: float = Field(default=10.0, gt=0)
    """Number of later interactions of the same user after which an interaction counts half."""

    def weights(self, tape: Tape) -> Weights:
        """Return the weight of each interaction.

        tape  the part to train on, of N interactions

        Returns float64 (N,).
        """
        steps = tape.offsets[tape.users + 1] - 1 - np.arange(len(tape))
        return np.exp2(-steps / self.half_life)

    def build(self, num_users: int, num_items: int) -> PopularityScorer:
        """Make the model before it is fitted. See `CountingSettings.build`."""
        return PopularityScorer(self, num_items)

    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> PopularityScorer:
        """Make the scorer from saved parameters. See `ModelSettings.scorer`, also for what it raises."""
        return PopularityScorer.from_arrays(self, arrays, num_items)


class PopularityScorer:
    """One weighted count per item, the same for every query.

    >>> scorer = Popularity().build(num_users=2, num_items=3)
    >>> scorer.fit(Tape.from_sequences([[2, 3], [2]], num_items=3))
    >>> scorer.scores(np.array([1, 2]), np.array([[3], [2]])).tolist()
    [[0.0, 0.0, 2.0, 1.0], [0.0, 0.0, 2.0, 1.0]]
    """

    history_length: int | None = 1

    def __init__(self, config: Popularity | RecentPopularity, num_items: int) -> None:
        """Keep the settings; `fit` counts.

        config     the settings of the model
        num_items  number of items, without padding
        """
        self.config = config
        self.counts: Weights = np.zeros(num_items + 1)

    def fit(self, tape: Tape) -> None:
        """Count the interactions of each item, with the weights that the settings define.

        tape  the part to train on
        """
        self.counts = np.zeros(tape.num_items + 1)
        for piece in tape.pieces():
            weights = self.config.weights(piece)
            if piece.kinds is not None:
                weights = weights * piece.kinds.relative_weights
            np.add.at(self.counts, piece.items, weights)

    def scores(self, users_B: Int32, histories_BH: Int32) -> Weights:
        """Return the counts for every query. See `Scorer.scores`.

        users_B       (B,) int32; only their number matters
        histories_BH  (B, H) int32; ignored

        Returns float64 (B, I), a read-only view.
        """
        return np.broadcast_to(self.counts, (len(users_B), len(self.counts)))

    def arrays(self) -> Arrays:
        """Return the counts as `counts` (I,) float64."""
        return {"counts": self.counts}

    @classmethod
    def from_arrays(cls, config: Popularity | RecentPopularity, arrays: Arrays, num_items: int) -> Self:
        """Make the scorer from saved parameters.

        config     the settings of the model
        arrays     the parameters by name, as `arrays` returned them
        num_items  number of items, without padding

        Raises ArtefactError if the parameters do not belong to a catalogue of this size.
        """
        if set(arrays) != {"counts"} or arrays["counts"].shape != (num_items + 1,):
            shapes = {name: array.shape for name, array in arrays.items()}
            raise ArtefactError(
                f"{config.name} needs one array counts of shape ({num_items + 1},); got {shapes}. Train again."
            )
        scorer = cls(config, num_items)
        scorer.counts = arrays["counts"].astype(np.float64)
        return scorer
