"""Writing leaves no other file behind, and only regular files are read. `properties/test_storage.py` kills writers."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from caser.errors import ArtefactError
from caser.system.storage import read_file, replacing, settled, write_file, write_folder


def test_a_file_is_written_and_replaced_with_the_usual_permissions(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.touch()
    for content in (b"one", b"two"):
        write_file(tmp_path / "new" / "file", content)
        assert read_file(tmp_path / "new" / "file") == content
    assert (tmp_path / "new" / "file").stat().st_mode == usual.stat().st_mode
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


def test_only_strays_of_the_same_name_are_removed(tmp_path: Path) -> None:
    mine = [".run.caser-01234567.partial", ".run.caser-previous"]
    others = [".run.checkpoint.caser-01234567.partial", ".other.caser-01234567.partial", ".run.caser-partial"]
    others += ["run.caser-01234567.partial", ".run.01234567.partial", ".run.backup.partial", ".run.previous"]
    others += [".run.caser-0123456.partial", ".run.caser-backup1.partial", ".run.partial"]
    for name in (*mine, *others):
        (tmp_path / name).mkdir()
    write_folder(tmp_path / "run", {"file": b""})
    write_folder(tmp_path / "run", {"file": b"again"})
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, "run"])


def test_a_previous_folder_is_read_until_the_next_write_puts_it_back(tmp_path: Path) -> None:
    write_folder(tmp_path / "run", {"file": b"old"})
    (tmp_path / "run").rename(tmp_path / ".run.caser-previous")
    assert read_file(settled(tmp_path / "run") / "file") == b"old"
    with pytest.raises(ArtefactError):
        write_folder(tmp_path / "run", {"no/such/folder": b""})
    assert read_file(tmp_path / "run" / "file") == b"old"
    assert settled(tmp_path / "run") == tmp_path / "run"


def test_a_special_file_or_one_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    for name, reason in (
        ("link", "symbolic link"),
        ("pipe", "special file"),
        ("", "must be"),
        ("nothing", "no such file"),
    ):
        with pytest.raises(ArtefactError, match=reason):
            read_file(tmp_path / name)
    with pytest.raises(ArtefactError, match="at most 4 bytes; got 5"):
        read_file(tmp_path / "file", most=4)
    os.link(tmp_path / "file", tmp_path / "second name")
    with pytest.raises(ArtefactError, match="hard link"):
        read_file(tmp_path / "file")


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_file(tmp_path / "file", b"old")

    def write_half() -> None:
        with replacing(tmp_path / "file") as partial:
            partial.write_bytes(b"half of the new")
            raise KeyError

    with pytest.raises(KeyError):
        write_half()
    assert read_file(tmp_path / "file") == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_is_named_also_when_the_size_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="file needs more space; the disk is full"), replacing(tmp_path / "file"):
        raise OSError(errno.ENOSPC, "no space")


def test_a_file_that_does_not_fit_into_free_memory_twice_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    monkeypatch.setattr("caser.system.storage.free_memory", lambda: 9.0)
    with pytest.raises(ArtefactError, match="at most 4 bytes; got 5"):
        read_file(tmp_path / "file")
