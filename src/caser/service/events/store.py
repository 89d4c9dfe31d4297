"""What an event store promises: the interface `EventStore` and its data types.

Ids are texts, as `data/id_text.py` writes them, whether a run knows them or not: user 5 and user "5" are the same user,
"05" is another one. A store keeps the events of a user in order of time, and events
of equal time in order of arrival. An acknowledged event is stored, and the next answer takes it into account. The store
knows nothing about items or models.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from sys import getsizeof
from typing import Literal, Protocol, TypeAlias

Outcome: TypeAlias = Literal["new", "known", "conflict", "erased"]
"""What became of an event: it is stored now; the same one was stored before; another one of the user has its id, and
stays; or it was erased with its user, and is not stored again."""

REMEMBERED_DAYS = 30
"""How long the ids of erased events are remembered, as digests, so that an event that is sent again stays erased."""


@dataclass(frozen=True, slots=True)
class Event:
    """One interaction of a user with an item.

    event_id  an event of the same user with the same id is not stored again
    user_id   the user, as text        item_id  the item, as text        time  in seconds since 1970
    is_now    whether the sender gave no time, so that `time` is when the event arrived
    """

    event_id: str
    user_id: str
    item_id: str
    time: float
    is_now: bool = False

    @property
    def num_bytes(self) -> int:
        """About how much memory this takes while it waits: its texts twice, its request, its objects and its row."""
        return 1_000 + 2 * (getsizeof(self.event_id) + getsizeof(self.user_id) + getsizeof(self.item_id))


@dataclass(frozen=True, slots=True)
class RecentHistory:
    """The last events of a user, oldest first.

    items       item ids               times  the time of each, in seconds since 1970
    is_erased   whether the user was erased: then the run's history of the user must not be used, only these events
    """

    items: tuple[str, ...] = ()
    times: tuple[float, ...] = ()
    is_erased: bool = False

    @property
    def num_bytes(self) -> int:
        """About how much memory this takes; a text that several histories share counts in each.

        >>> RecentHistory(("tea",), (1.0,)).num_bytes < RecentHistory(("t" * 1000,), (1.0,)).num_bytes
        True
        """
        return 400 + sum(map(getsizeof, self.items)) + 40 * len(self.items)

    def since(self, earliest: float) -> RecentHistory:
        """The events at the time `earliest` or later.

        >>> RecentHistory(("tea", "milk"), (1.0, 5.0)).since(2.0).items
        ('milk',)
        """
        first = next((place for place, time in enumerate(self.times) if time >= earliest), len(self.times))
        return RecentHistory(self.items[first:], self.times[first:], self.is_erased)


class EventStore(Protocol):
    """Stores events. Many threads and processes may use one store at the same time."""

    @property
    def has_file(self) -> bool:
        """Whether `append` returns only when the events are on disk, and the disk is there."""

    @property
    def is_durable(self) -> bool:
        """Whether acknowledged events are still there after the process has ended."""

    def problem(self) -> str | None:
        """Why events cannot be stored now, as a sentence without paths; None if they can."""

    @property
    def is_lost(self) -> bool:
        """Whether the store is gone, so that only a restart helps."""

    @property
    def num_erasures_incomplete(self) -> int:
        """How many users are erased although bytes of their events are still on the disk."""

    @property
    def num_bytes_cached(self) -> int:
        """The memory of the histories that are kept for quick answers."""

    @property
    def num_bytes_waiting(self) -> int:
        """The memory of the events that wait to be written."""

    async def append(self, events: Sequence[Event]) -> list[Outcome]:
        """Store all of `events` that are new, or none. Returns once they are on disk: what became of each event.

        A time ahead of the clock becomes the time of arrival. An event that happens now is the newest of its user, even
        if the clock went back.

        Raises BusyError when too many writes wait, StoreError when the events cannot be written.
        """

    async def erase(self, user_id: str) -> int:
        """Remove all events of the user `user_id`, and mark the user as erased. Returns the number of events removed.

        Afterwards `num_erasures_incomplete` says whether bytes of them are still on the disk.

        Raises BusyError when too many writes wait, StoreError when the store cannot be written.
        """

    def recent(self, user_id: str) -> RecentHistory:
        """The last events of the user `user_id`, with every event that was acknowledged before this call.

        This is fast for a user who was asked about before. Raises StoreError when the store cannot be read.
        """

    def close(self) -> None:
        """Write the events that wait, and close the store."""


def user_digest(user_id: str) -> str:
    """Return a SHA-256 digest of `user_id`, for places that must not hold the id, such as the list of erased users.

    >>> len(user_digest("ann")), user_digest("ann") == user_digest("bob")
    (64, False)
    """
    return hashlib.sha256(user_id.encode("utf-8", "surrogatepass")).hexdigest()
