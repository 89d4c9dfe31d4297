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

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import merge
from operator import itemgetter
from typing import NamedTuple

from caser.arrays.types import Int64, RawId

_SECOND = 1_000_000
_COARSE_UNITS = (86_400 * _SECOND, 60 * _SECOND)


class Interaction(NamedTuple):
    """An item of a history, and its time in seconds since 1970; None if it comes from a log without times."""

    item: RawId
    time: float | None


class OneHistory(NamedTuple):
    """The history of a user, each interaction once, oldest first, at most a window of them.

    items   raw ids
    times   of each, in microseconds since 1970; None for an item of a log without times
    is_new  whether it has an interaction that the run does not hold
    """

    items: tuple[RawId, ...]
    times: tuple[int | None, ...]
    is_new: bool

    @property
    def interactions(self) -> list[Interaction]:
        """The items with their times in seconds."""
        seconds = (None if time is None else time / _SECOND for time in self.times)
        return list(map(Interaction, self.items, seconds))


def unit_of(times: Int64 | None) -> int:
    """Return the unit of the times of a log, in microseconds: a day, a minute, or else a second.

    times  (N,) microseconds since 1970; None for a log without times

    >>> import numpy as np
    >>> unit_of(np.array([0, 86_400_000_000])) // 1_000_000, unit_of(np.array([5, 120_000_000])) // 1_000_000
    (86400, 1)
    """
    if times is None or not len(times):
        return _SECOND
    for unit in _COARSE_UNITS:
        if not (times[:1000] % unit).any() and not (times % unit).any():
            return unit
    return _SECOND


@dataclass(frozen=True)
class RunHistory:
    """What the run holds of one user.

    items  raw ids, oldest first                           times  of each, in microseconds; None without times
    unit   in which the log gives times, in microseconds
    """

    items: tuple[RawId, ...] = ()
    times: tuple[int, ...] | None = None
    unit: int = _SECOND

    def holds(self, item: RawId, time: float) -> bool:
        """Whether the run holds an interaction with `item` at `time`, in seconds. The log must have times."""
        moment = round(time * _SECOND)
        first, last = moment - _SECOND + 1, moment + _SECOND - 1
        if self.unit > _SECOND:
            first = moment // self.unit * self.unit
            last = first + self.unit - 1
        times = self.times or ()
        return item in self.items[bisect_left(times, first) : bisect_right(times, last)]


def one_history(run: RunHistory, events: Sequence[Interaction], window: int) -> OneHistory:
    """Join what the run holds of a user with the stored events.

    run     the last `window` interactions that the run holds of the user, or all if there are fewer
    events  the stored events of the user, oldest first
    window  how many last interactions count

    >>> one_history(RunHistory(("tea", "milk")), [Interaction("milk", 5.0), Interaction("soap", 9.0)], 2).items
    ('milk', 'soap')
    """
    since = new_events(run, events)
    items, times = joined(run, since)
    items, times = items[-window:], times[-window:]
    # Where the window is full, events that are older than all of it do not count.
    is_new = bool(since) and (items, times) != (run.items, run.times or (None,) * len(run.items))
    return OneHistory(items, times, is_new)


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


def joined(run: RunHistory, events: Sequence[Interaction]) -> tuple[tuple[RawId, ...], tuple[int | None, ...]]:
    """Return the items of the one history of a user, oldest first, and the time of each, in microseconds.

    run     what the run holds of the user
    events  events that it does not hold, from `new_events`, oldest first

    >>> run = RunHistory(("tea", "milk"), (1_000_000, 5_000_000))
    >>> joined(run, [Interaction("cake", 2.0), Interaction("soap", 5.0)])[0]
    ('tea', 'cake', 'milk', 'soap')
    """
    new_items = tuple(event.item for event in events)
    new_times = tuple(round((event.time or 0.0) * _SECOND) for event in events)
    if run.times is None:
        return run.items + new_items, (None,) * len(run.items) + new_times
    # Only the end of the run can follow an event: no more is merged.
    place = bisect_right(run.times, new_times[0]) if events else len(run.times)
    after = zip(run.items[place:], run.times[place:], strict=True)
    merged = list(merge(after, zip(new_items, new_times, strict=True), key=itemgetter(1)))
    items, times = tuple(item for item, _ in merged), tuple(time for _, time in merged)
    return run.items[:place] + items, run.times[:place] + times
