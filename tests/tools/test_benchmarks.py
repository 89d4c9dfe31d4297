"""Benchmarks: every one has a name of its own, an explanation, and imports that exist; none is measured here."""

from __future__ import annotations

from importlib import import_module

import pytest

from benchmarks.__main__ import BENCHMARKS, SPEED, TABLES, main


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
