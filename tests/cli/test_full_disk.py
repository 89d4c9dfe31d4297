"""A full disk: every command that writes fails with one line, and older files stay as they are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.terminal import caser
from tests.skips import on_another_system

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason=on_another_system("needs a limit on file sizes"))


@contextmanager
def full_after(num_bytes: int) -> Iterator[None]:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize(
    "words",
    [
        ("data", "simulate", "chain", "--out", "{there}.csv"),
        ("train", "{log}", "--model", "markov", "--out", "{new}"),
        ("train", "{log}", "--out", "{new}", "--d", "4", "--n-h", "2", "--epochs", "1", "--device", "cpu"),
        ("recommend", "{run}", "--all", "--out", "{there}.parquet"),
        ("recommend", "{run}", "--all", "--out", "{there}.csv"),
        (
            "compare",
            "{log}",
            "--models",
            "markov",
            "--jobs",
            "1",
            "--store",
            "{new}",
            "--out",
            "{new}2",
        ),
    ],
    ids=lambda words: " ".join(words[:2] if words[0] == "data" else words[:1]),
)
def test_a_full_disk_is_one_line_and_older_files_stay(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert caser("train", log, "--model", "markov", "--out", tmp_path / "run").code == 0
    for ending in ("", ".parquet", ".csv"):
        (tmp_path / f"there{ending}").write_bytes(b"old")
    places = {"log": log, "run": tmp_path / "run", "new": tmp_path / "new", "there": tmp_path / "there"}
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with full_after(200):
        outcome = caser(*(word.format(**places) for word in words))
    assert outcome.code > 1, outcome
    line = outcome.err.splitlines()[-1]
    assert line.startswith("caser: ")
    assert "disk is full" in line or "file too large" in line, line  # the second is what the writer of tables says
    assert str(tmp_path) in line
    assert "Traceback" not in outcome.err
    assert {path: path.read_bytes() for path in before} == before
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".partial")]
