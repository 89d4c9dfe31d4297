"""Benchmarks: every one has a name of its own, an explanation, and imports that exist; none is measured here."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS, SPEED, TABLES, main
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
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert list(lines) == list(BENCHMARKS)


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
