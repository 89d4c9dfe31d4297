"""Files and folders, written so that a crash leaves the old one or the new one, and read only if they are plain files.

What is new is written beside the old one under a name `.NAME.*.partial`, to disk, and then takes its name. What a
killed process leaves under such a name, the next write removes. Assumes one writer at a time. Will not say what a file
means.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from caser.errors import ArtefactError


def write_file(path: Path, content: bytes) -> None:
    """Write `content` to `path`: into a new file beside it, to disk, then renamed over it.

    Raises ArtefactError naming the path when the folder cannot be written or the disk is full; what was there stays.
    """
    partial = partial_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_strays(path)
        _write_new(partial, content)
        partial.replace(path)
        sync_folder(path.parent)
    except (OSError, ValueError) as error:
        raise refused(path, error, len(content)) from None
    finally:
        discard(partial)


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder of files to `path`, in place of the one that was there.

    A folder cannot be renamed over another, so the old one is first moved aside. If the process dies between the two
    renames, the old folder is where `settled` finds it, and the next write puts it back.

    Raises ArtefactError naming the path when the folder cannot be written or the disk is full; what was there stays.
    """
    partial, aside = partial_path(path), _aside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _settle(path)
        remove_strays(path)
        partial.mkdir()
        for name, content in files.items():
            _write_new(partial / name, content)
        sync_folder(partial)
        if path.exists():
            path.rename(aside)
        partial.rename(path)
        sync_folder(path.parent)
        _settle(path)
    except (OSError, ValueError) as error:
        with suppress(OSError, ValueError):
            _settle(path)
        raise refused(path, error, sum(map(len, files.values()))) from None
    finally:
        discard(partial)


def read_file(path: Path, most: int | None = None) -> bytes:
    """All bytes of a file that is nothing but a file: no link of either kind, no pipe, no device.

    Raises ArtefactError naming the path, also if the file has more than `most` bytes.
    """
    # Opened before it is looked at, so that what is checked is what is read; O_NONBLOCK because a pipe would wait.
    flags = [getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY")]
    try:
        if path.is_symlink():
            raise ArtefactError(f"{path} must be a regular file; got a symbolic link. Copy the file itself.")
        with os.fdopen(os.open(path, os.O_RDONLY | sum(flags)), "rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode) or facts.st_nlink > 1:
                raise ArtefactError(f"{path} must be a regular file with one name; got a hard link or a special file.")
            if most is not None and facts.st_size > most:
                raise ArtefactError(f"{path} must have at most {most:,} bytes; got {facts.st_size:,}.")
            return file.read()
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{path} must be readable; got: {_reason(error)}. Check the path.") from None


def settled(path: Path) -> Path:
    """Where the folder of `path` is to be read: there, or aside if its writer died while exchanging it."""
    return _aside(path) if not path.exists() and _aside(path).exists() else path


def partial_path(path: Path) -> Path:
    """Name a new file or folder beside `path`, to be renamed to it when it is whole."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")


def remove_strays(path: Path) -> None:
    """Remove what writers of `path` that were killed have left beside it."""
    start, end = f".{path.name}.", ".partial"
    for entry in path.parent.iterdir():
        middle = entry.name.removeprefix(start).removesuffix(end)
        if entry.name == f"{start}{middle}{end}" and "." not in middle:
            discard(entry)


def discard(path: Path) -> None:
    """Remove a file or a folder, if it is there; what cannot be removed is a stray for the next write."""
    with suppress(OSError, ValueError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` durable, where the platform lets a folder be opened."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def refused(path: Path, error: Exception, num_bytes: int) -> ArtefactError:
    """Say in one sentence why `path` could not be written."""
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ArtefactError(
            f"{path} needs {num_bytes:,} bytes; the disk is full. Free some or choose another folder; nothing was lost."
        )
    return ArtefactError(f"{path} must be writable; got: {_reason(error)}. Choose another folder.")


def _write_new(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _settle(path: Path) -> None:
    """Finish an exchange of folders: the one aside goes back if it is the only one, and goes away otherwise."""
    aside = _aside(path)
    if aside.exists():
        if path.exists():
            # Renamed first: under the name that `settled` looks for there is only ever a whole folder.
            discard(aside.rename(partial_path(path)))
        else:
            aside.rename(path)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.previous")


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
