"""The finished parts of an audit, kept in a folder so that an audit that was killed, or is run again, does each once.

A part is an array under a key. The key (`study/keys.py`) is a hash of everything that the array depends on, so a part
that no longer holds is never read. Nothing is removed: the folder may be deleted at any time.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caser.system.storage import read_file, write_file

Values = NDArray[np.floating[Any]]


class FinishedParts:
    """The finished parts in one folder; without a folder, nothing is kept.

    >>> FinishedParts(None).part("some key", lambda: np.array([4.0])).tolist()
    [4.0]
    """

    def __init__(self, folder: Path | None) -> None:
        """`folder` is made when a part is written."""
        self.folder = folder

    def part(self, key: str, compute: Callable[[], Values]) -> Values:
        """Return the array under a key: read if it is there, otherwise computed and written.

        key      as `key_of` makes it
        compute  called if there is no such part

        Raises ArtefactError for a file that cannot be read.
        """
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

    def path(self, key: str, ending: str) -> Path | None:
        """Return the file of a key with an ending such as "npy"; None without a folder."""
        return self.folder / f"{key}.{ending}" if self.folder else None
