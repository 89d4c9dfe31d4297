"""Deadlines: of every answer, of a reload, and of connections; and what a run must do before it is served."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caser.answering.recommender import Recommender
from caser.artefact.folder import save
from caser.service.answers import loaded_model
from tests.runs import caser_run, resign
from tests.service.serving import Served, process, serving
from tests.skips import on_another_system

LONG = {"questions": [{"user_id": "bob", "explain": True, "history": [10, 20] * 50}] * 40}
SECONDS = 0.1


GO = threading.Event()
"""Set when the work of a test may end."""


@pytest.fixture(autouse=True)
def _work_ends_with_its_test() -> Iterator[None]:
    GO.clear()
    yield
    GO.set()


def slow(*_: Any, **__: Any) -> Any:
    GO.wait(60)
    return []


async def never(*_: Any) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/recommend", {"user_id": "bob", "history": [10] * 1000, "exclude": [10] * 1000, "only": [20] * 1000}),
        ("/v1/recommend/bulk", {"questions": [{"user_id": "bob"}] * 200}),
        ("/v1/events", {"user_id": "bob", "item_id": 10}),
        ("/v1/items/10/similar", None),
        ("/v1/items?query=ten", None),
    ],
)
async def test_every_answer_has_a_deadline(
    run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, path: str, body: Any
) -> None:
    async with serving(run, answer_seconds=SECONDS) as served:
        service = served.app.state.service
        monkeypatch.setattr(service.queue, "_answer_batch", slow)
        monkeypatch.setattr(service.queue, "_seconds_per_cost", 1.0)  # so all answers are long
        monkeypatch.setattr(service.events, "append", never)
        monkeypatch.setattr(service.model.recommender, "similar", slow)
        monkeypatch.setattr(service.model.catalogue, "search", slow)
        with caplog.at_level(logging.WARNING):
            response = await (served.client.get(path) if body is None else served.client.post(path, json=body))
            GO.set()  # the response came while the work was still going on
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert response.json()["error"].startswith(f"an answer must take at most {SECONDS:g} seconds")
        assert "had no answer within 0.1 seconds" in caplog.text
        assert service.queue.cost_waiting == 0
        assert (await served.get("/healthz"))["status"] == "ok"


async def test_a_question_that_waited_too_long_in_the_queue_is_given_up(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(run, answer_seconds=SECONDS) as served:
        monkeypatch.setattr(served.app.state.service.queue, "_next_batch", first_of(served))
        responses = await asyncio.gather(*(served.client.post("/v1/recommend", json={}) for _ in range(3)))
        assert sorted(response.status_code for response in responses) == [200, 503, 503]


def first_of(served: Served) -> Callable[[], list[Any]]:
    """A `_next_batch` that takes one question, and then lets the others wait."""
    queue = served.app.state.service.queue
    usual, taken = type(queue)._next_batch, 0

    def one() -> list[Any]:
        nonlocal taken
        taken += 1
        if taken == 1:
            rest = [queue._pending.pop() for _ in range(len(queue._pending) - 1)]
            batch: list[Any] = usual(queue)
            queue._pending.extend(reversed(rest))
            return batch
        time.sleep(2 * SECONDS)
        return list(usual(queue))

    return one


def huge(run: Path) -> None:
    artefact = caser_run(seed=5)
    arrays = {name: np.full_like(array, 3e38) for name, array in artefact.scorer.arrays().items()}
    save(replace(artefact, scorer=artefact.config.scorer(arrays, 4, 6)), run)


def not_a_number(run: Path) -> None:
    artefact = caser_run(seed=5)
    arrays = {name: np.where(array == array.max(), 1e38, array) for name, array in artefact.scorer.arrays().items()}
    save(replace(artefact, scorer=artefact.config.scorer(arrays, 4, 6)), run)


def deep_metrics(run: Path) -> None:
    save(caser_run(seed=5), run)
    deep: Any = 1.0
    for _ in range(400):
        deep = {"a": deep}
    resign(run, metrics=deep)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("harm", [huge, not_a_number, deep_metrics])
async def test_a_run_that_cannot_answer_or_be_described_is_refused_and_the_old_one_stays(
    run: Path, harm: Callable[[Path], None]
) -> None:
    async with serving(run) as served:
        before = await served.post("/v1/recommend", {"user_id": "bob"})
        harm(run)
        refused = await served.post("/v1/model/reload", status=409)
        assert refused["error"].startswith("the run cannot be loaded, and the loaded one stays: ")
        assert await served.post("/v1/recommend", {"user_id": "bob"}) == before
        assert (await served.get("/v1/model"))["model_version"] == before["model_version"]


@pytest.mark.parametrize("error", [ZeroDivisionError, RecursionError, MemoryError, TimeoutError, KeyError])
@pytest.mark.parametrize("method", ["recommend", "similar", "question"])
async def test_whatever_a_run_raises_at_its_first_answers_it_is_refused(
    run: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception], method: str
) -> None:
    async with serving(run) as served:
        before = await served.post("/v1/recommend", {"user_id": "bob"})

        def fail(*_: Any, **__: Any) -> None:
            raise error

        def load(path: Path) -> Recommender:
            recommender = Recommender(caser_run(seed=5))
            setattr(recommender, method, fail)
            return recommender

        monkeypatch.setattr(loaded_model, "load", load)
        refused = await served.post("/v1/model/reload", status=409)
        assert error.__name__ in refused["error"]
        assert await served.post("/v1/recommend", {"user_id": "bob"}) == before


async def test_a_reload_has_a_time_limit_and_a_second_one_does_not_wait(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(run, reload_seconds=SECONDS) as served:
        before = await served.post("/v1/recommend", {"user_id": "bob"})
        save(caser_run(seed=5), run)
        usual = loaded_model.load_model

        def late(*given: Any) -> Any:
            GO.wait(60)
            return usual(*given)

        monkeypatch.setattr("caser.service.http.served_model.load_model", late)
        refused = await served.post("/v1/model/reload", status=409)
        assert "within 0.1 seconds" in refused["error"]
        assert "loading a run already" in (await served.post("/v1/model/reload", status=503))["error"]
        assert await served.post("/v1/recommend", {"user_id": "bob"}) == before
        monkeypatch.setattr("caser.service.http.served_model.load_model", usual)
        GO.set()
        end = time.monotonic() + 60
        while (response := await served.client.post("/v1/model/reload")).status_code != 200:
            assert response.status_code in (409, 503)
            assert time.monotonic() < end
            await asyncio.sleep(SECONDS)
        assert await served.post("/v1/recommend", {"user_id": "bob"}) != before


def sent(port: int, content: bytes, source: str = "127.0.0.2") -> bytes:
    """Send bytes from an address, and return all that comes back until the connection is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(source, 0)) as connection:
        connection.sendall(content)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.mark.skipif(sys.platform != "linux", reason=on_another_system("needs several addresses of this machine"))
def test_silent_clients_heads_without_end_and_too_many_connections_have_limits(run: Path) -> None:
    with process(run, "--max-connections", "12", "--idle-seconds", "1") as served:
        port = int(served.url.rpartition(":")[2])
        health = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        silent = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(6)]
        assert sent(port, b"", "127.0.0.1").startswith(b"HTTP/1.1 503")
        assert sent(port, health).startswith(b"HTTP/1.1 200")
        assert sent(port, b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 200).startswith(b"HTTP/1.1 431")
        assert sent(port, b"GET /" + b"p" * 30_000).startswith(b"HTTP/1.1 414")
        for connection in silent:
            assert connection.recv(1) == b""
            connection.close()
        metrics = sent(port, health.replace(b"/healthz", b"/metrics"))
        assert b"\ncaser_connections_refused_total 1.0\n" in metrics
        assert b"\ncaser_connections_closed_total 6.0\n" in metrics
        assert b"\ncaser_connections 1.0\n" in metrics


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason=on_another_system("needs Unix sockets"))
def test_connections_to_a_unix_socket_have_the_same_limits(run: Path) -> None:
    path = str(run.parent / "s")
    with process(run, "--uds", path, "--idle-seconds", "0.5"), socket.socket(socket.AF_UNIX) as silent:
        silent.settimeout(20)
        silent.connect(path)
        silent.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert silent.recv(1) == b""
