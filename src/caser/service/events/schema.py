"""The tables of an event store, and how a store of an earlier version becomes one of this version.

    events         seq, event_id, user_id, item_id, time, sent, event_type
                   seq numbers the events of all processes in order of commit; a user has an event id once; sent is the
                   time that the sender gave, where `time` is another; event_type is null where the sender gave none
    erased         seq, user_key, is_complete      the users who were erased, as digests
    erased_events  event_key, until                the events that were erased, as digests, and until when they are
                   remembered

An upgrade is one transaction: a kill leaves the old store or the new one.
"""

from __future__ import annotations

import hashlib
import sqlite3

FORMAT_VERSION = 3

FIRST_WITH_KINDS = 3
"""The first version whose events have kinds."""
_APPLICATION_ID = 0x43415345
"""Marks the file as an event store of this library."""

_EVENTS = """
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL, user_id TEXT NOT NULL, item_id TEXT NOT NULL,
    time REAL NOT NULL, sent REAL, event_type TEXT, UNIQUE (user_id, event_id));
CREATE INDEX events_of_user ON events (user_id, time, seq);
"""
_BY_TIME = "CREATE INDEX IF NOT EXISTS events_by_time ON events (time)"
_ERASED_EVENTS = """
CREATE TABLE erased_events (event_key BLOB PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX erased_events_until ON erased_events (until);
"""
_NEW = f"""
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {FORMAT_VERSION};
{_EVENTS}
CREATE TABLE erased (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, user_key TEXT NOT NULL UNIQUE, is_complete INTEGER NOT NULL DEFAULT 0);
{_ERASED_EVENTS}
"""
_FROM_VERSION_1 = f"""
DROP INDEX events_of_user;
ALTER TABLE events RENAME TO events_of_version_1;
{_EVENTS}
INSERT INTO events (seq, event_id, user_id, item_id, time, sent)
    SELECT seq, event_id, user_id, item_id, min(time, :now), CASE WHEN time > :now THEN time END
    FROM events_of_version_1 ORDER BY seq;
UPDATE sqlite_sequence SET seq = (SELECT seq FROM sqlite_sequence WHERE name = 'events_of_version_1')
    WHERE name = 'events';
DROP TABLE events_of_version_1;
ALTER TABLE erased ADD COLUMN is_complete INTEGER NOT NULL DEFAULT 0;
{_ERASED_EVENTS}
PRAGMA user_version = {FORMAT_VERSION};
"""  # noqa: S608
_FROM_VERSION_2 = f"""
ALTER TABLE events ADD COLUMN event_type TEXT;
PRAGMA user_version = {FORMAT_VERSION};
"""
_UPGRADES = {1: _FROM_VERSION_1, 2: _FROM_VERSION_2}


def prepare(connection: sqlite3.Connection, now: float) -> None:
    """Make the tables in an empty database, or bring a store of an earlier version to this one.

    connection  writes to the database        now  times of version 1 that are later become this one

    Raises ValueError for any other database, sqlite3.Error when the database cannot be written. Then it is unchanged.
    """
    if not _is_empty(connection) and version(connection) == FORMAT_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:  # another process may have been faster: look again, now that no other process writes
        if _is_empty(connection):
            _execute(connection, _NEW, now)
        elif (found := version(connection)) < FORMAT_VERSION:
            _execute(connection, _UPGRADES[found], now)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def let_expire(connection: sqlite3.Connection) -> None:
    """Make the index that finds the events which expire. It costs something with each event, so others have none.

    connection  writes to the database
    """
    connection.execute(_BY_TIME)


def version(connection: sqlite3.Connection) -> int:
    """Return the version of a store. Raises ValueError for a database that is no event store of a known version.

    connection  to the database
    """
    mark, number = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    if mark != _APPLICATION_ID or not 1 <= number <= FORMAT_VERSION:
        raise ValueError("a database that another program or a newer version made")
    return int(number)


def event_key(user_id: str, event_id: str) -> bytes:
    """Return a digest of an event's id, for the list of erased events, which must not hold ids of users.

    user_id  the user        event_id  the id of the event among those of the user

    >>> len(event_key("ann", "a1")), event_key("ann", "a1") == event_key("bob", "a1")
    (16, False)
    """
    user = user_id.encode("utf-8", "surrogatepass")
    return hashlib.sha256(b"%d:%b%b" % (len(user), user, event_id.encode("utf-8", "surrogatepass"))).digest()[:16]


def _is_empty(connection: sqlite3.Connection) -> bool:
    return not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]


def _execute(connection: sqlite3.Connection, statements: str, now: float) -> None:
    """Run several statements one by one: `executescript` would commit first."""
    for statement in statements.split(";"):
        if statement.strip():
            connection.execute(statement, {"now": now} if ":now" in statement else {})
