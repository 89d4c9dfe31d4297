"""The events of a store in PostgreSQL, as they are at one moment: the services go on storing events meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from caser.errors import StoreError
from caser.service.events.postgres_schema import version_of
from caser.service.events.postgres_server import one_line, read_url

_ROWS = "SELECT user_id, item_id, time FROM caser.events ORDER BY time, seq"


def postgres_rows(url: str, at_once: int) -> Iterator[list[tuple[str, str, float]]]:
    """Give the user, the item and the time of all events in order of time, and then of arrival.

    url  where the store is        at_once  how many rows one list has at most

    Raises StoreError when there is no store, or when it cannot be read.
    """
    conninfo, name = read_url(url)
    try:
        with psycopg.connect(conninfo) as connection:
            version_of(connection)
            # The server keeps the rows that were not asked for yet.
            with connection.cursor("export", binary=True) as rows:
                rows.execute(_ROWS)
                while some := rows.fetchmany(at_once):
                    yield [(user.decode(), item.decode(), when) for user, item, when in some]
    except (psycopg.Error, ValueError) as error:
        sentence = (
            f"{name} must be the store of a service; got: {one_line(error)}. Name what `caser serve --store` got."
        )
        raise StoreError(sentence) from None
