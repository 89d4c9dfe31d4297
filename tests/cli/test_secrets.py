"""A secret of the environment is in nothing that a command writes or prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.terminal import caser
from tests.skips import NEEDS_EXTRAS

SECRET = "a-secret-that-nobody-must-read-0123456789"


@pytest.mark.slow
def test_a_secret_is_in_no_run_no_study_and_no_report(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("plotly", reason=NEEDS_EXTRAS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CASER_TOKEN", SECRET)
    monkeypatch.setenv("CASER_SECRET", SECRET)
    said = [
        caser("train", log, "--model", "markov", "--out", tmp_path / "run"),
        caser("evaluate", tmp_path / "run"),
        caser("compare", log, "--models", "markov", "--jobs", "1", "--out", tmp_path / "study"),
        caser("doctor"),
        caser("serve", tmp_path / "run", "--port", "70000"),
    ]
    assert [outcome.code for outcome in said][:3] == [0, 0, 0], said
    assert (tmp_path / "run" / "manifest.json").exists()
    assert list((tmp_path / "study").glob("*.html"))
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path
    for outcome in said:
        assert SECRET not in outcome.out + outcome.err
