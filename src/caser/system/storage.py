"""Files and folders that are replaced as a whole: a crash leaves the old content or the new content, never a mixture.

New content is written beside the old content, as `.NAME.caser-XXXXXXXX.partial` with eight random digits, and flushed
to disk. Then it is renamed to the final name. Only files with such names are taken for our own. If a process is killed,
its `.partial` file stays; the next write of the same path removes it. Reading accepts regular files only. The functions
assume that only one process at a time writes a path.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TypeAlias

from caser.errors import ArtefactError
from caser.system.memory import free_memory

IsOurs: TypeAlias = Callable[[Path], bool]
"""Whether a folder holds what this library writes there, and may be replaced or removed."""

MakesFile: TypeAlias = Callable[[Path], bytes | None]
"""Returns the content of a file, or writes the file at the path itself, flushed to disk, and returns None."""


def write_file(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write `content` to the file `path`, which may exist; missing folders are made.

    mode  the permissions of the new file, before the umask of the process: 0o600 for a secret

    Raises ArtefactError, which names the path, when the folder cannot be written or the disk is full; the old file
    stays.
    """
    with replacing(path, len(content)) as partial:
        _write_new(partial, content, mode)


@contextmanager
def replacing(path: Path, num_bytes: int = 0) -> Iterator[Path]:
    """Yield a path to write a new file to; after the `with` block the new file replaces the file `path`.

    path       the file to replace, which need not exist; missing folders are made
    num_bytes  size of the new file if it is known, for the message when the disk is full

    The block must flush the file to disk. If the block raises, the old file stays and the new one is removed. Raises
    ArtefactError, which names `path`, for every OSError, those of the block included.
    """
    with _new_beside(path, num_bytes) as partial:
        yield partial
        partial.replace(path)
        sync_folder(path.parent)


def write_folder(path: Path, files: Mapping[str, bytes | MakesFile], is_ours: IsOurs = Path.is_dir) -> None:
    """Write a folder of files to `path`, in place of the folder that was there; missing parent folders are made.

    files    content of each file by its name, in the order in which they are written
    is_ours  whether a folder may be taken for an old one of this kind

    A folder cannot be renamed over another one, so the old folder is first renamed to `.NAME.caser-previous`. If the
    process is killed between the two renames, `settled` finds the old folder there, and the next write puts it back.

    Raises ArtefactError, which names the path, when the folder cannot be written, the disk is full, or something else
    has the name of the old folder; what was there stays.
    """
    refuse_foreign_previous(path, is_ours)
    with _new_beside(path, sum(len(content) for content in files.values() if isinstance(content, bytes))) as partial:
        # Finish the exchange of an earlier process that was killed.
        _finish_exchange(path)
        # Write the new folder beside the old one.
        partial.mkdir()
        for name, content in files.items():
            made = content if isinstance(content, bytes) else content(partial / name)
            if made is not None:
                _write_new(partial / name, made)
        sync_folder(partial)
        exchange(partial, path)


def exchange(new: Path, path: Path) -> None:
    """Put a folder in the place of the folder `path`, which need not exist; see `write_folder`.

    new  a complete folder beside `path`, flushed to disk        path  where it belongs
    """
    _finish_exchange(path)
    if path.exists():
        path.rename(_previous(path))
    try:
        new.rename(path)
        sync_folder(path.parent)
    finally:
        _finish_exchange(path)


def read_file(path: Path, most: int | None = None) -> bytes:
    """Return the content of a regular file. Links of either kind, pipes and devices are refused.

    most  the largest size that is accepted, in bytes; by default half of the memory that is free

    Raises ArtefactError, which names the path, if the file cannot be read, is not a regular file with one name, or is
    larger than `most`.
    """
    with _opened(path) as file:
        size, limit = os.fstat(file.fileno()).st_size, free_memory() / 2 if most is None else most
        if size > limit:
            raise ArtefactError(f"{path} must have at most {limit:,.0f} bytes; got {size:,}.")
        return file.read()


def copy_file(path: Path, target: Path) -> str:
    """Copy a regular file, as `read_file` accepts it, of any size, and return the SHA-256 of the copy.

    path    the file        target  the copy, a new file that nobody else knows

    Raises ArtefactError, which names the path, if the file cannot be read or is no regular file with one name.
    """
    hasher = hashlib.sha256()
    with _opened(path) as file, target.open("xb") as copy:
        while block := file.read(2**20):
            hasher.update(block)
            copy.write(block)
    return hasher.hexdigest()


def settled(path: Path, is_ours: IsOurs = Path.is_dir) -> Path:
    """Return the path to read the folder `path` from: `path`, or `.NAME.caser-previous` if a writer was killed.

    path     the folder        is_ours  whether a folder may be taken for the old one
    """
    previous = _previous(path)
    return previous if not path.exists() and previous.exists() and is_ours(previous) else path


def refuse_foreign_previous(path: Path, is_ours: IsOurs = Path.is_dir) -> None:
    """Raise ArtefactError if `.NAME.caser-previous` is there and is no folder that a killed writer of `path` left.

    path     the folder that will be written        is_ours  whether a folder may be taken for the old one
    """
    previous = _previous(path)
    if os.path.lexists(previous) and (previous.is_symlink() or not is_ours(previous)):
        raise ArtefactError(
            f"{previous} must be absent or what a killed writer of {path.name} left; it is something else. Move it "
            "away, or choose another place to write to."
        )


def partial_path(path: Path) -> Path:
    """Return a new name beside `path`, for a file or folder that is not complete yet."""
    return path.with_name(f".{path.name}.caser-{secrets.token_hex(4)}.partial")


def why_not_writable(folder: Path) -> str | None:
    """Return why no file can be written into a folder, in a few words; None if one can. The folder is made if needed.

    folder  the folder
    """
    probe = partial_path(folder / "probe")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        return _reason(error)
    return None


def remove_strays(path: Path) -> None:
    """Remove the `.partial` files and folders that killed writers of `path` left beside it."""
    ours = re.compile(rf"\.{re.escape(path.name)}\.caser-[0-9a-f]{{8}}\.partial")
    for entry in path.parent.iterdir():
        if ours.fullmatch(entry.name):
            discard(entry)


def discard(path: Path) -> None:
    """Remove the file or folder `path` if it exists. If it cannot be removed, it stays; a later write tries again."""
    with suppress(OSError, ValueError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Flush renames inside `folder` to disk, on platforms where a folder can be opened."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def refused(path: Path, error: Exception, num_bytes: int) -> ArtefactError:
    """Return an error that says in one sentence why `path` could not be written.

    error      the error that the system reported
    num_bytes  the size of the content; 0 if it is not known
    """
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        needed = f"{num_bytes:,} bytes" if num_bytes else "more space"
        return ArtefactError(
            f"{path} needs {needed}; the disk is full. Free some space or choose another folder; nothing was lost."
        )
    return ArtefactError(f"{path} must be writable; got: {_reason(error)}. Choose another folder.")


@contextmanager
def _new_beside(path: Path, num_bytes: int) -> Iterator[Path]:
    """Yield a name beside `path` for a new file or folder, which is removed at the end if it is still there.

    An OSError becomes an ArtefactError that names `path`.
    """
    partial = partial_path(path)
    try:
        _check_name(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_strays(path)
        yield partial
    except OSError as error:
        raise refused(path, error, num_bytes) from None
    finally:
        discard(partial)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file with one name; within, an OSError becomes an ArtefactError that names the path."""
    # The file is opened before it is checked, so that no other process can replace it between the check and the read.
    # O_NONBLOCK is set because opening a pipe would wait for a writer.
    flags = [getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY")]
    try:
        if path.is_symlink():
            raise ArtefactError(f"{path} must be a regular file; got a symbolic link. Copy the file itself.")
        with os.fdopen(os.open(path, os.O_RDONLY | sum(flags)), "rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode) or facts.st_nlink > 1:
                raise ArtefactError(f"{path} must be a regular file with one name; got a hard link or a special file.")
            yield file
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{path} must be readable; got: {_reason(error)}. Check the path.") from None


def _check_name(path: Path) -> None:
    """Raise OSError if no file can have this name, for example because it holds a null character."""
    try:
        path.lstat()
    except FileNotFoundError:
        pass
    except ValueError as error:
        raise OSError(str(error)) from None


def _write_new(path: Path, content: bytes, mode: int = 0o666) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _finish_exchange(path: Path) -> None:
    """Remove `.NAME.caser-previous` if the folder `path` exists; otherwise rename it back to `path`."""
    previous = _previous(path)
    if previous.exists():
        if path.exists():
            # The old folder is renamed before it is removed, so that `.NAME.caser-previous` is always complete.
            discard(previous.rename(partial_path(path)))
        else:
            previous.rename(path)


def _previous(path: Path) -> Path:
    return path.with_name(f".{path.name}.caser-previous")


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
