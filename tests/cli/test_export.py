"""`caser export`: a run as one file."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

import caser as library
from caser.exported.scorer import through_onnx
from caser.models import model_class
from caser.models.settings import NetworkSettings
from caser.system.hints import install_line
from tests.cli.conftest import TrainedRun
from tests.cli.terminal import caser, document, refusal


def test_every_network_is_exported_and_answers_as_its_run(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.onnx"
    if not issubclass(model_class(run.name), NetworkSettings):
        code, line = refusal("export", run, "--onnx", "--out", out)
        assert (code, out.exists()) == (2, False)
        assert line.startswith("only networks are exported (bpr-mf, caser,")
        return
    said = document("export", run, "--onnx", "--out", out)
    assert (said["model"], said["num_items"], said["bytes"]) == (run.name, 8, out.stat().st_size)
    recommender = library.load(run)
    expected, found = (one.recommend(users=[1, 2, "new"]) for one in (recommender, through_onnx(recommender, out)))
    assert [answer.items for answer in found] == [answer.items for answer in expected]


def test_the_file_is_beside_the_run_unless_it_is_named(own_run: Path) -> None:
    outcome = caser("export", own_run, "--onnx")
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err.startswith(f"wrote {own_run}.onnx: caser for 8 items, ")
    assert own_run.with_name("own-run.onnx").exists()
    shutil.rmtree(own_run)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "caser export RUN --onnx"),
        (["--onnx", "--out", "model.bin"], "must end in .onnx; got 'model.bin'"),
        (["--onnx", "--k", "0"], "k must be at least 1"),
    ],
)
def test_wrong_options_are_refused(words: list[str], sentence: str, trained: TrainedRun) -> None:
    code, line = refusal("export", trained("caser"), *words)
    assert code == 2
    assert sentence in line


def test_without_the_extra_the_error_says_how_to_install_it(
    trained: TrainedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "caser.exported.write", raising=False)
    monkeypatch.delitem(sys.modules, "caser.exported.graph", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    code, line = refusal("export", trained("caser"), "--onnx")
    assert code == 8
    assert "needs onnx" in line
    assert line.endswith(install_line("export"))
