"""What requests cost: the limit of one request, of a client, and of all that wait; and who is not disturbed by them."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from caser.artefact.folder import Artefact, save
from caser.data.log import Vocabulary
from caser.data.tape import Tape
from caser.models.caser.caser import Caser
from caser.models.counting.ease import EASE
from caser.models.settings import ModelSettings
from caser.service.answers.answer import Question, question_cost
from caser.service.answers.loaded_model import LoadedModel, load_model
from caser.service.request_schemas import RecommendRequest
from caser.service.settings import ServiceSettings
from tests.runs import FACTS
from tests.service.clients import Client, ask, resident_mib
from tests.service.serving import process, serving

NUM_USERS, NUM_ITEMS, LENGTH = 50, 1500, 120
MOST = ServiceSettings().max_cost
RULES = {"at_most": {"genre": 1}, "boosts": [{"where": {"genre": ["g1", "g2"]}, "amount": 1.0}] * 10}


def artefact(model: ModelSettings) -> Artefact:
    """A run of 50 users with 120 of 1,500 items each; a network has random weights."""
    draw = np.random.default_rng(0)
    sequences = [draw.integers(1, NUM_ITEMS + 1, LENGTH).tolist() for _ in range(NUM_USERS)]
    tape = Tape.from_sequences([*sequences[:-1], list(range(1, NUM_ITEMS + 1))], NUM_ITEMS)
    if isinstance(model, EASE):
        scorer: Any = model.build(NUM_USERS, NUM_ITEMS)
        scorer.fit(tape)
    else:
        shapes = model.shapes(NUM_USERS, NUM_ITEMS)  # type: ignore[attr-defined]
        arrays = {name: draw.normal(scale=0.1, size=shape).astype(np.float32) for name, shape in shapes.items()}
        scorer = model.scorer(arrays, NUM_USERS, NUM_ITEMS)
    users, items = (Vocabulary(pl.Series(np.arange(1, number + 1))) for number in (NUM_USERS, NUM_ITEMS))
    return Artefact(model, scorer, users, items, None, tape, {**FACTS, "anonymous_user": "mean"})


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Saved runs by the name of the model, and `items`, a table of items."""
    folder = tmp_path_factory.mktemp("cost")
    paths = {"items": folder / "items.csv"}
    genres = [f"{item},g{item % 200}" for item in range(1, NUM_ITEMS + 1)]
    paths["items"].write_text("\n".join(["item_id,genre", *genres]))
    for model in (Caser(), EASE()):
        save(artefact(model), folder / model.name)
        paths[model.name] = folder / model.name
    return paths


@pytest.fixture(scope="module")
def models(runs: dict[str, Path]) -> dict[str, LoadedModel]:
    """The loaded models by name."""
    return {name: load_model(runs[name], runs["items"]) for name in ("caser", "ease")}


def cost(model: LoadedModel, **question: Any) -> int:
    return question_cost(model, 1000, Question(RecommendRequest.model_validate(question)))


def test_a_plain_question_costs_one_whatever_the_model(models: dict[str, LoadedModel]) -> None:
    for model in models.values():
        assert (
            cost(model, user_id=1) == cost(model, user_id=1, k=1) == cost(model, user_id="nobody") == cost(model) == 1
        )


@pytest.mark.parametrize(
    "more",
    [
        {"k": 1000},
        {"history": list(range(1, 201))},
        {"exclude": list(range(1, 201))},
        {"only": list(range(1, 201))},
        {"filters": {"genre": "g1"}},
        {"rules": {"at_most": {"genre": 1}}},
        {"rules": RULES},
        {"explain": True},
    ],
)
def test_whatever_makes_a_question_longer_makes_it_cost_more(models: dict[str, LoadedModel], more: Any) -> None:
    for model in models.values():
        alone, both = cost(model, user_id=1, **more), cost(model, **{"user_id": 1, "k": 500, "explain": True, **more})
        assert 1 < alone <= both


def test_unknown_users_cost_more_where_their_vector_is_searched(models: dict[str, LoadedModel]) -> None:
    history = list(range(1, 41))
    assert cost(models["caser"], history=history) > cost(models["ease"], history=history) == 2
    assert cost(models["caser"], user_id="new", history=history) > cost(models["caser"], user_id=1, history=history)


def test_values_that_no_item_has_cost_what_the_search_for_similar_ones_costs(models: dict[str, LoadedModel]) -> None:
    known, unknown = ["g1", "g2"], ["x1", "x2"]
    model = models["ease"]
    assert cost(model, user_id=1, filters={"genre": unknown}) > cost(model, user_id=1, filters={"genre": known})


async def test_a_thousand_plain_questions_are_accepted_and_the_attacks_are_not(runs: dict[str, Path]) -> None:
    reasons = {"user_id": 1, "k": 1000, "explain": True}
    attacks: dict[str, list[tuple[list[Any], str]]] = {
        "caser": [([reasons] * 64, "64 questions x k 1,000 x explain")],
        "ease": [
            ([reasons] * 64, "64 questions x k 1,000 x explain"),
            ([{"user_id": NUM_USERS, "explain": True}] * 64, "64 questions x k 10 x explain"),
            ([{"user_id": 1, "k": 1000, "rules": RULES}] * 1000, "1,000 questions x k 1,000 x rules"),
        ],
    }
    for name, bodies in attacks.items():
        async with serving(runs[name], items=runs["items"]) as served:
            plain = await served.post("/v1/recommend/bulk", {"questions": [{"user_id": 1}] * 1000})
            assert len(plain["answers"]) == 1000
            for questions, factors in bodies:
                before = time.process_time()
                refused = await served.post("/v1/recommend/bulk", {"questions": questions}, 422)
                assert time.process_time() - before < 1
                assert factors in refused["error"]
                assert f"at most {MOST:,}" in refused["error"]


async def test_a_single_question_has_the_same_limit_and_the_sentence_says_what_to_change(runs: dict[str, Path]) -> None:
    async with serving(runs["ease"], items=runs["items"], max_cost=100) as served:
        refused = await served.post("/v1/recommend", {"user_id": 1, "k": 500, "explain": True, "rules": RULES}, 422)
        assert refused["error"].endswith(": ask for a smaller k, fewer rules or no explanations.")
        assert "(1 question x k 500 x rules x explain), at most 100" in refused["error"]
        await served.post("/v1/recommend", {"user_id": 1, "k": 100})


async def test_rate_limits_count_cost_on_every_route(runs: dict[str, Path]) -> None:
    requests: list[tuple[str, Any]] = [
        ("/v1/recommend", {"user_id": 1, "k": 1000}),
        ("/v1/recommend/bulk", {"questions": [{"user_id": 1}] * 200}),
        ("/v1/events", {"events": [{"user_id": 1, "item_id": 1, "event_id": f"{n}"} for n in range(1000)]}),
        ("/v1/items/1/similar?k=1000", None),
    ]
    for path, body in requests:
        async with serving(runs["ease"], rate=1.0, burst=50) as served:
            for expected in (200, 429):
                sending = served.client.get(path) if body is None else served.client.post(path, json=body)
                response = await sending
                assert response.status_code == expected, path
            assert int(response.headers["retry-after"]) > 30  # what the first one cost beyond the burst


async def test_what_waits_is_limited_by_its_cost(runs: dict[str, Path]) -> None:
    async with serving(runs["ease"], max_waiting=300) as served:
        bulk = {"questions": [{"user_id": 1}] * 290}
        for path, body in (("/v1/items/1/similar?k=1000", None), ("/v1/recommend", {"user_id": 1, "k": 1000})):
            asked = asyncio.create_task(served.client.post("/v1/recommend/bulk", json=bulk))
            while not served.app.state.service.queue.cost_waiting:
                assert not asked.done()
                await asyncio.sleep(0)
            second = await (served.client.get(path) if body is None else served.client.post(path, json=body))
            assert second.status_code == 503, path
            assert second.headers["retry-after"] == "1"
            assert (await asked).status_code == 200
        assert served.app.state.service.queue.cost_waiting == 0


@pytest.mark.parametrize("name", ["caser", "ease"])
async def test_health_is_answered_and_memory_stays_while_the_worst_request_runs(
    runs: dict[str, Path], name: str
) -> None:
    with process(runs[name], "--items", str(runs["items"])) as served:
        await ask(served.url, "/v1/recommend", {"user_id": 1, "k": 1000, "rules": RULES})
        before = resident_mib(served.process.pid)
        for question in ({"k": 1000, "rules": RULES}, {"explain": True, "k": 100}):
            body = {"questions": [{"user_id": 1, **question}] * 1000}
            refused = (await ask(served.url, "/v1/recommend/bulk", body)).json()["error"]
            number = 1000 * MOST // int(refused.split()[3].replace(",", ""))
            body["questions"] = body["questions"][:number]
            running = asyncio.create_task(ask(served.url, "/v1/recommend/bulk", body))
            took = []
            async with Client(served.url) as client:
                while not running.done():
                    took.append((await client.ask("/healthz")).seconds)
                    await asyncio.sleep(0.002)
            answer = await running
            assert answer.status == 200
            assert len(answer.body) < 12_000_000
            # The machine may be busy: half of the answers are enough to show that the event loop goes on.
            assert sorted(took)[len(took) // 2] < 0.1
            assert len(took) > 5
        assert resident_mib(served.process.pid) - before < 200


async def test_a_request_ends_with_its_client(runs: dict[str, Path]) -> None:
    with process(runs["ease"]) as served:
        body = json.dumps({"questions": [{"user_id": 1, "explain": True, "k": 50}] * 8}).encode()
        _, writer = await asyncio.open_connection("127.0.0.1", int(served.url.rpartition(":")[2]))
        head = b"POST /v1/recommend/bulk HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        writer.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.transport.abort()
        waiting = 1.0
        for _ in range(200):
            text = (await ask(served.url, "/metrics")).body.decode()
            waiting = float(text.partition("\ncaser_cost_waiting ")[2].partition("\n")[0])
            if not waiting:
                break
            await asyncio.sleep(0.01)
        assert waiting == 0
        assert 'caser_answers_total{source="known user"}' not in text
