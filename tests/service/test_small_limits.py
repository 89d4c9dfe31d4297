"""Limits of the service made so small that every one of them is reached: the answers stay, and the promises hold."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from caser.answering import reading, wanted_items
from caser.answering.recommender import Recommender, load
from caser.artefact.folder import save
from caser.errors import ArtefactError
from caser.service.answers import loaded_model
from caser.service.answers.loaded_model import load_model
from caser.service.answers.queue import QuestionQueue
from caser.service.events.export import event_frames
from caser.service.events.histories import Histories
from caser.service.events.sqlite import SqliteEvents
from caser.service.events.store import Event, RecentHistory
from caser.service.http.access import RateLimit
from caser.study import replay
from tests.runs import ITEMS, USERS, caser_run, popularity_run
from tests.service.serving import as_they_are, serving

SMALL = (1, 2, 3)
Patch = pytest.MonkeyPatch

# Batches and commits


@pytest.mark.parametrize("size", SMALL)
async def test_batches_of_any_size_answer_every_question_in_its_place(size: int, monkeypatch: Patch) -> None:
    monkeypatch.setattr("caser.service.answers.queue.MAX_BATCH_SIZE", size)
    sizes: list[int] = []

    def answer(questions: Any) -> list[int]:
        sizes.append(len(questions))
        return [2 * question for question in questions]

    queue: QuestionQueue[int, int, int] = QuestionQueue(as_they_are, answer, max_waiting=100)
    queue._seconds_per_cost = 1e-9  # answers take no time
    assert await asyncio.gather(*map(queue.ask, range(8))) == [2 * number for number in range(8)]
    assert await queue.ask_all(list(range(8)), [1] * 8) == [2 * number for number in range(8)]
    assert max(sizes) == size
    queue.close()


@pytest.mark.parametrize("waiting", SMALL)
async def test_as_many_questions_as_may_wait_do_wait_and_one_more_is_refused(waiting: int) -> None:
    queue: QuestionQueue[int, int, int] = QuestionQueue(as_they_are, list, max_waiting=waiting)
    found = await asyncio.gather(*map(queue.ask, range(waiting + 1)), return_exceptions=True)
    assert found[:-1] == list(range(waiting))
    assert type(found[-1]).__name__ == "BusyError"
    queue.close()


@pytest.mark.parametrize("in_memory", [1, 1_000, 10**6])
@pytest.mark.parametrize("new", [0, 1, 3])
@pytest.mark.parametrize("at_once", SMALL)
async def test_histories_are_those_of_all_events_whatever_a_commit_or_the_memory_holds(
    at_once: int, new: int, in_memory: int, tmp_path: Path, monkeypatch: Patch
) -> None:
    monkeypatch.setattr("caser.service.events.group_commit._MAX_PER_COMMIT", at_once)
    monkeypatch.setattr("caser.service.events.sqlite.MAX_NEW_EVENTS", new)
    store = SqliteEvents(tmp_path / "events.db")
    histories = Histories(store, window=3, max_bytes=in_memory)
    chance = random.Random(0)
    events: list[Event] = []
    for round_ in range(6):
        some = [
            Event(f"{round_}-{n}", chance.choice("abc"), f"i{chance.randrange(9)}", float(chance.randrange(4)))
            for n in range(1 + round_ % 3)
        ]
        await asyncio.gather(*(store.append([event]) for event in some))
        events += some
        for user in "abcabc":
            own = sorted((event for event in events if event.user_id == user), key=lambda event: event.time)
            [recent] = await histories.recent_many([user])
            assert recent.items == tuple(event.item_id for event in own[-3:])
            assert recent.times == tuple(event.time for event in own[-3:])
    store.close()


@pytest.mark.parametrize("rows", SMALL)
async def test_exported_events_are_all_there_in_order_of_time(rows: int, tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr("caser.service.events.export._ROWS_AT_ONCE", rows)
    store = SqliteEvents(tmp_path / "events.db")
    await store.append([Event(f"e{number}", "ann", f"i{number}", float(number % 3)) for number in range(7)])
    frame = pl.concat(event_frames(tmp_path / "events.db"))
    assert frame["item_id"].to_list() == ["i0", "i3", "i6", "i1", "i4", "i2", "i5"]
    store.close()


@pytest.mark.parametrize("size", SMALL)
def test_a_service_is_compared_for_every_user_however_many_a_request_holds(size: int, monkeypatch: Patch) -> None:
    recommender = Recommender(caser_run())
    asked: list[Any] = []

    def post(url: str, path: str, body: Any, token: str | None) -> Any:
        asked.extend(question["user_id"] for question in body["questions"])
        found = [
            recommender.recommend(one["user_id"], [one["history"]], k=one["k"])[0].rows() for one in body["questions"]
        ]
        if "bob" in asked[-len(found) :]:  # the service gives bob nothing
            found[asked[-len(found) :].index("bob")] = []
        return {"answers": [{"items": rows} for rows in found], "model_version": "v1"}

    monkeypatch.setattr(replay, "ask", post)
    monkeypatch.setattr(replay, "_PER_REQUEST", size)
    monkeypatch.setattr(replay, "_ITEMS_PER_REQUEST", 4)
    how: dict[str, Any] = {"version": "v1", "users": 9, "k": 2, "seed": 0, "token": None}
    found = replay.compare_with_service(recommender, "http://localhost", **how)
    assert sorted(asked) == ["ann", "bob", "eve"]
    assert (found.same, found.ties, list(found.different)) == (2, 0, ["bob"])


@pytest.mark.parametrize("max_cached", [1, 1_000, 10**6])
def test_the_history_of_a_user_does_not_depend_on_who_was_asked_before(max_cached: int, run: Path) -> None:
    model = load_model(run, None, max_cached=max_cached)
    no_events = RecentHistory()
    for user in [*USERS, *USERS[::-1], "nobody"]:
        expected = {"ann": [10, 20, 30], "bob": [20, 30], "eve": [50, 10, 20, 20]}.get(user, [])
        assert [one.item for one in model.history(user, no_events, 1000).interactions] == expected


# How much of a ranking is read when rules remove items

QUESTIONS: list[dict[str, Any]] = [
    {"k": 1, "filters": {"genre": ["loud"]}},
    {"k": 2, "filters": {"genre": ["loud"]}},
    {"k": 9, "filters": {"genre": ["calm"], "year": [2000]}},
    {"k": 2, "exclude": [20, 10]},
    {"k": 2, "rules": {"without": {"genre": ["loud"]}}},
    {"k": 2, "rules": {"at_most": {"year": 1}}},
    {"k": 1, "rules": {"boosts": [{"where": {"genre": ["rare"]}, "amount": 100}]}},
    {"k": 2, "only": [50, 30, 20], "filters": {"genre": ["loud", "rare"]}},
    {"k": 2},
    {"k": 3, "rules": {"diversity": 0.5}, "exclude": [50]},
    {"k": 2, "rules": {"diversity": 1}},
]


@pytest.mark.parametrize("growth", [2, 8])
@pytest.mark.parametrize("margin", [1, 4])
@pytest.mark.parametrize("read_for_filters", [0, 1, 5_000])
async def test_rules_give_the_same_answer_however_much_of_the_ranking_is_read_at_once(
    read_for_filters: int, margin: int, growth: int, tmp_path: Path, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(reading, "_GROWTH", growth)
    monkeypatch.setattr(wanted_items, "_MARGIN", margin)
    monkeypatch.setattr(wanted_items, "MOST_READ_TO_LIST", read_for_filters)
    save(popularity_run(), tmp_path / "run")
    genres = [["calm"], ["calm", "loud"], ["loud"], [], ["rare"], ["calm"]]
    frame = pl.DataFrame({"item_id": ITEMS, "genre": genres, "year": [1990, 2000, 2000, 1, 1990, 2000]})
    frame.write_parquet(tmp_path / "items.parquet")
    async with serving(tmp_path / "run", items=tmp_path / "items.parquet") as served:
        questions = [{"exclude_seen": False, **question} for question in QUESTIONS]
        found = (await served.post("/v1/recommend/bulk", {"questions": questions}))["answers"]
        alone = [await served.post("/v1/recommend", question) for question in questions]
    expected = [[20], [20, 30], [20], [30, 50], [10, 50], [20, 10], [50], [20, 30], [20, 10], [20, 10, 30], [20, 50]]
    assert [[item["item_id"] for item in answer["items"]] for answer in found] == expected
    assert [[item["item_id"] for item in answer["items"]] for answer in alone] == expected


# A full table of clients


class Clock:
    """A clock that stands until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def limited(monkeypatch: Patch) -> tuple[RateLimit, Clock]:
    """One request at once, one more each second; two clients are remembered."""
    monkeypatch.setattr("caser.service.http.access.MAX_CLIENTS", 2)
    clock = Clock()
    return RateLimit(rate=1.0, burst=1, clock=clock), clock


def test_a_newcomer_to_a_full_table_is_limited_like_everybody(limited: tuple[RateLimit, Clock]) -> None:
    limit, _ = limited
    assert [limit.seconds_to_wait(client) for client in ("ann", "bob", "new", "new", "new")] == [0, 0, 0, 1, 1]


def test_a_full_table_forgets_whoever_was_silent_for_longest_and_nobody_else(limited: tuple[RateLimit, Clock]) -> None:
    limit, _ = limited
    limit.seconds_to_wait("ann")
    limit.seconds_to_wait("bob")
    assert limit.seconds_to_wait("ann") == 1  # two clients fit; now bob is silent for longest
    assert limit.seconds_to_wait("new") == 0
    assert limit.seconds_to_wait("ann") == 1
    assert limit.seconds_to_wait("bob") == 0  # forgotten, so he may ask at once
    assert limit.seconds_to_wait("ann") == 1


def test_a_client_waits_as_long_as_it_is_told_and_no_longer(limited: tuple[RateLimit, Clock]) -> None:
    limit, clock = limited
    assert limit.seconds_to_wait("ann") == 0
    clock.now = 0.25
    assert limit.seconds_to_wait("ann") == 0.75
    clock.now = 1.0
    assert limit.seconds_to_wait("ann") == 0  # exactly one token is enough
    clock.now = 100.0
    assert [limit.seconds_to_wait("ann") for _ in range(2)] == [0, 1]  # silence saves no more than the burst


# A run that changes while it is read


def replaced_while_read(run: Path, times: int, monkeypatch: Patch) -> Callable[[], int]:
    """Make `load` find that the run is replaced after it was read, so many times; return how often it read."""
    seeds = itertools.count(1)

    def reading(path: Path) -> Recommender:
        recommender = load(path)
        if (seed := next(seeds)) <= times:
            save(caser_run(seed=seed), run)
        return recommender

    monkeypatch.setattr(loaded_model, "load", reading)
    return lambda: next(seeds) - 1


@pytest.mark.parametrize("times", [0, 1, 2])
def test_a_manifest_that_changes_between_two_reads_is_read_again(times: int, run: Path, monkeypatch: Patch) -> None:
    reads = replaced_while_read(run, times, monkeypatch)
    model = load_model(run, None)
    assert reads() == times + 1
    expected = load(run)
    assert model.version == load_model(run, None).version
    assert model.recommender.recommend("ann")[0] == expected.recommend("ann")[0]


def test_a_run_that_never_stands_still_is_refused(run: Path, monkeypatch: Patch) -> None:
    reads = replaced_while_read(run, 99, monkeypatch)
    with pytest.raises(ArtefactError, match="it changed 3 times"):
        load_model(run, None)
    assert reads() == 3
