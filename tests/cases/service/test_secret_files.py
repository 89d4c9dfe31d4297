"""Issue 13, part 6: a file of tokens or a key is never destroyed, cut or half written, and an empty one is no key."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from caser.errors import CaserError, ConfigError, StoreError
from caser.service.http.tokens import add_token, read_tokens
from caser.service.logs import read_pseudonym_key


def is_known(file: Path, token: str) -> bool:
    return read_tokens(file).holder(f"Bearer {token}".encode()) is not None


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n# a remark", "   "])
def test_a_new_token_destroys_none_whatever_the_end_of_the_file(tmp_path: Path, end: str) -> None:
    file = tmp_path / "tokens"
    first = add_token(file, "web")
    file.write_text(file.read_text().rstrip() + end, newline="")
    second = add_token(file, "shop")
    assert is_known(file, first)
    assert is_known(file, second)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("was_there", [False, True])
def test_a_full_disk_leaves_the_tokens_that_were_there_and_no_empty_file(tmp_path: Path, was_there: bool) -> None:
    file = tmp_path / "tokens"
    first = add_token(file, "web") if was_there else None
    code = (
        "import resource, signal, sys\nfrom pathlib import Path\n"
        "from caser.errors import ConfigError\nfrom caser.service.http.tokens import add_token\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (40, 40))\n"
        "try:\n    add_token(Path(sys.argv[1]), 'shop')\nexcept ConfigError as error:\n    print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True).stdout
    assert "disk is full" in said
    assert names(tmp_path) == (["tokens"] if was_there else [])
    if first is not None:
        assert is_known(file, first)


def test_tokens_that_are_made_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(lambda number: add_token(file, f"name{number}"), range(20)))
    assert all(is_known(file, token) for token in tokens)


def test_a_link_to_a_file_of_tokens_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "tokens").symlink_to(tmp_path / "real")
    token = add_token(tmp_path / "tokens", "web")
    assert (tmp_path / "tokens").is_symlink()
    assert is_known(tmp_path / "real", token)


@pytest.mark.parametrize("content", [b"a secret file of another program\n", b"\xff\xfe", b"web sha256:0\n"])
def test_a_file_that_holds_no_tokens_is_refused_unchanged(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "tokens"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as refusal:
        add_token(file, "web")
    assert file.read_bytes() == content
    assert "secret" not in str(refusal.value)


def test_two_tokens_of_one_name_are_refused_because_one_would_be_lost(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    add_token(file, "web")
    file.write_text(file.read_text() + f"web sha256:{'0' * 64}\n")
    with pytest.raises(ConfigError, match="tokens:2 must be the only token named 'web'"):
        read_tokens(file)


@pytest.mark.parametrize("content", [b"", b"x", b"\0" * 32, bytes(range(31)), bytes(range(200)) * 10])
def test_what_is_no_key_is_refused_and_stays(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "log.key"
    file.write_bytes(content)
    with pytest.raises(StoreError, match=r"log\.key must"):
        read_pseudonym_key(tmp_path / "log")
    assert file.read_bytes() == content


def _pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [_pipe, Path.mkdir, lambda path: path.symlink_to("nowhere")])
def test_a_pipe_a_folder_or_a_link_is_no_key(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "log.key")
    with pytest.raises(StoreError):
        read_pseudonym_key(tmp_path / "log")


def test_a_key_is_private_stays_and_is_one_for_services_that_start_together(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "log"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: read_pseudonym_key(log), range(16)))
    [key] = keys
    assert len(key) == 32
    assert read_pseudonym_key(log) == key
    assert stat.S_IMODE(log.with_name("log.key").stat().st_mode) == 0o600
    assert names(log.parent) == ["log.key"]


def test_a_key_that_cannot_be_written_leaves_no_empty_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CaserError, match="disk is full"):
        read_pseudonym_key(tmp_path / "log")
    assert names(tmp_path) == []
