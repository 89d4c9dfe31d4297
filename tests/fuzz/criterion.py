"""What every reader must hold for any bytes: only errors of this library, in time, and no file written elsewhere."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from caser.errors import CaserError
from tests.fuzz.readers import Read

MOST_SECONDS, MOST_BYTES = 5.0, 10**9

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_watched: list[Path] = []
_written_elsewhere: list[str] = []


def refusal_of(read: Read, content: bytes, folder: Path) -> CaserError | None:
    """Read bytes, and return the error if they are refused. Raises AssertionError for anything that must not happen.

    read    what `Reader.open` returned        content  the bytes        folder  the only folder to write in
    """
    _watch(folder)
    start = time.process_time()  # a busy machine is no fault of the reader
    refusal: CaserError | None = None
    try:
        read(content)
    except CaserError as error:
        refusal = error
    seconds = time.process_time() - start
    if seconds > MOST_SECONDS:
        raise AssertionError(f"it took {seconds:.1f} s of processor time")
    if refusal is not None and "unexpected" in str(refusal):
        raise AssertionError(f"the sentence says unexpected: {refusal}")
    if _written_elsewhere:
        raise AssertionError(f"files were written elsewhere: {_written_elsewhere}")
    return refusal


def _watch(folder: Path) -> None:
    if not _watched:
        sys.addaudithook(_note)  # a hook stays until the process ends
    _watched[:] = [folder.resolve()]
    _written_elsewhere.clear()


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not isinstance(arguments[0], str | bytes) or not _watched:
        return
    path, flags = os.fsdecode(arguments[0]), arguments[2]
    if isinstance(flags, int) and flags & _WRITING and not _is_allowed(path):
        _written_elsewhere.append(path)


def _is_allowed(path: str) -> bool:
    whole = str(Path(path).absolute())
    return whole.startswith((str(_watched[0]), os.devnull)) or "__pycache__" in whole
