"""Where the times of a log in shards are cut: the values at given places of all times in order, without sorting all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from caser.arrays.types import Int64
from caser.data.shards import ShardedLog
from caser.system.mapped import release

MOST_SORTED = 2**22
"""So many times are sorted at once; among more, the place is narrowed down first."""

_BINS = 2**16


def values_at(places: Sequence[int], shards: ShardedLog) -> list[int]:
    """Return the values that would be at these places if all times of a log were sorted.

    places  places from 0
    shards  a log with times

    >>> from caser.data.synthetic import chain_world
    >>> log = chain_world(num_users=2, num_items=6, length=3, seed=0).log
    >>> values_at([0, 5], ShardedLog.of(log, 2)) == [int(log.times.min()), int(log.times.max())]
    True
    """
    return [_value_at(place, shards) for place in places]


def _value_at(place: int, shards: ShardedLog) -> int:
    """Narrow the times down to a range [low, high] that holds the place, until the times in it can be sorted."""
    bounds = [(int(times.min()), int(times.max())) for times in _each(shards)]
    low, high = min(first for first, _ in bounds), max(last for _, last in bounds)
    while True:
        width = (high - low) // _BINS + 1
        counts, num_below = np.zeros(_BINS + 1, dtype=np.int64), 0
        for times in _each(shards):
            num_below += int((times < low).sum())
            inside = times[(times >= low) & (times <= high)]
            counts += np.bincount((inside - low) // width, minlength=_BINS + 1)
        if counts.sum() <= MOST_SORTED:
            within = [times[(times >= low) & (times <= high)] for times in _each(shards)]
            return int(np.partition(np.concatenate(within), place - num_below)[place - num_below])
        bin_ = int(np.searchsorted(np.cumsum(counts), place - num_below, side="right"))
        low, high = low + bin_ * width, min(high, low + (bin_ + 1) * width - 1)
        if low == high:
            return low


def _each(shards: ShardedLog) -> Iterator[Int64]:
    """The times of each shard."""
    for k in range(shards.num_shards):
        times = shards.shard(k).times
        yield times
        release(shards.log.times)
