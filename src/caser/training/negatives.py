"""Sampled negatives: random items that stand for all items that did not come next. Padding is never drawn.

With `unseen_only`, an item that the user already has is drawn again, a few times at most. A draw that must not count is
masked, and its score becomes -inf. Masked are the targets of the same state and, with `unseen_only`, items of the user
that the redraws did not remove.

Shape suffixes: M states, T targets, N negatives per state.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from caser.arrays.types import Int64
from caser.data.tape import Tape

_REDRAWS = 8
"""The largest number of times that an item of the user is drawn again."""

_SORTED_AT_ONCE = 2**20
"""About how many interactions are sorted at once."""


class NegativeSampler:
    """Draws item i with probability proportional to count(i) ** exponent, with the counts of a tape.

    An exponent of 0 draws uniformly from the whole catalogue, 1 to num_items. An item without an interaction counts as
    one with a single interaction: an item that is never drawn would keep the score with which it began.
    """

    def __init__(
        self, tape: Tape, *, exponent: float = 0.0, unseen_only: bool = False, device: str | torch.device = "cpu"
    ) -> None:
        """Prepare the distribution.

        tape         the part to train on
        exponent     the power of an item's count, at least 0
        unseen_only  avoid the items that the user has in the tape, and mask those that are drawn nevertheless
        device       where the draws are made
        """
        self.num_items = tape.num_items
        weights = torch.ones(self.num_items + 1, dtype=torch.float64)
        if exponent:
            weights = torch.from_numpy(tape.item_counts).clamp(min=1).double() ** exponent
        weights[0] = 0
        cumulative = weights.cumsum(0)
        self._log_probability = (weights / cumulative[-1]).log().float().to(device)
        self._cumulative = (cumulative / cumulative[-1]).to(device) if exponent else None
        self._is_seen = _SeenItems(tape, device) if unseen_only else None

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
        self, users_M: Tensor, targets_MT: Tensor, num: int, generator: torch.Generator, *, shared: bool
    ) -> tuple[Tensor, Tensor]:
        """Draw negatives for M states.

        users_M     (M,) integers, the user of each state
        targets_MT  (M, T) int64, the targets of each state, 0 where there is none
        num         N, how many negatives a state gets
        generator   the source of randomness, on the device of the sampler
        shared      draw one set of N negatives for all states

        Returns the items, int64 (M, N), or (N,) if they are shared; and a mask, bool (M, N), True where an item must
        not count.
        """
        items = self.draw((num,) if shared else (len(users_M), num), generator)
        # Draw again where the user has the item. A shared set serves many users, so its items are only masked.
        if self._is_seen is not None and not shared:
            for _ in range(_REDRAWS):
                is_seen_MN = self._is_seen(users_M, items)
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
        if self._is_seen is not None:
            masked_MN |= self._is_seen(users_M, items_MN)
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


class _SeenItems:
    """Tells whether a user has an item. The items of each user are sorted, and a binary search looks for the item."""

    def __init__(self, tape: Tape, device: str | torch.device) -> None:
        # A user may have several sequences (sessions): put them together.
        whole = tape.whole(int(tape.owners.max(initial=0)))
        items = np.empty_like(whole.items)
        # Sort the items of each user, many users at a time: by user first, then by item.
        for begin, end in _blocks(whole.offsets):
            inside = slice(whole.offsets[begin], whole.offsets[end])
            users = np.repeat(np.arange(end - begin), np.diff(whole.offsets[begin : end + 1]))
            items[inside] = np.sort(users * (tape.num_items + 1) + whole.items[inside]) % (tape.num_items + 1)
        self._items = torch.from_numpy(items).to(device)
        self._offsets = torch.from_numpy(whole.offsets).to(device)
        self._halvings = int(whole.lengths.max(initial=0)).bit_length()

    def __call__(self, users_M: Tensor, items_MN: Tensor) -> Tensor:
        """Whether user m has item (m, n), (M, N) bool."""
        first_M1, end_M1 = self._offsets[users_M][:, None], self._offsets[users_M + 1][:, None]
        # Find the place of the user's last item with a lower index than the wanted one; first - 1 if there is none.
        place = (first_M1 - 1).expand_as(items_MN)
        for halving in range(self._halvings - 1, -1, -1):
            further = place + (1 << halving)
            is_below = (further < end_M1) & (self._items[further.clamp(max=len(self._items) - 1)] < items_MN)
            place = torch.where(is_below, further, place)
        # The user has the wanted item if it is at the next place.
        place = place + 1
        return (place < end_M1) & (self._items[place.clamp_(max=len(self._items) - 1)] == items_MN)


def _blocks(offsets: Int64) -> Iterator[tuple[int, int]]:
    """Split the users into blocks with about _SORTED_AT_ONCE interactions; yield the first user and the end of each."""
    begin, last = 0, len(offsets) - 1
    while begin < last:
        end = int(np.searchsorted(offsets, offsets[begin] + _SORTED_AT_ONCE, side="right")) - 1
        end = min(max(end, begin + 1), last)
        yield begin, end
        begin = end
