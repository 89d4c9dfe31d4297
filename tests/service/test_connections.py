"""Limits of connections: heads, trailers, silent clients, clients that do not read, and how many there may be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import uvicorn

from caser.service.http.connections import (
    MOST_AHEAD,
    MOST_HEAD_BYTES,
    MOST_HEADERS,
    ConnectionLimits,
    Connections,
    default_limits,
    protocol_for,
)
from tests.service.serving import until

LIMITS = ConnectionLimits(most=8, per_address=6, idle_seconds=0.3, max_body=1_000)
LARGE = 30_000_000


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the headers that arrived; /large with many bytes, /wait after a moment, /held when it is released."""
    body = b"x" * LARGE if scope["path"] == "/large" else b"\n".join(b"%s: %s" % pair for pair in scope["headers"])
    while (await receive()).get("more_body"):
        pass
    if scope["path"] == "/wait":
        await asyncio.sleep(3 * LIMITS.idle_seconds)
    if scope["path"] == "/held":
        await scope["state"]["release"].wait()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


class Server:
    """A server on a free port of this machine."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.shared = Connections(limits)
        self.release = asyncio.Event()
        self.port = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Server]:
        protocol = protocol_for(self.shared)
        config = uvicorn.Config(app, http=protocol, lifespan="off", log_config=None, ws="none")
        config.load()
        state = uvicorn.server.ServerState()
        loop = asyncio.get_running_loop()
        made = await loop.create_server(
            lambda: protocol(config=config, server_state=state, app_state={"release": self.release}), "127.0.0.1", 0
        )
        self.port = made.sockets[0].getsockname()[1]
        clock = loop.create_task(self._tick())
        try:
            yield self
        finally:
            clock.cancel()
            made.close()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            self.shared.close_overdue(time.monotonic())

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def sent(self, *parts: bytes) -> bytes:
        """Send parts on one connection, and return everything that comes back until it is closed."""
        reader, writer = await self.open()
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


def head(*lines: bytes, path: bytes = b"/") -> bytes:
    return b"\r\n".join([b"POST %s HTTP/1.1" % path, b"host: here", b"connection: close", *lines, b"", b""])


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([head(b"content-length: 0")], b"200"),
        ([head(b"x: " + b"y" * (MOST_HEAD_BYTES - 200), b"content-length: 0")], b"200"),
        ([head(b"x: " + b"y" * (MOST_HEAD_BYTES + 9_000))], b"431"),
        ([head()[:-2] + b"x: "] + [b"y" * 5_000] * 40, b"431"),
        ([head()[:-2]] + [b"x: y\r\n" * 500] * 200, b"431"),
        ([head(*[b"x%d: y" % number for number in range(MOST_HEADERS + 1)])], b"431"),
        ([head(path=b"/" + b"p" * 20_000)], b"414"),
        ([b"GET /"] + [b"p" * 5_000] * 40, b"414"),
        ([b"nonsense\r\n\r\n"], b"400"),
    ],
)
async def test_a_head_beyond_a_limit_is_refused_with_one_response(parts: list[bytes], status: bytes) -> None:
    async with Server(LIMITS).running() as server:
        answer = await server.sent(*parts)
        assert answer.startswith(b"HTTP/1.1 " + status), answer[:200]
        assert answer.count(b"HTTP/1.1") == 1


async def test_trailers_do_not_reach_the_application() -> None:
    body = b"1\r\na\r\n0\r\nhost: elsewhere\r\nauthorization: Bearer stolen\r\norigin: evil\r\n\r\n"
    async with Server(LIMITS).running() as server:
        answer = await server.sent(head(b"transfer-encoding: chunked") + body)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"elsewhere" not in answer
        assert b"stolen" not in answer


async def test_requests_that_are_sent_ahead_have_a_limit() -> None:
    wait = b"GET /wait HTTP/1.1\r\nhost: here\r\n\r\n"
    last = wait.replace(b"host", b"connection: close\r\nhost").replace(b"/wait", b"/")
    async with Server(LIMITS).running() as server:
        answers = await server.sent(wait + wait.replace(b"/wait", b"/") * (MOST_AHEAD - 1) + last)
        assert answers.count(b"HTTP/1.1 200") == MOST_AHEAD + 1
        assert server.shared.num_closed == 0
        # Of thousands, none is kept: not their requests, and not their connection.
        assert await server.sent(*[wait * 2_000] * 5) == b""
        assert (server.shared.num_closed, len(server.shared)) == (1, 0)


async def test_trailers_without_end_are_refused() -> None:
    async with Server(LIMITS).running() as server:
        trailers = [b"x: y\r\n" * 5_000] * 40
        answer = await server.sent(head(b"transfer-encoding: chunked") + b"0\r\n", *trailers)
        assert answer == b"" or b"413" in answer.splitlines()[0]


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET / HT", b"GET / HTTP/1.1\r\nx: ", head(b"content-length: 10")])
async def test_a_silent_client_is_closed(sent: bytes) -> None:
    async with Server(LIMITS).running() as server:
        began = time.monotonic()
        await server.sent(sent)
        assert time.monotonic() - began < 20 * LIMITS.idle_seconds
        assert len(server.shared) == 0


async def test_a_client_that_sends_a_byte_now_and_then_has_the_same_time() -> None:
    async with Server(LIMITS).running() as server:
        reader, writer = await server.open()
        for byte in head() * 2:
            if reader.at_eof() or reader.exception():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(LIMITS.idle_seconds / 5)
        assert reader.at_eof() or reader.exception()
        writer.close()


async def test_an_answer_that_takes_long_is_waited_for() -> None:
    async with Server(LIMITS).running() as server:
        answer = await server.sent(head(b"content-length: 0", path=b"/wait"))
        assert answer.startswith(b"HTTP/1.1 200")


async def test_a_client_that_does_not_read_is_closed_and_frees_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caser.service.http.connections._SLOWEST_READER", 10 * LARGE)
    async with Server(LIMITS).running() as server:
        _, writer = await server.open()
        writer.write(head(b"content-length: 0", path=b"/large"))
        for _ in range(200):
            await asyncio.sleep(0.02)
            if server.shared.num_closed:
                break
        assert server.shared.num_closed == 1
        assert len(server.shared) == 0
        writer.close()


async def test_answers_that_nobody_reads_have_a_limit_in_all() -> None:
    async with Server(LIMITS).running() as server:
        writers = []
        for _ in range(6):
            _, writer = await server.open()
            writer.write(head(b"content-length: 0", path=b"/large"))
            writers.append(writer)
        for _ in range(100):
            await asyncio.sleep(0.02)
            if server.shared.num_closed:
                break
        assert 0 < server.shared.num_closed < 6
        for writer in writers:
            writer.close()


async def test_one_address_cannot_take_all_connections() -> None:
    limits = replace(LIMITS, idle_seconds=60)
    async with Server(limits).running() as server:
        held = [await server.open() for _ in range(limits.per_address)]
        assert (await server.sent(head(b"content-length: 0"))).startswith(b"HTTP/1.1 503")
        assert server.shared.num_refused == 1
        for _, writer in held:
            writer.close()


async def test_the_connection_that_is_idle_longest_makes_room() -> None:
    limits = ConnectionLimits(most=3, per_address=10, idle_seconds=30, max_body=1_000)
    async with Server(limits).running() as server:
        held = [await server.open() for _ in range(3)]
        await until(lambda: len(server.shared) == 3)
        assert (await server.sent(head(b"content-length: 0"))).startswith(b"HTTP/1.1 200")
        assert await held[0][0].read() == b""
        for _, writer in held:
            writer.close()


async def test_connections_with_a_request_are_not_closed_for_others() -> None:
    limits = ConnectionLimits(most=2, per_address=10, idle_seconds=30, max_body=1_000)
    async with Server(limits).running() as server:
        waiting = [asyncio.create_task(server.sent(head(b"content-length: 0", path=b"/held"))) for _ in range(2)]
        await until(lambda: sum(not one.is_idle for one in server.shared._open) == 2)
        assert (await server.sent(head(b"content-length: 0"))).startswith(b"HTTP/1.1 503")
        server.release.set()
        assert [(await one)[:12] for one in waiting] == [b"HTTP/1.1 200"] * 2
        assert len(server.shared) == 0


def test_the_limits_leave_descriptors_for_files() -> None:
    assert default_limits(1, None, 1.0, descriptors=1_000).most == 800
    assert default_limits(1, 50, 1.0, descriptors=1_000).most == 50
    assert default_limits(1, None, 1.0, descriptors=10**6).most == 10_000
