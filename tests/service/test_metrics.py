from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from caser.service.http import metrics
from tests.service.serving import Served, serving


async def value(served: Served, name: str) -> float:
    text = (await served.client.get("/metrics")).text
    return float(next(line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(f"{name} ")))


async def test_requests_are_counted_by_route_and_not_by_path(run: Path) -> None:
    async with serving(run) as served:
        await served.post("/v1/recommend", {"user_id": "ann"})
        await served.post("/v1/recommend", {"k": 0}, 422)
        await served.get("/v1/users/ann/history")
        await served.get("/v1/nothing", 404)
        await served.post("/v1/events", {"user_id": "ann", "item_id": 99})
        assert await value(served, 'caser_requests_total{route="/v1/recommend",status="200"}') == 1
        assert await value(served, 'caser_requests_total{route="/v1/recommend",status="422"}') == 1
        assert await value(served, 'caser_requests_total{route="/v1/users/{user_id}/history",status="200"}') == 1
        assert await value(served, 'caser_requests_total{route="other",status="404"}') == 1
        assert await value(served, 'caser_answers_total{source="known user"}') == 1
        assert await value(served, 'caser_events_total{item="unknown"}') == 1
        assert "ann" not in (await served.client.get("/metrics")).text


async def test_unknown_items_and_popularity_drift_are_measured(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MIN_EVENTS", 3)
    async with serving(run) as served:
        assert await value(served, "caser_model_age_seconds") >= 0
        for item in ("new", 50, 50, 10):
            assert math.isnan(await value(served, "caser_popularity_drift"))
            await served.post("/v1/events", {"user_id": "u", "item_id": item})
        assert await value(served, "caser_event_items_unknown_share") == 0.25
        # The run has 10: 2, 20: 4, 30: 2, 50: 1 of 9; lately 50: 2, 10: 1 of 3.
        assert await value(served, "caser_popularity_drift") == pytest.approx(1 - (1 / 9 + 2 / 9))
        shares = np.array([2, 4, 2, 1]) / 9
        by_chance = np.minimum(np.sqrt(2 * shares * (1 - shares) / (np.pi * 3)), 2 * shares).sum() / 2
        assert await value(served, "caser_popularity_drift_by_chance") == pytest.approx(by_chance)


async def test_a_few_events_give_no_value_and_many_from_the_same_popularity_little_drift(run: Path) -> None:
    async with serving(run) as served:
        events = [{"user_id": "u", "item_id": item} for item in (10, 10, 20, 20, 20, 20, 30, 30, 50)] * 111
        await served.post("/v1/events", {"events": events})
        for name in ("caser_popularity_drift", "caser_event_items_unknown_share", "caser_popularity_drift_by_chance"):
            assert math.isnan(await value(served, name))
        await served.post("/v1/events", {"user_id": "u", "item_id": 10})
        assert await value(served, "caser_popularity_drift") < await value(served, "caser_popularity_drift_by_chance")
        assert await value(served, "caser_event_items_unknown_share") == 0


async def test_the_model_the_store_and_the_process_are_described(run: Path, tmp_path: Path) -> None:
    async with serving(run, store=tmp_path / "events.db") as served:
        version = (await served.get("/v1/model"))["model_version"]
        text = (await served.client.get("/metrics")).text
        assert f'version="{version}"' in text
        assert await value(served, "caser_store_durable") == 1
        assert await value(served, "caser_store_writable") == 1
        if sys.platform == "linux":
            assert await value(served, "process_resident_memory_bytes") > 2**20
        (tmp_path / "events.db").unlink()
        assert await value(served, "caser_store_writable") == 0
        named = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
        helped = {line.split()[2] for line in text.splitlines() if line.startswith("# HELP") and len(line.split()) > 5}
        assert named == helped
    async with serving(run) as served:
        assert await value(served, "caser_store_durable") == 0


async def test_an_event_that_is_sent_again_is_counted_once(run: Path) -> None:
    async with serving(run) as served:
        for _ in range(3):
            await served.post("/v1/events", {"user_id": "u", "item_id": 10, "event_id": "same"})
        assert await value(served, 'caser_events_total{item="known"}') == 1
