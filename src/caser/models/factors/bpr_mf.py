"""BPR-MF: matrix factorisation that learns to rank the items a user has above those the user does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from caser.config import Space, Training
from caser.models.base import Arrays, check_shapes
from caser.models.factors.scorer import FactorScorer, factor_shapes
from caser.models.settings import NetworkSettings

if TYPE_CHECKING:
    from caser.models.factors.network import FactorNetwork


class BPRMF(NetworkSettings):
    """Score of item j for user u = p_u . V_j + c_j: lasting taste only, without the order of the history.

    Useful when you want to see how much the order of items adds to taste. It needs users who come back. An unknown user
    gets the mean vector. Source: Rendle et al., UAI 2009, section 4.3.1. Differs from the paper: an item bias; Adam; an
    epoch uses each interaction once.

    >>> BPRMF.training.loss
    'bpr'
    """

    name = "bpr-mf"
    about = "learns a vector for each user and each item, and ignores the order"
    training: ClassVar[Training] = Training(loss="bpr", num_negatives=1, unseen_negatives=True, epochs=100)
    space: ClassVar[Space] = {
        "d": (16, 32, 64, 128),
        "learning_rate": (1e-3, 3e-3, 1e-2),
        "weight_decay": (0.0, 1e-6, 1e-5, 1e-4),
    }
    d: int = Field(default=64, ge=1, le=100_000)
    """Width of item and user vectors."""

    @property
    def has_user_vectors(self) -> bool:
        """Always true: without user vectors there is no model."""
        return True

    def build(self, num_users: int, num_items: int, seed: int) -> FactorNetwork:
        """Make the network that trains, with fresh parameters. Needs torch. See `NetworkSettings.build`."""
        from caser.models.factors.network import FactorNetwork

        return FactorNetwork(self.shapes(num_users, num_items), window=1, seed=seed)

    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> FactorScorer:
        """Make the scorer that answers from saved parameters. See `NetworkSettings.scorer`, also for what it raises."""
        check_shapes(arrays, self.shapes(num_users, num_items))
        return FactorScorer(arrays, window=1)

    def shapes(self, num_users: int, num_items: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter by name. See `NetworkSettings.shapes`."""
        return factor_shapes(num_users, num_items, self.d, last_items=False, user_vector=True)
