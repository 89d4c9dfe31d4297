"""Optional packages that a command needs are missed before it reads, trains or writes anything."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from caser.cli import study_report
from caser.errors import MissingDependencyError
from caser.system.hints import install_line
from tests.cli.terminal import caser, refusal

NEEDED = [
    ("train NOWHERE --out NEW --budget 5s", "optuna", "tune"),
    ("train NOWHERE --out NEW --model auto", "optuna", "tune"),
    ("compare NOWHERE --budget 1m", "optuna", "tune"),
    ("train NOWHERE --out NEW", "torch", "train"),
    ("train NOWHERE --out NEW --model gru4rec", "torch", "train"),
    ("train NOWHERE --out NEW --model gru4rec --workers 2 --engine ray", "ray", "scale"),
    ("recommend NOWHERE --all --out NEW --engine ray", "ray", "scale"),
    ("ablate NOWHERE", "torch", "train"),
    ("audit NOWHERE", "torch", "train"),
    ("demo", "torch", "train"),
    ("index NOWHERE", "faiss", "ann"),
    ("export NOWHERE --onnx", "onnx", "export"),
    ("serve NOWHERE", "fastapi", "serve"),
    ("replay NOWHERE --log NOWHERE", "orjson", "serve"),
]


@pytest.mark.parametrize(("words", "module", "extra"), NEEDED)
def test_a_missing_package_is_found_before_the_work(
    words: str, module: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    code, line = refusal(*words.split())
    assert code == MissingDependencyError.exit_code
    assert f"needs {module}, which is not installed. Type: {install_line(extra)}" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", ["train LOG --out NEW --model markov", "audit LOG --no-neural --out NEW"])
def test_what_needs_no_network_needs_no_torch(
    words: str, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("torch", "optuna", "faiss"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(study_report, "write_report", lambda *_: tmp_path / "report.html")
    names = {"LOG": log, "NEW": tmp_path / "new"}
    outcome = caser(*(names.get(word, word) for word in words.split()))
    assert outcome.code == 0, outcome.err


def test_a_page_that_cannot_be_written_is_missed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly", None)
    for words in (["compare"], ["sweep", "--over", "L=1,2"], ["ablate"], ["audit", "--no-neural"]):
        said = caser(words[0], tmp_path / "nowhere.csv", *words[1:]).err.splitlines()
        assert said[0].startswith("  only numbers will be written: the page of a report needs plotly")


def test_help_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("torch", "optuna", "faiss", "onnx", "fastapi"):
        monkeypatch.setitem(sys.modules, module, None)
    for command in ("train", "index", "serve", "demo"):
        assert caser(command, "--help").code == 0
