"""An event store in a PostgreSQL database, which services on several machines share.

`postgres_schema.py` has the tables, `postgres_server.py` the connections. One thread writes, through the same group
commit as the store in a file, and another one reads: the event loop never waits for the server. A commit tells the
other processes that there is something new. If they do not hear it, they ask all the same when a question comes and
what they know is older than `FRESH_SECONDS`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import TypeAlias, TypeVar

from caser.errors import StoreError
from caser.service.events.group_commit import GroupCommit
from caser.service.events.postgres_schema import WRITING, user_key
from caser.service.events.postgres_server import CHANNEL, CLOSE_SECONDS, CONNECTION_WAIT_SECONDS, Connection, Server
from caser.service.events.schema import event_key
from caser.service.events.store import (
    MAX_DELETED,
    MAX_NEW_EVENTS,
    REMEMBERED_DAYS,
    Event,
    Job,
    News,
    Outcome,
    Position,
    RecentHistory,
    num_bytes_of,
)
from caser.service.settings import DEFAULT_MAX_WAITING_MB

FRESH_SECONDS = 1.0
"""After how many seconds a PostgreSQL store asks for events of other processes, if it has heard of none."""

_DAY = 86_400
_KNOWN = """
SELECT event_key, item_id, coalesce(sent, time), event_type FROM caser.events WHERE event_key = ANY(%b::bytea[])
"""
_ERASED = "SELECT event_key FROM caser.erased_events WHERE event_key = ANY(%b::bytea[])"
_LATEST = """
SELECT wanted, (SELECT time FROM caser.events WHERE user_key = wanted ORDER BY time DESC LIMIT 1)
FROM unnest(%b::bytea[]) AS wanted
"""
_INSERT = """
INSERT INTO caser.events (event_key, user_key, user_id, item_id, time, sent, event_type)
SELECT event_key, user_key, user_id, item_id, time, sent, event_type
FROM unnest(%b::bytea[], %b::bytea[], %b::bytea[], %b::bytea[], %b::float8[], %b::float8[], %b::bytea[])
    WITH ORDINALITY AS rows (event_key, user_key, user_id, item_id, time, sent, event_type, place) ORDER BY place
"""
_DELETE_USER = """
WITH gone AS (DELETE FROM caser.events WHERE user_key = %b AND user_id = %b RETURNING event_key)
INSERT INTO caser.erased_events SELECT event_key, %b FROM gone
ON CONFLICT (event_key) DO UPDATE SET until = excluded.until
"""
_FORGET = """
DELETE FROM caser.erased_events WHERE event_key IN
    (SELECT event_key FROM caser.erased_events WHERE until < %b ORDER BY until LIMIT %b)
"""
_EXPIRE = """
DELETE FROM caser.events WHERE seq IN (SELECT seq FROM caser.events WHERE time < %b ORDER BY time, seq LIMIT %b)
"""
_NEWS = """
SELECT last.event, last.erasure, new.user_id, new.item_id, new.time, new.event_type
FROM (SELECT (SELECT coalesce(max(seq), 0) FROM caser.events) AS event,
    (SELECT coalesce(max(seq), 0) FROM caser.erased) AS erasure) AS last
LEFT JOIN LATERAL
    (SELECT * FROM caser.events WHERE seq > %b AND last.erasure = %b ORDER BY seq LIMIT %b) AS new ON true
ORDER BY new.seq
"""
_READ = """
SELECT newest.items, newest.times, newest.kinds, EXISTS (SELECT FROM caser.erased WHERE user_key = wanted.user_key)
FROM unnest(%b::bytea[], %b::bytea[]) WITH ORDINALITY AS wanted (user_key, user_id, place)
LEFT JOIN LATERAL (
    SELECT array_agg(item_id ORDER BY time, seq) AS items, array_agg(time ORDER BY time, seq) AS times,
        array_agg(event_type ORDER BY time, seq) AS kinds FROM (
        SELECT item_id, time, event_type, seq FROM caser.events
        WHERE user_key = wanted.user_key AND user_id = wanted.user_id AND seq <= %b
        ORDER BY time DESC, seq DESC LIMIT %b
    ) AS last
) AS newest ON true
ORDER BY wanted.place
"""

_NOWHERE = Position(erasure=-1)
"""A position from which every history must be read."""

Result = TypeVar("Result")
_Results: TypeAlias = list[list[Outcome] | int]


class PostgresEvents:
    """An `EventStore` in a PostgreSQL database.

    url          where it is, such as postgresql://user@host/name
    expire_days  events older than this many days are deleted with a later commit; None: events do not expire
    max_waiting  how many bytes of events may wait to be written

    Raises StoreError when the database cannot be reached, or is no store of a known version. An empty database becomes
    a store, and a store of an earlier version becomes one of this version.
    """

    def __init__(
        self,
        url: str,
        *,
        expire_days: float | None = None,
        max_waiting: int = DEFAULT_MAX_WAITING_MB << 20,
    ) -> None:
        self._lifetime = None if expire_days is None else expire_days * _DAY
        self._lock = threading.Lock()
        self._num_heard = 0
        self._epoch = 1
        self._failure: StoreError | None = None
        self._server = Server(url, self._hear)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="event-reader")
        self._group_commit = GroupCommit(self._write, num_bytes_of, max_waiting)

    async def append(self, events: Sequence[Event]) -> list[Outcome]:
        """Store all of `events` that are new, or none. Returns what became of each event.

        Raises BusyError when too many writes wait or the server is busy, StoreError when the events cannot be written.
        """
        outcomes: list[Outcome] = await self._group_commit(list(events))
        return outcomes

    async def erase(self, user_id: str) -> int:
        """Remove all events of the user `user_id`, and mark the user as erased. Returns the number of events removed.

        Raises as `append` does.
        """
        return int(await self._group_commit(user_id))

    @property
    def fresh_seconds(self) -> float:
        """`FRESH_SECONDS`: a notice of another process may be lost."""
        return FRESH_SECONDS

    def version(self) -> int:
        """The number of commits that were heard of. Raises StoreError when the server cannot be reached."""
        trouble = self._server.trouble
        if trouble is not None:
            raise trouble
        return self._num_heard

    async def news(self, since: Position) -> News:
        """Return what was committed since a position. Raises StoreError when the server cannot be reached."""
        epoch = self._epoch
        known = since if epoch == since.epoch else _NOWHERE
        news = await self._in_thread(lambda connection: _news(connection, known))
        return News(news.position._replace(epoch=epoch), news.events)

    async def read(self, users: Sequence[str], window: int, until: Position) -> list[RecentHistory]:
        """Return the last events of users. Raises StoreError when the server cannot be reached."""
        keys, ids = [user_key(user) for user in users], [user.encode() for user in users]
        rows = await self._in_thread(
            lambda connection: connection.execute(_READ, (keys, ids, until.event, window), binary=True).fetchall()
        )
        return [
            RecentHistory.of(
                [
                    (item.decode(), when, _text(kind))
                    for item, when, kind in zip(items or (), times or (), kinds or (), strict=True)
                ],
                is_erased=is_erased,
            )
            for items, times, kinds, is_erased in rows
        ]

    def close(self) -> None:
        """Write the events that are still waiting, and close all connections."""
        patience = threading.Timer(CLOSE_SECONDS, self._server.cut)
        patience.start()
        self._group_commit.close()
        self._reader.shutdown(cancel_futures=True)
        self._server.close()
        patience.cancel()

    @property
    def waits_for_disk(self) -> bool:
        """Whether the server answers a commit only when it is on its disk."""
        return self._server.is_durable

    @property
    def is_durable(self) -> bool:
        """Whether acknowledged events are on the disk of the server."""
        return self._server.is_durable and not self._server.is_gone

    @property
    def num_erasures_incomplete(self) -> None:
        """Not known: only the server sees what is left on its disk."""
        return None

    @property
    def num_bytes_waiting(self) -> int:
        """The memory of the events that wait to be written."""
        return self._group_commit.num_bytes_waiting

    @property
    def is_lost(self) -> bool:
        """Whether the store was deleted or replaced, or the server cannot be reached now."""
        return self._server.trouble is not None

    def problem(self) -> str | None:
        """Why events cannot be stored now, as a sentence without addresses; None if they can."""
        if self._server.is_gone:
            return "the store of events was deleted or replaced, or can no longer be used; restart with a good --store"
        if self._server.trouble is not None:
            return "the store of events cannot be reached; it is tried again all the time"
        return None if self._failure is None else "the last event could not be written; the disk may be full"

    def _hear(self, is_new: bool) -> None:
        """Note that something may have changed, or that the connection to the server is new; runs in any thread."""
        with self._lock:
            self._num_heard += 1
            self._epoch += is_new

    async def _in_thread(self, work: Callable[[Connection], Result]) -> Result:
        """Read in the thread that reads. A server that does not answer is one that cannot be reached."""

        def read() -> Result:
            with self._server.connection() as connection:
                return work(connection)

        try:
            async with asyncio.timeout(2 * CONNECTION_WAIT_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._reader, read)
        except TimeoutError:
            self._server.cut()  # the thread is free again
            raise self._server.lost_touch("no answer in time") from None

    def _write(self, jobs: Sequence[Job]) -> _Results:
        """Commit several jobs together. Returns, for each job, the result of `append` or of `erase`."""
        now = time.time()
        try:
            with self._server.connection() as connection, connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", WRITING)
                self._server.check_mark(connection)
                self._delete_expired(connection, now)
                results: _Results = []
                for _, some in groupby(jobs, type):  # what lies between two erasures is stored together
                    same = list(some)
                    results += _append(connection, [job for job in same if isinstance(job, list)], now)
                    results += _erase(connection, [job for job in same if isinstance(job, str)], now)
                connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, self._server.token))
        except StoreError as error:
            self._failure = None if error.is_away else error
            raise
        self._failure = None
        self._hear(False)
        return results

    def _delete_expired(self, connection: Connection, now: float) -> None:
        """Delete events that have expired, the oldest first, and forget events that were erased long ago."""
        connection.execute(_FORGET, (now, MAX_DELETED))
        if self._lifetime is not None:
            connection.execute(_EXPIRE, (now - self._lifetime, MAX_DELETED))


def _append(connection: Connection, jobs: Sequence[Sequence[Event]], now: float) -> list[list[Outcome]]:
    """Store the new events of several jobs. The lock keeps what is looked up here as it is until the commit."""
    events = [event for job in jobs for event in job]
    keys = [event_key(event.user_id, event.event_id) for event in events]
    users = {event.user_id: user_key(event.user_id) for event in events}
    late = [users[event.user_id] for event in events if event.is_now or event.time > now]
    # Look up all that decides what becomes of the events.
    known = {key: stored for key, *stored in connection.execute(_KNOWN, (keys,), binary=True)}
    erased = {key for (key,) in connection.execute(_ERASED, (keys,), binary=True)}
    latest: dict[bytes, float | None] = {}
    if late:
        latest.update(connection.execute(_LATEST, (late,), binary=True).fetchall())
    # Decide, event by event: an earlier one counts for those after it.
    outcomes: list[Outcome] = []
    rows: list[tuple[bytes, bytes, bytes, bytes, float, float | None, bytes | None]] = []
    for event, key in zip(events, keys, strict=True):
        if key in erased:
            outcomes.append("erased")
        elif key in known:
            item_id, sent, kind = known[key]
            outcomes.append("known" if event.repeats(item_id.decode(), sent, _text(kind)) else "conflict")
        else:
            user = users[event.user_id]
            place = event.placed(now, latest.get(user))
            latest[user] = max(place, latest.get(user) or place)
            is_other = not event.is_now and place != event.time
            item, kind = event.item_id.encode(), None if event.event_type is None else event.event_type.encode()
            rows.append((key, user, event.user_id.encode(), item, place, event.time if is_other else None, kind))
            known[key] = [item, event.time if is_other else place, kind]
            outcomes.append("new")
    if rows:
        connection.execute(_INSERT, [list(column) for column in zip(*rows, strict=True)])
    of_all = iter(outcomes)
    return [[next(of_all) for _ in job] for job in jobs]


def _text(stored: bytes | None) -> str | None:
    """A kind as it is stored, as text."""
    return None if stored is None else stored.decode()


def _erase(connection: Connection, users: Sequence[str], now: float) -> list[int]:
    """Delete the events of users, and remember them and the users as erased. Returns the number of events of each."""
    numbers = []
    for user_id in users:
        key = user_key(user_id)
        deleted = connection.execute(_DELETE_USER, (key, user_id.encode(), now + REMEMBERED_DAYS * _DAY))
        numbers.append(deleted.rowcount)
        # A new row has a new number, so that every process hears of an erasure that happens again.
        connection.execute("DELETE FROM caser.erased WHERE user_key = %b", (key,))
        connection.execute("INSERT INTO caser.erased (user_key) VALUES (%b)", (key,))
    return numbers


def _news(connection: Connection, since: Position) -> News:
    rows = connection.execute(_NEWS, (since.event, since.erasure, MAX_NEW_EVENTS + 1), binary=True).fetchall()
    events = [
        (user.decode(), item.decode(), when, _text(kind)) for *_, user, item, when, kind in rows if user is not None
    ]
    last = Position(rows[0][0], rows[0][1])
    is_whole = last.erasure == since.erasure and len(events) <= MAX_NEW_EVENTS
    # Where the newest events were deleted, their numbers are not given again: the position stays.
    return News(last._replace(event=max(last.event, since.event)), events if is_whole else None)
