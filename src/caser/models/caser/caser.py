"""Caser (Tang & Wang, WSDM 2018): its settings, and its equations in NumPy.

The network that trains is in `caser_network.py` and needs torch. `CaserScorer` here reads the same parameters and
answers without torch, one query or many; in the tests it is the slow, obvious referee of the network. Nothing here
trains.

Parameters, with the paper's letters; I counts the padding row 0, U the anonymous row 0:

    Q (I, d) items            F1..FL (h, d, n_h), bF (L, n_h) horizontal filters      W, b the fully connected layer
    P (U, d) users            G (n_v, L), bG (n_v) vertical filters                   V (I, D), c (I) the paper's W', b'

Where `heights` names some of 1..L, only those F exist, and bF has a row for each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from caser.arrays.ragged import last_columns
from caser.arrays.types import Int32, Scores
from caser.config import Space
from caser.models.base import Arrays, check_shapes
from caser.models.settings import NetworkSettings
from caser.models.states import ArrayScorer

if TYPE_CHECKING:
    from caser.models.caser.network import CaserNetwork

Activation = Literal["identity", "relu", "tanh", "sigmoid"]


class Caser(NetworkSettings):
    """Caser: convolutions over the last L items, and a vector for each user's lasting taste.

    Useful when recent items, and combinations of them, say what comes next. The letters are the paper's. The paper's
    variants are settings: p is `n_h=0, n_v=0`; h is `n_v=0, user_vector=False`; pvh is the default.

    >>> Caser(L=3, n_v=0).replace(user_vector=False).n_h
    16
    """

    name = "caser"
    space: ClassVar[Space] = {
        "L": (3, 5, 9),
        "T": (1, 3),
        "d": (32, 50, 64, 100),
        "n_v": (2, 4, 8),
        "n_h": (8, 16, 32),
        "dropout": (0.2, 0.35, 0.5, 0.65),
        "learning_rate": (1e-3, 2e-3, 3e-3, 5e-3),
        "weight_decay": (0.0, 1e-6, 1e-5),
    }

    L: int = Field(5, ge=1, le=1000)
    """Length of the window: how many last items are read."""
    T: int = Field(3, ge=1, le=100)
    """How many next items each window must predict in training."""
    d: int = Field(50, ge=1)
    """Width of item and user vectors."""
    n_v: int = Field(4, ge=0)
    """Number of vertical filters (point-level patterns); 0 leaves the branch out."""
    n_h: int = Field(16, ge=0)
    """Number of horizontal filters of each height (union-level patterns); 0 leaves the branch out."""
    heights: tuple[int, ...] = ()
    """Heights of the horizontal filters, how many neighbouring items each sees; all from 1 to L by default."""
    phi_c: Activation = "relu"
    """Activation of the horizontal convolutions."""
    phi_a: Activation = "relu"
    """Activation of the fully connected layer."""
    dropout: float = Field(0.5, ge=0, le=255 / 256)
    """Share of convolution outputs dropped in training, in steps of 1/256."""
    user_vector: bool = True
    """Give each user a vector of their own (lasting taste)."""

    @model_validator(mode="after")
    def _has_a_part(self) -> Caser:
        if not (self.n_v or self.n_h or self.user_vector):
            raise ValueError("must keep a branch (n_h or n_v above 0) or the user vector")
        if list(self.heights) != sorted({height for height in self.heights if 1 <= height <= self.L}):
            raise ValueError(f"heights must rise from 1 to at most L = {self.L}; got {self.heights}")
        return self

    @property
    def filter_heights(self) -> tuple[int, ...]:
        """The heights of the horizontal filters there are."""
        return (self.heights or tuple(range(1, self.L + 1))) if self.n_h else ()

    @property
    def has_branches(self) -> bool:
        """Whether there is a convolution at all, and so a short-term state z."""
        return bool(self.n_v or self.n_h)

    @property
    def num_features(self) -> int:
        """Width of [o~; o], the input of the fully connected layer."""
        return self.n_v * self.d + self.n_h * len(self.filter_heights)

    @property
    def state_width(self) -> int:
        """D, the width of [z; p_u]."""
        return self.d * (self.has_branches + self.user_vector)

    @property
    def num_targets(self) -> int:
        """T."""
        return self.T

    def used(self) -> dict[str, Any]:
        """Return the settings that have an effect: a branch that is left out uses none of its own."""
        unused: set[str] = set()
        if not self.n_h:
            unused |= {"heights", "phi_c"}
        if not self.has_branches:
            unused |= {"phi_a", "dropout"}
        return {name: value for name, value in self.model_dump(mode="json").items() if name not in unused}

    @property
    def has_user_vectors(self) -> bool:
        """Whether the setting `user_vector` is on."""
        return self.user_vector

    def without_user_vectors(self) -> Self:
        """The same with `user_vector=False`."""
        return self.replace(user_vector=False)

    def build(self, num_users: int, num_items: int, seed: int) -> CaserNetwork:
        """Make the network that trains, with fresh parameters. Needs torch."""
        from caser.models.caser.network import CaserNetwork

        return CaserNetwork(self, num_users, num_items, seed)

    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> CaserScorer:
        """Answer from parameters, without torch. Raises ArtefactError if they are not those of such a network."""
        check_shapes(arrays, self.shapes(num_users, num_items))
        return CaserScorer(self, arrays)

    def shapes(self, num_users: int, num_items: int) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter: what a network makes and an artefact must hold."""
        shapes: dict[str, tuple[int, ...]] = {"V": (num_items + 1, self.state_width), "c": (num_items + 1,)}
        if self.has_branches:
            shapes |= {"Q": (num_items + 1, self.d), "W": (self.num_features, self.d), "b": (self.d,)}
        if self.n_h:
            shapes |= {f"F{h}": (h, self.d, self.n_h) for h in self.filter_heights}
            shapes |= {"bF": (len(self.filter_heights), self.n_h)}
        if self.n_v:
            shapes |= {"G": (self.n_v, self.L), "bG": (self.n_v,)}
        if self.user_vector:
            shapes |= {"P": (num_users + 1, self.d)}
        return shapes


class CaserScorer(ArrayScorer):
    """Caser's equations, window by window, in NumPy; its scores, W'[z; p_u] + b', are equation 10."""

    def __init__(self, config: Caser, arrays: Arrays) -> None:
        super().__init__(arrays, history_length=config.L if config.has_branches else 1)
        self.config = config

    def states(self, users_B: Int32 | Scores, histories_BH: Int32) -> Scores:
        """[z; p_u] (B, D) from the last L items of each history; `users_B` indices, or vectors (B, d)."""
        parts: list[Scores] = []
        if self.config.has_branches:
            parts.append(self._short_term(last_columns(histories_BH, self.config.L)))
        if self.config.user_vector:
            parts.append(self.vectors_of(users_B))
        return np.concatenate(parts, axis=1)

    def _short_term(self, windows_BL: Int32) -> Scores:
        config, p = self.config, self._arrays
        phi_c, phi_a = ACTIVATIONS[config.phi_c], ACTIVATIONS[config.phi_a]
        E = p["Q"][windows_BL]  # (B, L, d), equation 1
        rows = E.reshape(len(E), -1)  # the L rows beside one another, so that a filter is one product at each place
        features = []
        if config.n_v:  # equations 6 and 7: a weighted sum of the L rows
            features.append((p["G"] @ E + p["bG"][:, None]).reshape(len(E), -1))
        if config.n_h:  # equations 3 to 5; phi_c never falls, so the max goes first
            maxima = []
            for h in config.filter_heights:
                filters = p[f"F{h}"].reshape(h * config.d, config.n_h)
                places = [rows[:, i * config.d : (i + h) * config.d] @ filters for i in range(config.L - h + 1)]
                maxima.append(np.maximum.reduce(places))
            features.append(phi_c(np.concatenate(maxima, axis=1) + p["bF"].ravel()))
        return phi_a(np.concatenate(features, axis=1) @ p["W"] + p["b"])  # equation 9


Floats = NDArray[np.floating]
ACTIVATIONS: dict[str, Callable[[Floats], Floats]] = {
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": lambda x: 0.5 * (np.tanh(0.5 * x) + 1),
}
