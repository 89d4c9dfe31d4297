"""NextItNet (Yuan et al., WSDM 2019): its settings, and its equations in NumPy.

The network that trains is in `nextitnet_network.py` and needs torch.

Parameters; I counts the padding row 0, l goes over layers, two to a block:

    Q (I, d)  items, read                V (I, d), c (I)  items, scored, and their biases
    K (l, k d, d), bK (l, d)  convolutions of k items each, the oldest first
    N (l, 2, d)  gain and shift of the normalisation after each
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field

from caser.arrays.types import Int32, Scores
from caser.config import Space, Training
from caser.models.base import Arrays, check_shapes
from caser.models.sessions.scorer import SessionScorer, layer_norm
from caser.models.settings import NetworkSettings

if TYPE_CHECKING:
    from caser.models.sessions.nextitnet_network import NextItNetNetwork


class NextItNet(NetworkSettings):
    """NextItNet: causal convolutions whose gaps double from layer to layer, so that a few layers see far back.

    Useful when order matters over tens of items and a recurrent network is too slow.

    >>> NextItNet(dilations=(1, 2)).layer_dilations  # a block is a layer and one with twice its gap
    (1, 2, 2, 4)
    """

    name = "nextitnet"
    training: ClassVar[Training] = Training(learning_rate=1e-3, weight_decay=0.0, epochs=60)
    space: ClassVar[Space] = {
        "d": (32, 64, 96, 128),
        "dilations": ((1, 4), (1, 4, 1, 4), (1, 2, 4, 8)),
        "kernel": (2, 3, 5),
        "max_length": (20, 50, 100),
        "dropout": (0.0, 0.1, 0.2, 0.35, 0.5),
        "T": (1, 3),
        "learning_rate": (5e-4, 1e-3, 2e-3, 3e-3),
    }

    d: int = Field(64, ge=1)
    """Width of item vectors and states."""
    dilations: tuple[Annotated[int, Field(ge=1, le=1000)], ...] = Field((1, 4, 1, 4), min_length=1, max_length=100)
    """Gap between the items that the first layer of each residual block reads; the second layer doubles it."""
    kernel: int = Field(3, ge=1, le=100)
    """Items that a convolution reads."""
    max_length: int = Field(100, ge=1, le=10_000)
    """How many last items are read."""
    dropout: float = Field(0.2, ge=0, le=255 / 256)
    """Share of item vectors and of states dropped in training, in steps of 1/256."""
    T: int = Field(1, ge=1, le=100)
    """How many next items each state must predict in training."""

    @property
    def layer_dilations(self) -> tuple[int, ...]:
        """The gap of every layer, two to a block."""
        return tuple(gap for dilation in self.dilations for gap in (dilation, 2 * dilation))

    @property
    def num_targets(self) -> int:
        """T."""
        return self.T

    def build(self, num_users: int, num_items: int, seed: int) -> NextItNetNetwork:
        """Make the network that trains, with fresh parameters. Needs torch."""
        from caser.models.sessions.nextitnet_network import NextItNetNetwork

        return NextItNetNetwork(self, num_users, num_items, seed)

    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> SessionScorer:
        """Answer from parameters, without torch. Raises ArtefactError if they are not those of such a network."""
        check_shapes(arrays, self.shapes(num_users, num_items))
        return SessionScorer(arrays, self.max_length, partial(last_states, self, arrays))

    def shapes(self, num_users: int, num_items: int) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter: what a network makes and an artefact must hold."""
        d, layers = self.d, len(self.layer_dilations)
        return {
            "Q": (num_items + 1, d),
            "K": (layers, self.kernel * d, d),
            "bK": (layers, d),
            "N": (layers, 2, d),
            "V": (num_items + 1, d),
            "c": (num_items + 1,),
        }


def last_states(config: NextItNet, p: Arrays, tape_BX: Int32) -> Scores:
    """The state after the last item, (B, d); padding is zero in every layer."""
    is_item_BX1 = (tape_BX > 0)[..., None]
    x = y = p["Q"][tape_BX]
    for layer, gap in enumerate(config.layer_dilations):
        far_back = [np.pad(y, ((0, 0), (far, 0), (0, 0)))[:, : y.shape[1]] for far in reads_back(config.kernel, gap)]
        y = np.concatenate(far_back, axis=-1) @ p["K"][layer] + p["bK"][layer]
        y = np.maximum(layer_norm(y, *p["N"][layer]), 0) * is_item_BX1
        if layer % 2:  # the end of a block
            x = y = x + y
    last: Scores = x[:, -1]
    return last


def reads_back(kernel: int, gap: int) -> range:
    """How far back each place of a convolution reads, the oldest first.

    >>> list(reads_back(3, 4))
    [8, 4, 0]
    """
    return range((kernel - 1) * gap, -1, -gap)
