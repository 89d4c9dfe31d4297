"""Kinds of events over HTTP: they follow the rules of the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from caser.answering.recommender import load
from caser.artefact.manifest_facts import LogEntry
from caser.data.filters import LogFilters
from caser.data.kind_rules import KindRules
from caser.data.readers import read_log
from caser.data.unjudged import unjudged
from caser.errors import ConfigError
from caser.fitting.fit import fit
from caser.models.counting.markov import Markov
from tests.service.serving import serving

FRAME = pl.DataFrame(
    {
        "user": ["ann"] * 6 + ["bob"] * 6,
        "item": ["tea", "milk", "tea", "cake", "soap", "cake"] * 2,
        "time": range(1_600_000_000, 1_600_000_012),
        "event": ["view", "buy", "cart"] * 4,
    }
)


def run_of(path: Path, filters: LogFilters | None = None, **reading: Any) -> Path:
    """Save a Markov chain of the log."""
    log = read_log(FRAME, filters=filters, **reading)
    fit(Markov(), unjudged(log, "leave-one-out"), train_on="all").save(path)
    return path


async def test_an_event_has_the_kind_that_it_is_sent_with(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", target_events=("buy=2", "cart"))
    async with serving(run, store=str(tmp_path / "events.db"), answer_log=tmp_path / "answers.jsonl") as served:
        kinds = ["buy", "view", "wish", None]
        events = [{"user_id": "new", "item_id": "tea", "time": 5.0 + place} for place in range(4)]
        for event, kind in zip(events, kinds, strict=True):
            event |= {} if kind is None else {"event_type": kind}
        kept = await served.post("/v1/events", {"events": events})
        assert (kept["accepted"], kept["unknown_event_types"]) == (4, ["wish"])
        # All of them are history.
        assert len((await served.get("/v1/users/new/history"))["interactions"]) == 4
    # What the run predicts is in the log of answers, which replay compares with answers.
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [line["at"] for line in lines if line.get("kind") == "event"] == [5.0, 8.0]


async def test_kinds_that_the_run_leaves_out_are_no_history(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", filters=LogFilters(event_types=("buy", "cart")))
    async with serving(run) as served:
        for place, kind in enumerate(["buy", "view", "cart"]):
            event = {"user_id": "new", "item_id": f"i{kind}", "event_type": kind, "time": place}
            assert (await served.post("/v1/events", event))["unknown_event_types"] == []
        history = await served.get("/v1/users/new/history")
        assert [one["item_id"] for one in history["interactions"]] == ["ibuy", "icart"]
        question = {"user_id": "bob", "exclude_seen": False}
        before = await served.items(**question)
        await served.post("/v1/events", {"user_id": "bob", "item_id": "milk", "event_type": "view"})
        assert await served.items(**question) == before
        await served.post("/v1/events", {"user_id": "bob", "item_id": "milk", "event_type": "cart"})
        assert await served.items(**question) != before


async def test_a_run_of_all_kinds_alike_takes_any_kind(tmp_path: Path) -> None:
    async with serving(run_of(tmp_path / "run")) as served:
        event = {"user_id": "new", "item_id": "tea", "event_type": "anything"}
        assert (await served.post("/v1/events", event))["unknown_event_types"] == []
        assert len((await served.get("/v1/users/new/history"))["interactions"]) == 1


@pytest.mark.parametrize("kind", ["", "k" * 101, 3, True, ["buy"], 1.5])
async def test_what_is_no_kind_is_refused(kind: object, tmp_path: Path) -> None:
    async with serving(run_of(tmp_path / "run")) as served:
        event = {"user_id": "new", "item_id": "tea", "event_type": kind}
        problem = await served.post("/v1/events", {"events": [event]}, status=422)
        assert "events[0].event_type must" in json.dumps(problem)
        assert (await served.get("/v1/users/new/history"))["interactions"] == []


def test_the_rules_of_a_run_are_read_from_its_manifest(tmp_path: Path) -> None:
    facts = load(run_of(tmp_path / "run", target_events=("buy=2", "cart"))).artefact.manifest["log"]
    rules = KindRules.of(facts)
    assert [rules.is_target(kind) for kind in ("buy", "cart", "view", "wish", None)] == [True, True, False, False, True]
    assert [rules.is_unknown(kind) for kind in ("buy", "view", "wish", None)] == [False, False, True, False]
    assert KindRules.of({"digest": ""}) == KindRules()


@pytest.mark.parametrize(
    "damage",
    [
        {"reading": {"target_events": "buy"}},
        {"reading": {"target_events": ["buy=0"]}},
        {"reading": {"target_events": [1]}},
        {"filter_settings": {"event_types": {"a": 1}}},
        {"event_kinds": [1]},
        {"event_kinds": ["k"] * 1001},
    ],
)
def test_a_manifest_with_other_rules_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        LogEntry.of({"digest": "d", **damage})


# --- negative kinds


SKIPS = pl.concat(
    [
        FRAME,
        pl.DataFrame(
            {"user": ["ann", "bob"], "item": ["cake", "soap"], "time": [1_600_000_050] * 2, "event": ["skip"] * 2}
        ),
    ]
)
EVERYTHING = {"k": 5, "exclude_seen": False}


async def test_negative_events_are_no_history_and_leave_their_items_out(tmp_path: Path) -> None:
    log = read_log(SKIPS, negative_events=("skip",))
    fit(Markov(), unjudged(log, "leave-one-out"), train_on="all").save(tmp_path / "run")
    async with serving(tmp_path / "run", store=str(tmp_path / "events.db")) as served:
        before = await served.items(user_id="ann", **EVERYTHING)
        assert "cake" not in before
        for user, item, kind, time in (
            ("ann", "milk", "skip", 1_600_000_100),  # newly rejected
            ("ann", "milk", "skip", 1_600_000_101),
            ("ann", "cake", "view", 1_600_000_010),  # before the skip that the run knows
            ("new", "tea", "skip", 1_600_000_100),
            ("new", "soap", "skip", 1_600_000_100),
            ("new", "soap", "view", 1_600_000_200),  # taken after all
            ("bob", "soap", "buy", 1_600_000_200),
            ("bob", "tea", "skip", 1_500_000_000),  # before bob took it
            ("bob", "milk", "skip", 1_600_000_300),
            ("bob", "never seen", "skip", 1_600_000_300),
        ):
            event = {"user_id": user, "item_id": item, "event_type": kind, "time": time}
            assert (await served.post("/v1/events", event))["unknown_event_types"] == []
        assert [one["item_id"] for one in (await served.get("/v1/users/new/history"))["interactions"]] == ["soap"]
        assert set(await served.items(user_id="ann", **EVERYTHING)) == {"tea", "soap"}
        assert set(await served.items(user_id="new", **EVERYTHING)) == {"milk", "cake", "soap"}
        assert set(await served.items(user_id="bob", **EVERYTHING)) == {"tea", "cake", "soap"}
        # A history in the question replaces that of the user, and not what the user rejects.
        asked = {"user_id": "bob", "history": ["tea"], **EVERYTHING}
        assert set(await served.items(**asked)) == {"tea", "cake", "soap"}
        assert set(await served.items(history=["tea"], **EVERYTHING)) == {"tea", "milk", "cake", "soap"}
        # Skips alone change no history: ann is answered as the run answers.
        answer = await served.post("/v1/recommend", {"user_id": "ann", **EVERYTHING})
        assert answer["source"] == "known user"
        await served.client.delete("/v1/users/ann")
        assert set(await served.items(user_id="ann", **EVERYTHING)) == {"tea", "milk", "cake", "soap"}


async def test_a_log_without_times_is_followed_by_the_events(tmp_path: Path) -> None:
    log = read_log(SKIPS.drop("time"), negative_events=("skip",))
    fit(Markov(), unjudged(log, "leave-one-out"), train_on="all").save(tmp_path / "run")
    async with serving(tmp_path / "run") as served:
        assert "cake" not in await served.items(user_id="ann", **EVERYTHING)
        await served.post("/v1/events", {"user_id": "ann", "item_id": "cake", "event_type": "view", "time": 5})
        await served.post("/v1/events", {"user_id": "ann", "item_id": "tea", "event_type": "skip", "time": 6})
        assert set(await served.items(user_id="ann", **EVERYTHING)) == {"milk", "cake", "soap"}
