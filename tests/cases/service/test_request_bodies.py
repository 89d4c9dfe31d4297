"""Case d02 (and d03): bodies as real clients send them, and one sentence about what is wrong with an event."""

from __future__ import annotations

import asyncio
import codecs
import gzip
import json
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from caser.service.http import middleware
from tests.service.serving import serving

EVENT: dict[str, Any] = {"user_id": "ann", "item_id": 10}
QUESTION = b'{"user_id": "ann", "k": 1}'
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"events": [EVENT, EVENT, {**EVENT, "time": "now"}]}, "events[2].time must be a time in seconds since 1970"),
        (
            {"events": [{**EVENT, "time": "2026-11-28T12:00:00Z"}]},
            "events[0].time must be a time in seconds since 1970",
        ),
        ({"events": [EVENT, {**EVENT, "time": 1_764_000_000_000}]}, "events[1].time must be a time in seconds"),
        ({**EVENT, "time": 1_764_000_000_000}, "time must be a time in seconds since 1970"),
        ({**EVENT, "time": -1}, "time must be a time in seconds since 1970"),
        ({**EVENT, "time": True}, "time must be a time in seconds since 1970"),
        ({"events": [EVENT, {"user_id": "ann"}]}, "events[1].item_id is missing"),
        ({"user_id": "ann"}, "item_id is missing"),
        ({}, "user_id is missing"),
        ({"events": [{**EVENT, "user_id": None}]}, "events[0].user_id must be an id: a text of 1 to 1,000 characters"),
        ({**EVENT, "item_id": [10]}, "item_id must be an id"),
        ({**EVENT, "user_id": "x" * 1001}, "user_id must be an id"),
        ({**EVENT, "event_id": 7}, "event_id must be text"),
        ({**EVENT, "tim": 7}, "tim is not a field of this request; did you mean time?"),
        (
            {"events": [{**EVENT, "itemid": 7}]},
            "events[0].itemid is not a field of this request; did you mean item_id?",
        ),
        ({"events": []}, "events must have at least 1 entry"),
        ({"events": EVENT}, "events must be a list"),
        ([EVENT], "the body must be an object"),
    ],
)
async def test_the_sentence_names_the_number_of_the_event_and_the_field(run: Path, body: Any, sentence: str) -> None:
    async with serving(run) as served:
        refused = await served.post("/v1/events", body, 422)
        assert refused["error"].startswith(sentence), refused
        assert len((await served.get("/v1/users/ann/history"))["interactions"]) == 3


async def test_questions_and_lists_are_named_by_number(run: Path) -> None:
    async with serving(run) as served:
        bulk = {"questions": [{"user_id": 1}, {"user_id": 1, "k": 0}]}
        assert (await served.post("/v1/recommend/bulk", bulk, 422))["error"].startswith(
            "questions[1].k must be at least 1"
        )
        refused = await served.post("/v1/recommend", {"history": [10, None]}, 422)
        assert refused["error"].startswith("history[1] must be an id")


async def test_a_time_may_be_a_day_ahead_and_as_old_as_1970(run: Path) -> None:
    now = time.time()
    async with serving(run) as served:
        await served.post("/v1/events", {"user_id": "new", "item_id": 20, "time": now + 80_000})
        await served.post("/v1/events", {"user_id": "new", "item_id": 10, "time": 0})
        refused = await served.post("/v1/events", {"user_id": "new", "item_id": 30, "time": now + 90_000}, 409)
        assert "at most a day ahead" in refused["error"]
        history = (await served.get("/v1/users/new/history"))["interactions"]
        assert [one["item_id"] for one in history] == [10, 20]


async def test_another_event_under_a_known_id_is_told_apart_from_a_repeat(run: Path) -> None:
    async with serving(run) as served:
        first = {**EVENT, "event_id": "a", "time": 5}
        assert (await served.post("/v1/events", first))["accepted"] == 1
        for body, known, conflicts in [
            (first, 1, []),
            ({**first, "item_id": "10"}, 1, []),
            ({**EVENT, "event_id": "a"}, 1, []),
            ({**first, "item_id": 20}, 0, ["a"]),
            ({**first, "time": 6}, 0, ["a"]),
        ]:
            answer = await served.post("/v1/events", body)
            assert (answer["accepted"], answer["known"], answer["conflicts"]) == (0, known, conflicts)
        together = await served.post("/v1/events", {"events": [{**EVENT, "event_id": "b"}, {**first, "item_id": 30}]})
        assert (together["accepted"], together["conflicts"]) == (1, ["a"])


BODIES: dict[str, tuple[bytes, dict[str, str], int]] = {
    "gzip": (gzip.compress(QUESTION), {"content-encoding": "gzip"}, 200),
    "gzip in capitals": (gzip.compress(QUESTION), {"content-encoding": "X-GZIP"}, 200),
    "identity": (QUESTION, {"content-encoding": "identity"}, 200),
    "mark": (codecs.BOM_UTF8 + QUESTION, {}, 200),
    "mark in gzip": (gzip.compress(codecs.BOM_UTF8 + QUESTION), {"content-encoding": "gzip"}, 200),
    "charset": (QUESTION, {"content-type": 'application/json; charset="UTF-8"'}, 200),
    "deflate": (zlib.compress(QUESTION), {"content-encoding": "deflate"}, 415),
    "br": (QUESTION, {"content-encoding": "br"}, 415),
    "zstd": (QUESTION, {"content-encoding": "zstd"}, 415),
    "gzip twice": (gzip.compress(gzip.compress(QUESTION)), {"content-encoding": "gzip, gzip"}, 415),
    "latin-1": (QUESTION, {"content-type": "application/json; charset=iso-8859-1"}, 415),
    "UTF-16": (QUESTION.decode().encode("utf-16"), {}, 415),
    "UTF-16 without a mark": (QUESTION.decode().encode("utf-16-le"), {}, 422),
    "no gzip": (QUESTION, {"content-encoding": "gzip"}, 400),
    "cut gzip": (gzip.compress(QUESTION)[:-5], {"content-encoding": "gzip"}, 400),
    "two of gzip": (gzip.compress(QUESTION) * 2, {"content-encoding": "gzip"}, 400),
    "bomb": (gzip.compress(b" " * 2**24), {"content-encoding": "gzip"}, 413),
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_is_read_or_refused_by_name(run: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "_DISCARD_SECONDS", 600)
    content, headers, status = BODIES[name]
    async with serving(run) as served:
        asked = served.client.post("/v1/recommend", content=content, headers={**JSON, **headers})
        response = await asyncio.wait_for(asked, 60)  # the body is complete: nothing more of it is waited for
        assert response.status_code == status, response.text
        assert len(response.json()["items"]) == 1 if status == 200 else "must" in response.json()["error"]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/v1/similar?item_id=10&item_id=20", "item_id must be there once in the query; got it 2 times"),
        ("/v1/history?user_id=ann&user_id=bob", "user_id must be there once in the query; got it 2 times"),
        ("/v1/items?querry=ten", "querry is not a query parameter of this path; did you mean query?"),
        ("/v1/items?query=ten&limit=3", "limit is not a query parameter of this path; see /openapi.json."),
        ("/v1/items/10/similar?K=3", "K is not a query parameter of this path"),
        ("/v1/users/ann/history?k=3", "k is not a query parameter of this path"),
        ("/v1/model?verbose", "verbose is not a query parameter of this path"),
    ],
)
async def test_an_unknown_query_name_is_refused(run: Path, path: str, sentence: str) -> None:
    async with serving(run) as served:
        assert (await served.get(path, 422))["error"].startswith(sentence)


async def test_an_unknown_query_name_of_a_question_is_refused(run: Path) -> None:
    async with serving(run) as served:
        assert "k is not a query parameter" in (await served.post("/v1/recommend?k=3", {}, 422))["error"]
        assert (await served.get("/healthz?probe=1"))["status"] == "ok"
        assert json.loads((await served.client.get("/openapi.json?x=1")).text)["openapi"]
