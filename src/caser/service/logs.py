"""Structured logs: one JSON object a line. Users appear as digests under a key, and headers never appear.

What is written is a fixed set of fields, so that nothing a client sends (a token, a query) can end up in a log.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import os
import queue
import secrets
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from caser.errors import StoreError
from caser.system.storage import refused

logger = logging.getLogger("caser.service")

MOST_CHUNKS = 64
"""Pieces of a log that may wait to be written, each at most a quarter of a second's lines."""

_MOMENT = 0.25
_PATIENCE_SECONDS = 2.0

Pseudonym = Callable[[str], str]
"""What stands for a user in logs."""


def pseudonym(key: bytes | None) -> Pseudonym:
    """A digest under a key that nobody can undo without it; None leaves ids as they are.

    >>> pseudonym(b"key")("ann") == pseudonym(b"key")("ann") != pseudonym(b"other")("ann"), pseudonym(None)("ann")
    (True, 'ann')
    """
    if key is None:
        return lambda user: user
    return lru_cache(10_000)(lambda user: hmac.new(key, user.encode(), hashlib.sha256).hexdigest()[:24])


class JsonFormatter(logging.Formatter):
    """Log records of the service and of the server as JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        values: dict[str, Any] = {"time": record.created, "level": record.levelname, "message": record.getMessage()}
        if record.exc_info:
            values["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(values, default=str).decode()


class Sink:
    """Lines on their way to a file, written by a thread: a reader that stalls costs lines, and never an answer.

    What does not fit the queue is dropped and counted; the count is written once there is room. What a crash takes is
    what waits. A disk that is full is told of in the log. Without a path, lines go to stderr.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._is_stderr = path is None
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._file = os.dup(sys.stderr.fileno()) if path is None else os.open(path, flags, 0o666)
        except OSError as error:
            raise StoreError(str(refused(path or Path("stderr"), error, 0))) from None
        self._queue: queue.Queue[bytes | None] = queue.Queue(MOST_CHUNKS)
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def put(self, lines: Sequence[bytes]) -> None:
        """Hand lines over, without waiting."""
        try:
            self._queue.put_nowait(b"\n".join(lines) + b"\n")
        except queue.Full:
            self._dropped += len(lines)

    def close(self) -> None:
        """Write what waits, as far as it can be written soon."""
        with suppress(queue.Full):
            self._queue.put(None, timeout=_PATIENCE_SECONDS)
        self._thread.join(_PATIENCE_SECONDS)

    def _run(self) -> None:
        while (content := self._queue.get()) is not None:
            if self._dropped:
                count, self._dropped = self._dropped, 0
                content = orjson.dumps({"time": time.time(), "dropped_lines": count}) + b"\n" + content
            try:
                while content:
                    content = content[os.write(self._file, content) :]
            except OSError as error:
                if not self._is_stderr:  # which has nowhere else to go
                    logger.warning("a log could not be written: %s", error.strerror)
        os.close(self._file)


class StderrHandler(logging.Handler):
    """Log records to stderr, through a Sink."""

    def __init__(self) -> None:
        super().__init__()
        self._sink = Sink()

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one line over."""
        self._sink.put([self.format(record).encode()])

    def close(self) -> None:
        """Write what waits."""
        self._sink.close()
        super().close()


def log_to_stderr() -> None:
    """Send what the service and the server log to stderr, as JSON."""
    handler = StderrHandler()
    handler.setFormatter(JsonFormatter())
    for name in ("caser.service", "uvicorn"):
        chosen = logging.getLogger(name)
        chosen.handlers, chosen.propagate = [handler], False
        chosen.setLevel(logging.INFO if name == "caser.service" else logging.WARNING)


class Lines:
    """JSON lines into a Sink, handed over a few times a second: waking its thread for each would cost as much again."""

    def __init__(self, path: Path | None = None) -> None:
        self._waiting: list[bytes] = []
        self._sink = Sink(path)

    def write(self, **values: Any) -> None:
        """Write a line, in a moment."""
        if not self._waiting:
            asyncio.get_running_loop().call_later(_MOMENT, self._hand_over)
        self._waiting.append(orjson.dumps({"time": time.time(), **values}))

    def close(self) -> None:
        """Write what waits, and let go of the file."""
        self._hand_over()
        self._sink.close()

    def _hand_over(self) -> None:
        lines, self._waiting = self._waiting, []
        if lines:
            self._sink.put(lines)


def log_key(path: Path | None) -> bytes:
    """The key of pseudonyms: kept beside a log of answers, so that one user is one across restarts; else a new one."""
    if path is None:
        return secrets.token_bytes(32)
    file = path.with_name(f"{path.name}.key")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            file.touch(0o600)
            file.write_bytes(secrets.token_bytes(32))
        return file.read_bytes()
    except OSError as error:
        raise StoreError(str(refused(file, error, 32))) from None
