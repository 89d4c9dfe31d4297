"""The streams that commands print to: any encoding, a reader that goes away, a disk that is full, no stream at all."""

from __future__ import annotations

import codecs
import errno
import os
import sys
from contextlib import suppress
from io import TextIOBase, TextIOWrapper
from typing import Any, TextIO, TypeGuard

from rich.console import Console

PLAIN = {"·": "-", "◂": "<", "±": "+-", "✓": "+", "…": ".", "–": "-", "—": "-", "’": "'", "×": "x", "→": ">", "│": "|"}
"""What stands for a sign where an encoding lacks it."""

_NOT_WRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})
"""Numbers of errors that a stream without a name meets when it is written."""


class QuietConsole(Console):
    """A console that does not end the program itself where the reader of its output has gone."""

    def on_broken_pipe(self) -> None:
        """Raise the error, which `app.run` turns into a silent end."""
        raise BrokenPipeError


def allow_any_encoding() -> None:
    """Let stdout and stderr replace signs that their encoding lacks, such as cp1252 or ASCII, instead of failing.

    A stream that was closed before the program began is None; one that goes nowhere takes its place.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, _Nowhere())
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="caser")


class _Nowhere(TextIOBase):
    """A stream that forgets what is written to it."""

    def write(self, text: str, /) -> int:
        return len(text)


def abandon(*streams: TextIO) -> None:
    """Send what is written to streams from now on nowhere, so that Python does not complain at its end.

    streams  such as sys.stdout, after it could not be written
    """
    for stream in streams:
        with suppress(OSError, ValueError):  # it is no file, as in a test
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def is_of_output(error: Exception) -> TypeGuard[OSError]:
    """Whether an error is about output that cannot be written, such as a full disk behind stdout.

    error  any error; those about a file that has a name are raised by other code as errors of this library
    """
    return isinstance(error, OSError) and error.filename is None and error.errno in _NOT_WRITABLE


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """The signs that this library prints, in ASCII; a question mark for any other."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


def encoding_of(stream: Any) -> str:
    """Return the name of the encoding of a stream, as Python names it; utf-8 for a stream that has none.

    stream  such as sys.stdout, or what takes its place in a test
    """
    return codecs.lookup(getattr(stream, "encoding", None) or "utf-8").name


codecs.register_error("caser", _replaced)
