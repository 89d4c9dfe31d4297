"""The file of an event store: whether it is still the file that was opened.

A process can go on writing to a file that somebody deleted or replaced, and SQLite does not notice it. Such events
would be lost with the process, so nothing that was written after that may be acknowledged.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

_Identity: TypeAlias = tuple[int, int]
"""The device and the number of a file, which a new file under the same name does not have."""


class StoreFile:
    """The database and its write-ahead log.

    path  the database
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # Texts: each event looks at both files, and a path takes twice the time.
        self._names = str(path), f"{path}-wal"
        self._known: tuple[_Identity | None, _Identity | None] = (None, None)
        self._is_lost = False

    def check(self) -> None:
        """Raise ValueError for a path that cannot be a database; its text is the end of a sentence."""
        if self._path.name.startswith((":memory:", "file:")):
            raise ValueError("a name that means no file to SQLite. Leave --store out to keep events in memory")
        if self._path.is_dir():
            raise ValueError("a folder. Name a file in it")
        if self._path.exists() and not self._path.is_file():
            raise ValueError("a pipe or a device. Name a regular file")
        if not self._path.parent.is_dir():
            raise ValueError("a file in a folder that does not exist. Make the folder first")

    def remember(self) -> None:
        """Take the files that are there now for those that were opened."""
        self._known = self._identities()

    def is_there(self) -> bool:
        """Whether the files are still those that were opened, and the database was never found empty."""
        # Once the files were others, nobody knows what they lack: there is no way back without a restart.
        self._is_lost = self._is_lost or None in self._known or self._identities() != self._known
        return not self._is_lost

    def _identities(self) -> tuple[_Identity | None, _Identity | None]:
        database, log = self._names
        return _identity(database, needs_content=True), _identity(log)


def _identity(path: str, *, needs_content: bool = False) -> _Identity | None:
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return None if needs_content and not found.st_size else (found.st_dev, found.st_ino)
