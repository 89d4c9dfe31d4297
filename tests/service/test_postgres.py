"""A store of events in PostgreSQL: what no other store has, such as a server that stops, and a password."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from caser.errors import MissingDependencyError, StoreError
from caser.service.events.export import event_frames
from caser.service.events.opening import open_store
from caser.service.events.schema import event_key
from caser.service.events.store import Event, EventStore, RecentHistory
from caser.service.settings import ServiceSettings
from tests.cli.terminal import caser
from tests.service.clients import Client
from tests.service.event_stores import Opened, events_of, opened
from tests.service.postgres_cluster import PASSWORD, Cluster
from tests.service.serving import Served, process, serving, until
from tests.skips import NO_POSTGRES


@pytest.fixture
def url(cluster: Cluster) -> str:
    """An empty database."""
    return cluster.url(cluster.database())


@pytest.fixture
def stores(url: str) -> Iterator[list[Opened]]:
    """Two stores on one database, as two processes have them."""
    both = [opened(open_store(url)) for _ in range(2)]
    yield both
    for store in both:
        store.close()


async def seconds_until_seen(store: Opened, user: str, limit: float) -> float:
    begun = time.monotonic()
    while not await store.items(user):
        assert time.monotonic() - begun < limit
        await asyncio.sleep(0.005)
    return time.monotonic() - begun


# --- other processes


async def test_a_notice_is_enough_for_other_processes(stores: list[Opened], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caser.service.events.postgres.FRESH_SECONDS", 1000.0)
    ours, theirs = stores
    assert await theirs.items("ann") == ()
    await ours.append(Event("a", "ann", "tea", 1.0))
    await seconds_until_seen(theirs, "ann", 5.0)


async def test_a_process_that_hears_nothing_asks_within_the_time_that_is_promised(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deaf(_: Any, timeout: float) -> list[Any]:
        time.sleep(timeout)
        return []

    monkeypatch.setattr("psycopg.Connection.notifies", deaf)
    ours, theirs = opened(open_store(url)), opened(open_store(url))
    for number in range(2):
        user = f"user {number}"
        assert await theirs.items(user) == ()
        await ours.append(Event("a", user, "tea", 1.0))
        await seconds_until_seen(theirs, user, 20.0)  # it is a second, and what a busy machine takes
    ours.close()
    theirs.close()


# --- the server stops


async def statuses(served: Served) -> tuple[int, int, int, int]:
    """The status of an event, of a question about a user, of one without a user, and of the readiness check."""
    event = await served.client.post("/v1/events", json={"user_id": "ann", "item_id": 10})
    known = await served.client.post("/v1/recommend", json={"user_id": "ann"})
    other = await served.client.post("/v1/recommend", json={"history": [10]})
    ready = await served.client.get("/readyz")
    for refused in (event, known):
        if refused.status_code == 503:
            assert refused.headers["retry-after"] == "1"
            assert "cannot be reached" in refused.json()["error"]
    if ready.status_code == 503:
        assert "cannot be reached" in ready.json()["error"]
        assert "cannot be reached" in (await served.get("/healthz"))["store"]
    return event.status_code, known.status_code, other.status_code, ready.status_code


@pytest.mark.slow
async def test_while_the_server_is_away_nothing_is_acknowledged_and_then_all_goes_on(
    run: Path, own_cluster: Cluster
) -> None:
    async with serving(run, store=own_cluster.url("postgres")) as served:
        assert await statuses(served) == (200, 200, 200, 200)
        for stop in (signal.SIGINT, signal.SIGQUIT):
            own_cluster.stop(stop)
            while (await served.client.get("/readyz")).status_code == 200:  # until the listener notices
                await asyncio.sleep(0.01)
            begun = time.monotonic()
            assert await statuses(served) == (503, 503, 200, 503)
            assert time.monotonic() - begun < 3
            own_cluster.start()
            end = time.monotonic() + 15
            while (await served.client.get("/readyz")).status_code != 200:
                assert time.monotonic() < end
                await asyncio.sleep(0.05)
            assert await statuses(served) == (200, 200, 200, 200)
        assert len((await served.get("/v1/users/ann/history"))["interactions"]) >= 3


@pytest.mark.slow
async def test_while_the_server_is_frozen_questions_without_a_user_are_answered(
    run: Path, own_cluster: Cluster
) -> None:
    async with serving(run, store=own_cluster.url("postgres"), answer_seconds=8) as served:
        assert await statuses(served) == (200, 200, 200, 200)
        await asyncio.sleep(1.1)  # what is known is no longer fresh
        own_cluster.pause(True)
        try:
            known = await served.client.post("/v1/recommend", json={"user_id": "bob"})
            assert known.status_code == 503
            begun = time.monotonic()
            assert (await served.client.post("/v1/recommend", json={"history": [10]})).status_code == 200
            assert (await served.client.post("/v1/recommend", json={"user_id": "bob"})).status_code == 503
            assert (await served.client.get("/readyz")).status_code == 503
            assert time.monotonic() - begun < 2
        finally:
            own_cluster.pause(False)
        end = time.monotonic() + 15
        while (await served.client.post("/v1/recommend", json={"user_id": "bob"})).status_code != 200:
            assert time.monotonic() < end
            await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_a_store_whose_server_is_frozen_is_closed_within_a_few_seconds(own_cluster: Cluster) -> None:
    store = open_store(own_cluster.url("postgres"))
    await store.append(events_of("ann", ["tea"]))
    own_cluster.pause(True)
    try:
        waiting = asyncio.ensure_future(store.append(events_of("ann", ["milk"])))
        await asyncio.sleep(0.1)
        begun = time.monotonic()
        await asyncio.to_thread(store.close)
        assert time.monotonic() - begun < 15
        with pytest.raises(StoreError, match="must be reachable"):
            await waiting
    finally:
        own_cluster.pause(False)


async def until_longer(items: list[str], more: int) -> None:
    """Wait until a list has so many items more than now."""
    wanted = len(items) + more
    await until(lambda: len(items) >= wanted)


async def write_until(store: EventStore, stop: asyncio.Event, which: int, acknowledged: list[str]) -> None:
    """Send one event after another; note those that were acknowledged."""
    number = 0
    while not stop.is_set():
        number += 1
        try:
            await store.append([Event(f"{number}", f"user {which}", f"{which} {number}", float(number))])
        except StoreError:
            await asyncio.sleep(0.02)
        else:
            acknowledged.append(f"{which} {number}")


@pytest.mark.slow
async def test_a_server_that_crashes_under_load_has_every_acknowledged_event(own_cluster: Cluster) -> None:
    url = own_cluster.url("postgres")
    store = open_store(url)
    acknowledged: list[str] = []
    stop = asyncio.Event()
    writing = [asyncio.ensure_future(write_until(store, stop, which, acknowledged)) for which in range(6)]
    for _ in range(3):
        await until_longer(acknowledged, 50)
        own_cluster.stop(signal.SIGQUIT)
        await asyncio.to_thread(own_cluster.start)
    await until_longer(acknowledged, 50)
    stop.set()
    await asyncio.gather(*writing)
    store.close()
    kept = {item for frame in event_frames(url) for item in frame["item_id"]}
    assert set(acknowledged) <= kept


@pytest.mark.slow
async def test_a_service_that_is_killed_under_load_has_every_acknowledged_event(run: Path, url: str) -> None:
    acknowledged: list[str] = []
    for round_ in range(3):
        with process(run, "--store", url) as served:

            async def send(which: int, address: str, round_: int) -> None:
                async with Client(address) as client:
                    for number in range(1_000_000):
                        name = f"{round_} {which} {number}"
                        body = {"user_id": f"user {which}", "item_id": name, "time": number}
                        try:
                            reply = await client.ask("/v1/events", body)
                        except Exception:
                            return
                        if reply.status == 200:
                            acknowledged.append(name)

            sending = [asyncio.ensure_future(send(which, served.url, round_)) for which in range(6)]
            await until_longer(acknowledged, 100)
            served.process.send_signal(signal.SIGKILL)
            await asyncio.gather(*sending)
    kept = {item for frame in event_frames(url) for item in frame["item_id"]}
    assert set(acknowledged) <= kept
    store = opened(open_store(url))
    assert await store.items("user 0")
    store.close()


# --- durability


async def test_a_database_that_does_not_wait_for_its_disk_is_told_to(cluster: Cluster) -> None:
    database = cluster.database()
    cluster.execute(f"ALTER DATABASE {database} SET synchronous_commit = off")
    store: Any = open_store(cluster.url(database))
    with store._server.connection() as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
    store.close()
    cluster.execute(f"ALTER DATABASE {database} SET synchronous_commit = remote_apply")
    store = open_store(cluster.url(database))
    with store._server.connection() as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("remote_apply",)
    store.close()


@pytest.mark.slow
async def test_a_server_without_fsync_is_not_called_durable(run: Path, own_cluster: Cluster) -> None:
    own_cluster.execute("ALTER SYSTEM SET fsync = off")
    own_cluster.execute("SELECT pg_reload_conf()")
    await until(lambda: own_cluster.execute("SHOW fsync") == [("off",)])
    async with serving(run, store=own_cluster.url("postgres")) as served:
        assert not (await served.post("/v1/events", {"user_id": "ann", "item_id": 10}))["durable"]
        assert "caser_store_durable 0.0" in (await served.client.get("/metrics")).text


async def test_a_store_that_was_replaced_under_the_same_name_acknowledges_nothing(cluster: Cluster, url: str) -> None:
    database = url.split("/")[3].split("?")[0]
    store = opened(open_store(url))
    await store.append(Event("a", "ann", "tea", 1.0))
    cluster.execute("DROP SCHEMA caser CASCADE", database)
    open_store(url).close()
    with pytest.raises(StoreError, match="deleted or replaced"):
        await store.append(Event("b", "ann", "milk", 2.0))
    assert (store.events.is_lost, store.events.is_durable) == (True, False)
    store.close()


# --- versions


def test_services_that_start_at_once_on_an_empty_database_make_one_store(cluster: Cluster, url: str) -> None:
    from caser.service.events import postgres_schema

    start, made, failed = threading.Barrier(6), [], []

    def begin() -> None:
        start.wait(60)
        try:
            made.append(open_store(url))
        except StoreError as error:
            failed.append(error)

    threads = [threading.Thread(target=begin, daemon=True) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (failed, len(made)) == ([], 6)
    for store in made:
        store.close()
    database = url.split("/")[3].split("?")[0]
    assert cluster.execute("SELECT version FROM caser.versions", database) == [
        (number + 1,) for number in range(len(postgres_schema.MIGRATIONS))
    ]


async def test_a_store_without_kinds_is_exported_as_it_is_and_upgraded(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    from caser.service.events import postgres_schema

    with monkeypatch.context() as patch:
        patch.setattr(postgres_schema, "MIGRATIONS", postgres_schema.MIGRATIONS[:1])
        open_store(url).close()
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO caser.events (event_key, user_key, user_id, item_id, time) VALUES (%b, %b, %b, %b, 1.0)",
            (event_key("ann", "a"), postgres_schema.user_key("ann"), b"ann", b"tea"),
        )
    [frame] = event_frames(url)
    assert frame.columns == ["user_id", "item_id", "timestamp"]
    assert len(frame) == 1
    store = opened(open_store(url))
    assert await store.append(Event("a", "ann", "tea", 1.0), Event("b", "ann", "milk", 2.0, event_type="buy")) == [
        "known", "new",
    ]  # fmt: skip
    assert await store.recent("ann") == RecentHistory(("tea", "milk"), (1.0, 2.0), kinds=(None, "buy"))
    store.close()


async def test_a_store_is_upgraded_in_one_transaction_and_a_newer_one_is_refused_by_its_version(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from caser.service.events import postgres_schema

    store = opened(open_store(url))
    await store.append(*events_of("ann", ["tea", "milk"]))
    store.close()
    first = postgres_schema.MIGRATIONS
    more = "ALTER TABLE caser.events ADD COLUMN note text; "
    monkeypatch.setattr(postgres_schema, "MIGRATIONS", (*first, more + "SELECT 1 FROM caser.nothing"))
    with pytest.raises(StoreError, match="must be a store of events"):
        open_store(url)
    monkeypatch.setattr(postgres_schema, "MIGRATIONS", (*first, more))
    store = opened(open_store(url))
    assert await store.items("ann") == ("tea", "milk")
    store.close()
    monkeypatch.setattr(postgres_schema, "MIGRATIONS", first)
    for use in (lambda: open_store(url), lambda: list(event_frames(url))):
        with pytest.raises(StoreError, match="a store of version 3, which a newer caser made; this one reads up to 2"):
            use()


def test_a_schema_of_another_program_is_refused_unchanged(cluster: Cluster) -> None:
    database = cluster.database()
    cluster.execute("CREATE SCHEMA caser", database)
    cluster.execute("CREATE TABLE caser.letters (a text)", database)
    with pytest.raises(StoreError, match="another program's"):
        open_store(cluster.url(database))
    names = "SELECT tablename FROM pg_tables WHERE schemaname = 'caser'"
    assert cluster.execute(names, database) == [("letters",)]
    empty = cluster.url(cluster.database())
    with pytest.raises(StoreError, match="without the tables of a store"):
        list(event_frames(empty))


# --- names and passwords


@pytest.mark.parametrize("place", ["url", "environment"])
async def test_the_password_is_taken_and_never_shown(
    run: Path, cluster: Cluster, place: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = f":{PASSWORD}" if place == "url" else ""
    if place == "environment":
        monkeypatch.setenv("PGPASSWORD", PASSWORD)
    url = f"postgresql://postgres{secret}@127.0.0.1:{cluster.port}/{cluster.database()}"
    shown = [repr(ServiceSettings(store=url))]
    async with serving(run, store=url) as served:
        await served.post("/v1/events", {"user_id": "ann", "item_id": 10})
        paths = ("/metrics", "/v1/model", "/openapi.json", "/healthz", "/readyz")
        shown += [(await served.client.get(path)).text for path in paths]
        served.app.state.service.events._server.lost_touch("a trial")
        shown.append((await served.client.post("/v1/events", json={"user_id": "ann", "item_id": 10})).text)
    for wrong in (url.replace(str(cluster.port), "1"), f"postgresql://postgres:secret@127.0.0.1:{cluster.port}/none"):
        with pytest.raises(StoreError) as refusal:
            open_store(wrong)
        shown.append(str(refusal.value))
        assert "\n" not in str(refusal.value)
    assert not [text for text in [*shown, caplog.text] if PASSWORD in text or "secret" in text]


@pytest.mark.skipif(find_spec("psycopg") is None, reason=NO_POSTGRES)
@pytest.mark.parametrize(
    "bad",
    [
        "postgresql://ann:se@cret@db.example/shop", "postgresql://ann:se/cret@db.example/shop",
        "postgresql://ann:se?cret@db.example/shop", "postgresql://ann:se#cret@db.example/shop",
        "postgresql://ann:se%zzcret@db.example/shop", "postgresql://ann:cret@db.example/shop?cret=1",
    ],
)  # fmt: skip
def test_a_url_that_cannot_be_read_is_refused_without_a_part_of_it(bad: str) -> None:
    outcome = caser("serve", "run", "--store", bad)
    assert outcome.code == 9
    assert "special characters" in outcome.err
    assert "cret" not in outcome.err + outcome.out
    assert "db.example" not in outcome.err + outcome.out


@pytest.mark.parametrize("bad", ["mysql://ann:secret@db/shop", "redis://db", "sqlite:///events.db"])
def test_a_url_of_another_kind_is_refused(bad: str) -> None:
    for use in (lambda: open_store(bad), lambda: list(event_frames(bad))):
        with pytest.raises(StoreError, match="begins with postgresql://") as refusal:
            use()
        assert "secret" not in str(refusal.value)


def test_without_psycopg_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caser.system.extras.find_spec", lambda name: None)
    for use in (lambda: open_store("postgresql://db/shop"), lambda: list(event_frames("postgresql://db/shop"))):
        with pytest.raises(MissingDependencyError, match=r"\[postgres\]"):
            use()


# --- what differs from a file


async def test_an_erasure_says_that_nobody_knows_about_bytes_on_the_disk(run: Path, url: str) -> None:
    async with serving(run, store=url) as served:
        await served.post("/v1/events", {"user_id": "ann", "item_id": 10})
        answer = await served.client.delete("/v1/users/ann")
        assert (answer.status_code, answer.json()["complete"], answer.json()["events_removed"]) == (202, False, 1)
        assert "caser_erasures_incomplete NaN" in (await served.client.get("/metrics")).text


async def test_two_services_on_one_database_answer_alike_and_export_by_command(
    run: Path, url: str, tmp_path: Path
) -> None:
    async with serving(run, store=url) as first, serving(run, store=url) as second:
        await first.post("/v1/events", {"user_id": "new", "item_id": 10, "time": 1})
        await second.post("/v1/events", {"user_id": "new", "item_id": 20, "time": 2})
        end = time.monotonic() + 10
        while len((await first.get("/v1/users/new/history"))["interactions"]) < 2:
            assert time.monotonic() < end
        assert await first.items(user_id="new") == await second.items(user_id="new")
        assert caser("data", "events", url, "--out", tmp_path / "events.csv").code == 0
    exported = pl.read_csv(tmp_path / "events.csv", schema_overrides={"item_id": pl.String})
    assert exported.rows() == [("new", "10", 1.0), ("new", "20", 2.0)]
