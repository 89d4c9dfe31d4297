"""`caser doctor`: facts of this machine and what to change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from caser.cli import doctor
from tests.cli.terminal import caser, document


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure nothing."""

    def measured() -> dict[str, Any]:
        return {"facts": {"positions/s, 1 threads": 1000}, "advice": ["set OMP_NUM_THREADS=1."]}

    monkeypatch.setattr(doctor, "_measure_torch", measured)


def test_it_says_what_is_here_and_what_to_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASER_CACHE", str(tmp_path / "not" / "yet"))
    said = document("doctor")
    assert said["facts"]["cache"] == str(tmp_path / "not" / "yet")
    assert said["facts"]["positions/s, 1 threads"] == 1000
    assert "set OMP_NUM_THREADS=1." in said["advice"]


def test_without_torch_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda package: None if package == "torch" else "1")
    outcome = caser("doctor")
    assert outcome.code == 0
    assert "pip install 'caser[train]'" in outcome.out
