"""eSASRec (Petrov et al., RecSys 2025): its settings, and its equations in NumPy.

The network that trains is in `esasrec_network.py` and needs torch. The blocks are those of LiGR (LinkedIn, 2025), as
RecTools 0.17 computes them: each branch is multiplied by a gate before it is added.

Parameters; I counts the padding row 0, l the blocks, h = expansion * d the width of the hidden layer:

    Q (I, d)                      item vectors, read and scored with
    P (max_length, d)             position vectors; position 0 is the first item that is read
    A (l, d, 3d)                  the projections W^Q, W^K and W^V, side by side
    WO (l, d, d)                  the projection of the heads' results, W^O
    bQ, bO (l, d)                 the biases of W^Q and W^O
    W1 (l, d, 2h)                 the layers W and U, whose product is the hidden layer, side by side
    W2 (l, h, d)                  the layer after the hidden one
    G (l, 2, d, d), bG (l, 2, d)  the gates of attention and of the layers, and their biases
    N (l, 2, 2, d)                gain and shift of the normalisation before attention and before the layers

Shape suffixes: B queries, X items that are read, d width of vectors.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from caser.arrays.types import Int32, Scores
from caser.config import Space
from caser.models.activations import sigmoid
from caser.models.base import Arrays, check_shapes
from caser.models.sessions.attention import attend, count_earlier, may_attend
from caser.models.sessions.scorer import SessionScorer, layer_norm
from caser.models.sessions.settings import AttentionSettings

if TYPE_CHECKING:
    from caser.models.sessions.esasrec_network import ESASRecNetwork


class ESASRec(AttentionSettings):
    """eSASRec: SASRec whose blocks have gates and a wider hidden layer (LiGR blocks).

    Useful when histories are long, and the log is large enough for a stronger network than SASRec: by default, a block
    has 18 d^2 weights instead of 5 d^2. It trains with a softmax over the catalogue by default. The paper's loss is a
    softmax over 256 drawn items: `--loss sampled-softmax --num-negatives 256`.

    >>> ESASRec(d=48, num_heads=2).expansion
    4
    """

    name = "esasrec"
    about = "weighs the items of the history against each other, by attention with gates"
    space: ClassVar[Space] = {
        "d": (32, 64, 96, 128),
        "num_blocks": (1, 2, 3),
        "num_heads": (1, 2, 4),
        "expansion": (1, 2, 4),
        "max_length": (50, 100, 200),
        "dropout": (0.1, 0.2, 0.35, 0.5),
        "T": (1, 3),
        "learning_rate": (5e-4, 1e-3, 2e-3, 3e-3),
    }

    expansion: int = Field(default=4, ge=1, le=100)
    """Width of the hidden layer of a block, in multiples of d."""

    def build(self, num_users: int, num_items: int, seed: int) -> ESASRecNetwork:
        """Make the network that trains, with fresh parameters. Needs torch. See `NetworkSettings.build`."""
        from caser.models.sessions.esasrec_network import ESASRecNetwork

        return ESASRecNetwork(self, num_users, num_items, seed)

    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> SessionScorer:
        """Make the scorer that answers from saved parameters. See `NetworkSettings.scorer`, also for what it raises."""
        check_shapes(arrays, self.shapes(num_users, num_items))
        equations = partial(last_states, self, arrays)
        return SessionScorer(arrays, self.max_length, equations, vectors="Q", bias=None)

    def shapes(self, num_users: int, num_items: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter by name. See `NetworkSettings.shapes`."""
        d, blocks, hidden = self.d, self.num_blocks, self.expansion * self.d
        return {
            "Q": (num_items + 1, d),
            "P": (self.max_length, d),
            "A": (blocks, d, 3 * d),
            "bQ": (blocks, d),
            "WO": (blocks, d, d),
            "bO": (blocks, d),
            "W1": (blocks, d, 2 * hidden),
            "W2": (blocks, hidden, d),
            "G": (blocks, 2, d, d),
            "bG": (blocks, 2, d),
            "N": (blocks, 2, 2, d),
        }


def last_states(config: ESASRec, p: Arrays, tape_BX: Int32) -> Scores:
    """Compute the state after the last item.

        x' = x + sigmoid(x G_1 + g_1) * attention(norm(x))
        x" = x' + sigmoid(x' G_2 + g_2) * (silu(y W) * y U) W_2      y = norm(x'), silu(z) = z sigmoid(z)

    config   the settings of the model
    p        the parameters by name
    tape_BX  (B, X) int32, the items that are read, left-padded with 0

    Returns float32 (B, d). An item attends to itself and to the items before it.
    """
    d = config.d
    # Item vectors plus position vectors; padding is zero.
    is_item_BX = tape_BX > 0
    x = np.where(is_item_BX[..., None], p["Q"][tape_BX] + p["P"][count_earlier(is_item_BX)], np.float32(0))
    may_attend_BYX = may_attend(is_item_BX)
    for block in range(config.num_blocks):
        A, N, G, bG = (p[name][block] for name in ("A", "N", "G", "bG"))
        y = layer_norm(x, *N[0])
        k, v = np.split(y @ A[:, d:], 2, axis=-1)
        # The last block computes only the last place, because only its state is wanted.
        if block == config.num_blocks - 1:
            x, y, may_attend_BYX = x[:, -1:], y[:, -1:], may_attend_BYX[:, -1:]
        # Attention and its gate.
        attended = attend(y @ A[:, :d] + p["bQ"][block], k, v, config.num_heads, may_attend_BYX)
        x = x + sigmoid(x @ G[0] + bG[0]) * (attended @ p["WO"][block] + p["bO"][block])
        # The layers and their gate.
        w, u = np.split(layer_norm(x, *N[1]) @ p["W1"][block], 2, axis=-1)
        x = x + sigmoid(x @ G[1] + bG[1]) * ((w * sigmoid(w) * u) @ p["W2"][block])
    last: Scores = x[:, -1]
    return last
