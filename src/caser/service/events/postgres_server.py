"""The connections of an event store to its PostgreSQL server: opened, checked, watched, and opened again.

A pool has the connections that read and write. One more connection listens, in a thread of its own: it hears what other
processes have committed, notices when the server is gone, and when it is back. While the server cannot be reached,
every call is refused at once, so that nothing waits for it in vain.

Sentences name the server without the user and the password.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

from caser.errors import BusyError, StoreError
from caser.service.events.postgres_schema import mark_of, prepare
from caser.service.logs import logger

Connection: TypeAlias = psycopg.Connection[TupleRow]

MOST_CONNECTIONS = 3
"""Connections of one process to the PostgreSQL server: one that writes, one that reads, one that listens."""
CONNECTION_WAIT_SECONDS = 2.0
"""How long a call waits for a connection to the PostgreSQL server, and a question for the answer of the server."""
CLOSE_SECONDS = 5
"""How long the store waits for the PostgreSQL server when the service stops; then it ends the connections."""
STATEMENT_SECONDS = 5
"""How long the PostgreSQL server works on one statement of the store, or waits for the lock of another writer."""

CHANNEL = "caser_events"
_TICK_SECONDS = 0.25
_RETRY_SECONDS = 0.5
_DEFAULTS: dict[str, Any] = {
    "application_name": "caser",
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "target_session_attrs": "read-write",
}
"""Parameters of a connection that the URL does not give. A server that vanished is noticed within ten seconds."""
_URL = re.compile(r"postgres(ql)?://([^/?#@]*@)?[^/?#@]*([/?][^@]*)?")
"""A URL in which no special character of a password is left as it is: the rest of the password would be shown."""
_SETTINGS = """
SELECT set_config('statement_timeout', %(statement)s, false), set_config('lock_timeout', %(statement)s, false),
    set_config('idle_in_transaction_session_timeout', %(statement)s, false),
    set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
        ELSE current_setting('synchronous_commit') END, false),
    current_setting('fsync')
"""
_GONE = (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName, errors.InsufficientPrivilege)
_BUSY = (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected, errors.SerializationFailure)
_AWAY = (psycopg.OperationalError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction)
_FULL = (errors.DiskFull, errors.OutOfMemory)


class Server:
    """A store in a PostgreSQL database.

    url    where it is, such as postgresql://user@host/name
    hear   is called, in a thread, when another process has committed; with True when the connection is a new one

    Raises StoreError when the database cannot be reached, or is no store of a known version.
    """

    def __init__(self, url: str, hear: Callable[[bool], None]) -> None:
        self._conninfo, self.name = read_url(url)
        self._hear = hear
        self.token = secrets.token_hex(8)
        """What this process adds to its notices, to know them from those of others."""
        self.is_gone = False
        """Whether the store was deleted or replaced, or may no longer be used."""
        self.is_durable = True
        """Whether the server waits for its disk before a commit."""
        self._trouble: str | None = None
        self._lock = threading.Lock()
        self._open: list[Connection] = []
        self._mark = ""
        listening = self._open_store()
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            self._conninfo,
            kwargs={"autocommit": True},
            min_size=1,
            max_size=MOST_CONNECTIONS - 1,
            open=True,
            configure=self._configure,
            check=ConnectionPool.check_connection,
            timeout=CONNECTION_WAIT_SECONDS,
            reconnect_timeout=0,
            num_workers=1,
        )
        self._closing = threading.Event()
        self._watcher = threading.Thread(target=self._watch, args=(listening,), name="event-listener", daemon=True)
        self._watcher.start()

    @property
    def trouble(self) -> StoreError | None:
        """Why the server cannot be used now; None if it can."""
        if self.is_gone:
            return self._gone()
        reason = self._trouble
        return None if reason is None else StoreError(f"{self.name} must be reachable; got: {reason}.", is_away=True)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection in autocommit.

        Raises StoreError when the server cannot be reached or refuses, BusyError when it takes too long.
        """
        trouble = self.trouble
        if trouble is not None:
            raise trouble
        try:
            with self._pool.connection() as connection:
                yield connection
        except psycopg.Error as error:
            raise self.failed(error) from None

    def check_mark(self, connection: Connection) -> None:
        """Check that the store is still the one that was opened. Raises psycopg.Error if it is another, or gone."""
        try:
            is_same = mark_of(connection) == self._mark
        except LookupError:
            is_same = False
        if not is_same:
            raise errors.InvalidSchemaName("another store, or none")

    def failed(self, error: Exception) -> StoreError | BusyError:
        """Return what a call that failed with `error` raises, and note if the server cannot be used."""
        reason = one_line(error)
        if isinstance(error, _GONE) or self.is_gone:
            if not self.is_gone:
                logger.error("the store of events can no longer be used: %s", reason)
            self.is_gone = True
            return self._gone()
        if isinstance(error, _BUSY):
            return BusyError("the store of events is busy; try again in a moment.")
        if isinstance(error, _AWAY) and not isinstance(error, _FULL):
            return self.lost_touch(reason)
        return StoreError(f"{self.name} must be writable; got: {reason}. No acknowledged event was lost.")

    def lost_touch(self, reason: str) -> StoreError:
        """Note that the server cannot be reached, for this `reason`, and return what the call raises."""
        if self._trouble is None:
            logger.warning("the store of events cannot be reached, and is tried again: %s", reason)
        self._trouble = reason
        return StoreError(f"{self.name} must be reachable; got: {reason}.", is_away=True)

    def cut(self) -> None:
        """End all connections at once. Calls that wait for the server fail, and others get new connections."""
        for connection in list(self._open):
            with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close all connections."""
        self._closing.set()
        self._watcher.join()
        self._pool.close()

    def _gone(self) -> StoreError:
        sentence = f"{self.name} must stay while the service runs; it was deleted or replaced. Restart the service."
        return StoreError(sentence, is_lasting=True)

    def _open_store(self) -> Connection:
        """Make or upgrade the tables, and return a connection that listens: from here on, no commit is missed."""
        try:
            return self._listening()
        except (psycopg.Error, ValueError, LookupError) as error:
            reason = one_line(error)
            raise StoreError(f"{self.name} must be a store of events; got: {reason}. Choose another --store.") from None

    def _listening(self) -> Connection:
        """Return a new connection that hears what other processes commit."""
        connection: Connection = psycopg.connect(self._conninfo, autocommit=True)
        try:
            self._mark = self._mark or prepare(connection)
            self._configure(connection)
            connection.execute(f"LISTEN {CHANNEL}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _configure(self, connection: Connection) -> None:
        """Set how safely a new connection writes and how long it waits, and check that the store is the same."""
        found = connection.execute(_SETTINGS, {"statement": f"{STATEMENT_SECONDS}s"}).fetchone()
        self.is_durable = found is not None and found[4] == "on"
        self.check_mark(connection)
        with self._lock:
            self._open = [*(one for one in self._open if not one.closed), connection]

    def _watch(self, first: Connection) -> None:
        """Listen until `close`. Runs in a thread of its own."""
        connection: Connection | None = first
        while connection is not None:
            try:
                with connection:
                    self._listen(connection)
            except psycopg.Error as error:
                self.failed(error)
            connection = self._listening_again()

    def _listening_again(self) -> Connection | None:
        """Return a new connection that listens, once the server gives one; None when the store is closed before."""
        while not self._closing.is_set():
            try:
                connection = self._listening()
            except psycopg.Error as error:
                self.failed(error)
                self._closing.wait(_RETRY_SECONDS)
            else:
                self._recover()
                self._hear(True)  # nobody knows what was said before
                return connection
        return None

    def _listen(self, connection: Connection) -> None:
        while not self._closing.is_set():
            for notice in connection.notifies(timeout=_TICK_SECONDS):
                if notice.payload != self.token:
                    self._hear(False)
            if self._trouble is not None:  # another connection failed: does the server answer?
                connection.execute("SELECT 1")
                self._recover()

    def _recover(self) -> None:
        if self._trouble is not None:
            logger.info("the store of events can be reached again")
        self._trouble = None


def read_url(url: str) -> tuple[str, str]:
    """Return what psycopg connects with, and the URL without the user and the password, for sentences.

    url  such as postgresql://user@host:5432/name

    Raises StoreError, without the URL, if it cannot be read: it may hold a password.

    >>> read_url("postgresql://ann:secret@db.example:5433/shop")[1]
    'postgresql://db.example:5433/shop'
    """
    try:
        if not _URL.fullmatch(url):
            raise psycopg.ProgrammingError
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        sentence = (
            "--store must be a file, or a URL such as postgresql://user@host:5432/name; this URL cannot be read (it is "
            "not shown, because it may hold a password). Write special characters of its parts with percent signs."
        )
        raise StoreError(sentence) from None
    missing = {name: value for name, value in _DEFAULTS.items() if name not in given}
    port = f":{given['port']}" if "port" in given else ""
    shown = f"postgresql://{given.get('host', '')}{port}/{given.get('dbname', '')}"
    return make_conninfo(url, **missing), shown


def one_line(error: Exception) -> str:
    r"""Return the text of an error in one line, without the dot at its end.

    >>> one_line(ValueError("connection failed:  is the\n server running?"))
    'connection failed: is the server running?'
    """
    return " ".join(str(error).split()).rstrip(".")
