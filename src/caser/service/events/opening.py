"""Which store `--store` names: a file, a PostgreSQL database by its URL, or none, which is one in memory."""

from __future__ import annotations

import os
from pathlib import Path

from caser.errors import StoreError
from caser.service.events.sqlite import SqliteEvents
from caser.service.events.store import EventStore
from caser.service.settings import DEFAULT_MAX_WAITING_MB
from caser.system.extras import require

_SCHEMES = ("postgresql", "postgres")


def open_store(
    name: str | Path | None, *, expire_days: float | None = None, max_waiting: int = DEFAULT_MAX_WAITING_MB << 20
) -> EventStore:
    """Open a store of events, or make it.

    name         a file, or a URL such as postgresql://user@host/name; None keeps the events in memory
    expire_days  events older than this many days are deleted; None: events do not expire
    max_waiting  how many bytes of events may wait to be written

    Raises StoreError for what is no store or cannot be opened, MissingDependencyError for a URL without psycopg.
    """
    if name is None or not is_url(name):
        file = None if name is None else file_of(name)
        return SqliteEvents(file, expire_days=expire_days, max_waiting=max_waiting)
    require("postgres", "a store in PostgreSQL")
    from caser.service.events.postgres import PostgresEvents

    return PostgresEvents(str(name), expire_days=expire_days, max_waiting=max_waiting)


def file_of(name: str | Path) -> Path:
    """Return the file of a store. A leading ~ is the home folder: a name that may be a URL is no path for a command.

    name  as `--store` gives it

    >>> str(file_of("shop/events.db"))
    'shop/events.db'
    """
    return Path(os.path.expanduser(name))  # noqa: PTH111 - without a home, ~ stays as it is


def is_url(name: str | Path) -> bool:
    """Whether a store is named by a URL. Raises StoreError for one that begins with another word than postgresql.

    name  a file or a URL

    >>> is_url("postgresql://db.example/shop"), is_url("events.db")
    (True, False)
    """
    scheme, separator, _ = str(name).partition("://")
    if separator and scheme not in _SCHEMES:
        raise StoreError(
            f"--store must be a file, or a URL that begins with postgresql://; got one that begins with {scheme}://. "
            "Name a file or a PostgreSQL database."
        )
    return bool(separator)
