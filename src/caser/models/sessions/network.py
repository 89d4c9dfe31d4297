"""What the networks of session models share: they are causal, and have no user vectors. Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from caser.models.dropout import dropout
from caser.models.sessions.scorer import LAYER_NORM_EPSILON
from caser.system.randomness import torch_generator

Initial = Callable[[str, Tensor, torch.Generator], Any]
"""Fill the parameter of a name in place, drawing from a generator."""


class SessionNetwork(nn.Module):
    """A causal network that reads at most `max_length` items; `encode` and `item_vectors` are the model's own."""

    item_tables: tuple[str, ...]
    user_tables: tuple[str, ...] = ()

    def __init__(
        self, shapes: Mapping[str, tuple[int, ...]], max_length: int, dropout: float, seed: int, initial: Initial
    ) -> None:
        super().__init__()
        self.window = 1
        self.max_length: int | None = max_length
        self.share_dropped = dropout
        self.dropout_generator: torch.Generator | None = None
        """Where dropout draws from in training; the training loop hands a new one to each epoch."""
        self.user_columns: slice | None = None
        generator = torch_generator(seed, "initialisation")
        for name, shape in shapes.items():
            values = torch.zeros(shape)
            initial(name, values, generator)
            self.register_parameter(name, nn.Parameter(values))

    def user_vectors(self) -> Tensor | None:
        """None: there are no user vectors."""
        return None

    def dropped(self, values: Tensor) -> Tensor:
        """The values with some dropped, in training."""
        return dropout(values, self.share_dropped if self.training else 0.0, self.dropout_generator)


def normalised(values: Tensor, gain_and_shift_2d: Tensor) -> Tensor:
    """Layer normalisation of the last axis."""
    gain_d, shift_d = gain_and_shift_2d.unbind()
    return functional.layer_norm(values, gain_d.shape, gain_d, shift_d, LAYER_NORM_EPSILON)


def fill_table(table_Id: Tensor, deviation: float, generator: torch.Generator) -> None:
    """Item vectors: normal, the padding row zero."""
    table_Id.normal_(0, deviation, generator=generator)[0] = 0
