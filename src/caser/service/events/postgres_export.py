"""The events of a store in PostgreSQL, as they are at one moment: the services go on storing events meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString

import psycopg

from caser.errors import StoreError
from caser.service.events.postgres_schema import FIRST_WITH_KINDS, version_of
from caser.service.events.postgres_server import one_line, read_url
from caser.service.events.store import StoredRows

_ROWS: LiteralString = "SELECT user_id, item_id, time, event_type FROM caser.events ORDER BY time, seq"
_ROWS_WITHOUT_KINDS: LiteralString = "SELECT user_id, item_id, time, NULL::bytea FROM caser.events ORDER BY time, seq"
_HAS_KINDS: LiteralString = "SELECT EXISTS (SELECT FROM caser.events WHERE event_type IS NOT NULL)"


def postgres_rows(url: str, at_once: int) -> Iterator[tuple[StoredRows, bool]]:
    """Give the user, the item, the time and the kind of all events in order of time, and then of arrival.

    url  where the store is        at_once  how many rows one list has at most

    Each list comes with whether any event of the store has a kind; the first list may be empty. Raises StoreError when
    there is no store, or when it cannot be read.
    """
    conninfo, name = read_url(url)
    try:
        with psycopg.connect(conninfo) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            has_kinds = version_of(connection) >= FIRST_WITH_KINDS and _has_kinds(connection)
            # The server keeps the rows that were not asked for yet.
            with connection.cursor("export", binary=True) as rows:
                rows.execute(_ROWS if has_kinds else _ROWS_WITHOUT_KINDS)
                some = rows.fetchmany(at_once)
                yield _as_text(some), has_kinds
                while some := rows.fetchmany(at_once):
                    yield _as_text(some), has_kinds
    except (psycopg.Error, ValueError) as error:
        sentence = (
            f"{name} must be the store of a service; got: {one_line(error)}. Name what `caser serve --store` got."
        )
        raise StoreError(sentence) from None


def _has_kinds(connection: psycopg.Connection) -> bool:
    found = connection.execute(_HAS_KINDS).fetchone()
    return bool(found and found[0])


def _as_text(rows: list[tuple[bytes, bytes, float, bytes | None]]) -> StoredRows:
    return [
        (user.decode(), item.decode(), when, None if kind is None else kind.decode()) for user, item, when, kind in rows
    ]
