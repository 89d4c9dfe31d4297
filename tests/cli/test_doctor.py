"""`caser doctor`: facts of this machine and advice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from caser.cli import doctor
from caser.system.hints import install_line
from tests.cli.terminal import caser, document

measure = doctor._measure_torch


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure nothing."""

    def measured() -> dict[str, Any]:
        return {"facts": {"positions/s, 1 threads": 1000}, "advice": ["set OMP_NUM_THREADS=1."]}

    monkeypatch.setattr(doctor, "_measure_torch", measured)


def test_it_lists_facts_and_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASER_CACHE", str(tmp_path / "not" / "yet"))
    said = document("doctor")
    assert said["facts"]["cache"] == str(tmp_path / "not" / "yet")
    assert said["facts"]["positions/s, 1 threads"] == 1000
    assert "set OMP_NUM_THREADS=1." in said["advice"]


def test_without_torch_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "version_of", lambda package: None if package == "torch" else "1")
    outcome = caser("doctor")
    assert outcome.code == 0
    assert f"Type: {install_line('train')}" in " ".join(outcome.out.split())


def test_it_measures_threads_types_and_batches_and_advises_on_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_NUM_USERS", 2)
    before = torch.get_num_threads()
    measured = measure()
    rates = [value for name, value in measured["facts"].items() if name != "device"]
    assert min(rates) > 0
    assert {name for name in measured["facts"] if "batches" in name} == {
        f"positions/s, batches of {size}" for size in (512, 2048, 8192)
    }
    subjects = [sentence.split(":")[0] for sentence in measured["advice"]]
    assert [subject for subject in subjects if subject in ("threads", "type", "batch")] in (
        ["threads", "type", "batch"],
        ["type", "batch"],  # on an accelerator
    )
    assert torch.get_num_threads() == before


def test_a_small_gain_changes_no_advice() -> None:
    assert "keep the present 2" in doctor.advise_threads({1: 105.0, 2: 100.0}, now=2)
    assert "float32 is right for products here" in doctor.advise_type({"float32": 100.0, "bfloat16": 105.0})
    assert "--batch-size 512" in doctor.advise_batch({512: 95.0, 2048: 100.0, 8192: 90.0})


def test_advice_says_what_to_set_for_a_noticeable_gain() -> None:
    assert "OMP_NUM_THREADS=4" in doctor.advise_threads({1: 100.0, 2: 150.0, 4: 200.0}, now=2)
    assert "4 times the rate of float32" in doctor.advise_type({"float32": 100.0, "bfloat16": 400.0})
    assert "--batch-size 8192" in doctor.advise_batch({512: 10.0, 2048: 50.0, 8192: 100.0})
