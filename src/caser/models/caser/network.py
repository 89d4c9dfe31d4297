"""Caser as a network over the tape: the form that trains.

The answer of a horizontal filter at a tape position does not depend on the window that reads it. Every filter is
therefore computed once per position, and a window takes a maximum over positions. The outputs equal those of the
paper's form, which works window by window, with sum(h) instead of sum(h (L - h + 1)) products. `features.py` computes
them in torch's operations, `kernel.py` in compiled loops for the CPU.

Shape suffixes: C chunks, W windows per chunk, X = W + L - 1 tape positions, M wanted windows, F features, I catalogue +
padding, D state width, d width of vectors, V vertical filters, A horizontal filters of all heights, R distinct items.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from caser.models.base import Rows
from caser.models.caser import features as caser_features
from caser.models.caser import kernel as caser_kernel
from caser.models.caser.caser import Caser
from caser.models.caser.features import activate
from caser.models.dropout import dropout, dropout_threshold, random_bytes
from caser.system.compiled import usable
from caser.system.randomness import torch_generator

LONG_REACH = 16
"""Reach above which the sums of vertical filters are cheaper as one product with a band than by the compiled loop."""


class CaserNetwork(nn.Module):
    """Union-level patterns, point-level patterns and lasting taste, over all windows of a tape at once."""

    item_tables, user_tables = ("Q", "V", "c"), ("P",)

    # The parameters have the paper's letters (legend in caser.py). Those of a missing branch do not exist.
    Q: nn.Parameter
    P: nn.Parameter
    G: nn.Parameter
    bG: nn.Parameter
    bF: nn.Parameter
    W: nn.Parameter
    b: nn.Parameter
    V: nn.Parameter
    c: nn.Parameter
    M: nn.Parameter
    m: nn.Parameter

    def __init__(self, config: Caser, num_users: int, num_items: int, seed: int) -> None:
        """Make fresh parameters. See `NetworkSettings.build` for the arguments."""
        super().__init__()
        self.config = config
        self.window = config.window
        self.max_length: int | None = None
        self.dropout_generator: torch.Generator | None = None
        """The source of randomness of dropout. The training loop sets a new one in each epoch."""
        generator = torch_generator(seed, "initialisation")
        for name, shape in config.shapes(num_users, num_items).items():
            self.register_parameter(name, nn.Parameter(_initial(name, shape, config, generator)))

    def encode(self, users_CW: Tensor, tape_CX: Tensor, rows: Rows | None = None) -> Tensor:
        """Compute the states [z; p_u] of all windows, (C, W, D), or of the windows `rows`, (M, D).

        users_CW  (C, W) integers, the user of each window; or (C, W, d) floats, a user vector for each
        tape_CX   (C, X) integers, the items at neighbouring tape positions
        rows      which windows are wanted; all by default
        """
        if rows is None:
            every_CW = torch.ones(users_CW.shape[:2], dtype=torch.bool, device=users_CW.device)
            every = every_CW.nonzero(as_tuple=True)
            return self.encode(users_CW, tape_CX, (every[0], every[1])).view(*every_CW.shape, -1)
        parts = []
        if self.config.has_branches:
            parts.append(self._short_term(tape_CX, rows))
        if self.config.user_vector:
            users = users_CW[rows]
            parts.append(users if users.is_floating_point() else functional.embedding(users, self.P))
        return torch.cat(parts, dim=-1)

    def item_vectors(self) -> tuple[Tensor, Tensor]:
        """Return W' (I, D), or Q with `tied`, and b' (I,), floats."""
        return self.Q if self.config.tied else self.V, self.c

    @property
    def user_columns(self) -> slice | None:
        """The columns of a state that hold p_u; None without user vectors."""
        width = self.config.state_width
        return slice(width - self.config.d, width) if self.config.user_vector else None

    def user_vectors(self) -> Tensor | None:
        """Return P (U, d) as floats, row 0 for the anonymous user; None without user vectors."""
        return self.P if self.config.user_vector else None

    def _short_term(self, tape_CX: Tensor, rows: Rows) -> Tensor:
        """Equation 9, z = phi_a(W [o~; o] + b), (M, d). With `tied`, z is mapped to the item vectors."""
        share = self.config.dropout if self.training else 0.0
        make_features = self._features_by_kernel if usable(self.Q) else self._features
        z_Md = activate(self.config.phi_a, torch.addmm(self.b, make_features(tape_CX, rows, share), self.W))
        return torch.addmm(self.m, z_Md, self.M) if self.config.tied else z_Md

    def _features(self, tape_CX: Tensor, rows: Rows, share: float) -> Tensor:
        """[o~; o] after dropout, (M, F), in torch's operations."""
        config = self.config
        sums_CVWd, answers_CXA = self._linear_part(self._vectors(tape_CX))
        features = []
        if config.n_v:
            features.append((sums_CVWd[rows[0], :, rows[1]] + self.bG[:, None]).flatten(1))
        if config.n_h:
            largest_CWA = caser_features.largest(answers_CXA, config.filter_heights, config.L)
            features.append(activate(config.phi_c, largest_CWA[rows] + self.bF.reshape(-1)))
        return dropout(torch.cat(features, dim=-1), share, self.dropout_generator)

    def _linear_part(self, E_CXd: Tensor) -> tuple[Tensor, Tensor]:
        """The sums of the vertical filters for every window, (C, V, W, d), and the answers of the horizontal filters at
        every position, (C, X, A): all that is linear in the vectors.
        """
        config, (C, X, d) = self.config, E_CXd.shape
        E_CLd = E_CXd[:, self._unread_by_horizontal :]
        sums_CVWd, answers_CXA = E_CXd.new_empty(C, 0, X - self.window + 1, d), E_CXd.new_empty(*E_CLd.shape[:2], 0)
        if config.n_v:
            sums_CVWd = caser_features.sum_windows(E_CXd[:, self._unread_by_vertical :], self.G)
        if config.n_h and caser_features.are_long(config.filter_heights):
            answers_CXA = caser_features.correlate(E_CLd, self._filters)
        elif config.n_h:
            answers_CXA = caser_features.sum_rows(E_CLd @ self._filter_rows, config.filter_heights)
        return sums_CVWd, answers_CXA

    def _vectors(self, tape_CX: Tensor) -> Tensor:
        """The vectors of the items at all tape positions, (C, X, d); in training some of their coordinates are 0."""
        share = self.config.item_dropout if self.training else 0.0
        return dropout(functional.embedding(tape_CX, self.Q, padding_idx=0), share, self.dropout_generator)

    def _features_by_kernel(self, tape_CX: Tensor, rows: Rows, share: float) -> Tensor:
        """[o~; o] after dropout, (M, F), by compiled loops.

        Long filters are an exception: nearly all of their work is in the products, which torch does.
        """
        config, heights = self.config, self.config.filter_heights
        # The linear part, from the distinct items of the batch where the filters are short.
        differs = self.training and config.item_dropout > 0  # then an item has another vector at each position
        if differs or (config.n_h and caser_features.are_long(heights)):
            sums_CVWd, answers_CXA = self._linear_part(self._vectors(tape_CX))
        else:
            items_R, row_CX = torch.unique(tape_CX, return_inverse=True)
            E_Rd = functional.embedding(items_R, self.Q, padding_idx=0)
            read_CX, row_CX = row_CX[:, self._unread_by_vertical :], row_CX[:, self._unread_by_horizontal :]
            sums_CVWd, answers_CXA = E_Rd.new_empty(0, 0, 0, config.d), E_Rd.new_empty(*row_CX.shape, 0)
            if config.n_v and config.vertical_reach > LONG_REACH:
                sums_CVWd = caser_features.sum_windows(functional.embedding(read_CX, E_Rd), self.G)
            elif config.n_v:
                sums_CVWd = caser_kernel.sum_windows(E_Rd, self.G, read_CX)
            if config.n_h:
                answers_CXA = caser_kernel.sum_rows(E_Rd @ self._filter_rows, row_CX, heights)
        # Maximum, bias, activation and dropout, in one pass. A missing branch has empty arrays.
        empty = answers_CXA.new_empty(0)
        bG_V, bF_A = self.bG if config.n_v else empty, self.bF.reshape(-1) if config.n_h else empty
        threshold = dropout_threshold(share)
        size = (len(rows[0]), config.num_features if threshold else 0)
        noise = random_bytes(size, self.dropout_generator, self.Q.device), threshold
        return caser_kernel.make_features(
            sums_CVWd, bG_V, answers_CXA, bF_A, rows, noise, heights, config.L, config.phi_c
        )

    @property
    def _unread_by_horizontal(self) -> int:
        """How many items at the beginning of a window no horizontal filter reads."""
        return self.window - self.config.L if self.config.n_h else 0

    @property
    def _unread_by_vertical(self) -> int:
        """How many items at the beginning of a window no vertical filter reads."""
        return self.window - self.config.vertical_reach if self.config.n_v else 0

    @property
    def _filter_rows(self) -> Tensor:
        return caser_features.stacked(self._filters)

    @property
    def _filters(self) -> list[Tensor]:
        return [self.get_parameter(f"F{h}") for h in self.config.filter_heights]


def _initial(name: str, shape: tuple[int, ...], config: Caser, generator: torch.Generator) -> Tensor:
    """Draw the initial values of a parameter, as the author's program does.

    Vectors are normal with standard deviation 1/width. Filters and layers are uniform within 1/sqrt(inputs). The
    padding row is zero and gets no gradient.
    """
    if name == "c":
        return torch.zeros(shape)
    if name in ("Q", "P", "V"):
        table = torch.empty(shape).normal_(0, 1 / shape[1], generator=generator)
        table[0] = 0
        return table
    if name == "G" and config.vertical_reach > config.L:
        return _decays(*shape)
    inputs = {
        "W": config.num_features,
        "b": config.num_features,
        "G": config.vertical_reach,
        "bG": config.vertical_reach,
        "M": config.d,
        "m": config.d,
    }
    if name == "bF":
        bounds = torch.tensor([1 / math.sqrt(h * config.d) for h in config.filter_heights])
        return torch.empty(shape).uniform_(-1, 1, generator=generator) * bounds[:, None]
    bound = 1 / math.sqrt(inputs.get(name) or shape[0] * shape[1])
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)


def _decays(num_filters: int, reach: int) -> Tensor:
    """Weights that fall with the age of an item, (V, reach), the oldest first: short memories first, long ones last.

    Filter v keeps a share of its weight with each step back, from one half to 1 - 1/reach; its weights sum to 2.
    """
    lost = torch.logspace(math.log10(0.5), -math.log10(max(reach, 2)), num_filters)
    weights = (1 - lost[:, None]) ** torch.arange(reach - 1, -1, -1)
    return 2 * weights / weights.sum(dim=1, keepdim=True)
