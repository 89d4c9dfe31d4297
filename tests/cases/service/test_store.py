"""Case d13 (and d06): a store that is none is refused, and a store that vanished never acknowledges."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from caser.errors import StoreError
from caser.service.events.sqlite import SqliteEvents
from tests.service.serving import serving

EVENT = {"user_id": "ann", "item_id": 50}


def _delete(store: Path) -> None:
    store.unlink()


def _delete_all(store: Path) -> None:
    for file in store.parent.glob(f"{store.name}*"):
        file.unlink()


def _delete_log(store: Path) -> None:
    store.with_name(f"{store.name}-wal").unlink()


def _replace(store: Path) -> None:
    other = store.with_name("other.db")
    SqliteEvents(other).close()
    other.replace(store)


def _move(store: Path) -> None:
    store.parent.rename(store.parent.with_name("moved"))


def _empty(store: Path) -> None:
    store.write_bytes(b"")


@pytest.mark.parametrize("harm", [_delete, _delete_all, _delete_log, _replace, _move, _empty])
@pytest.mark.parametrize("is_used", [True, False], ids=["used", "new"])
async def test_a_store_that_vanished_acknowledges_nothing_and_health_says_so(
    run: Path, tmp_path: Path, harm: Callable[[Path], None], is_used: bool
) -> None:
    folder = tmp_path / "stores"
    folder.mkdir()
    async with serving(run, store=folder / "events.db") as served:
        assert (await served.get("/readyz"))["store"] == "ok"
        if is_used:
            assert (await served.post("/v1/events", EVENT))["durable"]
        harm(folder / "events.db")
        for _ in range(2):
            refused = await served.post("/v1/events", EVENT, 503)
            assert "no event is stored" in refused["error"]
            assert str(tmp_path) not in refused["error"]
            assert (await served.client.delete("/v1/users/ann")).status_code == 503
            assert "deleted or replaced" in (await served.get("/healthz"))["store"]
            assert "deleted or replaced" in (await served.get("/readyz", 503))["error"]


async def test_a_store_that_became_read_only_acknowledges_nothing_until_it_is_repaired(
    run: Path, tmp_path: Path
) -> None:
    async with serving(run, store=tmp_path / "events.db") as served:
        events = served.app.state.service.events
        events._writer.execute("PRAGMA query_only=ON")
        assert "no event is stored" in (await served.post("/v1/events", EVENT, 503))["error"]
        assert (await served.client.get("/readyz")).status_code == 503
        assert len(await served.items(user_id="bob")) > 0
        events._writer.execute("PRAGMA query_only=OFF")
        await served.post("/v1/events", EVENT)
        assert (await served.get("/readyz"))["store"] == "ok"


async def test_a_full_disk_is_said_by_health_and_answers_continue(run: Path, tmp_path: Path) -> None:
    async with serving(run, store=tmp_path / "events.db") as served:
        events = served.app.state.service.events
        events._writer.execute(f"PRAGMA max_page_count={events._writer.execute('PRAGMA page_count').fetchone()[0]}")
        many = {"events": [{"user_id": "x" * 200, "item_id": "y" * 200}] * 200}
        assert "not stored" in (await served.post("/v1/events", many, 507))["error"]
        assert "disk" in (await served.get("/readyz"))["store"]
        assert len(await served.items(user_id="bob")) > 0
        events._writer.execute("PRAGMA max_page_count=100000")
        await served.post("/v1/events", EVENT)
        assert (await served.get("/healthz"))["store"] == "ok"


def _other_program(path: Path) -> None:
    file = sqlite3.connect(path)
    file.execute("CREATE TABLE letters (a)")
    file.commit()
    file.close()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (Path.mkdir, "got: a folder. Name a file in it"),
        (lambda path: path.write_text("user_id,item_id\n" * 100), "file is not a database"),
        (lambda path: path.write_bytes(b"\0" * 100), "must be a store of events"),
        (lambda path: path.write_bytes(b"SQLite format 3\0" + b"\7" * 4096), "must be a store of events"),
        (_other_program, "another program"),
        (lambda path: path.symlink_to(path.with_name("nowhere") / "x.db"), "must be a store of events"),
    ],
    ids=["folder", "text", "zeros", "broken", "other program", "dangling link"],
)
def test_what_is_no_store_is_refused_with_one_sentence(
    tmp_path: Path, make: Callable[[Path], object], sentence: str
) -> None:
    path = tmp_path / "events.db"
    make(path)
    with pytest.raises(StoreError) as refusal:
        SqliteEvents(path)
    assert sentence in str(refusal.value)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


async def test_two_services_on_one_store_see_each_others_events(run: Path, tmp_path: Path) -> None:
    store = tmp_path / "events.db"
    async with serving(run, store=store) as first, serving(run, store=store) as second:
        await first.post("/v1/events", {"user_id": "new", "item_id": 10, "time": 1})
        await second.post("/v1/events", {"user_id": "new", "item_id": 20, "time": 2})
        histories = [await one.get("/v1/users/new/history") for one in (first, second)]
        assert histories[0] == histories[1]
        assert [one["item_id"] for one in histories[0]["interactions"]] == [10, 20]
