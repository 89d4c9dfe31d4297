"""The kinds of event stores, each with what the tests of all of them need: opening it, and harming it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from caser.service.events.export import event_frames
from caser.service.events.histories import Histories
from caser.service.events.opening import open_store
from caser.service.events.sqlite import SqliteEvents
from caser.service.events.store import Event, EventStore, Outcome, RecentHistory
from tests.service.postgres_cluster import Cluster


@dataclass
class Opened:
    """A store with the histories of its users, as a service has them."""

    events: EventStore
    histories: Histories

    async def append(self, *events: Event) -> list[Outcome]:
        """Store events."""
        return await self.events.append(events)

    async def recent(self, user_id: str) -> RecentHistory:
        """Return the last events of one user."""
        [history] = await self.histories.recent_many([user_id])
        return history

    async def items(self, user_id: str) -> tuple[str, ...]:
        """Return the items of the last events of one user."""
        return (await self.recent(user_id)).items

    def close(self) -> None:
        """Close the store."""
        self.events.close()


class Kind(Protocol):
    """A kind of store, and the one store of it that a test has."""

    seconds_until_seen: float
    """After how many seconds another process sees an event at the latest."""
    is_durable: bool

    def store(self, **settings: Any) -> EventStore:
        """Open the store, as another process would."""

    def words(self) -> str:
        """What `caser serve --store` takes."""

    def locked(self) -> Any:
        """A context in which another program keeps the store from being written."""

    def lose(self) -> None:
        """Take the store away while it is open."""

    def export(self) -> pl.DataFrame:
        """All events, in order of time."""


def opened(store: EventStore, **settings: Any) -> Opened:
    """Return a store with its histories."""
    return Opened(store, Histories(store, **settings))


class SqliteFile:
    """A SQLite file in an empty folder."""

    seconds_until_seen = 0.0
    is_durable = True

    def __init__(self, folder: Path) -> None:
        self.path = folder / "events.db"

    def store(self, **settings: Any) -> EventStore:
        return SqliteEvents(self.path, **settings)

    def words(self) -> str:
        return str(self.path)

    @contextmanager
    def locked(self) -> Iterator[None]:
        other = sqlite3.connect(self.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
        other.close()

    def lose(self) -> None:
        self.path.unlink()

    def export(self) -> pl.DataFrame:
        return pl.concat(event_frames(self.path))


class SqliteMemory(SqliteFile):
    """A SQLite database in memory: each process has one of its own."""

    is_durable = False

    def store(self, **settings: Any) -> EventStore:
        return SqliteEvents(None, **settings)


def events_of(user: str, items: Sequence[str], start: float = 1.0) -> list[Event]:
    """Return an event of a user for each item, a second apart."""
    return [Event(f"{user} {item}", user, item, start + number) for number, item in enumerate(items)]


class Postgres:
    """A database of its own on the PostgreSQL server of the tests."""

    is_durable = True

    def __init__(self, cluster: Cluster) -> None:
        from caser.service.events.postgres import FRESH_SECONDS

        self.seconds_until_seen = FRESH_SECONDS
        self.cluster = cluster
        self.database = cluster.database()

    def store(self, **settings: Any) -> EventStore:
        return open_store(self.words(), **settings)

    def words(self) -> str:
        return self.cluster.url(self.database)

    @contextmanager
    def locked(self) -> Iterator[None]:
        import psycopg

        with psycopg.connect(self.words()) as other:
            other.execute("LOCK TABLE caser.events IN EXCLUSIVE MODE")
            yield

    def lose(self) -> None:
        self.cluster.execute("DROP SCHEMA caser CASCADE", self.database)

    def export(self) -> pl.DataFrame:
        return pl.concat(event_frames(self.words()))
