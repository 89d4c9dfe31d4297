"""The network of `outside-mean`, as its user writes it in torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from caser.models.base import Rows, select_states
from caser.system.randomness import torch_generator


class MeanNetwork(nn.Module):
    """States are means of input vectors; scores are products with output vectors."""

    max_length: int | None = None
    user_columns: slice | None = None
    user_tables: tuple[str, ...] = ()
    item_tables: tuple[str, ...] = ("in", "out")

    def __init__(self, shapes: dict[str, tuple[int, ...]], window: int, seed: int) -> None:
        super().__init__()
        self.window = window
        self.dropout_generator: torch.Generator | None = None
        generator = torch_generator(seed, "initialisation")
        for name, shape in shapes.items():
            values = 0.1 * torch.randn(shape, generator=generator)
            values[0] = 0
            self.register_parameter(name, nn.Parameter(values))

    def encode(self, users_CW: Tensor, tape_CX: Tensor, rows: Rows | None = None) -> Tensor:
        """States (C, W, D), or those of `rows`."""
        windows_CWL = tape_CX.unfold(1, self.window, 1)
        vectors_CWLD = self.get_parameter("in")[windows_CWL] * (windows_CWL > 0)[..., None]
        num_CW1 = (windows_CWL > 0).sum(dim=2, keepdim=True).clamp(min=1)
        return select_states(vectors_CWLD.sum(dim=2) / num_CW1, rows)

    def item_vectors(self) -> tuple[Tensor, Tensor]:
        """Output vectors (I, D), and biases (I,) of zero."""
        vectors_ID = self.get_parameter("out")
        return vectors_ID, vectors_ID.new_zeros(len(vectors_ID))

    def user_vectors(self) -> Tensor | None:
        """None: there are no users."""
        return None
