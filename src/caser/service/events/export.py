"""The events of a store as a log, to train on. The service may be running: it goes on storing events meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from caser.errors import StoreError
from caser.service.events.opening import file_of, is_url
from caser.service.events.schema import FIRST_WITH_KINDS, version
from caser.service.events.store import StoredRows
from caser.system.extras import require

SCHEMA = pl.Schema({"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Float64, "event_type": pl.String})
"""The columns of the log; timestamp is in seconds since 1970. Where no event has a kind, there is no event_type."""

_ROWS_AT_ONCE = 100_000


def event_frames(store: str | Path) -> Iterator[pl.DataFrame]:
    """Give the events of a store in order of time, and those of equal time in order of arrival.

    store  what `caser serve --store` takes: a file, or a URL such as postgresql://user@host/name

    All frames have the same columns, and the first one comes also where there are no events. Raises StoreError when
    there is no store, or when it cannot be read; MissingDependencyError for a URL where psycopg is not installed.
    """
    if is_url(store):
        require("postgres", "a store in PostgreSQL")
        from caser.service.events.postgres_export import postgres_rows

        found = postgres_rows(str(store), _ROWS_AT_ONCE)
    else:
        found = _sqlite_rows(file_of(store))
    for rows, has_kinds in found:
        frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
        yield frame if has_kinds else frame.drop("event_type")


def _sqlite_rows(store: Path) -> Iterator[tuple[StoredRows, bool]]:
    try:
        # The threads of polars ask for the rows, one after another.
        name = f"{store.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(name, uri=True, isolation_level=None, timeout=10, check_same_thread=False)
        try:
            connection.execute("BEGIN")  # all is read as it is at one moment
            kind = "event_type" if version(connection) >= FIRST_WITH_KINDS else "NULL"
            select = f"SELECT 1 FROM events WHERE {kind} IS NOT NULL LIMIT 1"  # noqa: S608
            has_kinds = connection.execute(select).fetchone() is not None
            rows = connection.execute(f"SELECT user_id, item_id, time, {kind} FROM events ORDER BY time, seq")  # noqa: S608
            some = rows.fetchmany(_ROWS_AT_ONCE)
            yield some, has_kinds
            while some := rows.fetchmany(_ROWS_AT_ONCE):
                yield some, has_kinds
        finally:
            connection.close()
    except (sqlite3.Error, ValueError) as error:
        sentence = f"{store} must be the store of a service; got: {error}. Name what `caser serve --store` got."
        raise StoreError(sentence) from None
