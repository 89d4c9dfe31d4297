"""Issue 13, parts 5 and 9: an acknowledged event is kept for its user, an erased one is gone, and memory has limits."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from caser.errors import StoreError
from caser.service.events import erasures
from caser.service.events.export import event_frames
from caser.service.events.schema import FORMAT_VERSION
from caser.service.events.sqlite import SqliteEvents
from caser.service.events.store import Event
from tests.service.event_stores import opened
from tests.service.serving import Served, ended, serving, until

DAY = 86_400
EVENT = {"user_id": "ann", "item_id": 10, "event_id": "a", "time": 5}

VERSION_1 = """
PRAGMA application_id = 1128354629;
PRAGMA user_version = 1;
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL UNIQUE, user_id TEXT NOT NULL, item_id TEXT NOT NULL,
    time REAL NOT NULL);
CREATE INDEX events_of_user ON events (user_id, time, seq);
CREATE TABLE erased (seq INTEGER PRIMARY KEY AUTOINCREMENT, user_key TEXT NOT NULL UNIQUE);
"""


def store_of_version_1(path: Path, number: int) -> None:
    file = sqlite3.connect(path)
    file.executescript(f"PRAGMA journal_mode=WAL; {VERSION_1}")
    rows = [(f"e{one}", f"user {one % 7}", f"i{one}", float(one)) for one in range(number - 1)]
    rows.append(("ahead", "user 0", "later", 1e11 - 1))
    file.executemany("INSERT INTO events (event_id, user_id, item_id, time) VALUES (?, ?, ?, ?)", rows)
    file.execute("DELETE FROM events WHERE seq = 2")
    file.execute("INSERT INTO erased (user_key) VALUES ('0')")
    file.commit()
    file.close()


def bytes_in_files(path: Path, text: str) -> list[str]:
    files = [file for file in path.parent.iterdir() if file.name.startswith(path.name)]
    return [file.name for file in files if text.encode() in file.read_bytes()]


class Clock:
    """Stands in for the clock of the service."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = time.time()
        monkeypatch.setattr("time.time", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def history(served: Served, user: str) -> list[Any]:
    return [one["item_id"] for one in (await served.get(f"/v1/users/{user}/history"))["interactions"]]


# --- for whom it was


@pytest.mark.parametrize("together", [False, True])
async def test_two_users_may_use_one_event_id_and_both_events_are_kept(run: Path, together: bool) -> None:
    async with serving(run) as served:
        events = [{**EVENT, "user_id": user} for user in ("new", "newer")]
        for body in [{"events": events}] if together else events:
            answer = await served.post("/v1/events", body)
            assert (answer["accepted"], answer["known"], answer["conflicts"]) == (2 if together else 1, 0, [])
        for user in ("new", "newer"):
            assert await history(served, user) == [10]


@pytest.mark.parametrize("other", [{"item_id": 20}, {"time": 6}])
async def test_another_event_of_the_same_user_under_the_same_id_is_told(run: Path, other: dict[str, Any]) -> None:
    async with serving(run) as served:
        await served.post("/v1/events", EVENT)
        answer = await served.post("/v1/events", {**EVENT, **other})
        assert (answer["accepted"], answer["known"], answer["conflicts"]) == (0, 0, ["a"])


@pytest.mark.parametrize("change", [{}, {"item_id": 20}, {"time": None}])
async def test_a_retry_after_erasure_does_not_revive_the_event(
    run: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    again = {name: value for name, value in {**EVENT, **change}.items() if value is not None}
    for number in range(2):  # the second time after a restart
        async with serving(run, store=tmp_path / "events.db") as served:
            if not number:
                await served.post("/v1/events", EVENT)
                await served.client.delete("/v1/users/ann")
            answer = await served.post("/v1/events", again)
            assert (answer["accepted"], answer["known"], answer["erased"]) == (0, 0, 1)
            assert await history(served, "ann") == []
            assert (await served.post("/v1/events", {**EVENT, "event_id": f"b{number}"}))["accepted"] == 1
            assert (await served.post("/v1/events", {**EVENT, "user_id": f"other {number}"}))["accepted"] == 1
            await served.client.delete("/v1/users/ann")


# --- stores of the earlier version


async def test_a_store_of_version_1_is_upgraded_in_place(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    store_of_version_1(path, 30)
    assert len(next(event_frames(path))) == 29  # an export needs no upgrade
    store = SqliteEvents(path)
    histories = opened(store)
    assert await histories.items("user 0") == ("i0", "i7", "i14", "i21", "i28", "later")
    assert (await histories.recent("user 0")).times[-1] <= time.time()
    assert await store.append([Event("e7", "user 0", "i7", 7.0), Event("ahead", "user 0", "later", 1e11 - 1)]) == [
        "known",
        "known",
    ]
    assert await store.append([Event("e7", "user 1", "i7", 7.0), Event("new", "user 0", "last", 0.0, is_now=True)]) == [
        "new",
        "new",
    ]
    assert (await histories.items("user 0"))[-1] == "last"
    store.close()
    file = sqlite3.connect(path)
    assert file.execute("SELECT count(*) FROM events WHERE seq > 30").fetchone() == (2,)
    assert file.execute("SELECT count(*) FROM erased").fetchone() == (1,)
    file.close()


async def test_a_store_of_version_2_is_upgraded_in_place(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    store = SqliteEvents(path)
    await store.append([Event(f"e{one}", "ann", f"i{one}", float(one)) for one in range(5)])
    store.close()
    file = sqlite3.connect(path)
    file.execute("ALTER TABLE events DROP COLUMN event_type")
    file.execute("PRAGMA user_version = 2")
    file.commit()
    file.close()
    [frame] = event_frames(path)  # an export needs no upgrade
    assert frame.shape == (5, 3)
    store = SqliteEvents(path)
    assert await store.append([Event("e1", "ann", "i1", 1.0), Event("e9", "ann", "i9", 9.0, event_type="buy")]) == [
        "known", "new",
    ]  # fmt: skip
    assert (await opened(store).recent("ann")).kinds == (None, None, None, None, None, "buy")
    store.close()
    [frame] = event_frames(path)
    assert frame["event_type"].to_list() == [None] * 5 + ["buy"]


def test_an_upgrade_that_is_killed_leaves_all_events(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    store_of_version_1(path, 20_000)
    code = (
        "import sys\nfrom pathlib import Path\nfrom caser.service.events.sqlite import SqliteEvents\n"
        "print('go', flush=True)\nSqliteEvents(Path(sys.argv[1]))\n"
    )
    chance = random.Random(0)
    for _ in range(4):
        with ended(subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)) as upgrading:
            assert upgrading.stdout is not None
            upgrading.stdout.readline()
            time.sleep(chance.uniform(0.01, 0.12))
        file = sqlite3.connect(path)
        assert file.execute("SELECT count(*), count(DISTINCT event_id) FROM events").fetchone() == (19_999, 19_999)
        file.close()
    SqliteEvents(path).close()


def test_a_store_of_a_newer_version_is_refused_with_one_sentence(tmp_path: Path) -> None:
    SqliteEvents(tmp_path / "events.db").close()
    file = sqlite3.connect(tmp_path / "events.db")
    file.execute(f"PRAGMA user_version = {FORMAT_VERSION + 1}")
    file.close()
    with pytest.raises(StoreError, match="newer version"):
        SqliteEvents(tmp_path / "events.db")


# --- durable means durable


@pytest.mark.parametrize("name", [":memory:", "file::memory:", "file:x?mode=memory", ":memory:?cache=shared"])
async def test_a_name_of_memory_is_no_store(run: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.parent)
    with pytest.raises(StoreError, match="Leave --store out"):
        SqliteEvents(Path(name))


async def test_a_device_is_no_store() -> None:
    with pytest.raises(StoreError, match="a pipe or a device"):
        SqliteEvents(Path("/dev/null"))


async def test_a_store_that_vanished_is_not_called_durable(run: Path, tmp_path: Path) -> None:
    async with serving(run, store=tmp_path / "events.db") as served:
        assert (await served.get("/v1/model"))["durable"]
        (tmp_path / "events.db").unlink()
        assert not (await served.get("/v1/model"))["durable"]
        assert "caser_store_durable 0.0" in (await served.client.get("/metrics")).text


# --- times


@pytest.mark.parametrize("back", [60, 3600, 400 * DAY])
async def test_after_the_clock_went_back_the_newest_event_is_still_the_newest(
    run: Path, clock: Clock, back: float
) -> None:
    async with serving(run) as served:
        await served.post("/v1/events", {"user_id": "new", "item_id": 10})
        clock.now -= back
        await served.post("/v1/events", {"user_id": "new", "item_id": 20})
        await served.post("/v1/events", {"user_id": "new", "item_id": 30, "time": clock.now + 5})
        assert await history(served, "new") == [10, 20, 30]


async def test_events_at_the_edge_of_the_future_push_no_later_event_out(run: Path, clock: Clock) -> None:
    async with serving(run, window=100) as served:
        ahead = [{"user_id": "new", "item_id": 10, "time": clock.now + DAY} for _ in range(1000)]
        assert (await served.post("/v1/events", {"events": ahead}))["accepted"] == 1000
        for item in (20, 30):
            clock.now += 1
            await served.post("/v1/events", {"user_id": "new", "item_id": item})
        clock.now += 1
        await served.post("/v1/events", {"user_id": "new", "item_id": 40, "time": clock.now - 0.5})
        assert (await history(served, "new"))[-3:] == [20, 30, 40]


async def test_an_event_from_the_future_is_known_again_and_expires_by_its_arrival(tmp_path: Path, clock: Clock) -> None:
    store = SqliteEvents(tmp_path / "events.db", expire_days=1)
    histories = opened(store, expire_days=1)
    ahead = [Event(f"e{one}", "ann", "tea", 1e11) for one in range(3000)]
    await store.append(ahead)
    assert await store.append(ahead[:1]) == ["known"]
    clock.now += 2 * DAY
    assert await histories.items("ann") == ()
    for number in range(3):
        await store.append([Event(f"now {number}", "bob", "tea", clock.now)])
    store.close()
    file = sqlite3.connect(tmp_path / "events.db")
    assert file.execute("SELECT count(*) FROM events").fetchone() == (3,)
    file.close()


# --- erasure


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Another program, which reads the store when it is told to."""
    connection = sqlite3.connect(f"{tmp_path.as_uri()}/events.db?mode=rwc", uri=True, isolation_level=None)
    yield connection
    connection.close()


async def test_an_erasure_that_a_reader_holds_up_says_so_and_is_completed_later(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: sqlite3.Connection
) -> None:
    monkeypatch.setattr(erasures, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr("caser.service.events.group_commit._IDLE_SECONDS", 0.02)
    path, user = tmp_path / "events.db", "margaret-of-the-hill"
    async with serving(run, store=path) as served:
        await served.post("/v1/events", {"user_id": user, "item_id": 10})
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchone()
        answer = await served.client.delete(f"/v1/users/{user}")
        assert (answer.status_code, answer.json()["complete"], answer.json()["events_removed"]) == (202, False, 1)
        assert bytes_in_files(path, user)
        assert await history(served, user) == []
        assert "caser_erasures_incomplete 1.0" in (await served.client.get("/metrics")).text
        reader.execute("COMMIT")
        for _ in range(500):
            if not served.app.state.service.events.num_erasures_incomplete:
                break
            await asyncio.sleep(0.01)
        assert "caser_erasures_incomplete 0.0" in (await served.client.get("/metrics")).text
        assert bytes_in_files(path, user) == []
        again = await served.client.delete(f"/v1/users/{user}")
        assert (again.status_code, again.json()["complete"]) == (200, True)


async def test_an_erasure_that_a_process_left_is_completed_by_the_next_one(
    tmp_path: Path, reader: sqlite3.Connection
) -> None:
    path, user = tmp_path / "events.db", "margaret-of-the-hill"
    store = SqliteEvents(path)
    await store.append([Event("a", user, "tea", 5.0)])
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM events").fetchone()
    await store.erase(user)
    store.close()
    assert bytes_in_files(path, user)
    reader.execute("COMMIT")
    store = SqliteEvents(path)
    assert store.num_erasures_incomplete == 0
    assert bytes_in_files(path, user) == []
    store.close()


async def test_copies_that_sqlite_made_of_moved_rows_are_erased_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that are inserted in random order split pages, and SQLite leaves copies of moved rows in them."""
    monkeypatch.setattr("caser.service.events.erasures._LONG_SECONDS", 60.0)  # on a busy machine, too, no pause follows
    path, chance = tmp_path / "events.db", random.Random(1)
    store = SqliteEvents(path)
    users = [f"margaret-{number:04d}-of-the-hill" for number in range(300)]
    for _ in range(60):
        await store.append(
            [
                Event(f"{chance.random()}", chance.choice(users), f"i{chance.randrange(1000)}", chance.random() * 1e9)
                for _ in range(100)
            ]
        )
    for user in users[::3]:
        await store.erase(user)
        assert store.num_erasures_incomplete == 0
        assert bytes_in_files(path, user) == []
    kept = sum(len(history.items) for history in await opened(store).histories.recent_many(users))
    store.close()
    file = sqlite3.connect(path)
    assert file.execute("SELECT count(*) FROM events").fetchone() == (kept,)
    file.close()


# --- memory


async def test_events_that_wait_for_a_locked_store_are_bounded_by_bytes(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with serving(run, store=path, max_waiting_mb=2) as served:
        store: SqliteEvents = served.app.state.service.events
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        body = {"events": [{"user_id": "x" * 400, "item_id": "y" * 400}] * 400}
        waiting = [asyncio.ensure_future(served.client.post("/v1/events", json=body)) for _ in range(12)]
        await until(lambda: sum(one.done() for one in waiting) > 6)  # those that wait are not answered
        done, pending = await asyncio.wait(waiting, timeout=0.1)
        assert {one.result().status_code for one in done} == {503}
        assert all(one.result().headers["retry-after"] for one in done)
        assert 0 < len(pending) < 6
        assert 0 < store.num_bytes_waiting <= 2 << 20
        other.execute("ROLLBACK")
        other.close()
        assert {(await one).status_code for one in pending} == {200}
        assert store.num_bytes_waiting == 0
        assert (await served.client.post("/v1/events", json=body)).status_code == 200
