"""The base of the networks with causal self-attention, SASRec and eSASRec. The NumPy form is in `attention.py`.

Shape suffixes: C chunks, X positions per chunk, I catalogue + padding, d width of vectors.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from caser.models.sessions.network import SessionNetwork, fill_table
from caser.models.sessions.settings import AttentionSettings


class AttentionNetwork(SessionNetwork):
    """A network that reads and scores with item vectors Q, and has position vectors P. A subclass adds `encode`."""

    item_tables = ("Q",)

    Q: nn.Parameter
    P: nn.Parameter

    def __init__(self, config: AttentionSettings, num_users: int, num_items: int, seed: int) -> None:
        """Make fresh parameters. See `NetworkSettings.build` for the arguments."""
        super().__init__(config.shapes(num_users, num_items), config.max_length, config.dropout, seed, _initial)
        self.config = config

    def item_vectors(self) -> tuple[Tensor, Tensor]:
        """Return Q (I, d) and biases of zero (I,), floats."""
        return self.Q, self.Q.new_zeros(len(self.Q))


def count_earlier(is_item_CX: Tensor) -> Tensor:
    """Count the items before each item: the index of its position vector. See `attention.count_earlier`.

    is_item_CX  (C, X) bool, False where a place holds padding

    Returns int64 (C, X), 0 for padding on the left.
    """
    return (is_item_CX.cumsum(1) - 1).clamp_(min=0)


def may_attend(is_item_CX: Tensor) -> Tensor:
    """Tell which place may attend to which: to items up to itself, and always to itself. See `attention.may_attend`.

    is_item_CX  (C, X) bool, False where a place holds padding

    Returns bool (C, X, X), one row for each place that attends.
    """
    X = is_item_CX.shape[1]
    square_XX = torch.ones(X, X, dtype=torch.bool, device=is_item_CX.device)
    return square_XX.tril() & is_item_CX[:, None, :] | torch.eye(X, dtype=torch.bool, device=is_item_CX.device)


def attend(q_CXd: Tensor, k_CXd: Tensor, v_CXd: Tensor, num_heads: int, may_attend_CXX: Tensor) -> Tensor:
    """Compute attention of all heads. See `attention.attend`.

    q_CXd, k_CXd, v_CXd  (C, X, d) floats, the queries, the keys and the values
    num_heads            the number of heads; each takes d / num_heads neighbouring columns
    may_attend_CXX       (C, X, X) bool, which place may attend to which

    Returns floats (C, X, d).
    """
    C, X, _ = q_CXd.shape
    q, k, v = (part.view(C, X, num_heads, -1).transpose(1, 2) for part in (q_CXd, k_CXd, v_CXd))  # (C, heads, X, .)
    attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=may_attend_CXX[:, None])
    return attended.transpose(1, 2).flatten(2)


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
    elif not name.startswith("b"):
        bound = 1 / math.sqrt(values.shape[-2])
        values.uniform_(-bound, bound, generator=generator)
