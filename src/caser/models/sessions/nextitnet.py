"""NextItNet (Yuan et al., WSDM 2019): its settings, and its equations in NumPy.

The network that trains is in `nextitnet_network.py` and needs torch.

Parameters; I counts the padding row 0, l the layers, two in each block:

    Q (I, d)                  vectors of the items that are read
    V (I, d), c (I)           vectors of the items that are scored, and their biases
    K (l, k d, d), bK (l, d)  convolutions over k items, the oldest first, and their biases
    N (l, 2, d)               gain and shift of the normalisation after each convolution

Shape suffixes: B queries, X items that are read, d width of vectors.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field

from caser.arrays.types import Int32, Scores
from caser.config import Space
from caser.models.base import Arrays, check_shapes
from caser.models.sessions.scorer import SessionScorer, layer_norm
from caser.models.sessions.settings import SessionSettings

if TYPE_CHECKING:
    from caser.models.sessions.nextitnet_network import NextItNetNetwork


class NextItNet(SessionSettings):
    """NextItNet: causal convolutions with growing gaps between the items they read, so that few layers read far back.

    Useful when the order of tens of items matters and a recurrent network is too slow.

    >>> NextItNet(dilations=(1, 2)).layer_dilations  # each block has one layer with the gap and one with twice the gap
    (1, 2, 2, 4)
    """

    name = "nextitnet"
    about = "reads the history with layers of convolutions"
    space: ClassVar[Space] = {
        "d": (32, 64, 96, 128),
        "dilations": ((1, 4), (1, 4, 1, 4), (1, 2, 4, 8)),
        "kernel": (2, 3, 5),
        "max_length": (20, 50, 100),
        "dropout": (0.0, 0.1, 0.2, 0.35, 0.5),
        "T": (1, 3),
        "learning_rate": (5e-4, 1e-3, 2e-3, 3e-3),
    }

    max_length: int = Field(default=100, ge=1, le=10_000)
    """How many of the last items of a history the model reads."""
    dilations: tuple[Annotated[int, Field(ge=1, le=1000)], ...] = Field(
        default=(1, 4, 1, 4), min_length=1, max_length=100
    )
    """Gap between the items that the first layer of each residual block reads; the second layer doubles it."""
    kernel: int = Field(default=3, ge=1, le=100)
    """How many items a convolution reads."""

    @property
    def layer_dilations(self) -> tuple[int, ...]:
        """The gap of every layer; each block has two layers."""
        return tuple(gap for dilation in self.dilations for gap in (dilation, 2 * dilation))

    def build(self, num_users: int, num_items: int, seed: int) -> NextItNetNetwork:
        """Make the network that trains, with fresh parameters. Needs torch. See `NetworkSettings.build`."""
        from caser.models.sessions.nextitnet_network import NextItNetNetwork

        return NextItNetNetwork(self, num_users, num_items, seed)

    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> SessionScorer:
        """Make the scorer that answers from saved parameters. See `NetworkSettings.scorer`, also for what it raises."""
        check_shapes(arrays, self.shapes(num_users, num_items))
        return SessionScorer(arrays, self.max_length, partial(last_states, self, arrays))

    def shapes(self, num_users: int, num_items: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter by name. See `NetworkSettings.shapes`."""
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
    """Compute the state after the last item.

    config   the settings of the model
    p        the parameters by name
    tape_BX  (B, X) int32, the items that are read, left-padded with 0

    Returns float32 (B, d). Padding is zero in every layer.
    """
    is_item_BX1 = (tape_BX > 0)[..., None]
    x = y = p["Q"][tape_BX]
    for layer, gap in enumerate(config.layer_dilations):
        earlier = [np.pad(y, ((0, 0), (back, 0), (0, 0)))[:, : y.shape[1]] for back in reads_back(config.kernel, gap)]
        y = np.concatenate(earlier, axis=-1) @ p["K"][layer] + p["bK"][layer]
        y = np.maximum(layer_norm(y, *p["N"][layer]), 0) * is_item_BX1
        if layer % 2:  # the end of a block
            x = y = x + y
    last: Scores = x[:, -1]
    return last


def reads_back(kernel: int, gap: int) -> range:
    """Return how many positions back each item of a convolution lies, the oldest first.

    kernel  how many items the convolution reads
    gap     the gap between them

    >>> list(reads_back(3, 4))
    [8, 4, 0]
    """
    return range((kernel - 1) * gap, -1, -gap)
