"""Structured logs: one JSON object per line, whatever wants to write to stderr while the service runs: this service,
uvicorn, other libraries, warnings, and errors that nobody caught. Characters that a terminal would obey are escaped.
User ids appear as keyed digests, and request headers never appear.

A line has a fixed set of fields, so nothing secret that a client sends (a token, a query) can reach a log.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import os
import queue
import secrets
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from caser.errors import ArtefactError, StoreError
from caser.system.locks import locked
from caser.system.safe_text import for_json
from caser.system.storage import read_file, refused, write_file

logger = logging.getLogger("caser.service")

MAX_WAITING_CHUNKS = 64
"""Chunks of lines that may wait to be written. `JsonLog` makes one chunk every `_FLUSH_SECONDS`."""

_FLUSH_SECONDS = 0.25
_CLOSE_SECONDS = 2.0
_KEY_BYTES = 32

Pseudonym = Callable[[str], str]
"""A function that turns a user id into the text that logs show in its place."""


def make_pseudonym(key: bytes | None) -> Pseudonym:
    """Return a function that turns a user id into an HMAC digest under `key`; None leaves ids as they are.

    Without the key, the digest cannot be turned back into the id.

    >>> make_pseudonym(b"key")("ann") == make_pseudonym(b"key")("ann") != make_pseudonym(b"other")("ann")
    True
    >>> make_pseudonym(None)("ann")
    'ann'
    """
    if key is None:
        return lambda user: user
    return lru_cache(10_000)(lambda user: hmac.new(key, user.encode(), hashlib.sha256).hexdigest()[:24])


def json_line(values: Mapping[str, Any]) -> bytes:
    r"""Return values as one line of JSON, without its end. Characters that a terminal would obey are escaped.

    values  JSON values by name; others are written as text

    >>> json_line({"item": "tea \x9b31m"})
    b'{"item":"tea \\u009b31m"}'
    """
    try:
        line = orjson.dumps(values, default=str)
    except TypeError:  # half of a character, as in the name of a file that is not in UTF-8
        return json.dumps(values, default=str).encode()
    return line if line.isascii() and b"\x7f" not in line else for_json(line.decode()).encode()


class JsonFormatter(logging.Formatter):
    """Formats records of Python's logging as JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return `record` as one line of JSON."""
        try:
            message = record.getMessage()
        except Exception:  # a library gave arguments that do not fit its message
            message = f"{record.msg} {record.args}"
        values: dict[str, Any] = {"time": record.created, "level": record.levelname, "message": message}
        if record.exc_info:
            values["traceback"] = self.formatException(record.exc_info)
        return json_line(values).decode()


class BackgroundWriter:
    """Writes lines to a file in a thread, so that a slow reader or disk costs log lines and never delays an answer.

    path  the file, which is appended to; None for stderr

    Lines that do not fit the queue, or the disk, are dropped; their number is written as soon as there is room. Lines
    that wait are lost in a crash. A full disk is reported in the service's log. After half a line, of this process or
    of one that was killed, the next line is a new one. Raises StoreError when the file cannot be opened.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._is_stderr = path is None
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._file = os.dup(sys.stderr.fileno()) if path is None else os.open(path, flags, 0o666)
            self._is_in_line = path is not None and _ends_in_line(path)
        except OSError as error:
            raise StoreError(str(refused(path or Path("stderr"), error, 0))) from None
        self._queue: queue.Queue[bytes | None] = queue.Queue(MAX_WAITING_CHUNKS)
        self._num_dropped = 0
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def put(self, lines: Sequence[bytes]) -> None:
        """Hand over `lines` (without line ends) to be written. Does not wait."""
        try:
            self._queue.put_nowait(b"\n".join(lines) + b"\n")
        except queue.Full:
            self._num_dropped += len(lines)

    def close(self) -> None:
        """Write the lines that wait, for a few seconds at most, and close the file."""
        with suppress(queue.Full):
            self._queue.put(None, timeout=_CLOSE_SECONDS)
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while (content := self._queue.get()) is not None:
            if self._num_dropped:
                count, self._num_dropped = self._num_dropped, 0
                told = json_line({"time": time.time(), "dropped_lines": count}) + b"\n"
                if self._lost(told):
                    self._num_dropped += count
            self._num_dropped += self._lost(content)
        os.close(self._file)

    def _lost(self, content: bytes) -> int:
        """Write lines, and return how many of them could not be written."""
        rest = b"\n" + content if self._is_in_line else content
        try:
            while rest:
                num_bytes = os.write(self._file, rest)
                self._is_in_line, rest = rest[num_bytes - 1 : num_bytes] != b"\n", rest[num_bytes:]
        except OSError as error:
            if not self._is_stderr:  # an error of stderr cannot be reported anywhere
                logger.warning("a log could not be written: %s", error.strerror)
        return min(rest.count(b"\n"), content.count(b"\n"))


def _ends_in_line(path: Path) -> bool:
    """Whether a file ends in half a line, which a killed process or a full disk has left."""
    try:
        if not path.is_file() or path.stat().st_size == 0:  # a pipe or a device has no end
            return False
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:  # it may be written and not read
        return False


class StderrHandler(logging.Handler):
    """Writes records of Python's logging to stderr, through a `BackgroundWriter`."""

    def __init__(self) -> None:
        super().__init__()
        self._writer = BackgroundWriter()

    def emit(self, record: logging.LogRecord) -> None:
        """Write `record` as one line, soon."""
        self._writer.put([self.format(record).encode()])

    def close(self) -> None:
        """Write the lines that wait."""
        self._writer.close()
        super().close()


def log_to_stderr() -> None:
    """Send everything that this process says from now on to stderr as JSON lines.

    That is the log of the service, of uvicorn and of any other library; warnings; and errors that nobody caught, in
    the main thread, in other threads and where Python cannot raise them.
    """
    handler = StderrHandler()
    handler.setFormatter(JsonFormatter())
    everything = logging.getLogger()
    everything.handlers = [handler]
    everything.setLevel(logging.WARNING)
    for name in ("caser.service", "uvicorn"):
        configured = logging.getLogger(name)
        configured.handlers, configured.propagate = [], True
    logger.setLevel(logging.INFO)
    warnings.showwarning = lambda message, *_: logger.warning("%s", message)
    sys.excepthook = lambda *error: logger.critical("the service failed", exc_info=error)
    threading.excepthook = lambda failed: logger.error("a thread failed", exc_info=failed.exc_value)
    sys.unraisablehook = lambda failed: logger.error("%s", failed.err_msg or "ignored", exc_info=failed.exc_value)


class JsonLog:
    """Writes JSON lines to a file.

    path  the file, which is appended to; None for stderr

    Lines go to the writer's thread a few times per second: waking the thread for each line would double the cost of a
    line. Raises StoreError when the file cannot be opened.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._waiting: list[bytes] = []
        self._writer = BackgroundWriter(path)

    def write(self, **values: Any) -> None:
        """Write one line with the JSON `values` and the time, soon. Call it in an event loop."""
        if not self._waiting:
            asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self._flush)
        self._waiting.append(json_line({"time": time.time(), **values}))

    def close(self) -> None:
        """Write the lines that wait, and close the file."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        lines, self._waiting = self._waiting, []
        if lines:
            self._writer.put(lines)


def read_pseudonym_key(answer_log: Path | None) -> bytes:
    """Return the key of pseudonyms.

    answer_log  the key is kept in a file beside this log, so that a user keeps one pseudonym after a restart; without
                a log, each call makes a new key

    The file appears with its whole content or not at all. Raises StoreError when it cannot be read or written, or
    holds no key.
    """
    if answer_log is None:
        return secrets.token_bytes(_KEY_BYTES)
    file = answer_log.with_name(f"{answer_log.name}.key")
    try:
        with locked(file):  # two services that start at once agree on one key
            if not (file.exists() or file.is_symlink()):
                write_file(file, secrets.token_bytes(_KEY_BYTES), 0o600)
            key = read_file(file, 1024)
    except (ArtefactError, OSError) as error:
        sentence = str(error) if isinstance(error, ArtefactError) else str(refused(file, error, _KEY_BYTES))
        raise StoreError(sentence) from None
    if len(key) < _KEY_BYTES or not any(key):
        raise StoreError(
            f"{file} must hold a key of {_KEY_BYTES} random bytes; got {len(key)}{'' if any(key) else ', all 0'}. "
            "Restore it from a backup, or remove it: then users get new pseudonyms."
        )
    return key
