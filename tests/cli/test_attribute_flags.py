"""`caser train --attributes`: from a table of items to a run that recommends items that nobody has taken yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from caser.artefact.folder import load
from tests.cli.terminal import caser

TRAIN = ("train", "log.csv", "--out", "run", "--model", "gru4rec", "--no-choose", "--epochs", 4, "--d", 8)
READ = ("--items", "items.csv", "--attributes", "genre,price:buckets", "--min-items", 3, "--own-dropout", 0.5)


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log in which each user keeps to even or odd items, and a table with two items that the log does not hold."""
    monkeypatch.chdir(tmp_path)
    rows = [f"{user},{(user % 2 + 2 * (user + place)) % 20},{place}" for user in range(30) for place in range(8)]
    Path("log.csv").write_text("user,item,time\n" + "\n".join(rows) + "\n", encoding="utf-8")
    items = [f"{item},Film {item},{('even', 'odd')[item % 2]},{item + 0.5}" for item in range(22)]
    Path("items.csv").write_text("item,title,genre,price\n" + "\n".join(items) + "\n", encoding="utf-8")


def test_a_run_recommends_items_of_the_table_and_says_what_it_read() -> None:
    outcome = caser(*TRAIN, *READ)
    assert outcome.code == 0, outcome.err
    assert "attribute genre, read as values: 2 vectors" in outcome.err
    assert "20 of 20 items that train have attributes; 2 more are known by attributes alone" in outcome.err
    attributes = load("run").attributes
    assert attributes is not None
    assert (attributes.facts["own_dropout"], attributes.facts["min_items"]) == (0.5, 3)
    assert [column.way for column in attributes.vocabulary.columns] == ["values", "buckets"]
    assert "Film 20" in caser("recommend", "run", "--item", 21, "--only", 20).out
    assert caser("evaluate", "run").code == 0
    assert caser("refit", "run", "--out", "all", "--items", "items.csv").code == 0
    assert "this run reads some" in caser("refit", "run", "--out", "other").err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            (*TRAIN, "--attributes", "genre"),
            "columns of a table of items; got genre without --items",
        ),
        ((*TRAIN, "--own-dropout", 0.5), "--own-dropout has an effect only with --attributes"),
        ((*TRAIN, *READ[:2], "--attributes", "gener"), "did you mean genre?"),
        (("train", "log.csv", "--out", "run", *READ, "--budget", "1m"), "--attributes must be left out with --budget"),
        (("train", "log.csv", "--out", "run", "--model", "markov", *READ), "--attributes"),
    ],
)
def test_what_has_no_effect_is_refused_before_training(words: tuple[object, ...], says: str) -> None:
    outcome = caser(*words)
    assert outcome.code != 0
    assert says in outcome.err
    assert not Path("run").exists()


@pytest.mark.slow
def test_replicas_read_attributes_and_have_the_weights_of_one_process() -> None:
    assert caser(*TRAIN, *READ, "--lanes", 2).code == 0
    Path("run").rename("alone")
    outcome = caser(*TRAIN, *READ, "--workers", 2)
    assert outcome.code == 0, outcome.err
    one, both = (load(name).scorer.arrays() for name in ("alone", "run"))
    assert all((one[name] == both[name]).all() for name in one)
