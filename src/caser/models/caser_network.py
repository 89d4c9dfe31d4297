"""Caser as a network over the tape: the form that trains.

What a horizontal filter says at a tape position does not depend on the window it is read in, so every filter is
computed once per position and a window is a sliding maximum over positions: same outputs as the paper's form, window by
window, with sum(h) instead of sum(h (L - h + 1)) products. phi_c never decreases, so the maximum is taken first.

Shape suffixes: C chunks, W windows per chunk, X = W + L - 1 tape positions, I catalogue + padding, D state width.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from caser.models.caser import Caser
from caser.models.dropout import dropout
from caser.randomness import torch_generator

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}


class CaserNetwork(nn.Module):
    """Union-level patterns, point-level patterns and lasting taste, over every window of a tape at once."""

    item_tables, user_tables = ("Q", "V", "c"), ("P",)

    # Parameters by the paper's letters (legend in caser.py); those of a branch that is left out do not exist.
    Q: nn.Parameter
    P: nn.Parameter
    G: nn.Parameter
    bG: nn.Parameter
    bF: nn.Parameter
    W: nn.Parameter
    b: nn.Parameter
    V: nn.Parameter
    c: nn.Parameter

    def __init__(self, config: Caser, num_users: int, num_items: int, seed: int) -> None:
        super().__init__()
        self.config = config
        self.window = config.L if config.has_branches else 1
        self.max_length: int | None = None
        self.dropout_generator: torch.Generator | None = None
        """Where dropout draws from in training; the training loop hands a new one to each epoch."""
        generator = torch_generator(seed, "initialisation")
        for name, shape in config.shapes(num_users, num_items).items():
            self.register_parameter(name, nn.Parameter(_initial(name, shape, config, generator)))

    def encode(self, users_CW: Tensor, tape_CX: Tensor) -> Tensor:
        """[z; p_u] of every window: (C, W, D)."""
        parts = []
        if self.config.has_branches:
            parts.append(self._short_term(tape_CX))
        if self.config.user_vector:
            parts.append(users_CW if users_CW.is_floating_point() else functional.embedding(users_CW, self.P))
        return torch.cat(parts, dim=-1)

    def item_vectors(self) -> tuple[Tensor, Tensor]:
        """W' (I, D) and b' (I,)."""
        return self.V, self.c

    @property
    def user_columns(self) -> slice | None:
        """The columns of a state that are p_u."""
        width = self.config.state_width
        return slice(width - self.config.d, width) if self.config.user_vector else None

    def user_vectors(self) -> Tensor | None:
        """P (U, d), row 0 for anonymous users."""
        return self.P if self.config.user_vector else None

    def _short_term(self, tape_CX: Tensor) -> Tensor:
        E_CXd = functional.embedding(tape_CX, self.Q, padding_idx=0)
        features = []
        if self.config.n_v:
            features.append(self._vertical(E_CXd))
        if self.config.n_h:
            features.append(self._horizontal(E_CXd))
        share = self.config.dropout if self.training else 0.0
        o_CWF = dropout(torch.cat(features, dim=-1), share, self.dropout_generator)
        return ACTIVATIONS[self.config.phi_a](o_CWF @ self.W + self.b)

    def _vertical(self, E_CXd: Tensor) -> Tensor:
        """Equations 6 and 7: n_v weighted sums of the L rows of each window, (C, W, n_v * d).

        All windows of a chunk are one product: row (w, k) of the band has the weights of filter k at columns w..w+L-1.
        """
        C, X, d = E_CXd.shape
        W, (n_v, L) = X - self.config.L + 1, self.G.shape
        columns_WkL = (torch.arange(W)[:, None] + torch.arange(L)).to(E_CXd.device)[:, None].expand(W, n_v, L)
        band_WkX = E_CXd.new_zeros(W, n_v, X).scatter(2, columns_WkL, self.G.expand(W, n_v, L))
        sums_CWkd = (band_WkX.view(W * n_v, X) @ E_CXd).view(C, W, n_v, d) + self.bG[:, None]
        return sums_CWkd.reshape(C, W, n_v * d)

    def _horizontal(self, E_CXd: Tensor) -> Tensor:
        """Equations 3 to 5: for each height the largest answer of each filter in each window, (C, W, heights * n_h)."""
        L, n_h, heights = self.config.L, self.config.n_h, self.config.filter_heights
        C, X, d = E_CXd.shape
        filters = [self.get_parameter(f"F{h}").transpose(0, 1).reshape(d, h * n_h) for h in heights]
        # One product gives what every row of every filter says of every tape position; then one (C, X, n_h) per row.
        products_CXK = (E_CXd.reshape(C * X, d) @ torch.cat(filters, dim=1)).view(C, X, -1)
        rows = torch.split(products_CXK, n_h, dim=-1)
        maxima = []
        first = 0
        for h in heights:
            places = X - h + 1
            answers = rows[first][:, :places]
            for row in range(1, h):
                answers = answers + rows[first + row][:, row : row + places]
            maxima.append(_sliding_maximum(answers, L - h + 1))
            first += h
        return ACTIVATIONS[self.config.phi_c](torch.cat(maxima, dim=-1) + self.bF.reshape(-1))


def _sliding_maximum(values_CPn: Tensor, width: int) -> Tensor:
    """The largest of each `width` neighbouring places, (C, P - width + 1, n), in about log2(width) steps."""
    done = 1
    while 2 * done <= width:
        values_CPn = torch.maximum(values_CPn[:, :-done], values_CPn[:, done:])
        done *= 2
    rest = width - done
    return torch.maximum(values_CPn[:, :-rest], values_CPn[:, rest:]) if rest else values_CPn


def _initial(name: str, shape: tuple[int, ...], config: Caser, generator: torch.Generator) -> Tensor:
    """Vectors are normal with standard deviation 1/width, filters and layers uniform within 1/sqrt(inputs): as in the
    author's program. The padding row is zero and gets no gradient.
    """
    if name == "c":
        return torch.zeros(shape)
    if name in ("Q", "P", "V"):
        table = torch.empty(shape).normal_(0, 1 / shape[1], generator=generator)
        table[0] = 0
        return table
    inputs = {"W": config.num_features, "b": config.num_features, "G": config.L, "bG": config.L}
    if name == "bF":
        bounds = torch.tensor([1 / math.sqrt(h * config.d) for h in config.filter_heights])
        return torch.empty(shape).uniform_(-1, 1, generator=generator) * bounds[:, None]
    bound = 1 / math.sqrt(inputs.get(name) or shape[0] * shape[1])
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)
