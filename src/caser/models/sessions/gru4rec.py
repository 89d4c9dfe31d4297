"""GRU4Rec (Hidasi et al., ICLR 2016; Hidasi & Karatzoglou, CIKM 2018): its settings, and its equations in NumPy.

The network that trains is in `gru4rec_network.py` and needs torch.

Parameters; I counts the padding row 0:

    V (I, d), c (I)  items, read and scored (the second paper's constrained embedding), and their biases
    W (d, 3d), b (3d)  what an item says to the gates r and z and to the candidate        U (d, 3d)  what the state says
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from caser.arrays.types import Int32, Scores
from caser.config import Space, Training
from caser.models.base import Arrays, check_shapes
from caser.models.sessions.scorer import SessionScorer, sigmoid
from caser.models.settings import NetworkSettings

if TYPE_CHECKING:
    from caser.models.sessions.gru4rec_network import GRU4RecNetwork


class GRU4Rec(NetworkSettings):
    """GRU4Rec: a recurrent state that each item of the history changes.

    Useful when sessions are anonymous and the order of items matters. Trained here with a softmax over the catalogue;
    the paper's BPR-max is `--loss bpr-max`.

    >>> GRU4Rec(d=100).max_length
    200
    """

    name = "gru4rec"
    training: ClassVar[Training] = Training(learning_rate=1e-3, weight_decay=0.0, epochs=60)
    space: ClassVar[Space] = {
        "d": (32, 64, 100, 128),
        "max_length": (20, 50, 200),
        "dropout": (0.0, 0.1, 0.2, 0.35, 0.5),
        "T": (1, 3),
        "learning_rate": (5e-4, 1e-3, 2e-3, 3e-3, 5e-3),
    }

    d: int = Field(64, ge=1)
    """Width of item vectors and of the state."""
    max_length: int = Field(200, ge=1, le=10_000)
    """How many last items are read."""
    dropout: float = Field(0.2, ge=0, le=255 / 256)
    """Share of item vectors and of states dropped in training, in steps of 1/256."""
    T: int = Field(1, ge=1, le=100)
    """How many next items each state must predict in training."""

    @property
    def num_targets(self) -> int:
        """T."""
        return self.T

    def build(self, num_users: int, num_items: int, seed: int) -> GRU4RecNetwork:
        """Make the network that trains, with fresh parameters. Needs torch."""
        from caser.models.sessions.gru4rec_network import GRU4RecNetwork

        return GRU4RecNetwork(self, num_users, num_items, seed)

    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> SessionScorer:
        """Answer from parameters, without torch. Raises ArtefactError if they are not those of such a network."""
        check_shapes(arrays, self.shapes(num_users, num_items))
        return SessionScorer(arrays, self.max_length, partial(last_states, arrays))

    def shapes(self, num_users: int, num_items: int) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter: what a network makes and an artefact must hold."""
        d = self.d
        return {"V": (num_items + 1, d), "c": (num_items + 1,), "W": (d, 3 * d), "b": (3 * d,), "U": (d, 3 * d)}


def last_states(p: Arrays, tape_BX: Int32) -> Scores:
    """The state after the last item, (B, d); padding leaves a state as it is, and the first one is zero.

    r = sigmoid(W_r x + U_r h), z = sigmoid(W_z x + U_z h), h' = z h + (1 - z) tanh(W_h x + r U_h h)
    """
    state_Bd = np.zeros((len(tape_BX), len(p["U"])), dtype=np.float32)
    for items_B in tape_BX.T:
        from_item = np.split(p["V"][items_B] @ p["W"] + p["b"], 3, axis=1)
        from_state = np.split(state_Bd @ p["U"], 3, axis=1)
        r, z = (sigmoid(item + state) for item, state in zip(from_item[:2], from_state[:2], strict=True))
        candidate = np.tanh(from_item[2] + r * from_state[2])
        state_Bd = np.where(items_B[:, None] > 0, z * state_Bd + (1 - z) * candidate, state_Bd)
    return state_Bd
