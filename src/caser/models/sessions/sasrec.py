"""SASRec (Kang & McAuley, ICDM 2018): its settings, and its equations in NumPy.

The network that trains is in `sasrec_network.py` and needs torch.

Parameters; I counts the padding row 0, l goes over blocks:

    Q (I, d)  items, read and scored             P (max_length, d)  positions, 0 being the first item that is read
    A (l, d, 3d)  W^Q, W^K and W^V beside one another            N (l, 2, 2, d)  gain and shift of the normalisation
    W1, W2 (l, d, d), b1, b2 (l, d)  the point-wise layers       before attention and before them; n (2, d) at the end
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field, model_validator

from caser.arrays.types import Int32, Scores
from caser.config import Space, Training
from caser.models.base import Arrays, check_shapes
from caser.models.sessions.scorer import SessionScorer, layer_norm
from caser.models.settings import NetworkSettings

if TYPE_CHECKING:
    from caser.models.sessions.sasrec_network import SASRecNetwork


class SASRec(NetworkSettings):
    """SASRec: self-attention over the history decides which of its items matter for the next one.

    Useful when histories are long and items far back still matter. Trained here with a softmax over the catalogue, with
    which it is far better than as published (Klenitskiy & Vasilev, RecSys 2023); gSASRec is `--loss gbce`.

    >>> SASRec(d=48, num_heads=2).max_length
    200
    """

    name = "sasrec"
    training: ClassVar[Training] = Training(learning_rate=1e-3, weight_decay=0.0, epochs=60)
    space: ClassVar[Space] = {
        "d": (32, 64, 96, 128),
        "num_blocks": (1, 2, 3),
        "num_heads": (1, 2, 4),
        "max_length": (50, 100, 200),
        "dropout": (0.1, 0.2, 0.35, 0.5),
        "T": (1, 3),
        "learning_rate": (5e-4, 1e-3, 2e-3, 3e-3),
    }

    d: int = Field(64, ge=1)
    """Width of item vectors and states."""
    num_blocks: int = Field(2, ge=1, le=100)
    """Number of blocks, each attention and two point-wise layers."""
    num_heads: int = Field(1, ge=1)
    """Number of heads that share d between them; must divide d."""
    max_length: int = Field(200, ge=1, le=10_000)
    """How many last items are read."""
    dropout: float = Field(0.2, ge=0, le=255 / 256)
    """Share of vectors and of each layer's outputs dropped in training, in steps of 1/256."""
    T: int = Field(1, ge=1, le=100)
    """How many next items each state must predict in training."""

    @model_validator(mode="after")
    def _heads_divide_d(self) -> SASRec:
        if self.d % self.num_heads:
            raise ValueError(f"num_heads must divide d = {self.d}; got {self.num_heads}")
        return self

    @property
    def num_targets(self) -> int:
        """T."""
        return self.T

    def build(self, num_users: int, num_items: int, seed: int) -> SASRecNetwork:
        """Make the network that trains, with fresh parameters. Needs torch."""
        from caser.models.sessions.sasrec_network import SASRecNetwork

        return SASRecNetwork(self, num_users, num_items, seed)

    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> SessionScorer:
        """Answer from parameters, without torch. Raises ArtefactError if they are not those of such a network."""
        check_shapes(arrays, self.shapes(num_users, num_items))
        equations = partial(last_states, self, arrays)
        return SessionScorer(arrays, self.max_length, equations, vectors="Q", bias=None)

    def shapes(self, num_users: int, num_items: int) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter: what a network makes and an artefact must hold."""
        d, blocks = self.d, self.num_blocks
        return {
            "Q": (num_items + 1, d),
            "P": (self.max_length, d),
            "A": (blocks, d, 3 * d),
            "N": (blocks, 2, 2, d),
            "W1": (blocks, d, d),
            "b1": (blocks, d),
            "W2": (blocks, d, d),
            "b2": (blocks, d),
            "n": (2, d),
        }


def last_states(config: SASRec, p: Arrays, tape_BX: Int32) -> Scores:
    """The state after the last item, (B, d).

    An item looks at itself and at items before it; padding at nothing but itself, and nothing looks at padding.
    """
    d, width = config.d, tape_BX.shape[1]
    is_item_BX = tape_BX > 0
    place_BX = np.maximum(is_item_BX.cumsum(axis=1) - 1, 0)
    x = np.where(is_item_BX[..., None], np.sqrt(np.float32(d)) * p["Q"][tape_BX] + p["P"][place_BX], np.float32(0))
    may_look = np.tri(width, dtype=bool) & is_item_BX[:, None, :] | np.eye(width, dtype=bool)  # (B, X, X)
    for block in range(config.num_blocks):
        y = layer_norm(x, *p["N"][block, 0]) @ p["A"][block]
        # One head after another: softmax(Q K^T / sqrt(width of a head)) V, equations 2 and 3.
        q, k, v = (np.split(part, config.num_heads, axis=-1) for part in np.split(y, 3, axis=-1))
        looked = [_attention(*head, may_look) for head in zip(q, k, v, strict=True)]
        x = x + np.concatenate(looked, axis=-1)
        y = layer_norm(x, *p["N"][block, 1])
        x = x + np.maximum(y @ p["W1"][block] + p["b1"][block], 0) @ p["W2"][block] + p["b2"][block]
    return layer_norm(x[:, -1], *p["n"])


def _attention(q: Scores, k: Scores, v: Scores, may_look: np.ndarray) -> Scores:
    weights = np.where(may_look, q @ k.swapaxes(1, 2) / np.sqrt(np.float32(q.shape[-1])), -np.inf)
    weights = np.exp(weights - weights.max(axis=-1, keepdims=True))
    answer: Scores = (weights / weights.sum(axis=-1, keepdims=True)) @ v
    return answer
