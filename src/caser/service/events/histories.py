"""The last events of users, for answers: those of users who were asked about before are in memory.

One piece for every store. The version of the store says, in microseconds, whether any process may have committed. If
so, the new events are read and put into the histories in memory. So events of this process and of other processes
arrive in the same way, and most look-ups neither wait nor read a disk.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from caser.service.byte_cache import ByteCache
from caser.service.events.store import EventStore, News, Position, RecentHistory
from caser.service.settings import DEFAULT_CACHE_MB, DEFAULT_WINDOW

_DAY = 86_400


class Histories:
    """The histories of the users of a store. They belong to one event loop.

    store        has the events
    window       the number of last events of a user that a history holds
    expire_days  events older than this many days are ignored; None: events do not expire
    max_bytes    how many bytes of histories are kept in memory
    """

    def __init__(
        self,
        store: EventStore,
        *,
        window: int = DEFAULT_WINDOW,
        expire_days: float | None = None,
        max_bytes: int = DEFAULT_CACHE_MB << 20,
    ) -> None:
        self._store = store
        self._window = window
        self._lifetime = None if expire_days is None else expire_days * _DAY
        self._kept: ByteCache[str, RecentHistory] = ByteCache(max_bytes, lambda history: history.num_bytes)
        self._position = Position()
        self._version: int | None = None
        self._fresh_until = 0.0
        self._turn = asyncio.Lock()

    @property
    def num_bytes(self) -> int:
        """The memory of the histories that are kept."""
        return self._kept.num_bytes

    async def recent_many(self, users: Sequence[str]) -> list[RecentHistory]:
        """The last events of each user, with every event that this process acknowledged before this call.

        users  their ids; the histories come in the same order

        Events of other processes are there too, or arrive within the time that the store promises. As long as nothing
        changes for a user, the history is the same object. Raises StoreError when the store cannot be read.
        """
        found: list[RecentHistory] = []
        if self._store.version() == self._version and time.monotonic() < self._fresh_until:
            found = [history for user in users if (history := self._kept.get(user)) is not None]
        if len(found) != len(users):
            found = await self._read(users)
        if self._lifetime is None:
            return found
        earliest = time.time() - self._lifetime
        return [history.since(earliest) for history in found]

    async def _read(self, users: Sequence[str]) -> list[RecentHistory]:
        """Take the news, and read the histories that are not in memory: one caller at a time, at one position."""
        async with self._turn:
            version, begun = self._store.version(), time.monotonic()
            if version != self._version or begun >= self._fresh_until:
                self._take(await self._store.news(self._position))
                self._version, self._fresh_until = version, begun + self._store.fresh_seconds
            found = {user: history for user in users if (history := self._kept.get(user)) is not None}
            missing = [user for user in dict.fromkeys(users) if user not in found]
            if missing:
                read = await self._store.read(missing, self._window, self._position)
                for user, history in zip(missing, read, strict=True):
                    self._kept[user] = found[user] = history
        return [found[user] for user in users]

    def _take(self, news: News) -> None:
        """Add each new event to the history of its user, if that is in memory."""
        self._position = news.position
        if news.events is None:
            self._kept.clear()
            return
        for user_id, item_id, event_time, kind in news.events:
            history = self._kept.get(user_id)
            if history is not None:
                self._kept[user_id] = history.with_event(item_id, event_time, self._window, kind)
