"""The base of the networks of session models. They are causal and have no user vectors. Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from caser.models.dropout import dropout
from caser.models.sessions.scorer import LAYER_NORM_EPSILON
from caser.system.randomness import torch_generator

Initial = Callable[[str, Tensor, torch.Generator], None]
"""A function that fills a parameter in place: its name, its values, which are zeros, and a source of randomness."""


class SessionNetwork(nn.Module):
    """A causal network that reads at most `max_length` items. A subclass adds `encode` and `item_vectors`."""

    item_tables: tuple[str, ...]
    user_tables: tuple[str, ...] = ()

    def __init__(
        self, shapes: Mapping[str, tuple[int, ...]], max_length: int, dropout: float, seed: int, initial: Initial
    ) -> None:
        """Make fresh parameters.

        shapes      the shape of every parameter by name
        max_length  the largest number of items that are read
        dropout     the share of values that `dropped` drops in training
        seed        the seed from which the parameters are drawn
        initial     the function that fills a parameter
        """
        super().__init__()
        self.window = 1
        self.max_length: int | None = max_length
        self.share_dropped = dropout
        self.dropout_generator: torch.Generator | None = None
        """The source of randomness of dropout. The training loop sets a new one in each epoch."""
        self.user_columns: slice | None = None
        generator = torch_generator(seed, "initialisation")
        for name, shape in shapes.items():
            values = torch.zeros(shape)
            initial(name, values, generator)
            self.register_parameter(name, nn.Parameter(values))

    def user_vectors(self) -> Tensor | None:
        """Return None, because session models have no user vectors."""
        return None

    def dropped(self, values: Tensor) -> Tensor:
        """Apply dropout in training, and otherwise return the values as they are.

        values  floats of any shape
        """
        return dropout(values, self.share_dropped if self.training else 0.0, self.dropout_generator)


def normalised(values: Tensor, gain_and_shift_2d: Tensor) -> Tensor:
    """Normalise the last axis (layer normalisation).

    values             floats (..., d)
    gain_and_shift_2d  (2, d) floats, the factors and then the summands

    Returns floats (..., d).
    """
    gain_d, shift_d = gain_and_shift_2d.unbind()
    return functional.layer_norm(values, gain_d.shape, gain_d, shift_d, LAYER_NORM_EPSILON)


def fill_table(table_Id: Tensor, deviation: float, generator: torch.Generator) -> None:
    """Draw a table of vectors from a normal distribution, with a padding row of zeros.

    table_Id   (I, d) floats, filled in place
    deviation  the standard deviation
    generator  the source of randomness
    """
    table_Id.normal_(0, deviation, generator=generator)[0] = 0
