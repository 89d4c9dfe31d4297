"""GRU4Rec (Hidasi et al., ICLR 2016; Hidasi & Karatzoglou, CIKM 2018): its settings, and its equations in NumPy.

The network that trains is in `gru4rec_network.py` and needs torch.

Parameters; I counts the padding row 0:

    V (I, d), c (I)    item vectors, read and scored with (the second paper's constrained embedding), and item biases
    W (d, 3d), b (3d)  the input weights of the gates r and z and of the candidate, side by side, and their biases
    U (d, 3d)          the recurrent weights of the same

Shape suffixes: B queries, X items that are read, d width of vectors.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from caser.arrays.types import Int32, Scores
from caser.config import Space
from caser.models.activations import sigmoid
from caser.models.base import Arrays, check_shapes
from caser.models.sessions.scorer import SessionScorer
from caser.models.sessions.settings import SessionSettings

if TYPE_CHECKING:
    from caser.models.sessions.gru4rec_network import GRU4RecNetwork


class GRU4Rec(SessionSettings):
    """GRU4Rec: a recurrent network whose state changes with each item of the history.

    Useful when sessions are anonymous and the order of items matters. It trains with a softmax over the catalogue by
    default; the paper's loss, BPR-max, is `--loss bpr-max`.

    >>> GRU4Rec(d=100).max_length
    200
    """

    name = "gru4rec"
    about = "reads the history item by item, with a recurrent network"
    space: ClassVar[Space] = {
        "d": (32, 64, 100, 128),
        "max_length": (20, 50, 200),
        "dropout": (0.0, 0.1, 0.2, 0.35, 0.5),
        "T": (1, 3),
        "learning_rate": (5e-4, 1e-3, 2e-3, 3e-3, 5e-3),
    }

    def build(self, num_users: int, num_items: int, seed: int) -> GRU4RecNetwork:
        """Make the network that trains, with fresh parameters. Needs torch. See `NetworkSettings.build`."""
        from caser.models.sessions.gru4rec_network import GRU4RecNetwork

        return GRU4RecNetwork(self, num_users, num_items, seed)

    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> SessionScorer:
        """Make the scorer that answers from saved parameters. See `NetworkSettings.scorer`, also for what it raises."""
        check_shapes(arrays, self.shapes(num_users, num_items))
        return SessionScorer(arrays, self.max_length, partial(last_states, arrays))

    def shapes(self, num_users: int, num_items: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter by name. See `NetworkSettings.shapes`."""
        d = self.d
        return {"V": (num_items + 1, d), "c": (num_items + 1,), "W": (d, 3 * d), "b": (3 * d,), "U": (d, 3 * d)}


def last_states(p: Arrays, tape_BX: Int32) -> Scores:
    """Compute the state after the last item.

        r = sigmoid(W_r x + U_r h)      z = sigmoid(W_z x + U_z h)      h' = z h + (1 - z) tanh(W_h x + r U_h h)

    p        the parameters by name
    tape_BX  (B, X) int32, the items that are read, left-padded with 0

    Returns float32 (B, d). The first state is zero, and padding does not change a state.
    """
    state_Bd = np.zeros((len(tape_BX), len(p["U"])), dtype=np.float32)
    for items_B in tape_BX.T:
        from_item = np.split(p["V"][items_B] @ p["W"] + p["b"], 3, axis=1)
        from_state = np.split(state_Bd @ p["U"], 3, axis=1)
        r, z = (sigmoid(item + state) for item, state in zip(from_item[:2], from_state[:2], strict=True))
        candidate = np.tanh(from_item[2] + r * from_state[2])
        state_Bd = np.where(items_B[:, None] > 0, z * state_Bd + (1 - z) * candidate, state_Bd)
    return state_Bd
