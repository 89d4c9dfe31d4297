"""Erasures until their last byte is gone: from the database, from its write-ahead log, and from unused parts of pages.

A deletion is committed at once, and no answer uses the events any more. But another program that reads the database (a
backup, an export) keeps the write-ahead log from being emptied, and the log holds the bytes that were erased. Then the
erasure is tried again, until it is complete. An erasure that a killed process left is completed by the next one.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path

from caser.service.events.leftovers import has_leftovers

_MAX_NEEDLES = 1_000
_READER_WAIT_MS = 50
_PAUSE_SECONDS = 1.0
_LONG_SECONDS = 0.5
_SHARE_OF_TIME = 0.1
"""How much of the time may be spent on erasures that take long: no event is stored meanwhile."""


class Erasures:
    """The erasures that are not complete yet.

    path        the database        connection  the one that writes to it

    An erasure that the database calls incomplete is one of a process that ended; it is completed as well.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._next_try = self._rest_until = 0.0
        self._seqs: list[int] = [row[0] for row in connection.execute("SELECT seq FROM erased WHERE NOT is_complete")]
        self._needles: list[str] | None = None if self._seqs else []
        """Texts of the deleted rows; None if they are too many or not known."""

    @property
    def num_incomplete(self) -> int:
        """How many erasures are not complete."""
        return len(self._seqs)

    def add(self, seq: int, texts: Iterable[str]) -> None:
        """Note an erasure that was committed; try to complete it with the next `complete`.

        seq  its number in the database        texts  the ids of the user and of the user's events
        """
        self._seqs.append(seq)
        self._next_try = 0.0
        if self._needles is not None:
            self._needles += texts
            if len(self._needles) > _MAX_NEEDLES:
                self._needles = None

    def complete(self) -> None:
        """Try to complete all erasures, unless the last try was a moment ago. Raises sqlite3.Error or OSError.

        The connection must not be in a transaction.
        """
        if not self._seqs or time.monotonic() < max(self._next_try, self._rest_until):
            return
        begun = time.monotonic()
        try:
            if self._is_gone():
                numbers = [(seq,) for seq in self._seqs]
                self._seqs, self._needles = [], []
                self._connection.executemany("UPDATE erased SET is_complete = 1 WHERE seq = ?", numbers)
        finally:
            now = time.monotonic()
            self._next_try = now + _PAUSE_SECONDS
            self._rest_until = now + (now - begun) / _SHARE_OF_TIME if now - begun > _LONG_SECONDS else 0.0

    def _is_gone(self) -> bool:
        """Empty the write-ahead log, and write the pages anew if they still have copies of what was deleted."""
        if not self._empty_log():
            return False
        if self._needles is not None and not has_leftovers(self._path, self._needles):
            return True
        self._connection.execute("VACUUM")
        self._needles = []  # whatever reader follows: the pages have no copies any more
        return self._empty_log()

    def _empty_log(self) -> bool:
        """Write the log into the database and cut it to no bytes. Returns False if a reader is in the way."""
        # The usual patience of ten seconds would hold up the events that wait behind this.
        patience = self._connection.execute("PRAGMA busy_timeout").fetchone()[0]
        self._connection.execute(f"PRAGMA busy_timeout={_READER_WAIT_MS}")
        try:
            is_busy, *_ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            self._connection.execute(f"PRAGMA busy_timeout={patience}")
        return not is_busy
