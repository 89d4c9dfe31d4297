"""Writing files so that a crash leaves the old one or the new one, never half of either."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from caser.errors import ArtefactError


def write_file(path: Path, content: bytes) -> None:
    """Write `content` to `path`: into a new file beside it, to disk, then renamed over it.

    Raises ArtefactError naming the path when the folder cannot be written or the disk is full; what was there stays.
    """
    partial = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, partial = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(partial).replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise refused(path, error, len(content)) from None
    finally:
        if partial:
            Path(partial).unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` durable, where the platform lets a folder be opened."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def refused(path: Path, error: OSError, num_bytes: int) -> ArtefactError:
    """Say in one sentence why `path` could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ArtefactError(f"{path} needs {num_bytes:,} bytes; the disk is full. Free space or choose another folder; nothing was lost.")
    reason = (error.strerror or str(error)).lower()
    return ArtefactError(f"{path} must be writable; got: {reason}. Choose another folder.")
