"""Events of people, as they happen: what a store of them promises.

An id is its text: user 5 and user "5" are one. A store keeps events in order of time, equal times in order of arrival.
An acknowledged event is on disk, and the next answer knows it. Will not say what an item is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Event:
    """Somebody took something. `event_id` makes it count once; `time` is in seconds since 1970."""

    event_id: str
    user_id: str
    item_id: str
    time: float


@dataclass(frozen=True, slots=True)
class Recent:
    """What a store knows of a user: their last items, oldest first, when each was taken, and whether they were erased.

    An erased user's history in the run must not be used any more; what came after the erasure may.
    """

    items: tuple[str, ...] = ()
    times: tuple[float, ...] = ()
    is_erased: bool = False

    def since(self, earliest: float) -> Recent:
        """Without what is older.

        >>> Recent(("tea", "milk"), (1.0, 5.0)).since(2.0).items
        ('milk',)
        """
        first = next((place for place, time in enumerate(self.times) if time >= earliest), len(self.times))
        return Recent(self.items[first:], self.times[first:], self.is_erased)


class EventStore(Protocol):
    """Where events are kept; many threads and processes may use one store."""

    is_durable: bool
    """Whether an acknowledged event outlives the process."""

    async def append(self, events: Sequence[Event]) -> list[bool]:
        """Keep events, all or none; for each, whether it is new. Returns once they are on disk.

        Raises BusyError when too many wait, StoreError when they cannot be written.
        """

    async def erase(self, user_id: str) -> int:
        """Forget a user: the number of their events that were removed. Their history in any run counts no more."""

    def recent(self, user_id: str) -> Recent:
        """What is known of a user, all that was acknowledged included; cheap for a user asked about before."""

    def close(self) -> None:
        """Write what waits, and let go of the store."""


def user_key(user_id: str) -> str:
    """What stands for a user where their id must not be written, such as the list of erased users.

    >>> len(user_key("ann")), user_key("ann") == user_key("bob")
    (64, False)
    """
    return hashlib.sha256(user_id.encode("utf-8", "surrogatepass")).hexdigest()
