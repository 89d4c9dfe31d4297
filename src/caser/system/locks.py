"""Locks between processes: a path that only one process at a time may write.

The lock is a lock of the operating system on the file `.NAME.caser-lock` beside the path. It ends with the process,
however the process ends, and the file is removed when the lock is given back. A thread that holds a lock may take it
again. On systems without such locks (Windows) nothing is locked.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from caser.errors import ArtefactError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


_held: set[tuple[int, int, str]] = set()
"""The process, the thread and the lock file of each lock that is held. A forked process holds none."""


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Within the block, no other process holds the lock of the same path.

    path  the file or folder that is written; it need not exist, but its folder is made
    wait  wait until another process gives the lock back; otherwise raise ArtefactError, which names that process

    Raises ArtefactError where the lock file cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, locked(Path(folder) / "run"):
    ...     sorted(os.listdir(folder))
    ['.run.caser-lock']
    """
    if fcntl is None:
        yield
        return
    file = path.with_name(f".{path.name}.caser-lock")
    mine = (os.getpid(), threading.get_ident(), os.path.realpath(file))
    if mine in _held:
        yield
        return
    descriptor = _acquired(file, path, wait)
    _held.add(mine)
    try:
        with suppress(OSError):  # on a full disk, a process that is refused does not learn the number
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        _held.discard(mine)
        # The file is removed while it is locked: who waits for it finds that it is gone, and makes a new one.
        try:
            with suppress(OSError):
                file.unlink()
        finally:
            os.close(descriptor)


def _acquired(file: Path, path: Path, wait: bool) -> int:
    """The descriptor of the lock file, locked."""
    while True:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ArtefactError(f"{path} must be writable; got: {reason}. Choose another folder.") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            # Another process may have removed the file, and with it this lock, before the lock was granted.
            if _is_same(descriptor, file):
                return descriptor
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace")
            os.close(descriptor)
            raise ArtefactError(
                f"{path} is being written by another process{f' (number {holder})' if holder else ''}. Wait until it "
                "ends, or choose another path."
            ) from None
        except OSError as error:
            os.close(descriptor)
            reason = (error.strerror or str(error)).lower()
            raise ArtefactError(f"{path} cannot be locked; got: {reason}. Choose a local folder.") from None
        except BaseException:  # Ctrl-C
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_same(descriptor: int, file: Path) -> bool:
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), file.lstat())
    return False
