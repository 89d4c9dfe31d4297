from __future__ import annotations

import asyncio
from pathlib import Path

from caser.answering.recommender import load
from caser.artefact.folder import save
from tests.runs import caser_run
from tests.service.serving import serving


async def test_an_event_changes_the_next_answer_of_a_known_user(run: Path) -> None:
    expected = load(run).recommend(users="bob", histories=[[20, 30, 50]], k=5)[0]
    async with serving(run) as served:
        assert await served.items(user_id="bob") != expected.items
        kept = await served.post("/v1/events", {"user_id": "bob", "item_id": 50})
        assert (kept["accepted"], kept["known"], kept["durable"]) == (1, 0, False)
        assert await served.items(user_id="bob") == expected.items


async def test_a_new_user_is_answered_by_fold_in_after_the_first_event(run: Path) -> None:
    recommender = load(run)
    async with serving(run) as served:
        assert (await served.post("/v1/recommend", {"user_id": "new"}))["source"] == "popularity"
        for taken in ([20], [20, 50]):
            await served.post("/v1/events", {"user_id": "new", "item_id": taken[-1]})
            answer = await served.post("/v1/recommend", {"user_id": "new"})
            assert answer["source"] == "fold-in"
            expected = recommender.recommend(histories=[taken])[0]
            assert [item["item_id"] for item in answer["items"]] == expected.items


async def test_events_sent_twice_count_once_and_events_on_unknown_items_are_stored(run: Path) -> None:
    async with serving(run) as served:
        events = [
            {"user_id": 7, "item_id": 10, "event_id": "a", "time": 5},
            {"user_id": "7", "item_id": "later", "event_id": "b", "time": 6.5},
        ]
        first = await served.post("/v1/events", {"events": events})
        assert (first["accepted"], first["known"], first["unknown_items"]) == (2, 0, ["later"])
        assert (await served.post("/v1/events", {"events": events}))["known"] == 2
        history = await served.get("/v1/users/7/history")
        assert history["interactions"] == [
            {"item_id": 10, "title": "Ten", "time": 5.0},
            {"item_id": "later", "title": None, "time": 6.5},
        ]
        answer = await served.post("/v1/recommend", {"user_id": 7})
        assert answer["ignored"] == ["later"]


async def test_a_history_is_the_history_of_the_run_followed_by_the_events(run: Path) -> None:
    async with serving(run, window=3) as served:
        await served.post("/v1/events", {"user_id": "bob", "item_id": 50})
        await served.post("/v1/events", {"user_id": "bob", "item_id": 10})
        history = await served.get("/v1/users/bob/history")
        assert [one["item_id"] for one in history["interactions"]] == [30, 50, 10]


async def test_an_erased_user_is_answered_as_unknown_by_a_model_trained_on_them(run: Path) -> None:
    async with serving(run) as served:
        await served.post("/v1/events", {"user_id": "ann", "item_id": 50})
        response = await served.client.delete("/v1/users/ann")
        assert response.json()["events_removed"] == 1
        assert (await served.post("/v1/recommend", {"user_id": "ann"}))["source"] == "popularity"
        assert (await served.get("/v1/users/ann/history"))["interactions"] == []
        await served.post("/v1/events", {"user_id": "ann", "item_id": 10})
        answer = await served.post("/v1/recommend", {"user_id": "ann"})
        assert answer["source"] == "fold-in"
        expected = load(run).recommend(histories=[[10]])[0]
        assert [item["item_id"] for item in answer["items"]] == expected.items


async def test_ids_may_contain_slashes_and_percent_signs(run: Path) -> None:
    async with serving(run) as served:
        name = "a/b c?d%e\u202e\u00e9"
        await served.post("/v1/events", {"user_id": name, "item_id": 10})
        response = await served.client.get("/v1/users/a%2Fb%20c%3Fd%25e%E2%80%AE%C3%A9/history")
        assert response.json()["user_id"] == name
        assert len(response.json()["interactions"]) == 1


async def test_a_reload_serves_the_new_run_in_the_folder(run: Path) -> None:
    async with serving(run) as served:
        before = await served.post("/v1/recommend", {"user_id": "bob"})
        save(caser_run(seed=5), run)
        assert await served.post("/v1/recommend", {"user_id": "bob"}) == before
        facts = await served.post("/v1/model/reload")
        after = await served.post("/v1/recommend", {"user_id": "bob"})
        assert after["model_version"] == facts["model_version"] != before["model_version"]
        assert [item["item_id"] for item in after["items"]] == load(run).recommend(users="bob")[0].items


async def test_a_reload_of_a_damaged_run_is_refused_and_the_old_model_stays(run: Path) -> None:
    async with serving(run) as served:
        before = await served.post("/v1/recommend", {"user_id": "bob"})
        weights = run / "weights.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
        refused = await served.post("/v1/model/reload", status=409)
        assert str(run) not in refused["error"]
        assert await served.post("/v1/recommend", {"user_id": "bob"}) == before


async def test_during_reloads_every_answer_comes_from_exactly_one_model(run: Path) -> None:
    runs = [caser_run(seed=seed) for seed in (0, 5)]
    async with serving(run) as served:
        expected = {}
        for artefact in runs:
            save(artefact, run)
            version = (await served.post("/v1/model/reload"))["model_version"]
            answer = await served.post("/v1/recommend", {"user_id": "bob"})
            assert answer["model_version"] == version
            expected[version] = answer
        latest = {"version": ""}
        done = asyncio.Event()

        async def ask() -> int:
            count = 0
            while not done.is_set():
                reloaded = latest["version"]
                answer = await served.post("/v1/recommend", {"user_id": "bob"})
                assert answer == expected[answer["model_version"]]
                if reloaded and latest["version"] == reloaded and not swapping.is_set():
                    assert answer["model_version"] == reloaded
                count += 1
                await asyncio.sleep(0)
            return count

        swapping = asyncio.Event()
        asking = [asyncio.ensure_future(ask()) for _ in range(4)]
        for number in range(10):
            swapping.set()
            save(runs[number % 2], run)
            latest["version"] = (await served.post("/v1/model/reload"))["model_version"]
            swapping.clear()
            await asyncio.sleep(0.01)
        done.set()
        assert min(await asyncio.gather(*asking)) > 0
