"""Factor models as a network over the tape: the form that trains. Equations and letters are in `factors.py`.

Shape suffixes: C chunks, W windows per chunk, X = W + window - 1 tape positions, I catalogue + padding, D state width.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from caser.models.base import Rows, select_states
from caser.system.randomness import torch_generator


class FactorNetwork(nn.Module):
    """The mean vector of the last `window` items, and the vector of the user; the parts whose shapes are given."""

    item_tables, user_tables = ("Q", "V", "c"), ("P",)

    Q: nn.Parameter
    P: nn.Parameter
    V: nn.Parameter
    c: nn.Parameter

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], window: int, seed: int) -> None:
        super().__init__()
        self.window = window
        self.max_length: int | None = None
        self.dropout_generator: torch.Generator | None = None
        """Unused: nothing here is dropped."""
        self.has_last_items, self.has_users = "Q" in shapes, "P" in shapes
        generator = torch_generator(seed, "initialisation")
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(_initial(shape, generator)))

    def encode(self, users_CW: Tensor, tape_CX: Tensor, rows: Rows | None = None) -> Tensor:
        """[mean of Q over the window; p_u]: (C, W, D)."""
        parts = []
        if self.has_last_items:
            parts.append(self._mean_of_last(tape_CX))
        if self.has_users:
            parts.append(users_CW if users_CW.is_floating_point() else functional.embedding(users_CW, self.P))
        return select_states(torch.cat(parts, dim=-1), rows)

    def item_vectors(self) -> tuple[Tensor, Tensor]:
        """V (I, D) and c (I,)."""
        return self.V, self.c

    @property
    def user_columns(self) -> slice | None:
        """The columns of a state that are p_u."""
        width = self.V.shape[1]
        return slice(width - self.P.shape[1], width) if self.has_users else None

    def user_vectors(self) -> Tensor | None:
        """P (U, d), row 0 for anonymous users."""
        return self.P if self.has_users else None

    def _mean_of_last(self, tape_CX: Tensor) -> Tensor:
        E_CXd = functional.embedding(tape_CX, self.Q, padding_idx=0)
        if self.window == 1:
            return E_CXd
        num_CW = (tape_CX > 0).unfold(1, self.window, 1).sum(-1).clamp(min=1)
        return E_CXd.unfold(1, self.window, 1).sum(-1) / num_CW[..., None]


def _initial(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Vectors are normal with standard deviation 1/width, biases zero. The padding row is zero and gets no gradient."""
    if len(shape) == 1:
        return torch.zeros(shape)
    table = torch.empty(shape).normal_(0, 1 / shape[1], generator=generator)
    table[0] = 0
    return table
