"""Structured logs: one JSON object a line. Users appear as digests under a key, and headers never appear.

What is written is a fixed set of fields, so that nothing a client sends (a token, a query) can end up in a log.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from caser.errors import StoreError
from caser.storage import refused

logger = logging.getLogger("caser.service")

Pseudonym = Callable[[str], str]
"""What stands for a user in logs."""


def pseudonym(key: bytes | None) -> Pseudonym:
    """A digest under a key that nobody can undo without it; None leaves ids as they are.

    >>> pseudonym(b"key")("ann") == pseudonym(b"key")("ann") != pseudonym(b"other")("ann"), pseudonym(None)("ann")
    (True, 'ann')
    """
    if key is None:
        return lambda user: user
    return lambda user: hmac.new(key, user.encode(), hashlib.sha256).hexdigest()[:24]


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


class AnswerLog:
    """Answers and events in a file, for `caser replay`: what was really served, and what happened then.

    Lines are flushed as they come, not forced to disk: what a power cut takes are statistics.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = path.open("ab", buffering=0)
        except OSError as error:
            raise StoreError(str(refused(path, error, 0))) from None

    def write(self, **values: Any) -> None:
        """Write a line. A disk that is full is told of once in the log, and stops nobody's answer."""
        try:
            self._file.write(orjson.dumps({"time": time.time(), **values}) + b"\n")
        except OSError as error:
            logger.warning("the log of answers could not be written: %s", error.strerror)

    def close(self) -> None:
        """Close the file."""
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
