"""GRU4Rec as a network over the tape: the form that trains. The parameters have the letters of gru4rec.py.

Differs from the papers: one session is one row of a batch and is read as a whole, while the papers continue sessions
from batch to batch. The gate r is applied to the product of U and the state, while the papers apply it to the state;
that is one product per step instead of two.

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
    """One gated recurrent layer that computes the states of a chunk from left to right."""

    item_tables = ("V", "c")

    V: nn.Parameter
    c: nn.Parameter
    W: nn.Parameter
    b: nn.Parameter
    U: nn.Parameter

    def __init__(self, config: GRU4Rec, num_users: int, num_items: int, seed: int) -> None:
        """Make fresh parameters. See `NetworkSettings.build` for the arguments."""
        super().__init__(config.shapes(num_users, num_items), config.max_length, config.dropout, seed, _initial)
        self.config = config

    def encode(self, users_CW: Tensor, tape_CX: Tensor, rows: Rows | None = None) -> Tensor:
        """Compute the states of a batch. See `SequenceEncoder.encode`.

        users_CW  (C, X) integers; ignored
        tape_CX   (C, X) integers, the items at neighbouring tape positions, 0 where there is none
        rows      which states are wanted; all by default

        Returns floats (C, X, d), or (M, d) for `rows`.
        """
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
        """Return V (I, d) and c (I,), floats."""
        return self.V, self.c

    def _step(self, from_item_C3d: Tensor, state_Cd: Tensor) -> Tensor:
        """The states after one more item, (C, d)."""
        both = [2 * self.config.d, self.config.d]
        item_rz, item_h = from_item_C3d.split_with_sizes(both, dim=1)
        state_rz, state_h = (state_Cd @ self.U).split_with_sizes(both, dim=1)
        r, z = torch.sigmoid(item_rz + state_rz).chunk(2, dim=1)
        return torch.lerp(torch.tanh(torch.addcmul(item_h, r, state_h)), state_Cd, z)


def _initial(name: str, values: Tensor, generator: torch.Generator) -> None:
    """Draw item vectors from a normal with standard deviation 1/sqrt(d), and layers uniformly within 1/sqrt(inputs).

    Biases are zero.
    """
    if name == "V":
        fill_table(values, 1 / math.sqrt(values.shape[1]), generator)
    elif name in ("W", "U"):
        bound = 1 / math.sqrt(len(values))
        values.uniform_(-bound, bound, generator=generator)
