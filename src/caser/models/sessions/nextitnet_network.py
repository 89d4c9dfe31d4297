"""NextItNet as a network over the tape: the form that trains. The parameters have the letters of nextitnet.py.

A convolution is one product: the vector of every position is put side by side with the k - 1 vectors that lie `gap`,
`2 gap`, ... positions before it.

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
    """Residual blocks of two dilated causal convolutions, which compute all states of a chunk at once."""

    item_tables = ("Q", "V", "c")

    Q: nn.Parameter
    K: nn.Parameter
    bK: nn.Parameter
    N: nn.Parameter
    V: nn.Parameter
    c: nn.Parameter

    def __init__(self, config: NextItNet, num_users: int, num_items: int, seed: int) -> None:
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
        """Return V (I, d) and c (I,), floats."""
        return self.V, self.c


def _layer(x_CXd: Tensor, is_item_CX1: Tensor, back: range, K: Tensor, bK: Tensor, N: Tensor) -> Tensor:
    """A convolution, then layer normalisation and relu, (C, X, d). Padding stays zero."""
    X = x_CXd.shape[1]
    padded = functional.pad(x_CXd, (0, 0, back[0], 0))
    read_CXkd = torch.cat([padded[:, back[0] - far : back[0] - far + X] for far in back], dim=-1)
    return torch.relu(normalised(read_CXkd @ K + bK, N)) * is_item_CX1


def _initial(name: str, values: Tensor, generator: torch.Generator) -> None:
    """Draw vectors from a normal with standard deviation 1/sqrt(d), and convolutions uniformly within 1/sqrt(inputs).

    Normalisation starts with gain 1 and shift 0. Biases are zero.
    """
    if name in ("Q", "V"):
        fill_table(values, 1 / math.sqrt(values.shape[1]), generator)
    elif name == "K":
        bound = 1 / math.sqrt(values.shape[1])
        values.uniform_(-bound, bound, generator=generator)
    elif name == "N":
        values[:, 0] = 1
