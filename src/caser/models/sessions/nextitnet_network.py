"""NextItNet as a network over the tape: the form that trains. Parameters by the letters of nextitnet.py.

A convolution is one product: every position beside the k - 1 that lie `gap`, `2 gap`, ... before it.

Shape suffixes: C chunks, X positions per chunk, I catalogue + padding, d width of vectors, k width of a convolution.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from caser.models.base import Rows, select_states
from caser.models.sessions.network import SessionNetwork, fill_table, normalised
from caser.models.sessions.nextitnet import NextItNet, reads_back


class NextItNetNetwork(SessionNetwork):
    """Residual blocks of two dilated causal convolutions, every state of a chunk at once."""

    item_tables = ("Q", "V", "c")

    Q: nn.Parameter
    K: nn.Parameter
    bK: nn.Parameter
    N: nn.Parameter
    V: nn.Parameter
    c: nn.Parameter

    def __init__(self, config: NextItNet, num_users: int, num_items: int, seed: int) -> None:
        super().__init__(config.shapes(num_users, num_items), config.max_length, config.dropout, seed, _initial)
        self.config = config

    def encode(self, users_CW: Tensor, tape_CX: Tensor, rows: Rows | None = None) -> Tensor:
        """States (C, X, d); users are ignored."""
        is_item_CX1 = (tape_CX > 0)[..., None]
        x_CXd = self.dropped(functional.embedding(tape_CX, self.Q, padding_idx=0))
        layers = [
            (reads_back(self.config.kernel, gap), K, bK, N)
            for gap, K, bK, N in zip(self.config.layer_dilations, self.K, self.bK, self.N, strict=True)
        ]
        for first, second in zip(layers[::2], layers[1::2], strict=True):
            x_CXd = x_CXd + _layer(_layer(x_CXd, is_item_CX1, *first), is_item_CX1, *second)
        return select_states(self.dropped(x_CXd), rows)

    def item_vectors(self) -> tuple[Tensor, Tensor]:
        """V (I, d) and c (I,)."""
        return self.V, self.c


def _layer(x_CXd: Tensor, is_item_CX1: Tensor, back: range, K: Tensor, bK: Tensor, N: Tensor) -> Tensor:
    """A convolution, normalised, its negative answers cut off; padding stays zero, (C, X, d)."""
    X = x_CXd.shape[1]
    padded = functional.pad(x_CXd, (0, 0, back[0], 0))
    read_CXkd = torch.cat([padded[:, back[0] - far : back[0] - far + X] for far in back], dim=-1)
    return torch.relu(normalised(read_CXkd @ K + bK, N)) * is_item_CX1


def _initial(name: str, values: Tensor, generator: torch.Generator) -> None:
    """Vectors are normal with standard deviation 1/sqrt(d), convolutions uniform within 1/sqrt(inputs), normalisation
    does nothing yet.
    """
    if name in ("Q", "V"):
        fill_table(values, 1 / math.sqrt(values.shape[1]), generator)
    elif name == "K":
        bound = 1 / math.sqrt(values.shape[1])
        values.uniform_(-bound, bound, generator=generator)
    elif name == "N":
        values[:, 0] = 1
