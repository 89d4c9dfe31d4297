"""Finished parts of a study, kept in a folder so that a study that was killed, or is run again, does them only once.

A part is an array under a key, and the key is everything that the array depends on: log, settings, version. A part with
another key is another file, so nothing stale is ever read. Will not clean up: the folder may be removed at any time.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caser.system.storage import read_file, write_file

Values = NDArray[np.floating[Any]]


class Kept:
    """The finished parts in one folder; without a folder, nothing is kept.

    >>> Kept(None).part(["twice", 2], lambda: np.array([4.0])).tolist()
    [4.0]
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def part(self, key: Sequence[Any], compute: Callable[[], Values]) -> Values:
        """The array under a key of JSON values: read if it is there, otherwise computed and written."""
        path = self.path(key, "npy")
        if path is not None and path.exists():
            values: Values = np.load(io.BytesIO(read_file(path)))
            return values
        values = compute()
        if path is not None:
            buffer = io.BytesIO()
            np.save(buffer, values)
            write_file(path, buffer.getvalue())
        return values

    def path(self, key: Sequence[Any], ending: str) -> Path | None:
        """The file that belongs to a key; None without a folder."""
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
        return self.folder / f"{name}.{ending}" if self.folder else None
