"""Reloads under load: every answer comes from one model and names it, and a damaged run changes nothing."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from caser.artefact.folder import save
from tests.runs import caser_run
from tests.service.clients import Client, ask
from tests.service.serving import process, serving

QUESTIONS = [{"user_id": "bob"}, {"user_id": "ann", "explain": True}, {"history": [20, 50], "k": 3}, {}]


@dataclass
class Swaps:
    """How many reloads have begun and ended, and the version of the last model."""

    begun: int = 0
    done: int = 0
    version: str = ""


async def test_under_load_each_answer_comes_from_one_model_and_after_a_reload_from_the_new_one(run: Path) -> None:
    runs = [caser_run(seed=seed) for seed in (0, 5)]
    with process(run) as served:
        expected: dict[tuple[str, int], Any] = {}
        for artefact in runs:
            save(artefact, run)
            version = (await ask(served.url, "/v1/model/reload", {})).json()["model_version"]
            for number, question in enumerate(QUESTIONS):
                expected[version, number] = (await ask(served.url, "/v1/recommend", question)).json()
        assert len(expected) == 2 * len(QUESTIONS)
        swaps, stop, counts = Swaps(), asyncio.Event(), [0] * 8

        async def asks(which: int) -> None:
            number = which % len(QUESTIONS)
            async with Client(served.url) as client:
                while not stop.is_set():
                    before = (swaps.begun, swaps.done, swaps.version)
                    reply = await client.ask("/v1/recommend", QUESTIONS[number])
                    assert reply.status == 200
                    found = reply.json()
                    assert _like(found, expected[found["model_version"], number])
                    if before[0] == before[1] == swaps.begun and swaps.version:  # no reload was in progress
                        assert found["model_version"] == before[2]
                        counts[which] += 1

        asking = [asyncio.ensure_future(asks(which)) for which in range(8)]
        for number in range(20):
            save(runs[number % 2], run)
            swaps.begun += 1
            swaps.version = (await ask(served.url, "/v1/model/reload", {})).json()["model_version"]
            swaps.done += 1
            await asyncio.sleep(0.02)
        stop.set()
        await asyncio.gather(*asking)
        assert min(counts) > 0


def _like(found: Any, expected: Any) -> bool:
    """Whether two answers are equal. The last bits of a score depend on the other questions of its batch."""
    if isinstance(found, dict) and isinstance(expected, dict):
        return found.keys() == expected.keys() and all(_like(found[name], expected[name]) for name in found)
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(map(_like, found, expected))
    if isinstance(found, float):
        return found == pytest.approx(expected, rel=1e-5, abs=1e-5)
    return bool(found == expected)


def _flip(run: Path) -> None:
    path = run / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _cut(run: Path) -> None:
    path = run / "manifest.json"
    path.write_bytes(path.read_bytes()[:100])


def _file(run: Path) -> None:
    shutil.rmtree(run)
    run.write_text("not a folder")


@pytest.mark.parametrize(
    "harm", [_flip, _cut, _file, shutil.rmtree], ids=["flipped bit", "cut manifest", "file", "deleted"]
)
async def test_a_run_that_is_damaged_while_it_is_served_is_refused_and_the_old_one_stays(
    run: Path, harm: Callable[[Path], None]
) -> None:
    async with serving(run) as served:
        before = [await served.post("/v1/recommend", question) for question in QUESTIONS]
        harm(run)
        refused = await served.post("/v1/model/reload", status=409)
        assert str(run.parent) not in refused["error"]
        assert [await served.post("/v1/recommend", question) for question in QUESTIONS] == before
        assert (await served.get("/readyz"))["status"] == "ready"
        if run.is_file():
            run.unlink()
        save(caser_run(seed=5), run)
        await served.post("/v1/model/reload")
        assert await served.post("/v1/recommend", QUESTIONS[0]) != before[0]
