"""The tables of an event store in PostgreSQL, and how a store of an earlier version becomes one of this version.

    caser.versions       version, since, mark       a row for each version that the store has had; the mark of the first
                         one is drawn when the store is made, so that another store under the same name is noticed
    caser.events         seq, event_key, user_key, user_id, item_id, time, sent, event_type
                         seq numbers the events of all processes in order of commit; sent is the time that the sender
                         gave, where `time` is another; event_type is null where the sender gave none
    caser.erased         seq, user_key              the users who were erased
    caser.erased_events  event_key, until           the events that were erased, and until when they are remembered

Ids and kinds are stored as the bytes of their UTF-8 text: so they may hold NUL, and no locale or encoding of the
database decides which of them are equal. The keys are digests, because an index takes no text of 4,000 bytes.

Whoever writes holds the lock `WRITING` until its commit is visible. So numbers appear in their order: who has read up
to a number has missed none before it.
"""

from __future__ import annotations

from hashlib import sha256
from typing import LiteralString

from psycopg import Connection, errors
from psycopg.rows import TupleRow

WRITING = (0x63617365, 1)
"""The key of the advisory lock that whoever writes events holds."""
_MIGRATING = (0x63617365, 2)

_TABLES: LiteralString = """
CREATE TABLE caser.events (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_key bytea NOT NULL UNIQUE, user_key bytea NOT NULL,
    user_id bytea NOT NULL, item_id bytea NOT NULL, time double precision NOT NULL, sent double precision);
CREATE INDEX events_of_user ON caser.events (user_key, time, seq);
CREATE INDEX events_by_time ON caser.events (time, seq);
CREATE TABLE caser.erased (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_key bytea NOT NULL UNIQUE);
CREATE TABLE caser.erased_events (event_key bytea PRIMARY KEY, until double precision NOT NULL);
CREATE INDEX erased_events_until ON caser.erased_events (until);
"""
_KINDS: LiteralString = "ALTER TABLE caser.events ADD COLUMN event_type bytea"
FIRST_WITH_KINDS = 2
"""The first version whose events have kinds."""
MIGRATIONS: tuple[LiteralString, ...] = (_TABLES, _KINDS)
"""What makes a store of version n + 1 from one of version n, where n counts from 0, the empty database."""


def prepare(connection: Connection[TupleRow]) -> str:
    """Make the tables, or bring a store of an earlier version to this one. Returns the mark of the store.

    connection  may make tables; it is in no transaction

    All of it is one transaction, and services that start at once take turns. Raises ValueError for a schema `caser` of
    another program, and for a store of a newer version; psycopg.Error if the database refuses. Then it is unchanged.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", _MIGRATING)
        if not _has("SELECT to_regnamespace('caser')", connection):
            connection.execute("CREATE SCHEMA caser")
            connection.execute(
                "CREATE TABLE caser.versions (version integer PRIMARY KEY, since timestamptz NOT NULL DEFAULT now(), "
                "mark uuid NOT NULL DEFAULT gen_random_uuid())"
            )
        version = version_of(connection)
        for number, migration in enumerate(MIGRATIONS[version:], start=version + 1):
            connection.execute(migration)
            connection.execute("INSERT INTO caser.versions (version) VALUES (%s)", (number,))
    return mark_of(connection)


def version_of(connection: Connection[TupleRow]) -> int:
    """Return the version of the store; 0 for one without tables.

    connection  to the database

    Raises ValueError for a schema `caser` of another program, and for a store of a newer version.
    """
    if not _has("SELECT to_regclass('caser.versions')", connection):
        raise ValueError("a database without the tables of a store, or one whose schema caser is another program's")
    found = connection.execute("SELECT coalesce(max(version), 0) FROM caser.versions").fetchone()
    version = int(found[0]) if found else 0
    if version > len(MIGRATIONS):
        raise ValueError(
            f"a store of version {version}, which a newer caser made; this one reads up to {len(MIGRATIONS)}"
        )
    return version


def mark_of(connection: Connection[TupleRow]) -> str:
    """Return the mark of the store, which no other store has. Raises LookupError where there is no store any more.

    connection  to the database
    """
    try:
        found = connection.execute("SELECT mark::text FROM caser.versions WHERE version = 1").fetchone()
    except (errors.UndefinedTable, errors.InvalidSchemaName) as error:
        raise LookupError("there is no store any more") from error
    if found is None:
        raise LookupError("there is no store any more")
    return str(found[0])


def user_key(user_id: str) -> bytes:
    """Return the key of the user `user_id`, for the index of events and the list of erased users.

    >>> len(user_key("ann")), user_key("ann") == user_key("bob")
    (16, False)
    """
    return sha256(user_id.encode()).digest()[:16]


def _has(query: LiteralString, connection: Connection[TupleRow]) -> bool:
    found = connection.execute(query).fetchone()
    return found is not None and found[0] is not None
