"""An event store in one SQLite file, or in memory. WAL and synchronous=FULL keep acknowledged events after a power cut.

    events  seq, event_id, user_id, item_id, time        seq numbers the events of all processes in order of commit
    erased  seq, user_key                                the users who were erased, as digests

One connection writes (through `group_commit.py`), and another connection reads. Recent histories are kept in memory.
Before each look-up, the store asks SQLite whether any process has committed (`data_version`, which takes
microseconds). If so, it reads the new events. So events of this process and of other processes arrive in the same way,
and most look-ups need no disk access.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from threading import Lock
from typing import TypeAlias

from caser.errors import StoreError
from caser.service.events.group_commit import GroupCommit
from caser.service.events.store import Event, Outcome, RecentHistory, user_digest
from caser.service.events.store_file import StoreFile
from caser.service.settings import DEFAULT_WINDOW

_FORMAT_VERSION = 1
_APPLICATION_ID = 0x43415345
"""Marks the file as an event store of this library."""

_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_FORMAT_VERSION};
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL UNIQUE, user_id TEXT NOT NULL, item_id TEXT NOT NULL,
    time REAL NOT NULL);
CREATE INDEX IF NOT EXISTS events_of_user ON events (user_id, time, seq);
CREATE TABLE IF NOT EXISTS erased (seq INTEGER PRIMARY KEY AUTOINCREMENT, user_key TEXT NOT NULL UNIQUE);
"""
MAX_CACHED_USERS = 50_000
"""The largest number of users whose recent history is kept in memory. The least recently used is dropped first."""

_MAX_NEW_EVENTS = 2_000
"""Up to this many new events are added to the histories in memory. If there are more, those histories are dropped."""

_LASTING = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN)
"""Errors that stay until somebody repairs the store."""

_Job: TypeAlias = list[Event] | str
"""Events to store, or the id of a user to erase."""


class SqliteEvents:
    """An `EventStore` in a SQLite file.

    path         the file; None keeps the events in memory
    window       the number of last events of a user that a history holds
    expire_days  events older than this many days are ignored, and later deleted; None: events do not expire

    Raises StoreError when the file cannot be opened or written, is damaged, or is no event store.
    """

    def __init__(self, path: Path | None, *, window: int = DEFAULT_WINDOW, expire_days: float | None = None) -> None:
        self.is_durable = path is not None
        self._window = window
        self._lifetime = None if expire_days is None else expire_days * 86_400
        self._file = None if path is None else StoreFile(path)
        self._name = f"file:/caser-events-{secrets.token_hex(8)}?vfs=memdb" if path is None else str(path)
        self._failure: StoreError | None = None
        self._lock = Lock()
        # In memory, a reader and a writer exclude each other.
        self._write_lock = nullcontext() if path is not None else self._lock
        self._histories: OrderedDict[str, RecentHistory] = OrderedDict()
        self._writer = self._connect(is_durable=self.is_durable)
        self._reader = self._connect(is_durable=False)
        self._data_version = -1
        self._last_event = self._last_erasure = 0
        self._read_new_commits()
        if self._file is not None:
            self._file.remember()
        self._group_commit: GroupCommit[_Job] = GroupCommit(self._write)

    async def append(self, events: Sequence[Event]) -> list[Outcome]:
        """Store all of `events` that are new, or none. Returns what became of each event.

        Raises BusyError when too many writes wait, StoreError when the events cannot be written.
        """
        outcomes: list[Outcome] = await self._group_commit(list(events))
        return outcomes

    async def erase(self, user_id: str) -> int:
        """Remove all events of the user `user_id`, overwrite their bytes, and mark the user as erased.

        Returns the number of events removed. Raises as `append` does.
        """
        num_removed: int = await self._group_commit(user_id)
        return num_removed

    def recent(self, user_id: str) -> RecentHistory:
        """Return the last events of the user `user_id`, from memory if they were read before."""
        try:
            with self._lock:
                self._read_new_commits()
                history = self._histories.get(user_id)
                if history is None:
                    history = self._histories[user_id] = self._read_history(user_id)
                    if len(self._histories) > MAX_CACHED_USERS:
                        self._histories.popitem(last=False)
                else:
                    self._histories.move_to_end(user_id)
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
    def is_lost(self) -> bool:
        """Whether the file was deleted or replaced, or can no longer be read or written."""
        failed = self._failure is not None and self._failure.is_lasting
        return failed or (self._file is not None and not self._file.is_there())

    def problem(self) -> str | None:
        """Why events cannot be stored now, as a sentence without paths; None if they can."""
        if self.is_lost:
            return "the store of events was deleted or replaced, or can no longer be used; restart with a good --store"
        return None if self._failure is None else "the last event could not be written; the disk may be full"

    def _connect(self, *, is_durable: bool) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = None
        try:
            if self._file is not None:
                self._file.check()
            connection = sqlite3.connect(
                self._name, check_same_thread=False, isolation_level=None, timeout=10, uri=self._file is None
            )
            self._prepare(connection, is_durable=is_durable)
        except (sqlite3.Error, OSError, ValueError) as error:
            if connection is not None:
                connection.close()
            raise StoreError(f"{self._name} must be a store of events; got: {error}. Choose another --store.") from None
        return connection

    def _prepare(self, connection: sqlite3.Connection, *, is_durable: bool) -> None:
        """Check that the file is an event store, create its tables if it is new, and set how safely it is written."""
        is_empty = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not is_empty:
            check_marks(connection)
        # Only the writer of a durable file must wait for the disk. A temporary file need not survive a power cut.
        connection.execute(f"PRAGMA synchronous={'FULL' if is_durable else 'OFF'}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA secure_delete=ON")
        if is_empty:
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        if is_durable:  # a file that cannot be written is found now, and not with the first event
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        if (
            not is_empty
            and is_durable
            and (damage := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok"
        ):
            raise ValueError(f"a damaged database ({damage})")

    def _write(self, jobs: Sequence[_Job]) -> list[list[Outcome] | int]:
        """Commit several jobs together. Returns, for each job, the result of `append` or of `erase`."""
        self._refuse_lost()
        try:
            with self._write_lock:
                results = self._commit(jobs)
        except sqlite3.Error as error:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            sentence = f"{self._name} must be writable; got: {error}. No acknowledged event was lost."
            self._failure = StoreError(sentence, is_lasting=error.sqlite_errorcode & 0xFF in _LASTING)
            raise self._failure from None
        self._refuse_lost()
        self._failure = None
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
        self._writer.execute("BEGIN IMMEDIATE")
        self._delete_expired()
        results = [
            self._delete_user(job) if isinstance(job, str) else [self._insert(event) for event in job] for job in jobs
        ]
        self._writer.execute("COMMIT")
        if any(isinstance(job, str) for job in jobs):  # the write-ahead log still holds the erased bytes
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return results

    def _insert(self, event: Event) -> Outcome:
        row = (event.event_id, event.user_id, event.item_id, event.time)
        statement = "INSERT OR IGNORE INTO events (event_id, user_id, item_id, time) VALUES (?, ?, ?, ?)"
        if self._writer.execute(statement, row).rowcount == 1:
            return "new"
        select = "SELECT user_id, item_id, time FROM events WHERE event_id = ?"
        *ids, stored_time = self._writer.execute(select, (event.event_id,)).fetchone()
        is_same = ids == [event.user_id, event.item_id] and (event.is_now or event.time == stored_time)
        return "known" if is_same else "conflict"

    def _delete_user(self, user_id: str) -> int:
        num_removed = self._writer.execute("DELETE FROM events WHERE user_id = ?", (user_id,)).rowcount
        self._writer.execute("INSERT OR REPLACE INTO erased (user_key) VALUES (?)", (user_digest(user_id),))
        return num_removed

    def _delete_expired(self) -> None:
        """Delete the expired events among the 2,000 oldest ones. This limit keeps every commit short."""
        if self._lifetime is not None:
            oldest = "SELECT seq FROM events ORDER BY seq LIMIT 2000"
            statement = f"DELETE FROM events WHERE seq IN ({oldest}) AND time < ?"  # noqa: S608
            self._writer.execute(statement, (time.time() - self._lifetime,))

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


def check_marks(connection: sqlite3.Connection) -> None:
    """Raise ValueError for a database that is no event store of this version.

    connection  to the database
    """
    marks = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    if marks != [_APPLICATION_ID, _FORMAT_VERSION]:
        raise ValueError("a database that another program or another version made")
