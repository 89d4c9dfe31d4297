"""Sampled negatives: random items that stand for all items that did not come next. Padding is never drawn.

If the seen items of the users are given, an item that the user already has is drawn again, a few times at most. A draw
that must not count is masked, and its score becomes -inf. Masked are the targets of the same state and, if they are
given, seen items of the user that the redraws did not remove.

Shape suffixes: M states, T targets, N negatives per state.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from caser.arrays.offsets import blocks_of, offsets_of
from caser.arrays.types import Int64
from caser.data.tape import Tape

_REDRAWS = 8
"""The largest number of times that an item of the user is drawn again."""

_SORTED_AT_ONCE = 2**20
"""About how many interactions are sorted at once."""


class NegativeSampler:
    """Draws item i with probability proportional to count(i) ** exponent, with the counts of the part that trains.

    An exponent of 0 draws uniformly from the whole catalogue, 1 to num_items. An item without an interaction counts as
    one with a single interaction: an item that is never drawn would keep the score with which it began.
    """

    def __init__(self, item_counts: Int64, *, exponent: float = 0.0, device: str | torch.device = "cpu") -> None:
        """Prepare the distribution.

        item_counts  (I,) int64, the number of interactions of each item in the part to train on, index 0 for padding
        exponent     the power of an item's count, at least 0
        device       where the draws are made
        """
        self.num_items = len(item_counts) - 1
        weights = torch.ones(self.num_items + 1, dtype=torch.float64)
        if exponent:
            weights = torch.from_numpy(item_counts).clamp(min=1).double() ** exponent
        weights[0] = 0
        cumulative = weights.cumsum(0)
        self._log_probability = (weights / cumulative[-1]).log().float().to(device)
        self._cumulative = (cumulative / cumulative[-1]).to(device) if exponent else None

    def log_probability(self, items: Tensor) -> Tensor:
        """Return log q(item), the logarithm of the probability that one draw gives the item.

        items  int64 of any shape

        Returns float32 of the same shape.
        """
        return self._log_probability[items]

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Draw items, without looking at any user.

        shape      the shape of the result
        generator  the source of randomness, on the device of the sampler

        Returns int64 of the given shape.
        """
        device = self._log_probability.device
        if self._cumulative is None:
            return torch.randint(1, self.num_items + 1, shape, generator=generator, device=device)
        uniform = torch.rand(shape, generator=generator, device=device, dtype=torch.float64)
        return torch.searchsorted(self._cumulative, uniform, right=True)  # never an item of probability 0

    def draw_for(
        self,
        users_M: Tensor,
        targets_MT: Tensor,
        num: int,
        generator: torch.Generator,
        *,
        shared: bool,
        seen: SeenItems | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw negatives for M states.

        users_M     (M,) integers, the user of each state
        targets_MT  (M, T) int64, the targets of each state, 0 where there is none
        num         N, how many negatives a state gets
        generator   the source of randomness, on the device of the sampler
        shared      draw one set of N negatives for all states
        seen        the items that users have: they are avoided, and masked if they are drawn nevertheless

        Returns the items, int64 (M, N), or (N,) if they are shared; and a mask, bool (M, N), True where an item must
        not count.
        """
        items = self.draw((num,) if shared else (len(users_M), num), generator)
        # Draw again where the user has the item. A shared set serves many users, so its items are only masked.
        if seen is not None and not shared:
            for _ in range(_REDRAWS):
                is_seen_MN = seen(users_M, items)
                if not bool(is_seen_MN.any()):
                    break
                items = torch.where(is_seen_MN, self.draw(tuple(items.shape), generator), items)
        # Mask the targets of the state, and items that the user has.
        items_MN = items.expand(len(users_M), num)
        masked_MN = torch.zeros(items_MN.shape, dtype=torch.bool, device=items.device)
        if shared:
            masked_MN[_places_of(targets_MT, items)] = True
        else:
            for target_M in targets_MT.unbind(1):
                masked_MN |= items_MN == target_M[:, None]
        if seen is not None:
            masked_MN |= seen(users_M, items_MN)
        return items, masked_MN


def _places_of(targets_MT: Tensor, items_N: Tensor) -> tuple[Tensor, Tensor]:
    """Where the targets of each state are among the items: the state and the place of each match, two index tensors."""
    items, place = items_N.sort()
    first_MT = torch.searchsorted(items, targets_MT)
    num_MT = torch.searchsorted(items, targets_MT, right=True) - first_MT
    states_MT = torch.arange(len(targets_MT), device=items.device)[:, None].expand_as(targets_MT)
    # An item that was drawn n times has n places, one after the other.
    num = num_MT.flatten()
    within = torch.arange(int(num.sum()), device=items.device) - (num.cumsum(0) - num).repeat_interleave(num)
    return states_MT.flatten().repeat_interleave(num), place[first_MT.flatten().repeat_interleave(num) + within]


class SeenItems:
    """Tells whether a user has an item. The items of each user are sorted, and a binary search looks for the item."""

    def __init__(self, tape: Tape, device: str | torch.device = "cpu") -> None:
        """Sort the items of each user.

        tape    the part to train on; a user may have several sequences (sessions), one after another
        device  where the questions are answered
        """
        users, places = np.unique(tape.owners, return_inverse=True)
        offsets = offsets_of(np.bincount(places, tape.lengths))
        items = np.empty_like(tape.items)
        # Sort the items of each user, many users at a time: by user first, then by item.
        for begin, end in blocks_of(np.diff(offsets), _SORTED_AT_ONCE):
            inside = slice(offsets[begin], offsets[end])
            rows = np.repeat(np.arange(end - begin), np.diff(offsets[begin : end + 1]))
            items[inside] = np.sort(rows * (tape.num_items + 1) + tape.items[inside]) % (tape.num_items + 1)
        self._items = torch.from_numpy(items).to(device)
        self._users = torch.from_numpy(users).to(device)
        self._offsets = torch.from_numpy(offsets).to(device)
        self._halvings = int(np.diff(offsets).max(initial=0)).bit_length()

    def __call__(self, users_M: Tensor, items_MN: Tensor) -> Tensor:
        """Tell whether user m has item (m, n).

        users_M   (M,) integers, users of the tape
        items_MN  (M, N) integers, items

        Returns bool (M, N).
        """
        rows_M = torch.searchsorted(self._users, users_M.to(self._users.dtype))
        first_M1, end_M1 = self._offsets[rows_M][:, None], self._offsets[rows_M + 1][:, None]
        # Find the place of the user's last item with a lower index than the wanted one; first - 1 if there is none.
        place = (first_M1 - 1).expand_as(items_MN)
        for halving in range(self._halvings - 1, -1, -1):
            further = place + (1 << halving)
            is_below = (further < end_M1) & (self._items[further.clamp(max=len(self._items) - 1)] < items_MN)
            place = torch.where(is_below, further, place)
        # The user has the wanted item if it is at the next place.
        place = place + 1
        return (place < end_M1) & (self._items[place.clamp_(max=len(self._items) - 1)] == items_MN)
