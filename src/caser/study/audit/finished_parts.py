"""The finished parts of an audit, kept in a folder so that an audit that was killed, or is run again, does each once.

A part is an array under a key. The key (`study/keys.py`) is a hash of everything that the array depends on, so a part
that no longer holds is never read. A file is sealed together with its key. Nothing is removed: the folder may be
deleted at any time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caser.artefact.file_errors import naming_file
from caser.system.locks import locked
from caser.system.sealed import seal_arrays, unseal_arrays
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
        path = self.path(key, "safetensors")
        if path is not None and path.exists():
            return _read(path, key)
        if path is None:
            return compute()
        # Two audits at once in one folder do each part once.
        with locked(path):
            if path.exists():
                return _read(path, key)
            values = compute()
            write_file(path, seal_arrays({"values": np.asarray(values, dtype=np.float64)}, key))
        return values

    def path(self, key: str, ending: str) -> Path | None:
        """Return the file of a key with an ending such as "checkpoint"; None without a folder."""
        return self.folder / f"{key}.{ending}" if self.folder else None


def _read(path: Path, key: str) -> Values:
    with naming_file(path, "a finished part of an audit", "Remove it; then run the same audit again.", reword_all=True):
        arrays, owner = unseal_arrays(read_file(path))
        if owner != key or list(arrays) != ["values"] or arrays["values"].dtype != np.float64:
            raise ValueError("the part of another key")
        values: Values = arrays["values"]
        return values
