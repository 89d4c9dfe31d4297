"""Without a home and without write access to the package: training works, and a cache that is needed is asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caser.data.datasets import cache_folder, fetch
from caser.errors import DownloadError
from caser.system import compiled as compiling
from tests.cli.terminal import caser, refusal
from tests.skips import NEEDS_EXTRAS

BY_HOME = ("CASER_CACHE", "XDG_CACHE_HOME")


@pytest.fixture
def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home, as in a container that runs as a number without a name."""

    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in BY_HOME:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", home)
    monkeypatch.setattr(sys, "platform", "linux")


def test_without_a_home_the_cache_is_asked_for(no_home: None, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"this user has no home.*CASER_CACHE=/tmp/caser"):
        cache_folder()
    code, line = refusal("train", "ml-100k", "--model", "markov", "--out", tmp_path / "run")
    assert code == DownloadError.exit_code
    assert "CASER_CACHE" in line


def test_a_cache_that_cannot_be_written_is_missed_before_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CASER_CACHE", str(tmp_path / "file" / "cache"))
    said: list[str] = []
    with pytest.raises(DownloadError, match=r"must be writable; got .*cache: .*CASER_CACHE"):
        fetch("ml-100k", on_message=said.append)
    assert said == []


def test_the_doctor_names_the_variable(no_home: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caser.cli.doctor._measure_torch", lambda: {"facts": {}, "advice": []})
    outcome = caser("doctor")
    assert outcome.code == 0, outcome.err
    assert "CASER_CACHE" in outcome.out


def test_loops_are_compiled_where_no_cache_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba", reason=NEEDS_EXTRAS)
    real: Any = compiling.njit

    def without_cache(**options: Any) -> Any:
        def decorate(function: Any) -> Any:
            if options.get("cache"):
                raise RuntimeError("cannot cache function: no locator available")
            return real(**options)(function)

        return decorate

    monkeypatch.setattr(compiling, "njit", without_cache)

    @compiling.compiled
    def total(values: Any) -> Any:
        result = 0.0
        for value in values:
            result += value
        return result

    assert total(np.array([1.0, 2.5])) == 3.5
