"""Benchmarks: every one has a name of its own, an explanation, and imports that exist; none is measured here."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import BENCHMARKS, SPEED, TABLES, main
from benchmarks._tables import compared
from benchmarks.speed.serving import make_run
from caser.artefact.folder import load
from caser.data.synthetic import chain_world
from caser.models.caser.caser import Caser
from caser.models.counting.count_knn import CountKNN
from caser.models.settings import CountingSettings, NetworkSettings


def test_no_published_table_has_the_name_of_a_benchmark_of_speed() -> None:
    assert not TABLES.keys() & SPEED.keys()


def test_the_list_names_and_explains_every_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    shown = capsys.readouterr().out
    lines = dict(line.split(maxsplit=1) for line in shown.splitlines() if line.startswith("  "))
    assert list(lines) == list(BENCHMARKS)
    tables, speed = shown.split("Speed, docs/performance.md:\n")
    assert (tables.count("\n") - 1, speed.count("\n")) == (len(TABLES), len(SPEED))


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_can_be_imported(name: str) -> None:
    import_module(BENCHMARKS[name])


def test_a_misspelt_benchmark_gets_the_nearest_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trainign"]) == 2
    assert "did you mean training?" in capsys.readouterr().err


@pytest.mark.parametrize("model", [Caser(L=3, T=1, d=4), CountKNN()])
def test_the_run_that_benchmarks_serve_is_a_run(tmp_path: Path, model: CountingSettings | NetworkSettings) -> None:
    log = chain_world(num_users=20, num_items=15, seed=1).log
    artefact = make_run(tmp_path / "run", log, model)
    read = load(tmp_path / "run")
    assert (read.config, read.manifest["log"]) == (model, {"digest": log.digest})
    assert read.items.ids.equals(artefact.items.ids)


def saved(auc: float, fingerprint: str = "a1", label: str = "caser") -> dict[str, Any]:
    """A saved table with one model."""
    metrics = {"auc": {"value": auc}, "hit@10": {"value": 0.5}}
    return {"rows": [{"label": label, "metrics": metrics}], "date": "2026-11-29", "fingerprint": fingerprint}


@pytest.mark.parametrize(
    ("new", "sentence"),
    [
        (saved(0.70001), "The saved table of 2026-11-29 has the same numbers."),
        (saved(0.69), "Against the saved table of 2026-11-29, the largest difference is 0.0100: auc of caser."),
        (saved(0.7, "b2"), "The saved table of 2026-11-29 has another fingerprint, a1: it cannot be compared."),
        (saved(0.7, label="ease"), "The saved table of 2026-11-29 has other models."),
    ],
)
def test_a_table_that_is_computed_again_is_compared_with_the_saved_one(new: dict[str, Any], sentence: str) -> None:
    assert compared(new, saved(0.7)) == sentence
