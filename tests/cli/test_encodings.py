"""Output into any encoding, into a pipe that closes, and into nothing: a command never fails because of a sign."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import polars as pl
import pytest

from caser.cli import app, show
from tests.cli.conftest import TrainedRun
from tests.cli.terminal import caser, document
from tests.skips import on_another_system

ENCODINGS = ("ascii", "cp1252", "cp437", "latin-1", "utf-16")


def printed(encoding: str, *words: object) -> tuple[int, str, str]:
    """Run a command whose output has an encoding; return its exit code, its output and its notes."""
    buffers = io.BytesIO(), io.BytesIO()
    out, err = (io.TextIOWrapper(buffer, encoding=encoding, newline="\n") for buffer in buffers)
    with redirect_stdout(out), redirect_stderr(err):
        code = app.run([str(word) for word in words])
    for stream in (out, err):
        stream.flush()
    printed_out, printed_err = (buffer.getvalue().decode(encoding) for buffer in buffers)
    return code, printed_out, printed_err


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with ids and titles in several scripts."""
    folder = tmp_path_factory.mktemp("films")
    rows = {"user_id": ["Zoë", "Łukasz"] * 8, "item_id": ["日本", "café", "tea", "ham"] * 4}
    pl.DataFrame({**rows, "title": ["映画", "Amélie", "Tea — green", "Ham"] * 4}).write_csv(folder / "log.csv")
    document("train", folder / "log.csv", "--model", "markov", "--out", folder / "run")
    return folder / "run"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_command_prints_into_any_encoding(
    encoding: str, films: Path, log: Path, trained: TrainedRun, tmp_path: Path
) -> None:
    for words in (
        ("data", "describe", log),
        ("train", log, "--model", "markov", "--out", tmp_path / "run"),
        ("evaluate", tmp_path / "run"),
        ("recommend", films, "--user", "Zoë"),
        ("explain", films, "--item", "café", "--user", "Łukasz"),
        ("similar", films, "--item", "日本"),
        ("audit", log, "--no-neural", "--out", tmp_path / "audit"),
        ("train", "--help"),
    ):
        code, out, err = printed(encoding, *words)
        assert code == 0, err
        assert out
    assert printed(encoding, "similar", films, "--item", "日")[0] == 5  # an error with a sign of its own


def test_a_sign_that_an_encoding_lacks_is_replaced_and_columns_stay_aligned(trained: TrainedRun) -> None:
    judged = trained("popularity")
    _, plain, _ = printed("ascii", "evaluate", judged)
    _, signs, _ = printed("utf-8", "evaluate", judged)
    table, *_ = plain.split("\n\n")
    assert len({len(line) for line in table.splitlines()[1:]}) == 1
    assert re.search(r"popularity <  \d\.\d{4} \+-\d\.\d{4}  ", table)
    assert "~" not in plain
    assert "popularity ◂" in signs
    assert "?" not in plain


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_document_keeps_every_sign_in_any_encoding(encoding: str, films: Path) -> None:
    code, out, _ = printed(encoding, "recommend", films, "--user", "Zoë", "--json")
    assert code == 0
    assert json.loads(out) == document("recommend", films, "--user", "Zoë")


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_stream_that_is_closed_is_no_error(closed: str, films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, closed, None)
    assert app.run(["recommend", str(films), "--user", "Zoë", "--json"]) == 0
    monkeypatch.setattr(sys, closed, None)
    assert app.run(["recommend", str(films), "--user", "Zoë"]) == 0


@pytest.fixture
def closed_pipe() -> Iterator[int]:
    """The end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.mark.skipif(sys.platform == "win32", reason=on_another_system("needs pipes that close as on Unix"))
@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_reader_that_goes_away_is_told_nothing(flags: tuple[str, ...], films: Path, closed_pipe: int) -> None:
    command = [sys.executable, "-m", "caser", "recommend", str(films), "--user", "Zoë", *flags]
    done = subprocess.run(command, stdout=closed_pipe, stderr=subprocess.PIPE, check=False, text=True)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(sys.platform == "win32", reason=on_another_system("needs pipes that close as on Unix"))
def test_the_first_line_of_a_help_is_all_that_head_prints() -> None:
    command = f"{shlex.quote(sys.executable)} -m caser train --help | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False, text=True)
    assert (len(done.stdout.splitlines()), done.stderr) == (1, "")
    assert done.returncode in (0, 141)  # 0 if all was written before the pipe closed


@pytest.mark.skipif(not Path("/dev/full").exists(), reason=on_another_system("needs /dev/full"))
@pytest.mark.parametrize("flags", [(), ("--json",), ("--help",)])
def test_a_full_device_behind_stdout_is_one_sentence(flags: tuple[str, ...], films: Path) -> None:
    command = [sys.executable, "-m", "caser", "recommend", str(films), "--user", "Zoë", *flags]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False, text=True)
        line = (
            "caser: the output must be writable; got: No space left on device. Send it to another place, or make room."
        )
        assert (done.returncode, done.stderr.splitlines()[-1:]) == (7, [line])
        lost = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, check=False, text=True)
        assert lost.returncode == 0
        assert lost.stdout


# A number is counted when it is saved, and saved before it is shown


def openings(run: Path) -> int:
    return int(json.loads((run / "manifest.json").read_text(encoding="utf-8"))["test_openings"])


def test_what_failed_before_it_was_shown_is_counted_only_if_its_numbers_are_kept(
    own_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a crash")

    with monkeypatch.context() as patch:
        patch.setattr("caser.evaluation.judge.judge", fail)
        assert caser("evaluate", own_run).code == 1
    assert openings(own_run) == 0
    with monkeypatch.context() as patch:
        patch.setattr(show, "report", fail)
        assert caser("evaluate", own_run).code == 1
    manifest = json.loads((own_run / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["test_openings"] == 1
    assert manifest["metrics"]["ndcg@10"]["value"] >= 0
    with monkeypatch.context() as patch:
        patch.setattr("caser.artefact.folder.update_manifest", fail)
        outcome = caser("evaluate", own_run, "--per-user", tmp_path / "values.csv")
        assert (outcome.code, outcome.out) == (1, "")
    assert not (tmp_path / "values.csv").exists()
    assert openings(own_run) == 1
