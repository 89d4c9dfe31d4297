"""A file or folder is complete, old or new, wherever its writer is killed; and a full disk loses nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from caser.errors import ArtefactError
from caser.system import storage
from caser.system.storage import settled, write_file, write_folder
from tests.skips import on_another_system

OLD, NEW, NEWEST = {"a": b"old a", "b": b"old b"}, {"a": b"new a", "c": b"new c"}, {"d": b"newest"}


class Died(BaseException):
    """Stands for SIGKILL: nothing after it runs, clean-up included."""


def dies(write: Callable[[], None], step: int) -> bool:
    """Write, and die before the `step`-th change of the disk; return False if there are fewer changes."""
    left = [step]

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def dying(*args: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] <= 0:  # after its death, every later change fails too: a dead process does not clean up
                raise Died
            return function(*args, **options)

        return dying

    def in_halves(path: Path, content: bytes, mode: int = 0o666) -> None:
        path.write_bytes(content[: len(content) // 2])
        counted(path.unlink)()
        write_new(path, content, mode)

    write_new = storage._write_new
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(storage, "_write_new", counted(in_halves))
        for name in ("rename", "replace", "mkdir"):
            monkeypatch.setattr(Path, name, counted(getattr(Path, name)))
        for name in ("sync_folder", "discard"):
            monkeypatch.setattr(storage, name, counted(getattr(storage, name)))
        try:
            write()
        except Died:
            return True
    return False


@pytest.fixture(autouse=True)
def _no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_file_whose_writer_is_killed_is_the_old_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    found, step = [], 1
    write_file(path, b"old bytes")
    while dies(lambda: write_file(path, b"new bytes"), step):
        found.append(path.read_bytes())
        write_file(path, b"old bytes")
        assert contents(tmp_path) == {"file": b"old bytes"}  # the killed writer's partial file is removed
        step += 1
    assert set(found) == {b"old bytes", b"new bytes"}
    assert len(found) >= 4


def test_a_folder_whose_writer_is_killed_is_the_old_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "run"
    found, step = [], 1
    write_folder(path, OLD)
    while dies(lambda: write_folder(path, NEW), step):
        found.append(contents(settled(path)))
        write_folder(path, OLD)
        assert contents(path) == OLD
        assert [entry.name for entry in tmp_path.iterdir()] == ["run"]
        step += 1
    assert all(one in (OLD, NEW) for one in found)
    assert OLD in found
    assert NEW in found
    assert len(found) >= 8


def test_two_kills_in_a_row_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run"
    for first, second in product(range(1, 16), repeat=2):
        write_folder(path, OLD)
        dies(lambda: write_folder(path, NEW), first)
        assert contents(settled(path)) in (OLD, NEW)
        dies(lambda: write_folder(path, NEWEST), second)
        assert contents(settled(path)) in (OLD, NEW, NEWEST)


@pytest.mark.skipif(os.name != "posix", reason=on_another_system("needs a limit on file sizes"))
def test_a_full_disk_names_the_path_and_the_bytes_and_keeps_what_was_there(tmp_path: Path) -> None:
    import resource

    path = tmp_path / "file"
    write_file(path, b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(ArtefactError, match=r"file needs 10,000 bytes; the disk is full"):
            write_file(path, b"x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert contents(tmp_path) == {"file": b"old"}


@pytest.mark.parametrize("write", [lambda path: write_file(path, b"x"), lambda path: write_folder(path, {"a": b"x"})])
def test_a_place_that_cannot_be_written_is_refused_in_one_sentence(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file" / "below", tmp_path / ("long" * 100), tmp_path / "nul\0"):
        with pytest.raises(ArtefactError, match="must be writable; got: ") as refused:
            write(path)
        assert "\n" not in str(refused.value)
    assert contents(tmp_path) == {"file": b""}
