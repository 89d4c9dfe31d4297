"""An event store in one SQLite file, or in memory. WAL and synchronous=FULL keep acknowledged events after a power cut.

`schema.py` has the tables. One connection writes (through `group_commit.py`), and another connection reads. Recent
histories are kept in memory. Before each look-up, the store asks SQLite whether any process has committed
(`data_version`, which takes microseconds). If so, it reads the new events. So events of this process and of other
processes arrive in the same way, and most look-ups need no disk access.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from sys import getsizeof
from threading import Lock
from typing import TypeAlias

from caser.errors import StoreError
from caser.service.byte_cache import ByteCache
from caser.service.events.erasures import Erasures
from caser.service.events.group_commit import GroupCommit
from caser.service.events.schema import event_key, let_expire, prepare, version
from caser.service.events.store import REMEMBERED_DAYS, Event, Outcome, RecentHistory, user_digest
from caser.service.events.store_file import StoreFile
from caser.service.logs import logger
from caser.service.settings import DEFAULT_CACHE_MB, DEFAULT_MAX_WAITING_MB, DEFAULT_WINDOW

_DAY = 86_400
_MAX_NEW_EVENTS = 2_000
"""Up to this many new events are added to the histories in memory. If there are more, those histories are dropped."""

_MAX_DELETED = 2_000
"""So many expired rows are deleted with a commit, which keeps every commit short."""

_LASTING = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN)
"""Errors that stay until somebody repairs the store."""

_INSERT = "INSERT OR IGNORE INTO events (event_id, user_id, item_id, sent, time) VALUES (?1, ?2, ?3, ?4, ?5)"
_INSERT_NEWEST = _INSERT.replace("?5", "max(?5, coalesce((SELECT max(time) FROM events WHERE user_id = ?2), 0.0))")

_Job: TypeAlias = list[Event] | str
"""Events to store, or the id of a user to erase."""


class SqliteEvents:
    """An `EventStore` in a SQLite file.

    path         the file; None keeps the events in memory
    window       the number of last events of a user that a history holds
    expire_days  events older than this many days are ignored, and later deleted; None: events do not expire
    max_cached   how many bytes of histories are kept in memory
    max_waiting  how many bytes of events may wait to be written

    Raises StoreError when the file cannot be opened or written, is damaged, or is no event store. A store of version 1
    becomes one of this version.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        window: int = DEFAULT_WINDOW,
        expire_days: float | None = None,
        max_cached: int = DEFAULT_CACHE_MB << 20,
        max_waiting: int = DEFAULT_MAX_WAITING_MB << 20,
    ) -> None:
        self._window = window
        self._lifetime = None if expire_days is None else expire_days * _DAY
        self._path = path
        self._file = None if path is None else StoreFile(path)
        self._name = f"file:/caser-events-{secrets.token_hex(8)}?vfs=memdb" if path is None else str(path)
        self._failure: StoreError | None = None
        self._lock = Lock()
        # In memory, a reader and a writer exclude each other.
        self._write_lock = nullcontext() if path is not None else self._lock
        self._histories: ByteCache[str, RecentHistory] = ByteCache(max_cached, lambda history: history.num_bytes)
        self._writer = self._connect(is_writer=True)
        self._reader = self._connect(is_writer=False)
        self._has_erased_events = False
        self._data_version = -1
        self._last_event = self._last_erasure = 0
        self._read_new_commits()
        if self._file is not None:
            self._file.remember()
        self._erasures = None if path is None else Erasures(path, self._writer)
        self._complete_erasures()
        self._group_commit: GroupCommit[_Job] = GroupCommit(
            self._write, _num_bytes_of, max_waiting, self._complete_erasures
        )

    async def append(self, events: Sequence[Event]) -> list[Outcome]:
        """Store all of `events` that are new, or none. Returns what became of each event.

        Raises BusyError when too many writes wait, StoreError when the events cannot be written.
        """
        outcomes: list[Outcome] = await self._group_commit(list(events))
        self._refuse_lost()
        return outcomes

    async def erase(self, user_id: str) -> int:
        """Remove all events of the user `user_id`, overwrite their bytes, and mark the user as erased.

        Returns the number of events removed. Raises as `append` does.
        """
        num_removed: int = await self._group_commit(user_id)
        self._refuse_lost()
        return num_removed

    def recent(self, user_id: str) -> RecentHistory:
        """Return the last events of the user `user_id`, from memory if they were read before."""
        try:
            with self._lock:
                self._read_new_commits()
                history = self._histories.get(user_id)
                if history is None:
                    history = self._histories[user_id] = self._read_history(user_id)
        except sqlite3.Error as error:
            self._failure = StoreError(f"{self._name} must be readable; got: {error}.", is_lasting=True)
            raise self._failure from None
        return history if self._lifetime is None else history.since(time.time() - self._lifetime)

    def close(self) -> None:
        """Write the events that are still waiting, and close the file."""
        self._group_commit.close()
        self._writer.close()
        with self._lock:
            self._reader.close()

    @property
    def has_file(self) -> bool:
        """Whether events are kept in a file. `append` and `erase` raise StoreError where it is gone."""
        return self._file is not None

    @property
    def is_durable(self) -> bool:
        """Whether acknowledged events are on disk: there is a file, and it is still the one that was opened."""
        return self.has_file and not self.is_lost

    @property
    def num_erasures_incomplete(self) -> int:
        """How many users are erased although bytes of their events are still on the disk."""
        return 0 if self._erasures is None else self._erasures.num_incomplete

    @property
    def num_bytes_cached(self) -> int:
        """The memory of the histories that are kept for quick answers."""
        return self._histories.num_bytes

    @property
    def num_bytes_waiting(self) -> int:
        """The memory of the events that wait to be written."""
        return self._group_commit.num_bytes_waiting

    @property
    def is_lost(self) -> bool:
        """Whether the file was deleted or replaced, or can no longer be read or written."""
        failed = self._failure is not None and self._failure.is_lasting
        return failed or (self._file is not None and not self._file.is_there())

    def problem(self) -> str | None:
        """Why events cannot be stored now, as a sentence without paths; None if they can."""
        if self.is_lost:
            return "the store of events was deleted or replaced, or can no longer be used; restart with a good --store"
        return None if self._failure is None else "the last event could not be written; the disk may be full"

    def _connect(self, *, is_writer: bool) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = None
        try:
            if self._file is not None:
                self._file.check()
            name = self._name if self._path is None else str(self._path.absolute())
            connection = sqlite3.connect(
                name, check_same_thread=False, isolation_level=None, timeout=10, uri=self._path is None
            )
            self._prepare(connection, is_durable=is_writer and self._path is not None)
        except (sqlite3.Error, OSError, ValueError) as error:
            if connection is not None:
                connection.close()
            raise StoreError(f"{self._name} must be a store of events; got: {error}. Choose another --store.") from None
        return connection

    def _prepare(self, connection: sqlite3.Connection, *, is_durable: bool) -> None:
        """Check that the file is an event store, make or upgrade its tables, and set how safely it is written."""
        is_empty = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not is_empty:
            version(connection)
        # Only the writer of a durable file must wait for the disk. A temporary file need not survive a power cut.
        connection.execute(f"PRAGMA synchronous={'FULL' if is_durable else 'OFF'}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA secure_delete=ON")
        if is_durable:  # a file that is damaged or cannot be written is found now, and not with the first event
            damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if damage != "ok":
                raise ValueError(f"a damaged database ({damage})")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        prepare(connection, time.time())
        if self._lifetime is not None:
            let_expire(connection)

    def _write(self, jobs: Sequence[_Job]) -> list[list[Outcome] | int]:
        """Commit several jobs together. Returns, for each job, the result of `append` or of `erase`."""
        try:
            with self._write_lock:
                results = self._commit(jobs)
        except (sqlite3.Error, StoreError) as error:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            if isinstance(error, StoreError):
                raise
            self._refuse_lost()
            sentence = f"{self._name} must be writable; got: {error}. No acknowledged event was lost."
            self._failure = StoreError(sentence, is_lasting=error.sqlite_errorcode & 0xFF in _LASTING)
            raise self._failure from None
        self._failure = None
        if self.num_erasures_incomplete:
            self._complete_erasures()
        return results

    def _refuse_lost(self) -> None:
        """Raise StoreError if the file is no longer the one that was opened: a commit to it would not last."""
        if self._file is not None and not self._file.is_there():
            sentence = (
                f"{self._name} must stay while the service runs; it was deleted or replaced. Restart the service."
            )
            self._failure = StoreError(sentence, is_lasting=True)
            raise self._failure

    def _commit(self, jobs: Sequence[_Job]) -> list[list[Outcome] | int]:
        now = time.time()
        erased: list[tuple[int, list[str]]] = []
        self._writer.execute("BEGIN IMMEDIATE")
        self._has_erased_events = self._writer.execute("SELECT 1 FROM erased_events LIMIT 1").fetchone() is not None
        self._delete_expired(now)
        results: list[list[Outcome] | int] = []
        for job in jobs:
            if isinstance(job, str):
                event_ids = self._delete_user(job, now)
                results.append(len(event_ids))
                erased.append((self._writer.execute("SELECT max(seq) FROM erased").fetchone()[0], [job, *event_ids]))
            else:
                results.append([self._insert(event, now) for event in job])
        self._refuse_lost()
        self._writer.execute("COMMIT")
        if self._erasures is not None:
            for one in erased:
                self._erasures.add(*one)
        return results

    def _insert(self, event: Event, now: float) -> Outcome:
        if self._has_erased_events:
            key = event_key(event.user_id, event.event_id)
            if self._writer.execute("SELECT 1 FROM erased_events WHERE event_key = ?", (key,)).fetchone():
                return "erased"
        # A time of the past orders the event. Otherwise its arrival does, and the event is the newest of its user, even
        # if the clock went back since the last one.
        is_past = event.time <= now and not event.is_now
        sent = None if is_past or event.is_now else event.time
        row = (event.event_id, event.user_id, event.item_id, sent, min(event.time, now))
        if self._writer.execute(_INSERT if is_past else _INSERT_NEWEST, row).rowcount == 1:
            return "new"
        select = "SELECT item_id, coalesce(sent, time) FROM events WHERE user_id = ? AND event_id = ?"
        item_id, sent = self._writer.execute(select, (event.user_id, event.event_id)).fetchone()
        return "known" if item_id == event.item_id and (event.is_now or event.time == sent) else "conflict"

    def _delete_user(self, user_id: str, now: float) -> list[str]:
        """Delete the events of a user, and remember them and the user as erased. Returns the ids of the events."""
        rows = self._writer.execute("SELECT event_id FROM events WHERE user_id = ?", (user_id,))
        event_ids = [row[0] for row in rows]
        until = now + REMEMBERED_DAYS * _DAY
        self._writer.executemany(
            "INSERT OR REPLACE INTO erased_events (event_key, until) VALUES (?, ?)",
            ((event_key(user_id, event_id), until) for event_id in event_ids),
        )
        self._has_erased_events |= bool(event_ids)
        self._writer.execute("DELETE FROM events WHERE user_id = ?", (user_id,))
        self._writer.execute("INSERT OR REPLACE INTO erased (user_key) VALUES (?)", (user_digest(user_id),))
        return event_ids

    def _delete_expired(self, now: float) -> None:
        """Delete events that have expired, the oldest first, and forget events that were erased long ago."""
        if self._has_erased_events:
            oldest = f"SELECT event_key FROM erased_events WHERE until < ? ORDER BY until LIMIT {_MAX_DELETED}"  # noqa: S608
            self._writer.execute(f"DELETE FROM erased_events WHERE event_key IN ({oldest})", (now,))  # noqa: S608
        if self._lifetime is not None:
            oldest = f"SELECT seq FROM events WHERE time < ? ORDER BY time LIMIT {_MAX_DELETED}"  # noqa: S608
            self._writer.execute(f"DELETE FROM events WHERE seq IN ({oldest})", (now - self._lifetime,))  # noqa: S608

    def _complete_erasures(self) -> None:
        """Overwrite what is left of erased events, as far as no other program is in the way; runs in the writer."""
        if self._erasures is None or self._file is None or not self._file.is_there():
            return
        try:
            self._erasures.complete()
        except (sqlite3.Error, OSError, ValueError) as error:
            logger.warning("an erasure is not complete yet, and is tried again: %s", error)

    def _read_new_commits(self) -> None:
        """Update the histories in memory with everything that any process has committed since the last call."""
        data_version = self._reader.execute("PRAGMA data_version").fetchone()[0]
        if data_version == self._data_version:
            return
        # Read both tables in one transaction, so that they belong together.
        self._reader.execute("BEGIN")
        try:
            last_event, last_erasure = self._last_seq("events"), self._last_seq("erased")
            if last_event - self._last_event > _MAX_NEW_EVENTS or last_erasure > self._last_erasure:
                # Too many events, or an erased user: forget all histories. `recent` reads them from the file again.
                self._histories.clear()
                self._last_event, self._last_erasure = last_event, last_erasure
            rows = self._reader.execute(
                "SELECT seq, user_id, item_id, time FROM events WHERE seq > ? ORDER BY seq", (self._last_event,)
            ).fetchall()
        finally:
            self._reader.execute("COMMIT")
        self._data_version = data_version
        # Add each event to its user's history, if that history is in memory.
        for seq, user_id, item_id, event_time in rows:
            self._last_event = seq
            history = self._histories.get(user_id)
            if history is not None:
                self._histories[user_id] = self._with_event(history, item_id, event_time)

    def _with_event(self, history: RecentHistory, item_id: str, event_time: float) -> RecentHistory:
        """Return the history with one more event in its place in time. The event may be older than the last ones."""
        place = len(history.times)
        while place and history.times[place - 1] > event_time:
            place -= 1
        items = (*history.items[:place], item_id, *history.items[place:])[-self._window :]
        times = (*history.times[:place], event_time, *history.times[place:])[-self._window :]
        return RecentHistory(items, times, history.is_erased)

    def _read_history(self, user_id: str) -> RecentHistory:
        rows = self._reader.execute(
            "SELECT item_id, time FROM events WHERE user_id = ? AND seq <= ? ORDER BY time DESC, seq DESC LIMIT ?",
            (user_id, self._last_event, self._window),
        ).fetchall()[::-1]
        erased = self._reader.execute("SELECT 1 FROM erased WHERE user_key = ?", (user_digest(user_id),)).fetchone()
        return RecentHistory(tuple(row[0] for row in rows), tuple(row[1] for row in rows), erased is not None)

    def _last_seq(self, table: str) -> int:
        seq: int = self._reader.execute(f"SELECT coalesce(max(seq), 0) FROM {table}").fetchone()[0]  # noqa: S608
        return seq


def _num_bytes_of(job: _Job) -> int:
    return getsizeof(job) if isinstance(job, str) else sum(event.num_bytes for event in job)
