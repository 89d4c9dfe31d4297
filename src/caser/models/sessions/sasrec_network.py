"""SASRec as a network over the tape: the form that trains. The parameters have the letters of sasrec.py.

Differs from the paper: positions are counted from the first item that is read, not from the end, so that a state does
not depend on later items. Dropout is applied to the output of attention, not to its weights.

Shape suffixes: C chunks, X positions per chunk, I catalogue + padding, d width of vectors.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from caser.models.base import Rows, select_states
from caser.models.sessions.network import SessionNetwork, fill_table, normalised
from caser.models.sessions.sasrec import SASRec


class SASRecNetwork(SessionNetwork):
    """Blocks of causal self-attention and point-wise layers, which compute all states of a chunk at once."""

    item_tables = ("Q",)

    Q: nn.Parameter
    P: nn.Parameter
    A: nn.Parameter
    N: nn.Parameter
    W1: nn.Parameter
    b1: nn.Parameter
    W2: nn.Parameter
    b2: nn.Parameter
    n: nn.Parameter

    def __init__(self, config: SASRec, num_users: int, num_items: int, seed: int) -> None:
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
        is_item_CX = tape_CX > 0
        place_CX = (is_item_CX.cumsum(1) - 1).clamp_(min=0)
        items_CXd = math.sqrt(self.config.d) * functional.embedding(tape_CX, self.Q, padding_idx=0)
        x_CXd = self.dropped((items_CXd + functional.embedding(place_CX, self.P)) * is_item_CX[..., None])
        may_attend_CXX = _may_attend(is_item_CX)
        for A, N, W1, b1, W2, b2 in zip(self.A, self.N, self.W1, self.b1, self.W2, self.b2, strict=True):
            x_CXd = x_CXd + self.dropped(self._attention(normalised(x_CXd, N[0]) @ A, may_attend_CXX))
            hidden_CXd = self.dropped(torch.relu(normalised(x_CXd, N[1]) @ W1 + b1))
            x_CXd = x_CXd + self.dropped(hidden_CXd @ W2 + b2)
        return select_states(normalised(x_CXd, self.n), rows)

    def item_vectors(self) -> tuple[Tensor, Tensor]:
        """Return Q (I, d) and biases of zero (I,), floats."""
        return self.Q, self.Q.new_zeros(len(self.Q))

    def _attention(self, projected_CX3d: Tensor, may_attend_CXX: Tensor) -> Tensor:
        """Attention of all heads, (C, X, d)."""
        C, X, _ = projected_CX3d.shape
        q, k, v = projected_CX3d.view(C, X, 3, self.config.num_heads, -1).permute(
            2, 0, 3, 1, 4
        )  # each (C, heads, X, .)
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=may_attend_CXX[:, None])
        return attended.transpose(1, 2).reshape(C, X, -1)


def _may_attend(is_item_CX: Tensor) -> Tensor:
    """Whether a position may attend to another, (C, X, X) bool: to items up to itself, and always to itself."""
    X = is_item_CX.shape[1]
    square_XX = torch.ones(X, X, dtype=torch.bool, device=is_item_CX.device)
    return square_XX.tril() & is_item_CX[:, None, :] | torch.eye(X, dtype=torch.bool, device=is_item_CX.device)


def _initial(name: str, values: Tensor, generator: torch.Generator) -> None:
    """Draw vectors from a normal with standard deviation 1/(2 sqrt(d)), and layers uniformly within 1/sqrt(inputs).

    With a far smaller deviation, two items can end with the same vector, and so with the same scores. With a larger
    one, training starts slowly. Normalisation starts with gain 1 and shift 0. Biases are zero.
    """
    if name == "Q":
        fill_table(values, 0.5 / math.sqrt(values.shape[1]), generator)
    elif name == "P":
        values.normal_(0, 0.5 / math.sqrt(values.shape[1]), generator=generator)
    elif name in ("N", "n"):
        values[..., 0, :] = 1
    elif name in ("A", "W1", "W2"):
        bound = 1 / math.sqrt(values.shape[-2])
        values.uniform_(-bound, bound, generator=generator)
