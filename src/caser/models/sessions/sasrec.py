"""SASRec (Kang & McAuley, ICDM 2018): its settings, and its equations in NumPy.

The network that trains is in `sasrec_network.py` and needs torch.

Parameters; I counts the padding row 0, l the blocks:

    Q (I, d)                         item vectors, read and scored with
    P (max_length, d)                position vectors; position 0 is the first item that is read
    A (l, d, 3d)                     the projections W^Q, W^K and W^V, side by side
    W1, W2 (l, d, d), b1, b2 (l, d)  the two point-wise layers
    N (l, 2, 2, d)                   gain and shift of the normalisation before attention and before the layers
    n (2, d)                         gain and shift of the last normalisation

Shape suffixes: B queries, X items that are read, d width of vectors.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from caser.arrays.types import Int32, Scores
from caser.config import Space
from caser.models.base import Arrays, check_shapes
from caser.models.sessions.attention import attend, count_earlier, may_attend
from caser.models.sessions.scorer import SessionScorer, layer_norm
from caser.models.sessions.settings import AttentionSettings

if TYPE_CHECKING:
    from caser.models.sessions.sasrec_network import SASRecNetwork


class SASRec(AttentionSettings):
    """SASRec: self-attention decides which items of the history matter for the next one.

    Useful when histories are long and items far back still matter. It trains with a softmax over the catalogue by
    default, which is far better than the published loss (Klenitskiy & Vasilev, RecSys 2023); gSASRec is `--loss gbce`.

    >>> SASRec(d=48, num_heads=2).max_length
    200
    """

    name = "sasrec"
    about = "weighs the items of the history against each other, by attention"
    space: ClassVar[Space] = {
        "d": (32, 64, 96, 128),
        "num_blocks": (1, 2, 3),
        "num_heads": (1, 2, 4),
        "max_length": (50, 100, 200),
        "dropout": (0.1, 0.2, 0.35, 0.5),
        "T": (1, 3),
        "learning_rate": (5e-4, 1e-3, 2e-3, 3e-3),
    }

    def build(self, num_users: int, num_items: int, seed: int) -> SASRecNetwork:
        """Make the network that trains, with fresh parameters. Needs torch. See `NetworkSettings.build`."""
        from caser.models.sessions.sasrec_network import SASRecNetwork

        return SASRecNetwork(self, num_users, num_items, seed)

    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> SessionScorer:
        """Make the scorer that answers from saved parameters. See `NetworkSettings.scorer`, also for what it raises."""
        check_shapes(arrays, self.shapes(num_users, num_items))
        equations = partial(last_states, self, arrays)
        return SessionScorer(arrays, self.max_length, equations, vectors="Q", bias=None)

    def shapes(self, num_users: int, num_items: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter by name. See `NetworkSettings.shapes`."""
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
    """Compute the state after the last item.

    config   the settings of the model
    p        the parameters by name
    tape_BX  (B, X) int32, the items that are read, left-padded with 0

    Returns float32 (B, d). An item attends to itself and to the items before it.
    """
    # Item vectors plus position vectors; padding is zero.
    is_item_BX = tape_BX > 0
    items_BXd = np.sqrt(np.float32(config.d)) * p["Q"][tape_BX]
    x = np.where(is_item_BX[..., None], items_BXd + p["P"][count_earlier(is_item_BX)], np.float32(0))
    may_attend_BXX = may_attend(is_item_BX)
    for block in range(config.num_blocks):
        # Attention.
        q, k, v = np.split(layer_norm(x, *p["N"][block, 0]) @ p["A"][block], 3, axis=-1)
        x = x + attend(q, k, v, config.num_heads, may_attend_BXX)
        # The point-wise layers.
        y = layer_norm(x, *p["N"][block, 1])
        x = x + np.maximum(y @ p["W1"][block] + p["b1"][block], 0) @ p["W2"][block] + p["b2"][block]
    return layer_norm(x[:, -1], *p["n"])
