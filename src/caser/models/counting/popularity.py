"""Popularity: everybody is offered what everybody took.

For: the baseline every report must show. Assumes nothing of a user or a history. Will not personalise.
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
    """Score of item j = number of its interactions in the part that trains.

    Useful when you need to know what a model has learnt beyond what is merely taken often. Source: folklore.
    """

    name = "popularity"

    def weights(self, tape: Tape) -> Weights:
        """What each interaction counts, (N,)."""
        return np.ones(len(tape))

    def build(self, num_users: int, num_items: int) -> PopularityScorer:
        """Return a scorer that has counted nothing yet."""
        return PopularityScorer(self, num_items)

    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> PopularityScorer:
        """Answer from what was counted. Raises ArtefactError if it does not fit the catalogue."""
        return PopularityScorer.from_arrays(self, arrays, num_items)


class RecentPopularity(CountingSettings):
    """Score of item j = sum over its interactions of 2^(-steps / half_life), steps counted back from the user's last.

    A tape knows the order within a user and no clock, so recent means late in a user's own sequence, not late in the
    calendar. Useful when tastes drift, or when what users settle on differs from what they try first. Source: ours.

    >>> scorer = RecentPopularity(half_life=1).build(num_users=1, num_items=3)
    >>> scorer.fit(Tape.from_sequences([[1, 2, 2, 3]], num_items=3))
    >>> scorer.scores(np.array([1]), np.array([[0]])).tolist()
    [[0.0, 0.125, 0.75, 1.0]]
    """

    name = "recent-popularity"
    space: ClassVar[Space] = {"half_life": (1.0, 3.0, 10.0, 30.0, 100.0)}
    half_life: float = Field(10.0, gt=0)
    """Later interactions of the same user after which one counts half."""

    def weights(self, tape: Tape) -> Weights:
        """What each interaction counts, (N,)."""
        steps = tape.offsets[tape.users + 1] - 1 - np.arange(len(tape))
        return np.exp2(-steps / self.half_life)

    def build(self, num_users: int, num_items: int) -> PopularityScorer:
        """Return a scorer that has counted nothing yet."""
        return PopularityScorer(self, num_items)

    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> PopularityScorer:
        """Answer from what was counted. Raises ArtefactError if it does not fit the catalogue."""
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
        self.config = config
        self.counts: Weights = np.zeros(num_items + 1)

    def fit(self, tape: Tape) -> None:
        """Count the interactions of each item, weighted as the settings say."""
        self.counts = np.zeros(tape.num_items + 1)
        np.add.at(self.counts, tape.items, self.config.weights(tape))

    def scores(self, users_B: Int32, histories_BH: Int32) -> Weights:
        """The counts, once per query: (B, I), a read-only view."""
        return np.broadcast_to(self.counts, (len(users_B), len(self.counts)))

    def arrays(self) -> Arrays:
        """`counts` (I,) float64."""
        return {"counts": self.counts}

    @classmethod
    def from_arrays(cls, config: Popularity | RecentPopularity, arrays: Arrays, num_items: int) -> Self:
        """Restore a scorer from what `arrays` gave; ArtefactError if it does not fit `num_items`."""
        if set(arrays) != {"counts"} or arrays["counts"].shape != (num_items + 1,):
            shapes = {name: array.shape for name, array in arrays.items()}
            raise ArtefactError(
                f"{config.name} needs one array counts of shape ({num_items + 1},); got {shapes}. Train again."
            )
        scorer = cls(config, num_items)
        scorer.counts = arrays["counts"].astype(np.float64)
        return scorer
