"""The service under overload: it refuses with Retry-After, serves other clients, and does not grow."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from pathlib import Path

import pytest

from caser.artefact.folder import save
from tests.runs import caser_run
from tests.service.clients import JSON, Client, ask, crowd, open_files, resident_mib, threads
from tests.service.serving import Process, process
from tests.skips import on_another_system

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason=on_another_system("reads /proc"))

HEAD = b"POST /v1/recommend HTTP/1.1\r\nhost: localhost\r\n" + JSON


async def test_overload_is_refused_with_retry_after_and_the_service_stays_healthy(run: Path) -> None:
    with process(run, "--max-waiting", "4") as served:
        end = time.monotonic() + 1.5
        health = asyncio.ensure_future(
            crowd(served.url, 1, lambda _: ("/healthz", None), lambda _: time.monotonic() > end)
        )
        replies = await crowd(served.url, 64, _bob, lambda _: time.monotonic() > end)
        assert {reply.status for reply in replies} == {200, 503}
        for reply in replies:
            if reply.status == 503:
                assert int(reply.headers["retry-after"]) >= 1
                assert "that wait may cost" in reply.json()["error"]
        assert {reply.status for reply in await health} == {200}
        assert (await ask(served.url, "/v1/recommend", {})).status == 200


async def test_slow_and_broken_clients_take_no_memory_and_delay_no_other_client(run: Path) -> None:
    with process(run) as served:
        await crowd(served.url, 4, _bob, lambda replies: len(replies) > 200)
        before = resident_mib(served.process.pid)
        dripping, endless = await _odd_clients(served)
        replies = await crowd(served.url, 4, _bob, lambda replies: len(replies) > 300)
        assert {reply.status for reply in replies} == {200}
        assert await endless == b"HTTP/1.1 413"
        dripping.cancel()
        assert resident_mib(served.process.pid) - before < 64


async def _odd_clients(served: Process) -> tuple[asyncio.Task[None], asyncio.Task[bytes]]:
    """Start clients that send one byte at a time, half a request, or an endless body."""
    address = ("127.0.0.1", int(served.url.rpartition(":")[2]))
    starts = [HEAD + b"content-length: 1000\r\n\r\n", HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\n", HEAD[:20]]
    odd = [socket.create_connection(address) for _ in range(200)]
    for number, connection in enumerate(odd):
        connection.sendall(starts[number % 3])
        if number % 10 == 0:
            connection.shutdown(socket.SHUT_WR)

    async def drip() -> None:
        try:
            while True:
                for number, connection in enumerate(odd):
                    if number % 10:
                        connection.send(b" ")
                await asyncio.sleep(0.2)
        finally:
            for connection in odd:
                connection.close()

    async def flood() -> bytes:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        answer = asyncio.ensure_future(reader.readexactly(12))
        for _ in range(1000):  # 64 MiB, which is 64 times the longest body
            if answer.done():
                break
            writer.write(b"10000\r\n" + b" " * 65_536 + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0.001)
        try:
            return await answer
        finally:
            writer.close()

    return asyncio.ensure_future(drip()), asyncio.ensure_future(flood())


async def test_a_declared_length_that_is_too_large_is_refused_before_the_body_arrives(run: Path) -> None:
    with process(run) as served:
        async with Client(served.url) as client:
            reply = await client.send(HEAD + b"content-length: 1000000000\r\n\r\n")
        assert (reply.status, reply.headers["connection"]) == (413, "close")


async def test_a_history_of_a_million_items_is_refused_at_once_and_delays_no_other_client(run: Path) -> None:
    history = b'{"history": [' + b"12345," * 1_000_000 + b"1]}"
    request = HEAD + b"content-length: %d\r\n\r\n" % len(history) + history
    for flags, status in (((), 413), (("--max-body", str(10**8)), 422)):
        with process(run, *flags) as served:
            async with Client(served.url) as client:
                reply, beside = await asyncio.gather(client.send(request), ask(served.url, "/v1/recommend", {"k": 1}))
            assert (reply.status, beside.status) == (status, 200)
            assert reply.seconds < 5  # 0.05 is normal; a busy machine may stall


@pytest.mark.slow
async def test_memory_threads_and_files_do_not_grow_with_events_and_reloads(run: Path) -> None:
    with process(run, "--store", run.parent / "events.db", "--answer-log", run.parent / "answers.jsonl") as served:
        pid, seen = served.process.pid, []
        for turn in range(6):
            save(caser_run(seed=turn % 2), run)
            assert (await ask(served.url, "/v1/model/reload", {})).status == 200
            replies = await crowd(served.url, 4, _mixed, lambda replies: len(replies) >= 1500)
            assert {reply.status for reply in replies} == {200}
            await asyncio.sleep(0.1)  # until closed connections are released
            seen.append((open_files(pid), threads(pid), resident_mib(pid)))
    first, last = seen[1], seen[-1]
    assert last[:2] == first[:2]
    assert last[2] - first[2] < 16


def _bob(_: int) -> tuple[str, object]:
    return "/v1/recommend", {"user_id": "bob"}


def _mixed(client: int) -> tuple[str, object]:
    if client == 0:
        return "/v1/events", {"user_id": "bob", "item_id": 20}
    return "/v1/recommend", {"user_id": "bob", "explain": client == 1}
