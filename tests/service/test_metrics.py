from __future__ import annotations

from pathlib import Path

import pytest

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


async def test_unknown_items_and_popularity_drift_are_measured(run: Path) -> None:
    async with serving(run) as served:
        assert await value(served, "caser_event_items_unknown_share") == 0
        assert await value(served, "caser_popularity_drift") == 0
        assert await value(served, "caser_model_age_seconds") >= 0
        for item in (50, 50, 10, "new"):
            await served.post("/v1/events", {"user_id": "u", "item_id": item})
        assert await value(served, "caser_event_items_unknown_share") == 0.25
        # The run has 10: 2, 20: 4, 30: 2, 50: 1 of 9; lately 50: 2, 10: 1 of 3.
        assert await value(served, "caser_popularity_drift") == pytest.approx(1 - (1 / 9 + 2 / 9))


async def test_an_event_that_is_sent_again_is_counted_once(run: Path) -> None:
    async with serving(run) as served:
        for _ in range(3):
            await served.post("/v1/events", {"user_id": "u", "item_id": 10, "event_id": "same"})
        assert await value(served, 'caser_events_total{item="known"}') == 1
