"""Server processes measured from outside, clients that misbehave, and work in the background."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.speed._load import Replies, once
from benchmarks.speed.serving import free_port


@dataclass
class Served:
    """A server process that listens on a port."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def mebibytes(self) -> float:
        """Resident memory, in mebibytes."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024

    @property
    def processor_seconds(self) -> float:
        """Processor time used so far, in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    @property
    def handles(self) -> tuple[int, int]:
        """The number of open files and sockets, and the number of threads."""
        place = Path(f"/proc/{self.process.pid}")
        return len(list((place / "fd").iterdir())), len(list((place / "task").iterdir()))


@contextmanager
def served(*arguments: str | Path) -> Iterator[Served]:
    """Start a server and wait until it is ready; stop it at the end.

    arguments  the module to run and its arguments; `PORT` in them is replaced by a free port
    """
    port = free_port()
    command = [sys.executable, "-m", *(str(argument).replace("PORT", str(port)) for argument in arguments)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(2400):
            try:
                if asyncio.run(once(port, "/readyz"))[0] == 200:
                    break
            except OSError:
                time.sleep(0.05)
        yield Served(process, port)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def ours(run: Path, *flags: str | Path) -> tuple[str | Path, ...]:
    """Return the arguments that serve a run with this library."""
    return "caser", "serve", run, "--port", "PORT", *flags


@contextmanager
def odd_clients(port: int) -> Iterator[None]:
    """Keep 200 connections open that send a byte per second, half a request, or a body without end."""
    head = b"POST /v1/recommend HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    starts = [head + b"Content-Length: 900000\r\n\r\n", head + b"Transfer-Encoding: chunked\r\n\r\n", head[:20], head]
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(1):
            for number, connection in enumerate(connections):
                try:
                    connection.send(b"1\r\n \r\n" if number % 4 == 1 else b" ")
                except OSError:
                    continue  # the service has closed it

    for number, connection in enumerate(connections):
        connection.sendall(starts[number % 4])
        if number % 10 == 0:
            connection.shutdown(socket.SHUT_WR)
    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        yield
    finally:
        stop.set()
        dripping.join()
        for connection in connections:
            connection.close()


@contextmanager
def in_background(work: Callable[..., Replies], *arguments: Any) -> Iterator[Future[Replies]]:
    """Do some work in a thread, and wait for it at the end."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(work, *arguments)
