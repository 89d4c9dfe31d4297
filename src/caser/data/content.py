"""The bytes of a log: of files, of a pipe, or of the standard input, within a bound and without waiting for ever.

A file is read up to the size that it has when it is opened, so that a file that grows has an end. A pipe is read to its
end, however slow its writer is; but it must have a writer.
"""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from caser.errors import DataError
from caser.system.bounds import most_bytes

CHUNK_BYTES = 1 << 22

WAIT_SECONDS = 4.0
"""How long a named pipe may have no writer. The shell's process substitution has one at once."""


def read_parts(paths: Sequence[Path]) -> list[bytes]:
    """Return the bytes of files, which may be pipes too.

    paths  the files

    Raises DataError for a file that cannot be read, and if all of them together are more than a log may hold.
    """
    contents: list[bytes] = []
    for path in paths:
        contents.append(_read_path(path, most_bytes() - sum(map(len, contents))))
    return contents


def read_pipe(path: str) -> bytes:
    """Return everything that is written into a pipe.

    path  of the pipe, or "-" for the standard input

    Raises DataError for a terminal or a device, a named pipe without a writer, and for more than a log may hold.
    """
    if path != "-":
        return _read_path(Path(path), most_bytes())
    if sys.stdin is None or sys.stdin.isatty():
        raise DataError("a log in the standard input must be piped in; got a terminal; pipe it: cat FILE | caser ... -")
    is_device = False
    with suppress(OSError, ValueError, AttributeError):  # a standard input that a program has replaced
        is_device = _is_endless(sys.stdin.fileno())
    if is_device:
        raise DataError("a log in the standard input must be a file or a pipe; got a device")
    try:
        return _joined(_chunks(sys.stdin.buffer), most_bytes())
    except (OSError, ValueError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"the standard input must be readable; got {error}") from None


def _is_endless(descriptor: int) -> bool:
    facts = os.fstat(descriptor)
    return stat.S_ISCHR(facts.st_mode) and facts.st_rdev != Path(os.devnull).stat().st_rdev


def _read_path(path: Path, most: int) -> bytes:
    try:
        # O_NONBLOCK is set because opening a pipe would wait for a writer.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(path, flags), "rb", buffering=0) as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                return _joined(_from_pipe(file) if stat.S_ISFIFO(facts.st_mode) else _chunks(file), most)
            if facts.st_size > most:
                raise DataError(_too_large(f"{facts.st_size / 1e9:,.1f} GB", most))
            # The size of some files that the system makes up is 0.
            return _joined(_first(file, facts.st_size) if facts.st_size else _chunks(file), most)
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"a log must be a file that can be read; got {reason!r}") from None


def _from_pipe(file: IO[bytes]) -> Iterator[bytes]:
    """Yield what is written into a pipe. Raises DataError if it has no writer for some seconds."""
    waiting = select.poll()
    waiting.register(file.fileno(), select.POLLIN | select.POLLHUP)
    if not waiting.poll(1000 * WAIT_SECONDS):
        first = file.read(1)  # None: there is a writer, which has not written yet
        if first == b"":
            raise DataError(
                f"a pipe must have a writer; nothing opened it within {WAIT_SECONDS:g} s; start the writer first: "
                "caser ... <(COMMAND)"
            )
        yield first or b""
    os.set_blocking(file.fileno(), True)
    yield from _chunks(file)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: file.read(CHUNK_BYTES), b"")


def _first(file: IO[bytes], count: int) -> Iterator[bytes]:
    """Yield the first `count` bytes, or those that there are."""
    while count > 0 and (chunk := file.read(count)):
        count -= len(chunk)
        yield chunk


def _joined(chunks: Iterator[bytes], most: int) -> bytes:
    kept, num_bytes = [], 0
    for chunk in chunks:
        num_bytes += len(chunk)
        if num_bytes > most:
            raise DataError(_too_large("more", most))
        kept.append(chunk)
    return b"".join(kept)


def _too_large(got: str, most: int) -> str:
    return (
        f"a log must have at most {most / 1e9:,.2f} GB here, a part of the memory that is free; got {got}; use a part "
        "of it, or write it as Parquet, of which only the columns in use are read"
    )
