"""The entry point: the environment that it sets before torch is imported."""

from __future__ import annotations

import os

import pytest

from caser import __main__
from caser.cli import app


@pytest.mark.parametrize(
    ("words", "threads"),
    [
        (["serve", "runs/mine"], "1"),
        (["--debug", "serve", "runs/mine"], "1"),
        (["train", "serve", "--out", "runs/mine"], None),
        (["train", "log.csv", "--out", "serve"], None),
        (["--help"], None),
    ],
)
def test_only_the_command_serve_runs_on_one_thread(
    words: list[str], threads: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["caser", *words])
    monkeypatch.setattr(app, "run", lambda arguments: len(arguments))
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", {})
        with pytest.raises(SystemExit) as ended:
            __main__.main()
        assert os.environ.get("OMP_NUM_THREADS") == threads
    assert ended.value.code == len(words)
