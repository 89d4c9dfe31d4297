"""eSASRec as a network over the tape: the form that trains. The parameters have the letters of esasrec.py.

Differs from RecTools: positions are counted from the first item that is read, not from the end, so that a state does
not depend on later items. Dropout is applied to the output of attention, not to its weights. Keys and values have no
biases, because they would change nothing: the softmax cancels the first, and bO includes the second. Parameters start
as those of SASRec here.

Shape suffixes: C chunks, X positions per chunk, d width of vectors.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from caser.models.base import Rows, select_states
from caser.models.sessions.attention_network import AttentionNetwork, attend, count_earlier, may_attend
from caser.models.sessions.network import normalised


class ESASRecNetwork(AttentionNetwork):
    """Blocks of causal self-attention and layers, both with a gate, which compute all states of a chunk at once."""

    A: nn.Parameter
    bQ: nn.Parameter
    WO: nn.Parameter
    bO: nn.Parameter
    W1: nn.Parameter
    W2: nn.Parameter
    G: nn.Parameter
    bG: nn.Parameter
    N: nn.Parameter

    def encode(self, users_CW: Tensor, tape_CX: Tensor, rows: Rows | None = None) -> Tensor:
        """Compute the states of a batch. See `SequenceEncoder.encode`.

        users_CW  (C, X) integers; ignored
        tape_CX   (C, X) integers, the items at neighbouring tape positions, 0 where there is none
        rows      which states are wanted; all by default

        Returns floats (C, X, d), or (M, d) for `rows`.
        """
        is_item_CX = tape_CX > 0
        items_CXd = functional.embedding(tape_CX, self.Q, padding_idx=0)
        places_CXd = functional.embedding(count_earlier(is_item_CX), self.P)
        x_CXd = self.dropped((items_CXd + places_CXd) * is_item_CX[..., None])
        may_attend_CXX = may_attend(is_item_CX)
        attention = zip(self.A, self.bQ, self.WO, self.bO, strict=True)
        layers = zip(self.W1, self.W2, strict=True)
        for (A, bQ, WO, bO), (W1, W2), G, bG, N in zip(attention, layers, self.G, self.bG, self.N, strict=True):
            q, k, v = (normalised(x_CXd, N[0]) @ A).chunk(3, dim=-1)
            attended_CXd = attend(q + bQ, k, v, self.config.num_heads, may_attend_CXX) @ WO + bO
            x_CXd = x_CXd + torch.sigmoid(x_CXd @ G[0] + bG[0]) * self.dropped(attended_CXd)
            w, u = (normalised(x_CXd, N[1]) @ W1).chunk(2, dim=-1)
            hidden = self.dropped(functional.silu(w) * u)
            x_CXd = x_CXd + torch.sigmoid(x_CXd @ G[1] + bG[1]) * self.dropped(hidden @ W2)
        return select_states(x_CXd, rows)
