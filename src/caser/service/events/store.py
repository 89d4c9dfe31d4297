"""What an event store promises: the interface `EventStore` and its data types.

A store keeps events and says what is new; `histories.py` keeps what was read from it in memory. So every store has the
same quick answers, and none has a cache of its own.

Ids are texts, as `data/id_text.py` writes them, whether a run knows them or not: user 5 and user "5" are the same user,
"05" is another one. A store keeps the events of a user in order of time, and events
of equal time in order of arrival. An acknowledged event is stored, and the next answer takes it into account. The store
knows nothing about items or models.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from sys import getsizeof, intern
from typing import Literal, NamedTuple, Protocol, TypeAlias

Outcome: TypeAlias = Literal["new", "known", "conflict", "erased"]
"""What became of an event: it is stored now; the same one was stored before; another one of the user has its id, and
stays; or it was erased with its user, and is not stored again."""

REMEMBERED_DAYS = 30
"""How long the ids of erased events are remembered, as digests, so that an event that is sent again stays erased."""

MAX_NEW_EVENTS = 2_000
"""Up to this many new events are put into the histories in memory; if there are more, the histories are read again."""
MAX_DELETED = 2_000
"""So many expired rows of the store are deleted with a commit, which keeps every commit short."""


@dataclass(frozen=True, slots=True)
class Event:
    """One interaction of a user with an item.

    event_id  an event of the same user with the same id is not stored again
    user_id   the user, as text        item_id  the item, as text        time  in seconds since 1970
    is_now    whether the sender gave no time, so that `time` is when the event arrived
    event_type  the kind of the event, such as purchase; None where the sender gave none
    """

    event_id: str
    user_id: str
    item_id: str
    time: float
    is_now: bool = False
    event_type: str | None = None

    @property
    def num_bytes(self) -> int:
        """About how much memory this takes while it waits: its texts twice, its request, its objects and its row."""
        return 1_000 + 2 * sum(map(getsizeof, (self.event_id, self.user_id, self.item_id, self.event_type)))

    def placed(self, now: float, latest: float | None) -> float:
        """Return the time that orders the event: its own, or its arrival if that is earlier or it has no time.

        now     the clock of the service        latest  the time of the newest event of the user; None without one

        An event that arrives now is the newest of its user, even if the clock went back since the last one.

        >>> Event("e", "ann", "tea", 9.0).placed(5.0, None), Event("e", "ann", "tea", 3.0).placed(5.0, 4.0)
        (5.0, 3.0)
        """
        if not self.is_now and self.time <= now:
            return self.time
        return max(min(self.time, now), latest or 0.0)

    def repeats(self, item_id: str, time: float, event_type: str | None) -> bool:
        """Whether this is the event that the user sent before under this id, with this item at this time."""
        return (item_id, event_type) == (self.item_id, self.event_type) and (self.is_now or self.time == time)


Job: TypeAlias = list[Event] | str
"""What is written: events to store, or the id of a user to erase."""


@dataclass(frozen=True, slots=True)
class RecentHistory:
    """The last events of a user, oldest first.

    items       item ids               times  the time of each, in seconds since 1970
    is_erased   whether the user was erased: then the run's history of the user must not be used, only these events
    kinds       the kind of each event, None where it has none; () where no event has one
    """

    items: tuple[str, ...] = ()
    times: tuple[float, ...] = ()
    is_erased: bool = False
    kinds: tuple[str | None, ...] = ()

    @classmethod
    def of(cls, rows: Sequence[tuple[str, float, str | None]], *, is_erased: bool) -> RecentHistory:
        """Make a history of rows of an item, a time and a kind, oldest first.

        >>> RecentHistory.of([("tea", 1.0, None), ("milk", 2.0, "buy")], is_erased=False).kinds
        (None, 'buy')
        """
        items, times, kinds = (tuple(column) for column in zip(*rows, strict=True)) if rows else ((), (), ())
        return cls(items, times, is_erased, _known(kinds))

    @property
    def num_bytes(self) -> int:
        """About how much memory this takes; a text that several histories share counts in each.

        >>> RecentHistory(("tea",), (1.0,)).num_bytes < RecentHistory(("t" * 1000,), (1.0,)).num_bytes
        True
        """
        return 400 + sum(map(getsizeof, self.items)) + 40 * len(self.items) + 8 * len(self.kinds)

    def since(self, earliest: float) -> RecentHistory:
        """The events at the time `earliest` or later.

        >>> RecentHistory(("tea", "milk"), (1.0, 5.0)).since(2.0).items
        ('milk',)
        """
        first = next((place for place, time in enumerate(self.times) if time >= earliest), len(self.times))
        return RecentHistory(self.items[first:], self.times[first:], self.is_erased, _known(self.kinds[first:]))

    def with_event(self, item_id: str, time: float, window: int, kind: str | None = None) -> RecentHistory:
        """The history with one more event in its place in time, which may be before the last ones.

        item_id  the item        time  when        window  how many last events are kept        kind  of the event

        >>> RecentHistory(("tea", "milk"), (1.0, 5.0)).with_event("cake", 2.0, 2).items
        ('cake', 'milk')
        """
        place = len(self.times)
        while place and self.times[place - 1] > time:
            place -= 1
        items = (*self.items[:place], item_id, *self.items[place:])[-window:]
        times = (*self.times[:place], time, *self.times[place:])[-window:]
        kinds = self.kinds or (None,) * len(self.items)
        kinds = (*kinds[:place], kind, *kinds[place:])[-window:]
        return RecentHistory(items, times, self.is_erased, _known(kinds))


def _known(kinds: tuple[str | None, ...]) -> tuple[str | None, ...]:
    """The kinds, each text once in memory; () if there is none."""
    found = tuple(None if kind is None else intern(kind) for kind in kinds)
    return found if any(kind is not None for kind in found) else ()


class Position(NamedTuple):
    """How far a reader has read.

    event, erasure  the numbers of the last event and of the last erasure, which grow with each commit
    epoch           the numbers of another epoch cannot be compared: the store may be an older copy of itself
    """

    event: int = 0
    erasure: int = 0
    epoch: int = 0


StoredRows: TypeAlias = Sequence[tuple[str, str, float, str | None]]
"""The user, the item, the time and the kind of events; the kind is None where the sender gave none."""


class News(NamedTuple):
    """What was committed since a position.

    position  the position after it
    events    the user, the item, the time and the kind of each new event, in order of commit; None if histories that
              were read before must be read again: a user was erased, there are too many events, or nobody knows
    """

    position: Position
    events: StoredRows | None


class EventStore(Protocol):
    """Stores events. Many processes may use one store at the same time; in a process, one event loop reads from it."""

    @property
    def waits_for_disk(self) -> bool:
        """Whether `append` returns only when the events are on disk, and the disk is there."""

    @property
    def is_durable(self) -> bool:
        """Whether acknowledged events are still there after the process has ended."""

    def problem(self) -> str | None:
        """Why events cannot be stored now, as a sentence without paths; None if they can."""

    @property
    def is_lost(self) -> bool:
        """Whether the store cannot be used at all: it is gone, or its server cannot be reached now."""

    @property
    def num_erasures_incomplete(self) -> int | None:
        """How many users are erased although bytes of their events are still on the disk; None if nobody can know."""

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

    @property
    def fresh_seconds(self) -> float:
        """How long a reader may go without `news` as long as the version stays: then other processes may have written.

        Infinity if the version tells of every commit of every process.
        """

    def version(self) -> int:
        """A number that is another one after each commit of this process, and soon after each one of other processes.

        Takes microseconds, and does not wait. Raises StoreError when the store cannot be read.
        """

    async def news(self, since: Position) -> News:
        """What all processes have committed since the position `since`.

        Raises StoreError when the store cannot be read.
        """

    async def read(self, users: Sequence[str], window: int, until: Position) -> list[RecentHistory]:
        """The last `window` events of each of the `users`, up to the event of the position `until`.

        An erasure after this position counts. Raises StoreError when the store cannot be read.
        """

    def close(self) -> None:
        """Write the events that wait, and close the store."""


def user_digest(user_id: str) -> str:
    """Return a SHA-256 digest of `user_id`, for places that must not hold the id, such as the list of erased users.

    >>> len(user_digest("ann")), user_digest("ann") == user_digest("bob")
    (64, False)
    """
    return hashlib.sha256(user_id.encode("utf-8", "surrogatepass")).hexdigest()


def num_bytes_of(job: Job) -> int:
    """Return about how much memory a job takes while it waits.

    >>> num_bytes_of([Event("e", "ann", "tea", 1.0)]) < num_bytes_of([Event("e", "ann", "t" * 1000, 1.0)])
    True
    """
    return getsizeof(job) if isinstance(job, str) else sum(event.num_bytes for event in job)
