from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from caser.service.http import middleware
from tests.service.serving import Served, serving

JSON = {"content-type": "application/json"}


async def sent(served: Served, content: bytes | str, path: str = "/v1/recommend", **headers: str) -> tuple[int, str]:
    response = await served.client.post(path, content=content, headers={**JSON, **headers})
    return response.status_code, response.json().get("error", "")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "the body must be JSON; it cannot be read"),
        ("{", "the body must be JSON; it cannot be read"),
        ("[]", "the body must be an object"),
        ('{"user_id": true}', "user_id"),
        ('{"user_id": 1.5}', "user_id"),
        ('{"user_id": ""}', "user_id"),
        ('{"user_id": 7.0}', "user_id must be an id: a text of 1 to 1,000 characters, or a whole number (7, not 7.0)"),
        ('{"user_id": "\\ud800"}', "the body must be JSON; it cannot be read"),
        ('{"k": 0}', "k must be at least 1"),
        ('{"k": 1001}', "k must be at most 1,000"),
        ('{"k": "5"}', "k must be a whole number"),
        ('{"k": 5.5}', "k must be a whole number"),
        ('{"k": 1e400}', "k must be"),
        ('{"explain": 1}', "explain must be true or false"),
        ('{"nonsense": 1}', "nonsense is not a field of this request; see /openapi.json."),
        ('{"histry": [1]}', "histry is not a field of this request; did you mean history?"),
        ('{"rules": {"boots": []}}', "rules.boots is not a field of this request; did you mean boosts?"),
        ('{"rules": {"at_most": {"genre": 0}}}', "rules.at_most.genre"),
        ('{"rules": {"boosts": [{"where": {}, "amount": NaN}]}}', "rules.boosts[0].amount must be a finite number"),
        ("[" * 100_000, "the body must be JSON; it cannot be read"),
        ('{"history": ' + "[" * 10_000 + "]" * 10_000 + "}", "the body must be JSON; it cannot be read"),
        ('{"history": [' + "1," * 1000 + "1]}", "history must have at most 1,000 entries"),
    ],
)
async def test_an_invalid_body_is_refused_with_one_sentence(run: Path, content: str, sentence: str) -> None:
    async with serving(run) as served:
        status, error = await sent(served, content)
        assert (status, error.startswith(sentence)) == (422, True), error


async def test_the_last_of_two_equal_keys_counts(run: Path) -> None:
    async with serving(run) as served:
        response = await served.client.post("/v1/recommend", content='{"k": 1, "k": 2}', headers=JSON)
        assert len(response.json()["items"]) == 2


async def test_the_longest_history_and_a_k_above_the_catalogue_size_work(run: Path) -> None:
    async with serving(run) as served:
        assert len(await served.items(history=[10, 20] * 500, k=1000, exclude_seen=False)) == 4


async def test_a_body_must_be_declared_as_json(run: Path) -> None:
    async with serving(run) as served:
        for media in ("text/plain", "", "application/x-www-form-urlencoded"):
            assert (await sent(served, "{}", **{"content-type": media}))[0] == 415
        assert (await sent(served, "{}", **{"content-type": "Application/JSON; charset=utf-8"}))[0] == 200


async def test_a_wrong_method_is_refused_with_the_allowed_ones(run: Path) -> None:
    async with serving(run) as served:
        response = await served.client.put("/v1/recommend")
        assert (response.status_code, response.headers["allow"]) == (405, "POST")
        response = await served.client.get("/v1/users/ann")
        assert (response.status_code, response.headers["allow"]) == (405, "DELETE")
        assert (await served.client.head("/healthz")).status_code == 200


async def test_a_history_of_a_million_items_is_refused_at_once(run: Path) -> None:
    content = b'{"history": [' + b"12345," * 1_000_000 + b"1]}"
    async with serving(run) as served:
        start = time.process_time()
        status, _ = await sent(served, content)
        assert (status, time.process_time() - start < 1) == (413, True)


async def test_an_endless_body_is_refused_as_soon_as_it_is_too_long(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "_DISCARD_SECONDS", 0.01)
    count = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal count
        while True:
            count += 1
            yield b" " * 65_536
            await asyncio.sleep(0)

    async with serving(run) as served:
        scope = {"type": "http", "method": "POST", "raw_path": b"/v1/recommend", "query_string": b"",
                 "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")]}  # fmt: skip
        source, messages = chunks(), []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": await anext(source), "more_body": True}

        async def send(message: Any) -> None:
            messages.append((message, count))

        await served.app(scope, receive, send)
    assert messages[0][0]["status"] == 413
    assert messages[0][1] == 17  # a mebibyte has 16 chunks; one more was read


async def test_a_body_that_does_not_arrive_in_time_is_refused(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "BODY_SECONDS", 0.01)

    async def chunks() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with serving(run) as served:
        response = await served.client.post("/v1/recommend", content=chunks(), headers=JSON)
        assert (response.status_code, response.headers["connection"]) == (408, "close")


async def test_a_full_queue_refuses_with_retry_after(run: Path) -> None:
    async with serving(run, max_waiting=4) as served:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(served.client.post("/v1/recommend", json={})) for _ in range(40)]
            health = group.create_task(served.client.get("/healthz"))
        responses = [task.result() for task in asked]
        refused = [response for response in responses if response.status_code == 503]
        assert health.result().status_code == 200
        assert refused
        assert {response.headers["retry-after"] for response in refused} == {"1"}
        assert {response.status_code for response in responses} == {200, 503}
        assert (await served.client.post("/v1/recommend", json={})).status_code == 200
