"""Caser (Tang & Wang, WSDM 2018): its settings, and its equations in NumPy.

`CaserScorer` answers one query or many from trained parameters, without torch. The network that trains is in
`network.py` and needs torch. The tests compare the two.

The parameters have the paper's letters. I counts the padding row 0, U counts the anonymous row 0:

    Q (I, d) items            F1..FL (h, d, n_h), bF (L, n_h) horizontal filters      W, b the fully connected layer
    P (U, d) users            G (n_v, L), bG (n_v) vertical filters                   V (I, D), c (I) the paper's W', b'

With `tied`, Q takes the place of V, and M (d, d), m (d) map the short-term state z to a state of the same width.
Where `heights` names only some of 1..L, only those F exist, and bF has one row for each.

Shape suffixes: B queries, L window, P places of a filter in the window (L - h + 1), d width of vectors, n_h filters of
one height h.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from caser.arrays.ragged import last_columns
from caser.arrays.types import Int32, Scores
from caser.config import Space
from caser.models.activations import ACTIVATIONS, Activation
from caser.models.base import Arrays, check_shapes
from caser.models.caser.recipe import PRESETS, suited_settings
from caser.models.facts import LogFacts
from caser.models.settings import NetworkSettings, Preset
from caser.models.states import ArrayScorer

if TYPE_CHECKING:
    from caser.models.caser.network import CaserNetwork


class Caser(NetworkSettings):
    """Caser: convolutions over the last L items, and a vector for each user's lasting taste.

    Useful when recent items, and combinations of them, predict the next item. The letters are the paper's. The paper's
    variants are settings: p is `n_h=0, n_v=0`; h is `n_v=0, user_vector=False`; pvh is the default.

    >>> Caser(L=3, n_v=0).replace(user_vector=False).n_h
    16
    """

    name = "caser"
    about = "reads the last items with convolutions, and learns a vector for each user"
    presets: ClassVar[Mapping[str, Preset]] = PRESETS
    by_log: ClassVar[tuple[str, ...]] = ("T", "d", "n_v", "reach", "item_dropout", "user_vector", "tied")
    added: ClassVar[Mapping[str, Any]] = {"reach": None, "item_dropout": 0.0, "tied": False}
    space: ClassVar[Space] = {
        "L": (3, 5, 9),
        "T": (1, 3),
        "d": (32, 50, 64, 128),
        "n_v": (4, 8),
        "reach": (None, 20, 50, 100),
        "n_h": (8, 16, 32),
        "dropout": (0.2, 0.35, 0.5, 0.65),
        "item_dropout": (0.0, 0.1, 0.2, 0.4),
        "learning_rate": (1e-3, 2e-3, 3e-3, 5e-3),
    }

    L: int = Field(default=5, ge=1, le=1000)
    """Length of the window: how many last items the model reads."""
    T: int = Field(default=3, ge=1, le=100)
    """How many next items each window must predict in training."""
    d: int = Field(default=50, ge=1, le=100_000)
    """Width of item and user vectors."""
    n_v: int = Field(default=4, ge=0, le=100_000)
    """Number of vertical filters (point-level patterns); 0 removes the branch."""
    reach: int | None = Field(default=None, ge=1, le=1000)
    """How many last items the vertical filters read; L by default. Differs from the paper, where it is always L."""
    n_h: int = Field(default=16, ge=0, le=100_000)
    """Number of horizontal filters of each height (union-level patterns); 0 removes the branch."""
    heights: tuple[int, ...] = ()
    """Heights of the horizontal filters: how many neighbouring items each reads; by default all from 1 to L."""
    phi_c: Activation = "relu"
    """Activation of the horizontal convolutions."""
    phi_a: Activation = "relu"
    """Activation of the fully connected layer."""
    dropout: float = Field(default=0.5, ge=0, le=255 / 256)
    """Share of convolution outputs dropped in training, in steps of 1/256."""
    item_dropout: float = Field(default=0.0, ge=0, le=255 / 256)
    """Share of the coordinates of item vectors dropped in training, in steps of 1/256. Not in the paper."""
    user_vector: bool = True
    """Learn a vector for each user (lasting taste)."""
    tied: bool = False
    """Score with the item vectors that the filters read; needs user_vector=False. Differs from the paper."""

    @model_validator(mode="before")
    @classmethod
    def _tied_goes_without_user_vectors(cls, values: Any) -> Any:
        """Who asks for `tied` and leaves the user vector open asks for no user vector."""
        if isinstance(values, Mapping) and values.get("tied") and "user_vector" not in values:
            return {**values, "user_vector": False}
        return values

    @model_validator(mode="after")
    def _has_a_part(self) -> Caser:
        if not (self.n_v or self.n_h or self.user_vector):
            raise ValueError("must keep a branch (n_h or n_v above 0) or the user vector")
        if list(self.heights) != sorted({height for height in self.heights if 1 <= height <= self.L}):
            raise ValueError(f"heights must rise from 1 to at most L = {self.L}; got {self.heights}")
        if self.tied and self.user_vector:
            raise ValueError(
                "tied must go without user vectors; got tied=True with user_vector=True. Leave one of them out"
            )
        return self

    def suited_to(self, log: LogFacts) -> Mapping[str, Any]:
        """Return the values that suit a log, and that go together with what the caller set. See `ModelSettings`.

        log  the facts of the log
        """
        suited, given = suited_settings(log), self.model_fields_set
        if "user_vector" in given or not self.has_branches:
            suited |= {"user_vector": self.user_vector, "tied": suited["tied"] and not self.user_vector}
        if "tied" in given:
            suited["user_vector"] = suited["user_vector"] and not self.tied
        if "L" in given and not self.n_h:
            suited["reach"] = None  # the vertical filters read L items
        return suited

    @property
    def vertical_reach(self) -> int:
        """How many last items the vertical filters read."""
        return self.reach or self.L

    @property
    def window(self) -> int:
        """How many last items the model reads: as many as the branch that reads more; 1 without a branch."""
        return max(self.L if self.n_h else 1, self.vertical_reach if self.n_v else 1)

    @property
    def filter_heights(self) -> tuple[int, ...]:
        """The heights of the horizontal filters; empty without the horizontal branch."""
        return (self.heights or tuple(range(1, self.L + 1))) if self.n_h else ()

    @property
    def has_branches(self) -> bool:
        """Whether the model has a convolution, and therefore a short-term state z."""
        return bool(self.n_v or self.n_h)

    @property
    def num_features(self) -> int:
        """Width of [o~; o], the input of the fully connected layer."""
        return self.n_v * self.d + self.n_h * len(self.filter_heights)

    @property
    def state_width(self) -> int:
        """D, the width of a state: of [z; p_u], or of z mapped to the item vectors with `tied`."""
        return self.d * (self.has_branches + self.user_vector)

    @property
    def reads_order(self) -> bool:
        """Whether the window has more than one item. See `ModelSettings.reads_order`."""
        return self.window > 1

    @property
    def num_targets(self) -> int:
        """T, how many next items each window must predict in training."""
        return self.T

    def used(self) -> dict[str, Any]:
        """Return the settings that have an effect: a branch that is left out uses none of its own."""
        unused: set[str] = set()
        if not self.n_h:
            unused |= {"heights", "phi_c"}
        if not self.has_branches:
            unused |= {"phi_a", "dropout", "item_dropout", "L"}
        if not self.n_v:
            unused |= {"reach"}
        elif not self.n_h and self.reach:
            unused |= {"L"}
        return {name: value for name, value in self.model_dump(mode="json").items() if name not in unused}

    @property
    def has_user_vectors(self) -> bool:
        """Whether the setting `user_vector` is on."""
        return self.user_vector

    def with_user_vectors(self) -> Self:
        """Return the same settings with `user_vector=True`, as a caller's own choice."""
        return self.replace(user_vector=True)

    def without_user_vectors(self) -> Self:
        """Return the same settings with `user_vector=False`."""
        return self.replace(user_vector=False)

    def build(self, num_users: int, num_items: int, seed: int) -> CaserNetwork:
        """Make the network that trains, with fresh parameters. Needs torch. See `NetworkSettings.build`."""
        from caser.models.caser.network import CaserNetwork

        return CaserNetwork(self, num_users, num_items, seed)

    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> CaserScorer:
        """Make the scorer that answers from saved parameters. See `NetworkSettings.scorer`, also for what it raises."""
        check_shapes(arrays, self.shapes(num_users, num_items))
        return CaserScorer(self, arrays)

    def shapes(self, num_users: int, num_items: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter by name. See `NetworkSettings.shapes`."""
        shapes: dict[str, tuple[int, ...]] = {} if self.tied else {"V": (num_items + 1, self.state_width)}
        shapes |= {"c": (num_items + 1,)}
        if self.has_branches:
            shapes |= {"Q": (num_items + 1, self.d), "W": (self.num_features, self.d), "b": (self.d,)}
        if self.n_h:
            shapes |= {f"F{h}": (h, self.d, self.n_h) for h in self.filter_heights}
            shapes |= {"bF": (len(self.filter_heights), self.n_h)}
        if self.n_v:
            shapes |= {"G": (self.n_v, self.vertical_reach), "bG": (self.n_v,)}
        if self.user_vector:
            shapes |= {"P": (num_users + 1, self.d)}
        if self.tied:
            shapes |= {"M": (self.d, self.d), "m": (self.d,)}
        return shapes


class CaserScorer(ArrayScorer):
    """Caser's equations in NumPy, one window per query. The scores, W'[z; p_u] + b', are equation 10."""

    def __init__(self, config: Caser, arrays: Arrays) -> None:
        """Keep the settings and the parameters.

        config  the settings of the model
        arrays  the parameters by name, float32, with the shapes of `config.shapes`
        """
        vectors = "Q" if config.tied else "V"
        super().__init__(arrays, history_length=config.window, vectors=vectors, reads_vectors=config.tied)
        self.config = config

    def states(self, users_B: Int32 | Scores, histories_BH: Int32) -> Scores:
        """Compute the states [z; p_u] from the last items of each history, L or the reach of the vertical filters.

        users_B       (B,) int32, the user of each query; or (B, d) floats, a user vector for each query
        histories_BH  (B, H) int32, the items of each history, left-padded with 0

        Returns floats (B, D).
        """
        parts: list[Scores] = []
        if self.config.has_branches:
            parts.append(self._short_term(last_columns(histories_BH, self.config.window)))
        if self.config.user_vector:
            parts.append(self.vectors_of(users_B))
        return np.concatenate(parts, axis=1)

    def _short_term(self, windows_BR: Int32) -> Scores:
        """z, (B, d): equations 1 to 9. With `tied`, z is mapped to the item vectors."""
        config, p = self.config, self._arrays
        E_BRd = p["Q"][windows_BR]  # equation 1
        features = []
        # The vertical branch, equations 6 and 7: weighted sums of the last rows, as many as the filters reach.
        if config.n_v:
            read_BRd = E_BRd[:, -config.vertical_reach :]
            features.append((p["G"] @ read_BRd + p["bG"][:, None]).reshape(len(read_BRd), -1))
        # The horizontal branch, equations 3 to 5. phi_c never decreases, so the maximum comes before it.
        if config.n_h:
            E_BLd = E_BRd[:, -config.L :]
            maxima = [filter_answers(config, p, E_BLd, h).max(axis=0) for h in config.filter_heights]
            features.append(ACTIVATIONS[config.phi_c].numpy(np.concatenate(maxima, axis=1) + p["bF"].ravel()))
        # The fully connected layer, equation 9.
        z_Bd: Scores = ACTIVATIONS[config.phi_a].numpy(np.concatenate(features, axis=1) @ p["W"] + p["b"])
        return z_Bd @ p["M"] + p["m"] if config.tied else z_Bd


def filter_answers(config: Caser, p: Arrays, E_BLd: Scores, h: int) -> Scores:
    """Compute what the horizontal filters of one height answer at each place: equation 3, without bias and phi_c.

    config  the settings of the model
    p       the parameters by name
    E_BLd   (B, L, d) floats, the vectors of the items in each window
    h       the height of the filters

    Returns floats (P, B, n_h). Place i reads the rows i to i + h - 1 of a window.
    """
    rows = E_BLd.reshape(len(E_BLd), -1)  # with the L rows side by side, a filter at one place is one product
    filters = p[f"F{h}"].reshape(h * config.d, config.n_h)
    answers_PBn = np.empty((config.L - h + 1, len(rows), config.n_h), np.result_type(rows, filters))
    for i, answers_Bn in enumerate(answers_PBn):
        np.matmul(rows[:, i * config.d : (i + h) * config.d], filters, out=answers_Bn)
    return answers_PBn
