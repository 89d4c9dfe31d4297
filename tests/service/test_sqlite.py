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
from caser.service.events.store import Event, RecentHistory
from tests.service.event_stores import opened


def event(number: int, user: str = "ann", item: str | None = None, time: float | None = None) -> Event:
    return Event(f"e{number}", user, item or f"i{number}", float(number) if time is None else time)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteEvents]:
    store = SqliteEvents(tmp_path / "events.db")
    yield store
    store.close()


async def test_an_erased_user_leaves_no_byte_behind_and_may_return(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    store = SqliteEvents(path)
    await store.append([event(1, "margaret-of-the-hill")])
    await store.erase("margaret-of-the-hill")
    files = [file for file in tmp_path.iterdir() if file.name.startswith("events.db")]
    assert not [file for file in files if b"margaret-of-the-hill" in file.read_bytes()]
    await store.append([event(2, "margaret-of-the-hill")])
    assert await opened(store).recent("margaret-of-the-hill") == RecentHistory(("i2",), (2.0,), is_erased=True)
    store.close()


async def test_writes_that_arrive_together_share_commits(store: SqliteEvents) -> None:
    commits = []
    store._writer.set_trace_callback(lambda statement: commits.append(1) if statement == "COMMIT" else None)
    await asyncio.gather(*(store.append([event(number)]) for number in range(200)))
    assert len(commits) < 100


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
    assert len(await opened(store).items("ann")) == 50
    assert await opened(other).items("ann") == ()
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
    assert await opened(store).items("ann") == ("i1",)
    store._writer.execute("PRAGMA max_page_count=100000")
    assert await store.append([event(2)]) == ["new"]


async def test_writes_beyond_the_queue_limit_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MAX_WAITING", 2)
    loop, started = asyncio.get_running_loop(), asyncio.Event()
    import threading

    go = threading.Event()

    def write(jobs: Sequence[int]) -> list[str]:
        loop.call_soon_threadsafe(started.set)
        go.wait(60)
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
