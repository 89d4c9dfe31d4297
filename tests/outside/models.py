"""Two models of a user's own, in a file outside the package: one that counts, and a network.

Importing this file registers them. It uses only what the library documents for this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from caser.arrays.ragged import last_columns
from caser.arrays.types import Int32, Scores
from caser.config import Space, Training
from caser.data.tape import Tape
from caser.models import register_model
from caser.models.base import Arrays, check_shapes
from caser.models.settings import CountingSettings, NetworkSettings
from caser.models.states import ArrayScorer

if TYPE_CHECKING:
    from tests.outside.network import MeanNetwork


class FollowersScorer:
    """Score of j = how often j came directly after the last item of the history, plus a share of its popularity."""

    history_length: int | None = 1

    def __init__(self, share: float, counts_II: np.ndarray) -> None:
        self.share, self.counts_II = share, counts_II

    def fit(self, tape: Tape) -> None:
        """Count the pairs of neighbouring items of each user."""
        for user in range(1, tape.num_users + 1):
            items = tape.sequence(user)
            np.add.at(self.counts_II, (items[:-1], items[1:]), 1)
            np.add.at(self.counts_II[0], items, 1)

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        """(B, I)."""
        last_B = last_columns(histories_BH, 1)[:, 0]
        scores_BI: Scores = self.counts_II[last_B] + self.share * self.counts_II[0]
        return scores_BI

    def arrays(self) -> Arrays:
        """The counts."""
        return {"counts": self.counts_II}


@register_model
class Followers(CountingSettings):
    """Which item came directly after which. Useful when a test needs a model that counts."""

    name = "outside-followers"
    share: float = Field(0.01, ge=0)
    """How much popularity counts."""

    def build(self, num_users: int, num_items: int) -> FollowersScorer:
        """Make the model before it is fitted."""
        return FollowersScorer(self.share, np.zeros((num_items + 1, num_items + 1)))

    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> FollowersScorer:
        """Answer from the counts."""
        if set(arrays) != {"counts"} or arrays["counts"].shape != (num_items + 1, num_items + 1):
            raise ValueError("other counts than those of this catalogue")
        return FollowersScorer(self.share, arrays["counts"])


class MeanScorer(ArrayScorer):
    """The state is the mean of the vectors of the last items."""

    def __init__(self, arrays: Arrays, window: int) -> None:
        super().__init__(arrays, history_length=window, vectors="out", bias=None)
        self.window = window

    def states(self, users_B: Int32 | Scores, histories_BH: Int32) -> Scores:
        """(B, D)."""
        last_BL = last_columns(histories_BH, self.window)
        num_B = np.count_nonzero(last_BL, axis=1).clip(min=1).astype(np.float32)
        states_BD: Scores = self.arrays()["in"][last_BL].sum(axis=1) / num_B[:, None]
        return states_BD


@register_model
class Mean(NetworkSettings):
    """Mean of the last items' vectors. Useful when a test needs a network of a user's own."""

    name = "outside-mean"
    training: ClassVar[Training] = Training(learning_rate=0.05, epochs=8)
    space: ClassVar[Space] = {"d": (8, 16)}
    d: int = Field(16, ge=1)
    """Width of the vectors."""
    window: int = Field(1, ge=1)
    """How many last items are read."""

    def build(self, num_users: int, num_items: int, seed: int) -> MeanNetwork:
        """Make the network that trains. Needs torch."""
        from tests.outside.network import MeanNetwork

        return MeanNetwork(self.shapes(num_users, num_items), self.window, seed)

    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> MeanScorer:
        """Answer without torch."""
        check_shapes(arrays, self.shapes(num_users, num_items))
        return MeanScorer(arrays, self.window)

    def shapes(self, num_users: int, num_items: int) -> dict[str, tuple[int, ...]]:
        """The tables of input and output vectors."""
        return {"in": (num_items + 1, self.d), "out": (num_items + 1, self.d)}
