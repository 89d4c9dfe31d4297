"""`caser demo`: every step in one command, with MovieLens and without a network."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from caser.data import datasets, synthetic
from caser.data.log import InteractionLog
from caser.data.synthetic import World, chain_world, union_world
from caser.errors import DownloadError
from tests.cli.terminal import caser, document

FILMS = ["Toy Story (1995)", "Heat (1995)", "Star Wars (1977)", "Big (1988)", "Alien (1979)", "Fargo (1996)"]


@pytest.fixture
def films(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small log with titles in place of MovieLens."""
    log = chain_world(num_users=20, num_items=len(FILMS), length=8).log
    titles = pl.Series([FILMS[item - 1] for item in log.item_vocabulary.ids.to_list()])
    small = replace(log, titles=titles, provenance={**log.provenance, "dataset": "ml-100k"})
    monkeypatch.setattr(datasets, "load", lambda name, on_message: small)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No source answers, and the generated world is small."""

    def fail(name: str, on_message: Callable[[str], object]) -> InteractionLog:
        raise DownloadError(f"{name} must come from one of its sources; got nothing.")

    def small(num_users: int, num_items: int, length: int) -> World:
        return union_world(num_users=num_users // 20, num_items=num_items // 4, length=length // 4)

    monkeypatch.setattr(datasets, "load", fail)
    monkeypatch.setattr(synthetic, "union_world", small)


@pytest.mark.usefixtures("films")
def test_it_judges_caser_beside_counting_and_recommends_films(tmp_path: Path) -> None:
    outcome = caser("demo", "--epochs", 1, "--out", tmp_path / "demo")
    assert outcome.code == 0, outcome.err
    assert "d2l · test · 20 users" in outcome.out
    for model in ("popularity", "markov", "count-knn", "caser ◂"):
        assert f"\n{model}" in outcome.out
    assert "ten recommendations for user 1" in outcome.out
    assert "ten recommendations after Toy Story (1995), Star Wars (1977) (history)" in outcome.out
    assert "1. the log: MovieLens-100K; 20 users" in outcome.err


@pytest.mark.usefixtures("films")
def test_it_prints_one_document_when_asked(tmp_path: Path) -> None:
    said = document("demo", "--epochs", 1, "--out", tmp_path / "demo")
    assert set(said["models"]) == {"popularity", "markov", "count-knn", "caser"}
    assert said["history"]["source"] == "history"
    assert {row["title"] for row in said["user"]["items"]} <= set(FILMS)


@pytest.mark.usefixtures("films")
def test_the_run_counts_one_test_opening_and_no_checkpoint_stays(tmp_path: Path) -> None:
    caser("demo", "--epochs", 1, "--out", tmp_path / "demo")
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    assert json.loads((tmp_path / "demo" / "manifest.json").read_text(encoding="utf-8"))["test_openings"] == 1


@pytest.mark.usefixtures("no_network")
def test_without_a_network_the_demo_runs_on_a_simulated_log(tmp_path: Path) -> None:
    outcome = caser("demo", "--epochs", 1, "--out", tmp_path / "demo")
    assert outcome.code == 0, outcome.err
    assert "MovieLens-100K could not be fetched: ml-100k must come from one of its sources" in outcome.err
    assert "the best possible hit@10 is" in outcome.err
    assert "leave-one-out · test · 50 users" in outcome.out


@pytest.mark.parametrize("world", ["films", "no_network"])
def test_the_commands_to_type_next_work(world: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(world)
    told = caser("demo", "--epochs", 1, "--out", tmp_path / "demo").err
    lines = [line.split() for line in told.partition("go on with:")[2].splitlines() if line]
    further = ["evaluate", "refit"] if world == "films" else []
    assert [command for _, command, *_ in lines] == ["recommend", "similar", *further]
    for program, *command in lines[:2]:  # the others would read MovieLens
        assert shutil.which(program)
        assert caser(*command).code == 0
