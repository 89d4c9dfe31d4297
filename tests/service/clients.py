"""Clients for the load tests: many at once, each on its own connection, over plain sockets."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

JSON = b"content-type: application/json\r\n"


class BrokenAnswerError(Exception):
    """A connection ended in the middle of a response."""


@dataclass(frozen=True)
class Reply:
    """A response as it arrived."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    def json(self) -> Any:
        """Parse the body as JSON."""
        return json.loads(self.body)


class Client:
    """One connection. It is opened when needed, and opened again after a response that closes it.

    Raises ConnectionError when no byte of a response arrives, BrokenAnswerError when only a part of it arrives.
    """

    def __init__(self, url: str) -> None:
        self.port = int(url.rpartition(":")[2])
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def ask(self, path: str, value: Any = None) -> Reply:
        """Post a value, or send GET without one, and read the whole response."""
        content = b"" if value is None else json.dumps(value).encode()
        method = "GET" if value is None else "POST"
        head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(content)}\r\n".encode()
        return await self.send(head + JSON + b"\r\n" + content)

    async def send(self, content: bytes) -> Reply:
        """Send bytes as they are, and read the whole response."""
        start = time.perf_counter()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self._streams
        writer.write(content)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            await self.close()
            if getattr(error, "partial", b""):
                raise BrokenAnswerError(str(error)) from None
            raise ConnectionResetError("no answer came") from None
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        try:
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            await self.close()
            raise BrokenAnswerError(str(error)) from None
        if headers.get("connection") == "close":
            await self.close()
        return Reply(int(status.split()[1]), headers, body, time.perf_counter() - start)

    async def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            writer, self._streams = self._streams[1], None
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def crowd(
    url: str, number: int, ask: Callable[[int], tuple[str, Any]], enough: Callable[[Sequence[Reply]], bool]
) -> list[Reply]:
    """Run `number` clients at once. Each sends the requests of `ask(client)`, until `enough(replies)`."""
    replies: list[Reply] = []

    async def one(which: int) -> None:
        async with Client(url) as client:
            while not enough(replies):
                replies.append(await client.ask(*ask(which)))

    await asyncio.gather(*map(one, range(number)))
    return replies


def resident_mib(pid: int) -> float:
    """The memory of a process, in mebibytes."""
    return _figure(pid, "VmRSS") / 1024


def threads(pid: int) -> int:
    """The number of threads of a process."""
    return _figure(pid, "Threads")


def open_files(pid: int) -> int:
    """The number of open files and sockets of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def ask(url: str, path: str, value: Any = None) -> Reply:
    """Send one request on a new connection."""
    async with Client(url) as client:
        return await client.ask(path, value)


def _figure(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])
