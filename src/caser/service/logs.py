"""Structured logs: one JSON object a line. Users appear as digests under a key, and headers never appear.

What is written is a fixed set of fields, so that nothing a client sends (a token, a query) can end up in a log.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import os
import secrets
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from caser.errors import StoreError
from caser.storage import refused

logger = logging.getLogger("caser.service")

_MOMENT = 0.25

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


def log_to_stderr() -> None:
    """Send what the service and the server log to stderr, as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    for name in ("caser.service", "uvicorn"):
        chosen = logging.getLogger(name)
        chosen.handlers, chosen.propagate = [handler], False
        chosen.setLevel(logging.INFO if name == "caser.service" else logging.WARNING)


class Lines:
    """JSON lines into a file, written a few times a second: a system call per line would cost as much as the line.

    What a crash takes is the last moment. A disk that is full is told of in the log, and stops nobody's answer. Without
    a path, lines go to stderr.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._waiting: list[bytes] = []
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0) if path else sys.stderr.fileno()
        except OSError as error:
            raise StoreError(str(refused(path or Path("stderr"), error, 0))) from None

    def write(self, **values: Any) -> None:
        """Write a line, in a moment."""
        if not self._waiting:
            asyncio.get_running_loop().call_later(_MOMENT, self.flush)
        self._waiting.append(orjson.dumps({"time": time.time(), **values}))

    def flush(self) -> None:
        """Write what waits."""
        lines, self._waiting = self._waiting, []
        if not lines:
            return
        content = b"\n".join(lines) + b"\n"
        try:
            if isinstance(self._file, int):
                os.write(self._file, content)
            else:
                self._file.write(content)
        except OSError as error:
            logger.warning("a log could not be written: %s", error.strerror)

    def close(self) -> None:
        """Write what waits, and close the file."""
        self.flush()
        if not isinstance(self._file, int):
            self._file.close()


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
