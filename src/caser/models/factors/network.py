"""Factor models as a network over the tape: the form that trains. The equations and letters are in `scorer.py`.

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
    """The mean vector of the last `window` items, the vector of the user, or both, as the given shapes say."""

    item_tables, user_tables = ("Q", "V", "c"), ("P",)

    Q: nn.Parameter
    P: nn.Parameter
    V: nn.Parameter
    c: nn.Parameter

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], window: int, seed: int) -> None:
        """Make fresh parameters.

        shapes  the shape of every parameter by name, from `factor_shapes`; a part without parameters is left out
        window  how many last items are read
        seed    the seed from which the parameters are drawn
        """
        super().__init__()
        self.window = window
        self.max_length: int | None = None
        self.dropout_generator: torch.Generator | None = None
        """Not used: this network has no dropout."""
        self.has_last_items, self.has_users = "Q" in shapes, "P" in shapes
        generator = torch_generator(seed, "initialisation")
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(_initial(shape, generator)))

    def encode(self, users_CW: Tensor, tape_CX: Tensor, rows: Rows | None = None) -> Tensor:
        """Compute the states [mean of Q over the window; p_u]. See `SequenceEncoder.encode`.

        users_CW  (C, W) integers, the user of each state; or (C, W, d) floats, a user vector for each
        tape_CX   (C, X) integers, the items at neighbouring tape positions, 0 where there is none
        rows      which states are wanted; all by default

        Returns floats (C, W, D), or (M, D) for `rows`.
        """
        parts = []
        if self.has_last_items:
            parts.append(self._mean_of_last(tape_CX))
        if self.has_users:
            parts.append(users_CW if users_CW.is_floating_point() else functional.embedding(users_CW, self.P))
        return select_states(torch.cat(parts, dim=-1), rows)

    def item_vectors(self) -> tuple[Tensor, Tensor]:
        """Return V (I, D) and c (I,), floats."""
        return self.V, self.c

    @property
    def user_columns(self) -> slice | None:
        """The columns of a state that hold p_u; None without user vectors."""
        width = self.V.shape[1]
        return slice(width - self.P.shape[1], width) if self.has_users else None

    def user_vectors(self) -> Tensor | None:
        """Return P (U, d) as floats, row 0 for the anonymous user; None without user vectors."""
        return self.P if self.has_users else None

    def _mean_of_last(self, tape_CX: Tensor) -> Tensor:
        """The mean of Q over the items of each window, (C, W, d); padding does not count."""
        E_CXd = functional.embedding(tape_CX, self.Q, padding_idx=0)
        if self.window == 1:
            return E_CXd
        num_CW = (tape_CX > 0).unfold(1, self.window, 1).sum(-1).clamp(min=1)
        return E_CXd.unfold(1, self.window, 1).sum(-1) / num_CW[..., None]


def _initial(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draw vectors from a normal with standard deviation 1/width. Biases are zero.

    The padding row is zero and gets no gradient.
    """
    if len(shape) == 1:
        return torch.zeros(shape)
    table = torch.empty(shape).normal_(0, 1 / shape[1], generator=generator)
    table[0] = 0
    return table
