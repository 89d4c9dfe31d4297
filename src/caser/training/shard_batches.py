"""Batches over the shards of a part, a few at a time, so that memory does not grow with the log.

Shards are dealt out into pools of at most AT_ONCE; a pool is loaded as one tape, and `Batches` cuts it. An epoch goes
through the pools in random order. Every state trains exactly once per epoch, and a batch holds users of all shards of
its pool. Where there are no more than AT_ONCE shards, the batches are those of the part in one piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from caser.data.tape import Tape
from caser.training.batches import Batch, Batches, count_batches, least_length

AT_ONCE = 8
"""At most so many shards are in memory at once."""


@dataclass(frozen=True)
class How:
    """The settings of `Batches`, which has their meaning."""

    window: int
    max_length: int | None
    num_targets: int
    batch_size: int
    positions: Literal["every", "full"]
    with_seen: bool
    device: torch.device
    mean_weight: float


class ShardBatches:
    """The batches of some shards of a part, one epoch at a time: a lane of training."""

    def __init__(self, part: Tape, shards: Sequence[int], how: How) -> None:
        """Deal the shards out into pools.

        part    the part to train on, in memory or in shards
        shards  the numbers of the shards, ascending
        how     how batches are made

        Raises DataError when no position of these shards trains.
        """
        self._part, self._how = part, how
        num_pools = -(-len(shards) // AT_ONCE)
        pools = [shards[first::num_pools] for first in range(num_pools)]
        needed = least_length(how.window, how.num_targets, how.positions)
        # A pool without a position that trains is left out; if there is no other, `Batches` refuses it.
        lengths = [part.lengths_of(pool) for pool in pools]
        trains = [each.max(initial=0) >= needed for each in lengths]
        self._pools = [pool for pool, does in zip(pools, trains, strict=True) if does] or pools[:1]
        self._only = self._batches(self._pools[0]) if len(self._pools) == 1 else None
        """The batches of the only pool, which stays in memory; None if there are several."""
        counts = [
            count_batches(each, window=how.window, batch_size=how.batch_size, max_length=how.max_length)
            for each, does in zip(lengths, trains, strict=True)
            if does and self._only is None
        ]
        self.num_batches = self._only.num_batches if self._only else sum(counts)
        """Batches per epoch. It is the same in every epoch."""

    @property
    def num_pools(self) -> int:
        """How many pools there are; one of them is in memory at a time."""
        return len(self._pools)

    def epoch(self, order: torch.Generator) -> Iterator[Batch]:
        """Yield the batches of one epoch.

        order  the source of randomness for the order of the pools, the cuts and the order of the chunks, on the CPU
        """
        if self._only:
            yield from self._only.epoch(order)
            return
        for place in torch.randperm(len(self._pools), generator=order).tolist():
            yield from self._batches(self._pools[place]).epoch(order)

    def _batches(self, pool: Sequence[int]) -> Batches:
        return Batches(self._part.pool(pool), **vars(self._how))
