"""Clients that send requests to a service: `wrk` if it is installed, as it needs little processor time, else Python."""

from __future__ import annotations

import asyncio
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

SCRIPT = Path(__file__).with_name("load.lua")
GENERATOR = "wrk" if shutil.which("wrk") else "Python"
RequestParts = tuple[str, Any]
"""The path and the body of a request."""


@dataclass
class Replies:
    """The answers to a load.

    took     HTTP status -> the seconds that each answer with it took
    broken   the number of connections that broke
    seconds  how long the load lasted
    """

    took: dict[int, list[float]] = field(default_factory=dict)
    broken: int = 0
    seconds: float = 0.0

    def rate(self, status: int = 200) -> float:
        """Return the number of answers with a status per second."""
        return len(self.took.get(status, [])) / self.seconds

    def milliseconds(self, percent: int, status: int = 200) -> float:
        """Return a percentile of the latency of answers with a status, in milliseconds; 0 without such answers."""
        took = self.took.get(status, [])
        return statistics.quantiles(took, n=100)[percent - 1] * 1e3 if len(took) > 1 else 0.0

    @property
    def errors(self) -> int:
        """The number of requests that were neither answered (200) nor refused because of load (503)."""
        return self.broken + sum(len(took) for status, took in self.took.items() if status not in (200, 503))

    def row(self, what: str, note: str = "") -> dict[str, Any]:
        """Return a row of the table that is printed."""
        shown = {f"p{percent} ms": self.milliseconds(percent) for percent in (50, 90, 99)}
        refused = len(self.took.get(503, []))
        return {"what": what, "a second": self.rate(), **shown, "refused": refused, "errors": self.errors, "note": note}


def ask(
    port: int, requests: Sequence[RequestParts], clients: int, seconds: float, pause: float = 0.0, rest: float = 0.0
) -> Replies:
    """Let some clients send requests for a while, each on a connection of its own.

    port      where the service listens
    requests  the requests, which every client sends in turn
    clients   the number of clients
    seconds   how long they go on
    pause     the least number of seconds between two requests of one client
    rest      a client that was refused waits for one to two times this many seconds
    """
    if GENERATOR == "Python":
        return asyncio.run(_in_python(port, requests, clients, seconds, pause, rest))
    with tempfile.NamedTemporaryFile("wb", suffix=".txt") as file:
        file.writelines(path.encode() + b"\t" + orjson.dumps(body) + b"\n" for path, body in requests)
        file.flush()
        flags = [f"-t{clients}", f"-c{clients}", f"-d{seconds:.0f}s", "--timeout", "20s", "-s", str(SCRIPT)]
        command = ["wrk", *flags, f"http://127.0.0.1:{port}", "--", file.name, str(pause), str(rest)]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    replies = Replies()
    for line in lines:
        first, _, second = line.partition(" ")
        if first == "seconds":
            replies.seconds = float(second)
        elif first == "broken":
            replies.broken = int(second)
        elif first.isdigit():
            replies.took.setdefault(int(first), []).append(float(second))
    return replies


async def _in_python(
    port: int, requests: Sequence[RequestParts], clients: int, seconds: float, pause: float, rest: float
) -> Replies:
    replies, end = Replies(seconds=seconds), time.perf_counter() + seconds
    contents = [request(path, body) for path, body in requests]

    async def client(number: int) -> None:
        place, streams = number * 97, await asyncio.open_connection("127.0.0.1", port)
        while (start := time.perf_counter()) < end:
            place = (place + 1) % len(contents)
            try:
                status = await exchange(*streams, contents[place])
            except (OSError, EOFError):
                replies.broken += 1
                if not (again := await _connected(port, end)):
                    return
                streams = again
                continue
            took = time.perf_counter() - start
            replies.took.setdefault(status, []).append(took)
            await asyncio.sleep(max(rest * (1 + random.random()) if status == 503 else 0.0, pause - took))
        streams[1].close()

    await asyncio.gather(*map(client, range(clients)))
    return replies


async def _connected(port: int, end: float) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    """A new connection; None if nobody listens until `end`, as after the service was stopped."""
    while time.perf_counter() < end:
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
    return None


def request(path: str, body: Any = None) -> bytes:
    """Return the bytes of a request: POST if there is a body, else GET."""
    content = b"" if body is None else orjson.dumps(body)
    head = (
        f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n"
    )
    return head.encode() + b"Content-Type: application/json\r\n\r\n" + content


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, content: bytes) -> int:
    """Send a request, read the whole answer, and return its status."""
    writer.write(content)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    place = head.index(b"content-length: ") + 16
    await reader.readexactly(int(head[place : head.index(b"\r", place)]))
    return int(head[9:12])


async def once(port: int, path: str, body: Any = None) -> tuple[int, float]:
    """Send one request on a new connection; return the status, and the seconds it took."""
    start = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        status = await exchange(reader, writer, request(path, body))
        return status, time.perf_counter() - start
    finally:
        writer.close()
