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
from caser.models.sessions.attention_network import AttentionNetwork, attend, count_earlier, may_attend
from caser.models.sessions.network import normalised


class SASRecNetwork(AttentionNetwork):
    """Blocks of causal self-attention and point-wise layers, which compute all states of a chunk at once."""

    A: nn.Parameter
    N: nn.Parameter
    W1: nn.Parameter
    b1: nn.Parameter
    W2: nn.Parameter
    b2: nn.Parameter
    n: nn.Parameter

    def encode(self, users_CW: Tensor, tape_CX: Tensor, rows: Rows | None = None) -> Tensor:
        """Compute the states of a batch. See `SequenceEncoder.encode`.

        users_CW  (C, X) integers; ignored
        tape_CX   (C, X) integers, the items at neighbouring tape positions, 0 where there is none
        rows      which states are wanted; all by default

        Returns floats (C, X, d), or (M, d) for `rows`.
        """
        is_item_CX = tape_CX > 0
        items_CXd = math.sqrt(self.config.d) * functional.embedding(tape_CX, self.Q, padding_idx=0)
        places_CXd = functional.embedding(count_earlier(is_item_CX), self.P)
        x_CXd = self.dropped((items_CXd + places_CXd) * is_item_CX[..., None])
        may_attend_CXX = may_attend(is_item_CX)
        for A, N, W1, b1, W2, b2 in zip(self.A, self.N, self.W1, self.b1, self.W2, self.b2, strict=True):
            q, k, v = (normalised(x_CXd, N[0]) @ A).chunk(3, dim=-1)
            x_CXd = x_CXd + self.dropped(attend(q, k, v, self.config.num_heads, may_attend_CXX))
            hidden_CXd = self.dropped(torch.relu(normalised(x_CXd, N[1]) @ W1 + b1))
            x_CXd = x_CXd + self.dropped(hidden_CXd @ W2 + b2)
        return select_states(normalised(x_CXd, self.n), rows)
