"""Case d04 (and d03): after training on a log that holds the stored events, each event counts once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl
import pytest

from caser.answering.recommender import load
from caser.data.log import InteractionLog
from caser.data.readers import Reading, read_log
from caser.data.split import leave_one_out
from caser.errors import StoreError
from caser.fitting.fit import TrainOn, fit
from caser.models.counting.markov import Markov
from tests.cli.terminal import document, refusal
from tests.service.serving import Served, serving

Row: TypeAlias = tuple[str, int, float]
"""User, item, and seconds after BEGIN."""

MICROSECONDS = 1_000_000
BEGIN = 1_600_000_000
LOG: list[Row] = [
    ("ann", 1, 0),
    ("ann", 2, 600),
    ("ann", 3, 1200),
    ("bob", 2, 0),
    ("bob", 3, 60),
    ("bob", 4, 120),
    ("eve", 4, 9),
]


def train(
    path: Path,
    rows: list[Row],
    *,
    train_on: TrainOn = "all",
    has_times: bool = True,
    begin: int = BEGIN,
) -> None:
    """Train a model that counts successors on some rows, and save it."""
    users, items, seconds = zip(*rows, strict=True)
    times = pl.Series([round((begin + second) * MICROSECONDS) for second in seconds], dtype=pl.Int64).to_numpy()
    log = InteractionLog.from_columns(pl.Series(users), pl.Series(items), times if has_times else None)
    fit(Markov(), leave_one_out(log), train_on=train_on).save(path)


async def taken(served: Served, user: str) -> list[Any]:
    """The items of the history that the service has of a user."""
    return [one["item_id"] for one in (await served.get(f"/v1/users/{user}/history"))["interactions"]]


async def send(served: Served, *events: Row, begin: int = BEGIN) -> None:
    body = [{"user_id": user, "item_id": item, "time": begin + second} for user, item, second in events]
    await served.post("/v1/events", {"events": body})


async def test_after_training_on_the_stored_events_each_counts_once_and_the_run_answers_alike(tmp_path: Path) -> None:
    run = tmp_path / "run"
    events: list[Row] = [("ann", 4, 1800.25), ("ann", 2, 2400.5)]
    train(run, LOG)
    async with serving(run, store=tmp_path / "events.db", window=5) as served:
        await send(served, *events)
        assert await taken(served, "ann") == [1, 2, 3, 4, 2]
        train(run, LOG + events)
        await served.post("/v1/model/reload")
        assert await taken(served, "ann") == [1, 2, 3, 4, 2]
        answer = await served.post("/v1/recommend", {"user_id": "ann", "k": 4})
        expected = load(run).recommend(users="ann", k=4)[0]
        assert [item["item_id"] for item in answer["items"]] == expected.items
        assert [item["score"] for item in answer["items"]] == expected.scores
        assert answer["source"] == expected.source == "known user"
        # The next event counts again.
        await send(served, ("ann", 1, 3000))
        assert await taken(served, "ann") == [2, 3, 4, 2, 1]


@pytest.mark.parametrize(
    ("stored", "trained", "expected"),
    [
        pytest.param([("ann", 4, 1800.7)], [("ann", 4, 1800)], [1, 2, 3, 4], id="written in whole seconds"),
        pytest.param([("ann", 4, 1800.7)], [("ann", 4, 1801)], [1, 2, 3, 4], id="rounded to the next second"),
        pytest.param([("ann", 3, 1200)], [], [1, 2, 3], id="the last moment of the run, the same item"),
        pytest.param([("ann", 4, 1200)], [], [1, 2, 3, 4], id="the last moment of the run, another item"),
        pytest.param([("ann", 3, 1201)], [], [1, 2, 3, 3], id="the same item later"),
        pytest.param([("ann", 3, 5000), ("ann", 3, 6000)], [("ann", 3, 5000)], [1, 2, 3, 3, 3], id="one of two"),
        pytest.param([("ann", 4, 300)], [], [1, 4, 2, 3], id="late: before the end of the run, but not in it"),
        pytest.param([("ann", 4, -BEGIN)], [], [4, 1, 2, 3], id="at the beginning of time"),
        pytest.param([("ann", 4, 1300), ("ann", 2, 1250)], [], [1, 2, 3, 2, 4], id="out of order"),
        pytest.param([("new", 4, 1300)], [("new", 4, 1300)], [4], id="a user who is new to the log"),
    ],
)
async def test_an_event_counts_once_and_has_its_place_in_time(
    tmp_path: Path, stored: list[Row], trained: list[Row], expected: list[int]
) -> None:
    train(tmp_path / "run", LOG + trained)
    async with serving(tmp_path / "run") as served:
        await send(served, *stored)
        assert await taken(served, stored[0][0]) == expected


async def test_events_of_the_log_that_did_not_train_the_run_count_once(tmp_path: Path) -> None:
    train(tmp_path / "run", LOG, train_on="final")
    async with serving(tmp_path / "run") as served:
        assert await taken(served, "ann") == [1, 2, 3]
        await send(served, *[row for row in LOG if row[0] == "ann"])
        assert await taken(served, "ann") == [1, 2, 3]


async def test_without_times_events_that_repeat_the_end_of_the_run_count_once(tmp_path: Path) -> None:
    now = round(time.time()) - BEGIN
    train(tmp_path / "run", [*LOG, ("ann", 4, 0), ("ann", 2, 0)], has_times=False)
    async with serving(tmp_path / "run") as served:
        await send(served, ("ann", 4, now - 3))
        assert await taken(served, "ann") == [1, 2, 3, 4, 2, 4]
        await send(served, ("ann", 2, now - 2))
        assert await taken(served, "ann") == [1, 2, 3, 4, 2]
        await send(served, ("ann", 1, now - 1))
        assert await taken(served, "ann") == [1, 2, 3, 4, 2, 1]


async def test_where_the_log_has_days_an_event_of_that_day_counts_once(tmp_path: Path) -> None:
    day, midnight = 86_400, 18_518 * 86_400
    train(tmp_path / "run", [(user, item, place * day) for place, (user, item, _) in enumerate(LOG)], begin=midnight)
    async with serving(tmp_path / "run") as served:
        await send(served, ("ann", 3, 2 * day + 50_000), ("ann", 3, 3 * day + 5), begin=midnight)
        assert await taken(served, "ann") == [1, 2, 3, 3]


async def test_an_erased_user_has_only_the_events_since(tmp_path: Path) -> None:
    train(tmp_path / "run", LOG)
    async with serving(tmp_path / "run") as served:
        await served.client.delete("/v1/users/ann")
        await send(served, ("ann", 3, 1200))
        assert await taken(served, "ann") == [3]


async def test_a_history_longer_than_the_window_is_its_end(tmp_path: Path) -> None:
    rows: list[Row] = [("bot", 1 + place % 7, float(place)) for place in range(3000)]
    train(tmp_path / "run", LOG + rows)
    async with serving(tmp_path / "run", window=4) as served:
        await send(served, ("bot", rows[-1][1], 2999), ("bot", 5, 10.5))
        assert await taken(served, "bot") == [item for _, item, _ in rows[-4:]]
        assert (await served.post("/v1/recommend", {"user_id": "bot", "exclude_seen": True}))["items"] == []


@pytest.mark.parametrize("ending", ["csv", "parquet"])
async def test_the_events_of_a_store_are_written_as_a_log_that_can_be_trained_on(tmp_path: Path, ending: str) -> None:
    store, out = tmp_path / "my events.db", tmp_path / f"events.{ending}"
    train(tmp_path / "run", LOG)
    async with serving(tmp_path / "run", store=store) as served:
        await send(served, ("ann", 4, 1800.25), ('new, "user"', 2, 10), ("ann", 1, 1500.125))
        assert document("data", "events", store, "--out", out) == {"out": str(out), "events": 3}
        log = read_log(out, Reading(user="user_id", item="item_id", time="timestamp"))
        users, items = map(str, log.user_vocabulary.raw(log.users)), map(int, log.item_vocabulary.raw(log.items))
        moments = [float(moment / MICROSECONDS - BEGIN) for moment in log.times]
        events: list[Row] = list(zip(users, items, moments, strict=True))
        assert sorted(events) == [
            ("ann", 1, 1500.125), ("ann", 4, 1800.25), ('new, "user"', 2, 10.0)
        ]  # fmt: skip
        # A run of the log and the exported events holds every event once.
        train(tmp_path / "run", LOG + events)
        before = await taken(served, "ann")
        await served.post("/v1/model/reload")
        assert before == await taken(served, "ann") == [1, 2, 3, 1, 4]


def test_what_is_no_store_is_not_exported(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("user_id\n" * 100)
    for name in ("text.db", "none.db"):
        code, line = refusal("data", "events", tmp_path / name, "--out", tmp_path / "out.csv")
        assert (code, "must be the store of a service" in line) == (StoreError.exit_code, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text.db"]
