"""An event store in one SQLite file, or in memory. WAL and synchronous=FULL keep acknowledged events after a power cut.

`schema.py` has the tables. One connection writes (through `group_commit.py`), and another connection reads. SQLite says
in microseconds whether any process has committed since the last look (`data_version`). Reads happen in the event loop:
they take less time than handing them to a thread.
"""

from __future__ import annotations

import math
import secrets
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import Lock

from caser.errors import StoreError
from caser.service.events.erasures import Erasures
from caser.service.events.group_commit import GroupCommit
from caser.service.events.schema import event_key, let_expire, prepare, version
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
    user_digest,
)
from caser.service.events.store_file import StoreFile
from caser.service.logs import logger
from caser.service.settings import DEFAULT_MAX_WAITING_MB

_DAY = 86_400
_LASTING = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN)
"""Errors that stay until somebody repairs the store."""

_INSERT = """
INSERT OR IGNORE INTO events (event_id, user_id, item_id, sent, time, event_type) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
"""
_INSERT_NEWEST = _INSERT.replace("?5", "max(?5, coalesce((SELECT max(time) FROM events WHERE user_id = ?2), 0.0))")


class SqliteEvents:
    """An `EventStore` in a SQLite file.

    path         the file; None keeps the events in memory
    expire_days  events older than this many days are deleted with a later commit; None: events do not expire
    max_waiting  how many bytes of events may wait to be written

    Raises StoreError when the file cannot be opened or written, is damaged, or is no event store. A store of an earlier
    version becomes one of this version.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        expire_days: float | None = None,
        max_waiting: int = DEFAULT_MAX_WAITING_MB << 20,
    ) -> None:
        self._lifetime = None if expire_days is None else expire_days * _DAY
        self._path = path
        self._file = None if path is None else StoreFile(path)
        self._name = f"file:/caser-events-{secrets.token_hex(8)}?vfs=memdb" if path is None else str(path)
        self._failure: StoreError | None = None
        self._lock = Lock()
        # In memory, a reader and a writer exclude each other.
        self._write_lock = nullcontext() if path is not None else self._lock
        self._writer = self._connect(is_writer=True)
        self._reader = self._connect(is_writer=False)
        self._has_erased_events = False
        if self._file is not None:
            self._file.remember()
        self._erasures = None if path is None else Erasures(path, self._writer)
        self._complete_erasures()
        self._group_commit: GroupCommit[Job] = GroupCommit(
            self._write, num_bytes_of, max_waiting, self._complete_erasures
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

    @property
    def fresh_seconds(self) -> float:
        """The version tells of every commit."""
        return math.inf

    def version(self) -> int:
        """SQLite's number, which another connection changes with each commit. Raises StoreError as `news` does."""
        try:
            with self._lock:
                version: int = self._reader.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error as error:
            raise self._unreadable(error) from None
        return version

    async def news(self, since: Position) -> News:
        """Return what was committed since a position. Raises StoreError when the file cannot be read."""
        with self._reading():
            last = Position(max(since.event, self._last_seq("events")), self._last_seq("erased"))
            if last.event - since.event > MAX_NEW_EVENTS or last.erasure > since.erasure:
                return News(last, None)
            select = "SELECT user_id, item_id, time, event_type FROM events WHERE seq > ? ORDER BY seq"
            return News(last, self._reader.execute(select, (since.event,)).fetchall())

    async def read(self, users: Sequence[str], window: int, until: Position) -> list[RecentHistory]:
        """Return the last events of users. Raises StoreError when the file cannot be read."""
        with self._reading():
            return [self._read_history(user_id, window, until.event) for user_id in users]

    def close(self) -> None:
        """Write the events that are still waiting, and close the file."""
        self._group_commit.close()
        self._writer.close()
        self._reader.close()

    @property
    def waits_for_disk(self) -> bool:
        """Whether events are kept in a file; `append` and `erase` raise StoreError where it is gone."""
        return self._file is not None

    @property
    def is_durable(self) -> bool:
        """Whether acknowledged events are on disk: there is a file, and it is still the one that was opened."""
        return self.waits_for_disk and not self.is_lost

    @property
    def num_erasures_incomplete(self) -> int:
        """How many users are erased although bytes of their events are still on the disk."""
        return 0 if self._erasures is None else self._erasures.num_incomplete

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

    def _write(self, jobs: Sequence[Job]) -> list[list[Outcome] | int]:
        """Commit several jobs together. Returns, for each job, the result of `append` or of `erase`."""
        try:
            with self._write_lock:
                results = self._commit(jobs)
        except UnicodeEncodeError as error:  # not all texts can be UTF-8
            self._writer.execute("ROLLBACK")
            raise StoreError(f"ids must be texts that UTF-8 can hold; {error.reason}. Send others.") from None
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

    def _commit(self, jobs: Sequence[Job]) -> list[list[Outcome] | int]:
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
        row = (event.event_id, event.user_id, event.item_id, sent, min(event.time, now), event.event_type)
        if self._writer.execute(_INSERT if is_past else _INSERT_NEWEST, row).rowcount == 1:
            return "new"
        select = "SELECT item_id, coalesce(sent, time), event_type FROM events WHERE user_id = ? AND event_id = ?"
        stored = self._writer.execute(select, (event.user_id, event.event_id)).fetchone()
        return "known" if event.repeats(*stored) else "conflict"

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
            oldest = f"SELECT event_key FROM erased_events WHERE until < ? ORDER BY until LIMIT {MAX_DELETED}"  # noqa: S608
            self._writer.execute(f"DELETE FROM erased_events WHERE event_key IN ({oldest})", (now,))  # noqa: S608
        if self._lifetime is not None:
            oldest = f"SELECT seq FROM events WHERE time < ? ORDER BY time LIMIT {MAX_DELETED}"  # noqa: S608
            self._writer.execute(f"DELETE FROM events WHERE seq IN ({oldest})", (now - self._lifetime,))  # noqa: S608

    def _complete_erasures(self) -> None:
        """Overwrite what is left of erased events, as far as no other program is in the way; runs in the writer."""
        if self._erasures is None or self._file is None or not self._file.is_there():
            return
        try:
            self._erasures.complete()
        except (sqlite3.Error, OSError, ValueError) as error:
            logger.warning("an erasure is not complete yet, and is tried again: %s", error)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Read in one transaction, so that what is read belongs together."""
        try:
            with self._lock:
                self._reader.execute("BEGIN")
                try:
                    yield
                finally:
                    self._reader.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: sqlite3.Error) -> StoreError:
        self._failure = StoreError(f"{self._name} must be readable; got: {error}.", is_lasting=True)
        return self._failure

    def _read_history(self, user_id: str, window: int, until: int) -> RecentHistory:
        rows = self._reader.execute(
            "SELECT item_id, time, event_type FROM events WHERE user_id = ? AND seq <= ? "
            "ORDER BY time DESC, seq DESC LIMIT ?",
            (user_id, until, window),
        ).fetchall()[::-1]
        erased = self._reader.execute("SELECT 1 FROM erased WHERE user_key = ?", (user_digest(user_id),)).fetchone()
        return RecentHistory.of(rows, is_erased=erased is not None)

    def _last_seq(self, table: str) -> int:
        seq: int = self._reader.execute(f"SELECT coalesce(max(seq), 0) FROM {table}").fetchone()[0]  # noqa: S608
        return seq
