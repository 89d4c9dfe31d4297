"""A store of events in one SQLite file: WAL and synchronous=FULL, so that what was acknowledged survives a power cut.

    events  seq, event_id, user_id, item_id, time        seq is the order of commits, of all processes
    erased  seq, user_key                                users who were erased, by digest

One connection writes (`event_writer.py`), one reads. The reader keeps the recent histories of the users asked about in
memory, and before each look asks SQLite whether anybody has committed (`data_version`, a few microseconds); if so it
reads what is new. So the events of this process and of other ones arrive in the same way, and an answer needs no disk.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from caser.errors import StoreError
from caser.service.events.group_commit import GroupCommit
from caser.service.events.store import Event, Recent, user_key

_FORMAT = 1
_APPLICATION = 0x43415345
"""Marks the file as ours."""

_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_FORMAT};
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL UNIQUE, user_id TEXT NOT NULL, item_id TEXT NOT NULL,
    time REAL NOT NULL);
CREATE INDEX IF NOT EXISTS events_of_user ON events (user_id, time, seq);
CREATE TABLE IF NOT EXISTS erased (seq INTEGER PRIMARY KEY AUTOINCREMENT, user_key TEXT NOT NULL UNIQUE);
"""
MOST_USERS = 50_000
"""Users whose recent history is kept in memory; the ones not asked about for longest go first."""


_MOST_NEWS = 2_000
"""Events that are read one by one to bring histories up to date; after more, the histories in memory are dropped."""


class SqliteEvents:
    """An EventStore. Without a path it keeps events in a file that goes when the process does.

    window  how many last events of a user are read        expire_days  how long an event counts, None for ever

    Raises StoreError when the file cannot be opened, is damaged, or is no store of events.
    """

    def __init__(self, path: Path | None, *, window: int = 1000, expire_days: float | None = None) -> None:
        self.is_durable = path is not None
        self._window = window
        self._lifetime = None if expire_days is None else expire_days * 86_400
        self._folder = tempfile.TemporaryDirectory(prefix="caser-events-") if path is None else None
        self._path = path or Path(self._folder.name if self._folder else "", "events.db")
        self._lock = Lock()
        self._users: OrderedDict[str, Recent] = OrderedDict()
        self._writer = self._opened(is_durable=self.is_durable)
        self._reader = self._opened(is_durable=False)
        self._version = -1
        self._last_event = self._last_erasure = 0
        self._catch_up()
        self._commit = GroupCommit(self._write)

    async def append(self, events: Sequence[Event]) -> list[bool]:
        """Keep events; for each, whether it is new."""
        is_new: list[bool] = await self._commit(list(events))
        return is_new

    async def erase(self, user_id: str) -> int:
        """Remove a user's events, overwrite their bytes, and let no run's history of them count any more."""
        removed: int = await self._commit(user_id)
        return removed

    def recent(self, user_id: str) -> Recent:
        """What is known of a user, from memory if they were asked about before."""
        with self._lock:
            self._catch_up()
            known = self._users.get(user_id)
            if known is None:
                known = self._users[user_id] = self._read(user_id)
                if len(self._users) > MOST_USERS:
                    self._users.popitem(last=False)
            else:
                self._users.move_to_end(user_id)
        return known if self._lifetime is None else known.since(time.time() - self._lifetime)

    def close(self) -> None:
        """Write what waits and close the file."""
        self._commit.close()
        self._writer.close()
        with self._lock:
            self._reader.close()
        if self._folder is not None:
            self._folder.cleanup()

    def _opened(self, *, is_durable: bool) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None, timeout=10)
            return self._prepared(connection, is_durable=is_durable)
        except (sqlite3.Error, OSError, ValueError) as error:
            raise StoreError(f"{self._path} must be a store of events; got: {error}. Choose another --store.") from None

    def _prepared(self, connection: sqlite3.Connection, *, is_durable: bool) -> sqlite3.Connection:
        is_empty = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        marks = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
        if not is_empty and marks != [_APPLICATION, _FORMAT]:
            raise ValueError("a database of something else, or of a newer version")
        # The reader never writes; without a path nothing must outlive the process.
        connection.execute(f"PRAGMA synchronous={'FULL' if is_durable else 'OFF'}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA secure_delete=ON")
        if is_empty:
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        elif is_durable and (found := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise ValueError(f"a damaged database ({found})")
        return connection

    def _write(self, jobs: Sequence[list[Event] | str]) -> list[list[bool] | int]:
        """Commit jobs together: lists of events to keep, and users to erase."""
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            self._expire()
            done = [self._erase(job) if isinstance(job, str) else [self._keep(one) for one in job] for job in jobs]
            self._writer.execute("COMMIT")
            if any(isinstance(job, str) for job in jobs):  # the log of writes holds the erased bytes too
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return done
        except sqlite3.Error as error:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise StoreError(f"{self._path} must be writable; got: {error}. Nothing acknowledged was lost.") from None

    def _keep(self, event: Event) -> bool:
        row = (event.event_id, event.user_id, event.item_id, event.time)
        statement = "INSERT OR IGNORE INTO events (event_id, user_id, item_id, time) VALUES (?, ?, ?, ?)"
        return self._writer.execute(statement, row).rowcount == 1

    def _erase(self, user_id: str) -> int:
        removed = self._writer.execute("DELETE FROM events WHERE user_id = ?", (user_id,)).rowcount
        self._writer.execute("INSERT OR REPLACE INTO erased (user_key) VALUES (?)", (user_key(user_id),))
        return removed

    def _expire(self) -> None:
        """Remove some of what no longer counts: a little with each commit, so that none takes long."""
        if self._lifetime is not None:
            oldest = "SELECT seq FROM events ORDER BY seq LIMIT 2000"
            statement = f"DELETE FROM events WHERE seq IN ({oldest}) AND time < ?"  # noqa: S608
            self._writer.execute(statement, (time.time() - self._lifetime,))

    def _catch_up(self) -> None:
        """Learn what was committed since the last look, by whomever."""
        version = self._reader.execute("PRAGMA data_version").fetchone()[0]
        if version == self._version:
            return
        self._reader.execute("BEGIN")  # one state of the database for both tables
        try:
            newest, erased = self._newest("events"), self._newest("erased")
            if newest - self._last_event > _MOST_NEWS or erased > self._last_erasure:
                self._users.clear()  # whoever is asked about is read anew
                self._last_event, self._last_erasure = newest, erased
            new = self._reader.execute(
                "SELECT seq, user_id, item_id, time FROM events WHERE seq > ? ORDER BY seq", (self._last_event,)
            ).fetchall()
        finally:
            self._reader.execute("COMMIT")
        self._version = version
        for seq, user_id, item_id, when in new:
            self._last_event = seq
            known = self._users.get(user_id)
            if known is not None:
                self._users[user_id] = self._after(known, item_id, when)

    def _after(self, known: Recent, item_id: str, when: float) -> Recent:
        """A history with one more event, which may be late."""
        place = len(known.times)
        while place and known.times[place - 1] > when:
            place -= 1
        items = (*known.items[:place], item_id, *known.items[place:])[-self._window :]
        times = (*known.times[:place], when, *known.times[place:])[-self._window :]
        return Recent(items, times, known.is_erased)

    def _read(self, user_id: str) -> Recent:
        rows = self._reader.execute(
            "SELECT item_id, time FROM events WHERE user_id = ? AND seq <= ? ORDER BY time DESC, seq DESC LIMIT ?",
            (user_id, self._last_event, self._window),
        ).fetchall()[::-1]
        found = self._reader.execute("SELECT 1 FROM erased WHERE user_key = ?", (user_key(user_id),)).fetchone()
        return Recent(tuple(row[0] for row in rows), tuple(row[1] for row in rows), found is not None)

    def _newest(self, table: str) -> int:
        newest: int = self._reader.execute(f"SELECT coalesce(max(seq), 0) FROM {table}").fetchone()[0]  # noqa: S608
        return newest
