"""The service in this process, called through ASGI; or as a process of its own, on a free port.

A test waits for a condition, never for a time, and never without an end: see `until`, `wait_until` and `ended`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from caser.service.http.server import app_for_run
from caser.service.settings import ServiceSettings


@dataclass
class Served:
    """A service in this process, and a client for it."""

    app: FastAPI
    client: httpx.AsyncClient

    async def post(self, path: str, body: Any = None, status: int = 200, **headers: str) -> Any:
        """Post a body, check the status, and return the JSON response."""
        response = await self.client.post(path, json=body, headers=headers)
        assert response.status_code == status, response.text
        return response.json()

    async def get(self, path: str, status: int = 200) -> Any:
        """Get a path, check the status, and return the JSON response."""
        response = await self.client.get(path)
        assert response.status_code == status, response.text
        return response.json()

    async def items(self, **question: Any) -> list[Any]:
        """Ask a question, and return the ids of the recommended items."""
        return [item["item_id"] for item in (await self.post("/v1/recommend", question))["items"]]


@asynccontextmanager
async def serving(run: Path, host: str = "127.0.0.1", **settings: Any) -> AsyncIterator[Served]:
    """Serve a run in this process."""
    app = app_for_run(run, ServiceSettings(**settings), host)
    transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 1234))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield Served(app, client)
    finally:
        app.state.service.close()


async def until(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    """Let other tasks run until a condition holds. Fails after so many seconds, which no machine needs."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        await asyncio.sleep(0.005)


def wait_until(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    """Wait until a condition holds that other threads or processes make true. Fails after so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.005)


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is gone afterwards, also if a test fails: to wait for it as it is could take for ever."""
    with process:
        try:
            yield process
        finally:
            process.kill()


async def as_they_are(questions: Sequence[Any]) -> Sequence[Any]:
    """Read nothing for the questions of a queue."""
    return questions


@dataclass
class Process:
    """A service that runs as a process of its own."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    ready_seconds: float
    """Seconds from the start until the log line with its address."""

    def kill(self, number: int) -> int:
        """Send a signal, and wait for the exit code."""
        os.kill(self.process.pid, number)
        return self.process.wait(30)


@contextmanager
def process(run: Path, *flags: str | Path) -> Iterator[Process]:
    """Start `caser serve`, and wait for the log line with its address."""
    log = run.parent / f"serve-{time.monotonic_ns()}.log"
    port = () if "--uds" in flags else ("--port", "0")
    command = [sys.executable, "-m", "caser", "serve", str(run), *port, *map(str, flags)]
    begun = time.monotonic()
    with log.open("wb") as file:
        started = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        yield Process(started, _url(started, log), log, time.monotonic() - begun)
    finally:
        if started.poll() is None:
            started.send_signal(signal.SIGKILL)
            started.wait(30)


def _url(started: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + 60
    while time.monotonic() < end and started.poll() is None:
        for line in log.read_text().splitlines():
            if "serving on " in line:
                message: str = json.loads(line)["message"]
                url, _, _ = message.removeprefix("serving on ").partition(" with ")
                return url
        time.sleep(0.02)
    raise AssertionError(f"the service did not start: {log.read_text()}")
