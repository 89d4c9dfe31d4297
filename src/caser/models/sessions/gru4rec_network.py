"""GRU4Rec as a network over the tape: the form that trains. Parameters by the letters of gru4rec.py.

Differs from the papers: one session is a row of a batch, read whole, instead of sessions that run on through batches;
the gate r falls on what the state says rather than on the state, which is one product a step instead of two.

Shape suffixes: C chunks, X positions per chunk, I catalogue + padding, d width of vectors.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from caser.models.base import Rows, select_states
from caser.models.sessions.gru4rec import GRU4Rec
from caser.models.sessions.network import SessionNetwork, fill_table


class GRU4RecNetwork(SessionNetwork):
    """One gated recurrent layer, every state of a chunk from left to right."""

    item_tables = ("V", "c")

    V: nn.Parameter
    c: nn.Parameter
    W: nn.Parameter
    b: nn.Parameter
    U: nn.Parameter

    def __init__(self, config: GRU4Rec, num_users: int, num_items: int, seed: int) -> None:
        super().__init__(config.shapes(num_users, num_items), config.max_length, config.dropout, seed, _initial)
        self.config = config

    def encode(self, users_CW: Tensor, tape_CX: Tensor, rows: Rows | None = None) -> Tensor:
        """States (C, X, d); users are ignored."""
        items_CXd = self.dropped(functional.embedding(tape_CX, self.V, padding_idx=0))
        from_items = (items_CXd @ self.W + self.b).unbind(1)
        are_items = (tape_CX > 0)[..., None].unbind(1)
        state_Cd = items_CXd.new_zeros(len(tape_CX), self.config.d)
        states = []
        for from_item, is_item in zip(from_items, are_items, strict=True):
            state_Cd = torch.where(is_item, self._step(from_item, state_Cd), state_Cd)
            states.append(state_Cd)
        return select_states(self.dropped(torch.stack(states, dim=1)), rows)

    def item_vectors(self) -> tuple[Tensor, Tensor]:
        """V (I, d) and c (I,)."""
        return self.V, self.c

    def _step(self, from_item_C3d: Tensor, state_Cd: Tensor) -> Tensor:
        """The state after one more item, (C, d)."""
        both = [2 * self.config.d, self.config.d]
        item_rz, item_h = from_item_C3d.split_with_sizes(both, dim=1)
        state_rz, state_h = (state_Cd @ self.U).split_with_sizes(both, dim=1)
        r, z = torch.sigmoid(item_rz + state_rz).chunk(2, dim=1)
        return torch.lerp(torch.tanh(torch.addcmul(item_h, r, state_h)), state_Cd, z)


def _initial(name: str, values: Tensor, generator: torch.Generator) -> None:
    """Item vectors are normal with standard deviation 1/sqrt(d), layers uniform within 1/sqrt(inputs), biases zero."""
    if name == "V":
        fill_table(values, 1 / math.sqrt(values.shape[1]), generator)
    elif name in ("W", "U"):
        bound = 1 / math.sqrt(len(values))
        values.uniform_(-bound, bound, generator=generator)
