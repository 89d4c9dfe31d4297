"""`caser serve --workers 2` as processes: kills, reloads, stops, and a run that cannot be served."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from caser.artefact.folder import save
from tests.runs import caser_run
from tests.service.clients import BrokenAnswerError, Client, ask
from tests.service.event_stores import Postgres
from tests.service.serving import Process, process, until

pytestmark = pytest.mark.slow


@contextmanager
def workers(run: Path, *flags: str | Path, store: str | Path | None = None) -> Iterator[Process]:
    store = store or run.parent / "events.db"
    with process(run, "--workers", "2", "--store", store, "--drain-seconds", "0.2", *flags) as served:
        yield served


def messages(served: Process) -> list[str]:
    lines = served.log.read_text().splitlines()
    return [
        line["message"] for line in (json.loads(line) for line in lines if line.startswith("{")) if "message" in line
    ]


def serving_processes(served: Process) -> dict[int, int]:
    """The last process of each worker that has served."""
    found: dict[int, int] = {}
    for message in messages(served):
        words = message.split()
        if words[0] == "worker" and words[2] == "serves":
            found[int(words[1])] = int(words[-1].strip("()"))
    return found


def is_replaced(served: Process, worker: int, pid: int) -> bool:
    return serving_processes(served)[worker] != pid


def event_of(which: int, number: int) -> dict[str, Any]:
    return {"user_id": f"u{which}", "item_id": 10, "event_id": f"{which}-{number}", "time": number}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def store(request: pytest.FixtureRequest, run: Path) -> str | Path:
    """A store that several processes may use."""
    return Postgres(request.getfixturevalue("cluster")).words() if request.param == "postgres" else run.parent / "db"


@pytest.mark.parametrize("store", ["file", "postgres"], indirect=True)
async def test_killed_workers_are_replaced_and_no_acknowledged_event_is_lost(run: Path, store: str | Path) -> None:
    acknowledged: list[set[int]] = [set() for _ in range(4)]
    with workers(run, store=store) as served:
        version = (await ask(served.url, "/v1/model")).json()["model_version"]
        stop = asyncio.Event()

        async def sends(which: int) -> None:
            number = 0
            while not stop.is_set():
                async with Client(served.url) as client:
                    with suppress(ConnectionError, BrokenAnswerError):
                        while not stop.is_set():
                            number += 1
                            event = event_of(which, number)
                            reply = await client.ask("/v1/events", event)
                            assert reply.status == 200
                            acknowledged[which].add(number)
                            answer = await client.ask("/v1/recommend", {"user_id": f"u{which}"})
                            assert answer.status == 200
                            assert answer.json()["model_version"] == version
                await asyncio.sleep(0.01)

        sending = [asyncio.ensure_future(sends(which)) for which in range(len(acknowledged))]
        for number in range(6):
            await asyncio.sleep(0.3)
            before = serving_processes(served)
            victim = 1 + number % 2
            os.kill(before[victim], signal.SIGKILL)
            await until(partial(is_replaced, served, victim, before[victim]))
        stop.set()
        await asyncio.gather(*sending)
        assert sum(map(len, acknowledged)) > 100
        for which, ids in enumerate(acknowledged):
            events = [event_of(which, number) for number in ids]
            for first in range(0, len(events), 500):
                again = (await ask(served.url, "/v1/events", {"events": events[first : first + 500]})).json()
                assert again["accepted"] == 0  # each of them is there
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(30) == 0


async def test_after_a_reload_no_worker_answers_from_the_old_model(run: Path) -> None:
    artefacts = [caser_run(seed=seed) for seed in (0, 5)]
    with workers(run) as served:
        for number in range(6):
            save(artefacts[number % 2], run)
            reloaded = (await ask(served.url, "/v1/model/reload", {})).json()["model_version"]
            seen = set()
            for _ in range(24):  # on new connections, so that both workers answer
                seen.add((await ask(served.url, "/v1/recommend", {"user_id": "ann"})).json()["model_version"])
            assert seen == {reloaded}
        # A damaged run changes nothing, at any worker.
        (run / "weights.safetensors").write_bytes(b"damaged")
        refused = await ask(served.url, "/v1/model/reload", {})
        assert refused.status == 409
        assert "weights.safetensors" in refused.body.decode()
        seen = {(await ask(served.url, "/v1/model")).json()["model_version"] for _ in range(24)}
        assert seen == {reloaded}
        text = (await ask(served.url, "/metrics")).body.decode()
        counted = {
            line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith("caser_requests_total")
        }
        assert counted['caser_requests_total{route="/v1/recommend",status="200"}'] == 6 * 24


async def test_watch_follows_the_folder_and_a_replaced_worker_follows_the_others(run: Path) -> None:
    with workers(run, "--watch") as served:
        first = (await ask(served.url, "/v1/model")).json()["model_version"]
        save(caser_run(seed=5), run)
        await until(lambda: any("reloaded the incumbent: now serving" in message for message in messages(served)))
        seen, end = {first}, time.monotonic() + 60
        while first in seen:  # the workers change one after another
            assert time.monotonic() < end
            seen = {(await ask(served.url, "/v1/model")).json()["model_version"] for _ in range(24)}
        assert len(seen) == 1
        before = serving_processes(served)
        os.kill(before[1], signal.SIGKILL)
        await until(lambda: serving_processes(served)[1] != before[1])
        assert {(await ask(served.url, "/v1/model")).json()["model_version"] for _ in range(24)} == seen


async def test_when_the_parent_is_killed_its_workers_end(run: Path) -> None:
    with workers(run) as served:
        pids = list(serving_processes(served).values())
        assert len(pids) == 2
        served.process.send_signal(signal.SIGKILL)
        await until(lambda: not any(map(is_alive, pids)), 30)


def test_a_run_that_cannot_be_served_ends_the_service_with_one_line(run: Path) -> None:
    (run / "weights.safetensors").write_bytes(b"damaged")
    command = [sys.executable, "-m", "caser", "serve", run, "--workers", "3", "--store", run.parent / "events.db"]
    done = subprocess.run([*map(str, command), "--port", "0"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 7
    told = [line for line in done.stderr.splitlines() if line.startswith("caser: ")]
    assert len(told) == 1
    assert "weights.safetensors" in told[0]
    assert "Traceback" not in done.stderr


def test_both_workers_answer(run: Path) -> None:
    async def all_clients(url: str) -> None:
        async def one() -> None:
            async with Client(url) as client:
                for _ in range(40):
                    assert (await client.ask("/v1/recommend", {"user_id": "ann"})).status == 200

        await asyncio.gather(*(one() for _ in range(16)))

    with workers(run) as served:
        asyncio.run(all_clients(served.url))
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(30) == 0
        answered = [
            json.loads(line) for line in served.log.read_text().splitlines() if '"route":"/v1/recommend"' in line
        ]
        assert len(answered) == 16 * 40
        assert len({line["id"].partition("-")[0] for line in answered}) == 2
