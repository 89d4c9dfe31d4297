"""FPMC: a factorised Markov chain plus a matrix factorisation: the last items, and the taste of the user."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field

from caser.config import Space
from caser.models.base import Arrays, check_shapes
from caser.models.factors.scorer import FactorScorer, factor_shapes
from caser.models.settings import NetworkSettings

if TYPE_CHECKING:
    from caser.models.factors.network import FactorNetwork


class FPMC(NetworkSettings):
    """Factorised personalised Markov chains.

        score of j = V_UI[u] . V_IU[j] + 1/|l| sum over the last L items l of V_IL[j] . V_LI[l] + c_j

    In our letters V_UI is P, V_LI is Q, and V = [V_IL, V_IU]. Without user vectors it is the paper's FMC, a factorised
    Markov chain for unknown users. Useful when the last item and the user's taste matter, and longer patterns do not.
    Source: Rendle et al., WWW 2010, with the last L items as its last basket. Differs from the paper: an item bias;
    Adam; softmax as the default loss, which was far better than the paper's S-BPR (`loss="bpr"`, `num_negatives=1`) on
    validation of MovieLens-100K and MovieLens-1M.

    >>> FPMC(L=2, user_vector=False).shapes(num_users=2, num_items=3)
    {'V': (4, 64), 'c': (4,), 'Q': (4, 64)}
    """

    name = "fpmc"
    about = "learns vectors for users, and for the step from one item to the next"
    space: ClassVar[Space] = {
        "L": (1, 2, 3, 5),
        "d": (16, 32, 64, 128),
        "learning_rate": (1e-3, 3e-3, 1e-2),
        "weight_decay": (0.0, 1e-6, 1e-5, 1e-4),
    }
    L: int = Field(default=1, ge=1, le=1000)
    """How many last items the model reads, as a set: the paper's last basket."""
    T: int = Field(default=1, ge=1, le=100)
    """How many next items each position must predict in training."""
    d: int = Field(default=64, ge=1, le=100_000)
    """Width of item and user vectors."""
    user_vector: bool = True
    """Learn a vector for each user (lasting taste)."""

    @property
    def num_targets(self) -> int:
        """T, how many next items each position must predict in training."""
        return self.T

    @property
    def has_user_vectors(self) -> bool:
        """Whether the setting `user_vector` is on."""
        return self.user_vector

    def without_user_vectors(self) -> Self:
        """Return the same settings with `user_vector=False`."""
        return self.replace(user_vector=False)

    def build(self, num_users: int, num_items: int, seed: int) -> FactorNetwork:
        """Make the network that trains, with fresh parameters. Needs torch. See `NetworkSettings.build`."""
        from caser.models.factors.network import FactorNetwork

        return FactorNetwork(self.shapes(num_users, num_items), window=self.L, seed=seed)

    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> FactorScorer:
        """Make the scorer that answers from saved parameters. See `NetworkSettings.scorer`, also for what it raises."""
        check_shapes(arrays, self.shapes(num_users, num_items))
        return FactorScorer(arrays, window=self.L)

    def shapes(self, num_users: int, num_items: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter by name. See `NetworkSettings.shapes`."""
        return factor_shapes(num_users, num_items, self.d, last_items=True, user_vector=self.user_vector)
