"""Negatives: items drawn to stand for what did not come next. Never padding; by option never an item the user has.

A draw that must not count (a target of its own window, or a seen item that could not be redrawn) is returned as masked,
and its score becomes -inf.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from caser.data.tape import Tape

_REDRAWS = 8


class NegativeSampler:
    """Draw item i with probability proportional to count(i) ** exponent, among the items of the tape.

    exponent 0 draws uniformly over the whole catalogue 1..num_items.
    """

    def __init__(
        self, tape: Tape, *, exponent: float = 0.0, exclude_seen: bool = False, device: str | torch.device = "cpu"
    ) -> None:
        self.num_items = tape.num_items
        weights = torch.from_numpy(tape.item_counts).double() ** exponent  # 0 ** 0 is 1
        weights[0] = 0
        cumulative = weights.cumsum(0)
        self._log_probability = (weights / cumulative[-1]).log().float().to(device)
        self._cumulative = (cumulative / cumulative[-1]).to(device) if exponent else None
        self._seen: Tensor | None = None
        if exclude_seen:
            keys = tape.owners[tape.users].astype(np.int64) * (self.num_items + 1) + tape.items
            self._seen = torch.from_numpy(np.unique(keys)).to(device)

    def log_probability(self, items: Tensor) -> Tensor:
        """Return log q(item), the logarithm of the probability that one draw gives it."""
        return self._log_probability[items]

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Draw items, int64, without regard to any user."""
        device = self._log_probability.device
        if self._cumulative is None:
            return torch.randint(1, self.num_items + 1, shape, generator=generator, device=device)
        uniform = torch.rand(shape, generator=generator, device=device, dtype=torch.float64)
        return torch.searchsorted(self._cumulative, uniform, right=True)  # never an item of probability 0

    def draw_for(
        self, users_M: Tensor, targets_MT: Tensor, num: int, generator: torch.Generator, *, shared: bool
    ) -> tuple[Tensor, Tensor]:
        """Draw negatives for M states: items (M, num), or (num,) if shared; masked (M, num), which must not count."""
        items = self.draw((num,) if shared else (len(users_M), num), generator)
        if self._seen is not None and not shared:
            for _ in range(_REDRAWS):
                again = self._is_seen(self._seen, users_M, items)
                if not bool(again.any()):
                    break
                items = torch.where(again, self.draw(tuple(items.shape), generator), items)
        rows_MN = items.expand(len(users_M), num)
        masked = (rows_MN[:, :, None] == targets_MT[:, None, :]).any(-1)
        if self._seen is not None:
            masked |= self._is_seen(self._seen, users_M, rows_MN)
        return items, masked

    def _is_seen(self, seen: Tensor, users_M: Tensor, items_MN: Tensor) -> Tensor:
        keys = users_M.long()[:, None] * (self.num_items + 1) + items_MN
        place = torch.searchsorted(seen, keys).clamp_(max=len(seen) - 1)
        return seen[place] == keys
