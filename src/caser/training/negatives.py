"""Negatives: items drawn to stand for what did not come next. Never padding; by option never an item the user has.

A draw that must not count (a target of its own window, or a seen item that could not be redrawn) is returned as masked,
and its score becomes -inf.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from caser.arrays.types import Int64
from caser.data.tape import Tape

_REDRAWS = 8


class NegativeSampler:
    """Draw item i with probability proportional to count(i) ** exponent, among the items of the tape.

    exponent 0 draws uniformly over the whole catalogue 1..num_items.
    """

    def __init__(
        self, tape: Tape, *, exponent: float = 0.0, unseen_only: bool = False, device: str | torch.device = "cpu"
    ) -> None:
        self.num_items = tape.num_items
        weights = torch.ones(self.num_items + 1, dtype=torch.float64)
        if exponent:
            weights = torch.from_numpy(tape.item_counts).double() ** exponent
        weights[0] = 0
        cumulative = weights.cumsum(0)
        self._log_probability = (weights / cumulative[-1]).log().float().to(device)
        self._cumulative = (cumulative / cumulative[-1]).to(device) if exponent else None
        self._seen = _Seen(tape, device) if unseen_only else None

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
                again = self._seen(users_M, items)
                if not bool(again.any()):
                    break
                items = torch.where(again, self.draw(tuple(items.shape), generator), items)
        rows_MN = items.expand(len(users_M), num)
        masked = torch.zeros_like(rows_MN, dtype=torch.bool)
        for target_M in targets_MT.unbind(1):
            masked |= rows_MN == target_M[:, None]
        if self._seen is not None:
            masked |= self._seen(users_M, rows_MN)
        return items, masked


class _Seen:
    """Whether a user has an item: every user's items in order of their indices, so that halving finds one."""

    def __init__(self, tape: Tape, device: str | torch.device) -> None:
        whole = tape.whole(int(tape.owners.max(initial=0)))
        items = np.empty_like(whole.items)
        for begin, end in _blocks(whole.offsets):
            inside = slice(whole.offsets[begin], whole.offsets[end])
            users = np.repeat(np.arange(end - begin), np.diff(whole.offsets[begin : end + 1]))
            items[inside] = np.sort(users * (tape.num_items + 1) + whole.items[inside]) % (tape.num_items + 1)
        self._items = torch.from_numpy(items).to(device)
        self._offsets = torch.from_numpy(whole.offsets).to(device)
        self._halvings = int(whole.lengths.max(initial=0)).bit_length()

    def __call__(self, users_M: Tensor, items_MN: Tensor) -> Tensor:
        """(M, N), bool."""
        first_M1, end_M1 = self._offsets[users_M][:, None], self._offsets[users_M + 1][:, None]
        place = (first_M1 - 1).expand_as(items_MN)  # the last item of the user that is below the one looked for
        for halving in range(self._halvings - 1, -1, -1):
            further = place + (1 << halving)
            is_below = (further < end_M1) & (self._items[further.clamp(max=len(self._items) - 1)] < items_MN)
            place = torch.where(is_below, further, place)
        place = place + 1
        return (place < end_M1) & (self._items[place.clamp_(max=len(self._items) - 1)] == items_MN)


def _blocks(offsets: Int64) -> Iterator[tuple[int, int]]:
    """Cut the users into runs of about _BLOCK interactions: first and end of each."""
    begin, last = 0, len(offsets) - 1
    while begin < last:
        end = int(np.searchsorted(offsets, offsets[begin] + _BLOCK, side="right")) - 1
        end = min(max(end, begin + 1), last)
        yield begin, end
        begin = end


_BLOCK = 2**20
