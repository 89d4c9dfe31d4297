"""Files of checkpoints: which are ours to overwrite and to remove. This needs no torch.

A name proves nothing: a person may keep a file of their own under the name of a checkpoint. Only a file with the seal
and the record of a checkpoint (`training/checkpoint.py`) is ours.
"""

from __future__ import annotations

import os
from pathlib import Path

from caser.errors import ArtefactError
from caser.system.sealed import unseal_arrays
from caser.system.storage import discard, read_file


def is_checkpoint(path: Path) -> bool:
    """Whether a file holds an intact checkpoint of this library.

    path  the file, which need not exist

    >>> is_checkpoint(Path("no such file"))
    False
    """
    try:
        _, header = unseal_arrays(read_file(path))
    except (ArtefactError, ValueError):
        return False
    return isinstance(header, dict) and set(header) == {"epoch", "record"}


def refuse_taken(*paths: Path) -> None:
    """Raise ArtefactError, before any work begins, where a training would overwrite what is no checkpoint of ours.

    paths  the files that a training would write
    """
    for path in paths:
        if os.path.lexists(path) and not is_checkpoint(path):
            raise ArtefactError(
                f"{path} must be absent or a checkpoint of caser, because this training would write one there; it is "
                "something else. Move it away, or choose another place to write to."
            )


def remove_checkpoint(path: Path | None) -> None:
    """Remove the checkpoint of a training that is finished. A file that is no checkpoint stays.

    path  the file, which need not exist; None for a training that kept none
    """
    if path is not None and is_checkpoint(path):
        discard(path)
