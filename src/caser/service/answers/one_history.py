"""One history of a user out of two: the interactions that the run was trained on, and the events that the store holds.

The rule, which docs/serving.md gives to users:

- An event that the run holds (the same user, item and second) counts once. Where the log has only days or minutes, the
  same day or minute is meant.
- All other events are placed by their time among the interactions of the run; at equal times they come after them.
- Where the log has no times, the events come after the interactions of the run. First events that repeat its end, item
  by item, count once.

So a model that was trained on a log with the stored events answers as its run does, and an event that arrives late
still counts.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import merge
from operator import itemgetter
from typing import NamedTuple

from caser.arrays.types import Int64, RawId

_SECOND = 1_000_000
_COARSE_UNITS = (86_400 * _SECOND, 60 * _SECOND)


class Interaction(NamedTuple):
    """An item of a history, and its time in seconds since 1970; None if the log has no times."""

    item: RawId
    time: float | None


def unit_of(times: Int64 | None) -> int:
    """Return the unit of the times of a log, in microseconds: a day, a minute, or else a second.

    times  (N,) microseconds since 1970; None for a log without times

    >>> import numpy as np
    >>> unit_of(np.array([0, 86_400_000_000])) // 1_000_000, unit_of(np.array([5, 120_000_000])) // 1_000_000
    (86400, 1)
    """
    if times is None or not len(times):
        return _SECOND
    return next((unit for unit in _COARSE_UNITS if not (times % unit).any()), _SECOND)


@dataclass(frozen=True)
class RunHistory:
    """What the run holds of one user.

    items  raw ids, oldest first                           times  of each, in microseconds; None without times
    unit   in which the log gives times, in microseconds
    """

    items: tuple[RawId, ...] = ()
    times: tuple[int, ...] | None = None
    unit: int = _SECOND

    @cached_property
    def interactions(self) -> tuple[Interaction, ...]:
        """The items with their times in seconds."""
        times: Sequence[float | None] = (
            [None] * len(self.items) if self.times is None else [t / 1e6 for t in self.times]
        )
        return tuple(map(Interaction, self.items, times))

    @cached_property
    def _times_of_item(self) -> dict[RawId, list[int]]:
        times: defaultdict[RawId, list[int]] = defaultdict(list)
        for item, time in zip(self.items, self.times or (), strict=True):
            times[item].append(time)
        return times

    def holds(self, item: RawId, time: float) -> bool:
        """Whether the run holds an interaction with `item` at `time`, in seconds. The log must have times."""
        moment = round(time * 1e6)
        first, last = moment - _SECOND + 1, moment + _SECOND - 1
        if self.unit > _SECOND:
            first = moment // self.unit * self.unit
            last = first + self.unit - 1
        times = self._times_of_item.get(item, [])
        place = bisect_left(times, first)
        return place < len(times) and times[place] <= last


def new_events(run: RunHistory, events: Sequence[Interaction]) -> list[Interaction]:
    """Return the events that the run does not hold.

    run     what the run holds of the user        events  the stored events of the user, oldest first

    >>> run = RunHistory(("tea", "milk"), (1_000_000, 5_000_000))
    >>> new_events(run, [Interaction("milk", 5.0), Interaction("milk", 9.0)])
    [Interaction(item='milk', time=9.0)]
    >>> new_events(RunHistory(("tea", "milk")), [Interaction("milk", 5.0), Interaction("milk", 9.0)])
    [Interaction(item='milk', time=9.0)]
    """
    if run.times is not None:
        return [event for event in events if not run.holds(event.item, event.time or 0.0)]
    for length in range(min(len(run.items), len(events)), 0, -1):
        if run.items[-length:] == tuple(event.item for event in events[:length]):
            return list(events[length:])
    return list(events)


def joined(run: RunHistory, events: Sequence[Interaction]) -> list[Interaction]:
    """Return the one history of a user, oldest first.

    run     what the run holds of the user
    events  events that it does not hold, from `new_events`, oldest first

    >>> run = RunHistory(("tea", "milk"), (1_000_000, 5_000_000))
    >>> [one.item for one in joined(run, [Interaction("cake", 2.0), Interaction("soap", 5.0)])]
    ['tea', 'cake', 'milk', 'soap']
    """
    if run.times is None:
        return [*run.interactions, *events]
    return list(merge(run.interactions, events, key=itemgetter(1)))
