from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from caser.errors import BusyError, StoreError
from caser.service.events import group_commit
from caser.service.events.group_commit import GroupCommit
from caser.service.events.sqlite import SqliteEvents
from caser.service.events.store import Event


def event(number: int, user: str = "ann", item: str | None = None, time: float | None = None) -> Event:
    return Event(f"e{number}", user, item or f"i{number}", float(number) if time is None else time)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteEvents]:
    store = SqliteEvents(tmp_path / "events.db", window=3)
    yield store
    store.close()


async def test_an_acknowledged_event_is_in_the_history_at_once(store: SqliteEvents) -> None:
    assert store.recent("ann").items == ()
    assert await store.append([event(1)]) == ["new"]
    assert store.recent("ann").items == ("i1",)


async def test_an_event_counts_once_however_often_it_is_sent(store: SqliteEvents) -> None:
    assert await store.append([event(1), event(2), event(1)]) == ["new", "new", "known"]
    assert await store.append([event(2)]) == ["known"]
    assert store.recent("ann").items == ("i1", "i2")


async def test_a_history_is_ordered_by_time_and_then_by_arrival(store: SqliteEvents) -> None:
    store.recent("ann")
    await store.append([event(1, time=5), event(2, time=9), event(3, time=5), event(4, time=1), event(5, time=7)])
    assert store.recent("ann").items == ("i3", "i5", "i2")
    store._histories.clear()
    assert store.recent("ann").items == ("i3", "i5", "i2")


async def test_another_process_sees_commits_and_erasures(tmp_path: Path) -> None:
    ours, theirs = SqliteEvents(tmp_path / "e.db"), SqliteEvents(tmp_path / "e.db")
    assert theirs.recent("ann").items == ()
    await ours.append([event(1), event(2, "bob")])
    assert theirs.recent("ann").items == ("i1",)
    assert theirs.recent("bob").items == ("i2",)
    assert await ours.erase("ann") == 1
    assert theirs.recent("ann").items == ()
    assert theirs.recent("ann").is_erased
    assert not theirs.recent("bob").is_erased
    ours.close()
    theirs.close()


async def test_histories_are_right_after_more_events_than_are_added_one_by_one(
    store: SqliteEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("caser.service.events.sqlite._MAX_NEW_EVENTS", 5)
    for start, end in ((1, 4), (4, 20), (20, 22)):
        store.recent("ann")
        await store.append([event(number) for number in range(start, end)])
        assert store.recent("ann").items == tuple(f"i{number}" for number in range(end - 3, end))


async def test_an_erased_user_leaves_no_byte_behind_and_may_return(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    store = SqliteEvents(path)
    await store.append([event(1, "margaret-of-the-hill")])
    await store.erase("margaret-of-the-hill")
    files = [file for file in tmp_path.iterdir() if file.name.startswith("events.db")]
    assert not [file for file in files if b"margaret-of-the-hill" in file.read_bytes()]
    await store.append([event(2, "margaret-of-the-hill")])
    assert store.recent("margaret-of-the-hill").items == ("i2",)
    assert store.recent("margaret-of-the-hill").is_erased
    store.close()


async def test_an_expired_event_no_longer_counts_and_is_deleted_with_a_later_commit(tmp_path: Path) -> None:
    import time

    store = SqliteEvents(tmp_path / "events.db", expire_days=1)
    now = time.time()
    await store.append([event(1, time=now - 2 * 86_400), event(2, time=now)])
    assert store.recent("ann").items == ("i2",)
    await store.append([event(3, time=now)])
    store.close()
    with sqlite3.connect(tmp_path / "events.db") as file:
        assert file.execute("SELECT event_id FROM events ORDER BY seq").fetchall() == [("e2",), ("e3",)]
    file.close()


async def test_writes_that_arrive_together_share_commits(store: SqliteEvents) -> None:
    commits = []
    store._writer.set_trace_callback(lambda statement: commits.append(1) if statement == "COMMIT" else None)
    await asyncio.gather(*(store.append([event(number)]) for number in range(200)))
    assert len(commits) < 100


async def test_events_are_still_there_after_reopening(tmp_path: Path) -> None:
    for number in (1, 2):
        store = SqliteEvents(tmp_path / "events.db")
        await store.append([event(number)])
        store.close()
    store = SqliteEvents(tmp_path / "events.db")
    assert store.recent("ann").items == ("i1", "i2")
    store.close()


async def test_a_store_without_a_path_is_in_memory_and_not_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.gettempdir", refuse)
    store, other = SqliteEvents(None), SqliteEvents(None)
    assert not store.is_durable
    assert await store.append([event(number) for number in range(50)]) == ["new"] * 50
    assert len(store.recent("ann").items) == 50
    assert other.recent("ann").items == ()
    store.close()
    other.close()
    assert list(tmp_path.iterdir()) == []


async def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    store = SqliteEvents(path)
    await store.append([event(number) for number in range(2000)])
    store.close()
    content = bytearray(path.read_bytes())
    content[8192 : len(content) - 8192 : 97] = b"\xff" * len(content[8192 : len(content) - 8192 : 97])
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"events\.db must be a store of events"):
        SqliteEvents(path)


@pytest.mark.parametrize("content", [b"not a database" * 100, None], ids=["text", "other tables"])
def test_a_file_that_is_no_event_store_is_refused_unchanged(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "events.db"
    if content is None:
        with sqlite3.connect(path) as file:
            file.execute("CREATE TABLE letters (a)")
        file.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="must be a store of events"):
        SqliteEvents(path)
    assert path.read_bytes() == before


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="a folder that does not exist"):
        SqliteEvents(tmp_path / "nowhere" / "events.db")


async def test_a_full_disk_loses_no_acknowledged_event(store: SqliteEvents) -> None:
    await store.append([event(1)])
    pages = store._writer.execute("PRAGMA page_count").fetchone()[0]
    store._writer.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StoreError, match="disk is full"):
        await store.append([event(number, item="x" * 200) for number in range(2, 200)])
    assert store.recent("ann").items == ("i1",)
    store._writer.execute("PRAGMA max_page_count=100000")
    assert await store.append([event(2)]) == ["new"]


async def test_writes_beyond_the_queue_limit_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MAX_WAITING", 2)
    loop, started = asyncio.get_running_loop(), asyncio.Event()
    import threading

    go = threading.Event()

    def write(jobs: Sequence[int]) -> list[str]:
        loop.call_soon_threadsafe(started.set)
        go.wait()
        return ["done"] * len(jobs)

    commit = GroupCommit(write)
    first = asyncio.ensure_future(commit(1))
    await started.wait()
    waiting = [asyncio.ensure_future(commit(number)) for number in (2, 3)]
    await asyncio.sleep(0)
    with pytest.raises(BusyError):
        await commit(4)
    go.set()
    assert await asyncio.gather(first, *waiting) == ["done"] * 3
    commit.close()
