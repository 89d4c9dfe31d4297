"""The command line as a whole: help, exit codes, and errors in one line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from caser import __version__
from caser.cli import app, doctor
from caser.errors import CaserError
from caser.models import MODELS
from tests.cli.conftest import TINY, TrainedRun
from tests.cli.terminal import caser, refusal

COMMANDS = ("data", "demo", "doctor", "evaluate", "explain", "recommend", "similar", "train")

WITHOUT_TORCH = """
import json, sys
sys.modules["torch"] = None  # what an import finds where torch is not installed
from caser.cli.app import run
print(json.dumps([run(words) for words in json.loads(sys.argv[1])]), file=sys.stderr)
"""


def in_a_process(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, check=False)


def errors_below(error: type[CaserError]) -> list[type[CaserError]]:
    """Return all subclasses of an error, and theirs."""
    return [kind for below in error.__subclasses__() for kind in (below, *errors_below(below))]


def without_torch(*commands: tuple[object, ...]) -> list[int]:
    """The exit codes of commands, all in one process that cannot import torch."""
    typed = [[str(word) for word in words] for words in commands]
    done = in_a_process("-c", WITHOUT_TORCH, json.dumps(typed))
    codes: list[int] = json.loads(done.stderr.splitlines()[-1])
    return codes


# Help


def test_the_help_names_the_commands_and_exits_with_0() -> None:
    done = in_a_process("-m", "caser", "--help")
    assert done.returncode == 0
    assert done.stderr == ""
    assert [command for command in COMMANDS if f" {command} " not in done.stdout] == []


def test_no_words_at_all_show_the_help() -> None:
    assert caser().out == caser("--help").out


def test_python_dash_m_caser_prints_the_version() -> None:
    done = in_a_process("-m", "caser", "--version")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, __version__, "")


def test_it_says_its_version() -> None:
    assert caser("--version").out.strip() == caser("-V").out.strip() == __version__
    assert "there must be the folder of a saved run" in refusal("similar", "version", "--item", "3")[1]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    outcome = caser(command, "--help")
    assert outcome.code == 0
    assert outcome.out.startswith(f"Usage: caser {command}")


def test_the_help_explains_the_exit_code_of_every_error() -> None:
    codes = {error.exit_code for error in errors_below(CaserError)} | {0, 1, app.INTERRUPTED, app.NO_READER}
    assert codes == {int(code) for code in re.findall(r"\d+", app.EPILOGUE)} == set(app.EXIT_CODES)
    assert "Exit codes:" in caser("--help").out


# Errors


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["trian"], 'Did you mean "train"'),
        (["data", "descibe"], 'Did you mean "describe"'),
        (["help"], "See --help"),
        (["version"], "--version says the version"),
        (["train", "LOG", "--out", "RUN", "--epoch", "3"], "Did you mean --epochs"),
        (["train", "LOG", "--out", "RUN", "--model", "marko"], "did you mean markov"),
        (["train", "LOG", "--out", "RUN", "--model=marko"], "did you mean markov"),
        (["train", "LOG", "--out", "RUN", "--protocol", "leave-one"], 'Did you mean "leave-one-out"'),
        (["recommend", "RUN", "--unknown-users", "lerned"], 'Did you mean "learned"'),
        (["train", "ml-100", "--out", "RUN"], "did you mean ml-100k?"),
        (["train", "LOG", "--out", "RUN", "--exclude-seen"], "Unknown option: --exclude-seen. It is now --unseen-neg"),
        (["ablate", "LOG", "--model", "caser"], "caser ablate --help"),
        (["train", "LOG", "--out", "RUN", "--model", "auto", "--d", "3"], "--d has no effect with --model auto"),
        (
            ["train", "LOG", "--out", "RUN", "--model", "popularity", "--half-life", "3"],
            "The model popularity has no such setting (it has no settings of its own); recent-popularity has it.",
        ),
        (["data", "fetch", "ml-10k"], "did you mean ml-100k?"),
    ],
)
def test_a_mistyped_name_gets_a_hint(
    words: list[str], hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert hint in refusal(*words)[1]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["train", "LOG"], 2, "--out requires"),
        (["train", "--out", "NEW"], 2, "LOG requires"),
        (["train", "LOG", "--out", "NEW", "--L", "0"], 2, "--L must be at least 1; got 0."),
        (["train", "LOG", "--out", "NEW", "--learning-rate", "fast"], 2, "--learning-rate must be a number; got fast."),
        (["train", "LOG", "--out", "NEW", "--n-h", "0", "--n-v", "0", "--no-user-vector"], 2, "must keep a branch"),
        (
            ["train", "LOG", "--out", "NEW", "--model", "markov", "--d", "8"],
            2,
            "Unknown option: --d. The model markov has",
        ),
        (["train", "LOG", "--out", "NEW", "--user", "a", "--min-item-count", "x"], 2, "must be a whole number; got x."),
        (["compare", "LOG", "--seeds", "0"], 2, "--seeds must be at least 1; got 0."),
        (["train", "LOG", "--out", "NEW", "--model", "pairs"], 2, "A model of your own needs an installed package"),
        (["compare", "LOG", "--models", "pairs"], 2, "A model of your own needs an installed package"),
        (["train", "nowhere.csv", "--out", "NEW"], 3, "neither"),
        (["train", "LOG", "--out", "NEW", "--user", "nobody"], 3, "nobody"),
        (["train", "LOG", "--out", "NEW", "--min-item-count", "1000"], 3, "LOG"),
        (["data", "fetch", "nothing"], 4, "no data set 'nothing'"),
        (["similar", "RUN", "--item", "99"], 5, "got '99'."),
        (["explain", "RUN", "--item", "99", "--user", "1"], 5, "'99'"),
        (["train", "LOG", "--out", "NEW", *TINY, "--learning-rate", "1e30"], 6, "epoch"),
        (["evaluate", "nowhere"], 7, "there must be the folder of a saved run"),
        (["train", "LOG", "--out", "."], 7, "Choose another folder"),
    ],
)
def test_an_error_is_one_line_with_its_exit_code(
    words: list[str],
    code: int,
    sentence: str,
    log: Path,
    trained: TrainedRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "something").touch()
    places = {"LOG": log, "RUN": trained("markov"), "NEW": tmp_path / "new"}
    got, line = refusal(*[places.get(word, word) for word in words])
    assert got == code
    assert sentence.replace("LOG", log.name if code == 3 else "LOG") in line
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("place", ["builtins:print", "math:nothing", "no_such_module:Model"])
def test_a_broken_model_of_a_package_is_one_sentence_and_breaks_no_help(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS._rows, "broken", place)
    code, line = refusal("train", "--model", "broken", "--help")
    assert code == 2
    assert line.startswith("broken of the entry-point group caser.models must be a subclass of CountingSettings or of ")
    assert place in line
    assert "broken" in caser("train", "--help").out
    words = ("train", "LOG", "--out", "RUN", "--model", "popularity", "--half-life", "3")
    assert "recent-popularity has it" in refusal(*words)[1]


def test_debug_shows_the_traceback_before_the_line(tmp_path: Path) -> None:
    outcome = caser("evaluate", tmp_path, "--debug")
    assert outcome.code == 7
    assert "Traceback (most recent call last)" in outcome.err
    assert outcome.err.splitlines()[-1].startswith("caser: ")


def test_an_unexpected_error_is_one_line_and_asks_for_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Any:
        raise ZeroDivisionError("by\nnobody")

    monkeypatch.setattr(doctor, "cache_folder", fail)
    code, line = refusal("doctor")
    assert code == 1
    assert line == "unexpected ZeroDivisionError: by nobody. Run again with --debug and report it."


def test_a_closed_pipe_prints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Any:
        raise BrokenPipeError

    monkeypatch.setattr(doctor, "cache_folder", fail)
    assert caser("doctor") == (app.NO_READER, "", "")


# Without torch


def test_reading_describing_judging_and_answering_need_no_torch(
    log: Path, trained: TrainedRun, own_run: Path, tmp_path: Path
) -> None:
    codes = without_torch(
        ("--help",),
        ("train", "--help"),
        ("data", "describe", log),
        ("recommend", own_run, "--user", 1, "--user", "new", "--k", 3),
        ("recommend", own_run, "--item", 3, "--item", 4),
        ("recommend", own_run, "--all", "--out", tmp_path / "all.csv"),
        ("similar", own_run, "--item", 3),
        ("explain", own_run, "--item", 3, "--user", 1),
        ("evaluate", own_run),
        ("train", log, "--model", "count-knn", "--out", tmp_path / "knn"),
        ("train", log, "--model", "caser", "--out", tmp_path / "caser"),
    )
    assert codes == [0] * 10 + [8]


def test_the_manifest_keeps_the_command_and_no_warning_is_printed(log: Path, tmp_path: Path) -> None:
    words = ["train", str(log), "--model", "markov", "--out", str(tmp_path / "my run")]
    done = in_a_process("-W", "error", "-m", "caser", *words)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "my run" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["command"] == f"caser train {log} --model markov --out '{tmp_path}{os.sep}my run'"
