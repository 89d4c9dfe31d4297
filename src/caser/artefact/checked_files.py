"""Read the files of a run whose checksums its manifest has: what is parsed are the bytes that were checked."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

from caser.arrays.types import Mask
from caser.artefact.run_folder import HISTORIES
from caser.artefact.tables import read_histories
from caser.data.tape import Tape
from caser.errors import ArtefactError
from caser.system.mapped import LARGE
from caser.system.storage import copy_file, read_file


def read_checked(path: Path, digest: str) -> bytes:
    """Return the bytes of a file.

    path  the file        digest  its SHA-256, as 64 hex digits

    Raises ArtefactError if it has another digest, or cannot be read.
    """
    content = read_file(path)
    _refuse_damaged(path, digest_of_bytes(content), digest)
    return content


def checked_histories(path: Path, digest: str, num_users: int, num_items: int) -> tuple[Tape, Mask | None]:
    """Read the histories. A large file is copied first, so that the bytes that are parsed are those that were checked,
    and need not be in memory.

    path  the file        digest  its SHA-256, as 64 hex digits
    num_users, num_items  sizes of the vocabulary

    Returns what `read_histories` returns. Raises ArtefactError as `read_checked` does, and ValueError as
    `read_histories` does.
    """
    if not path.is_file() or path.stat().st_size <= LARGE:
        return read_histories(read_checked(path, digest), num_users, num_items)
    with TemporaryDirectory() as own:
        copy = Path(own) / HISTORIES
        _refuse_damaged(path, copy_file(path, copy), digest)
        return read_histories(copy, num_users, num_items)


def digest_of_bytes(content: bytes) -> str:
    """Return the SHA-256 of some bytes, as 64 hex digits.

    content  the bytes

    >>> digest_of_bytes(b"")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(content).hexdigest()


def _refuse_damaged(path: Path, found: str, digest: str) -> None:
    if found != digest:
        raise ArtefactError(f"{path} does not match its checksum: it is damaged or was changed. Train again.")
