"""`caser promote`: its exit codes, what it prints, and the count of test openings."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from caser.data.synthetic import chain_world
from caser.errors import HeldBackError
from tests.cli.terminal import caser, document, refusal


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log, a good run and a bad one."""
    folder = tmp_path_factory.mktemp("promote")
    log = chain_world(num_users=60, num_items=30, length=9, seed=0).log
    columns = {
        "user": log.user_vocabulary.raw(log.users),
        "item": log.item_vocabulary.raw(log.items),
        "time": log.times,
    }
    pl.DataFrame(columns).write_csv(folder / "log.csv")
    for name, model in (("good", "markov"), ("bad", "popularity")):
        assert caser("train", folder / "log.csv", "--model", model, "--out", folder / name).code == 0
    shutil.copytree(folder / "good", folder / "same")
    return folder


def test_a_better_run_ends_with_0_and_says_what_to_type_next(runs: Path) -> None:
    outcome = caser("promote", runs / "good", "--over", runs / "bad", "--most-time", 1000)
    assert outcome.code == 0, outcome.err
    assert "verdict: better" in outcome.out
    assert f"caser refit {runs / 'good'} --out {runs / 'bad'}" in outcome.err


def test_a_run_that_is_not_better_ends_with_a_code_of_its_own_after_its_table(runs: Path) -> None:
    for new, old, verdict in (("bad", "good", "worse"), ("good", "same", "cannot tell")):
        outcome = caser("promote", runs / new, "--over", runs / old, "--json")
        assert outcome.code == HeldBackError.exit_code
        found = json.loads(outcome.out)
        assert (found["verdict"], found["passes"]) == (verdict, False)
        assert f"the verdict is '{verdict}'" in outcome.err
        assert "The old run stays." in outcome.err


def test_every_comparison_opens_the_test_part_of_the_new_run(runs: Path) -> None:
    words = ("promote", runs / "good", "--over", runs / "bad", "--most-time", 1000)
    first, second = (document(*words)["test_openings"] for _ in range(2))
    assert second == first + 1
    assert json.loads((runs / "bad" / "manifest.json").read_text())["test_openings"] <= 1


def test_a_refitted_run_cannot_be_the_new_one(runs: Path) -> None:
    assert caser("refit", runs / "good", "--out", runs / "live").code == 0
    code, line = refusal("promote", runs / "live", "--over", runs / "bad")
    assert (code, "trained on everything" in line) == (7, True)
    code, line = refusal("promote", runs / "good", "--over", runs / "live")
    assert (code, "served before these interactions" in line) == (3, True)


def test_a_run_is_not_compared_with_itself(runs: Path) -> None:
    assert "another folder" in refusal("promote", runs / "good", "--over", runs / "good")[1]
