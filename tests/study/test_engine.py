"""The engine: the order of the work, recipes that fail, and openings of the test part."""

from __future__ import annotations

import os
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caser.errors import CaserError, ConfigError
from caser.study.engine import Outcome, Step, carry_out
from caser.study.recipes import Recipe
from caser.study.study import run_study
from caser.study.workers import default_number, workers
from caser.system.sealed import unseal_json
from tests.study.small import MARKOV, POPULARITY, TINY, forbid_training, small_plan, small_split

SPLIT = small_split()
DIVERGES = TINY.replace(learning_rate=1e30)
REFUSED = TINY.replace(user_vector=False, user_dropout=0.5)


def outcome_of(store: Path, recipes: dict[str, Recipe], steps: list[Step] | None = None, **changes: Any) -> Outcome:
    return carry_out(recipes, {"": SPLIT}, small_plan(store, **changes), (steps if steps is not None else []).append)


def openings(store: Path) -> list[int]:
    path = store / "openings.json"
    return list(unseal_json(path.read_bytes())["values"]["openings"].values()) if path.exists() else []


def test_rows_stay_in_the_order_they_were_given(tmp_path: Path) -> None:
    recipes = {"z": MARKOV, "a": TINY, "m": POPULARITY}
    outcome = outcome_of(tmp_path, recipes)
    assert list(outcome.runs) == list(outcome.chosen) == ["z", "a", "m"]


def test_networks_have_a_run_for_each_seed_and_counting_models_one(tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, {"markov": MARKOV, "caser": TINY}, seeds=(2, 0))
    assert [run.seed for run in outcome.runs["caser"]] == [0, 2]
    assert len(outcome.runs["markov"]) == 1
    first, second = outcome.runs["caser"]
    assert first.table.ranks.tolist() != second.table.ranks.tolist()


def test_each_is_refitted_for_the_epochs_that_validation_chose(tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, {"caser": TINY})
    assert outcome.runs["caser"][0].epochs == outcome.chosen["caser"].choice.epochs


def test_fixed_epochs_are_not_chosen(tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, {"caser": replace(TINY, epochs=1)})
    assert outcome.runs["caser"][0].epochs == 1
    assert outcome.chosen["caser"].num_trials == 0
    assert not (tmp_path / "choices").exists()


def test_without_seeds_it_only_chooses(tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, {"markov": MARKOV}, seeds=())
    assert outcome.chosen["markov"].choice.value > 0
    assert outcome.runs == {"markov": []}
    assert openings(tmp_path) == []


@pytest.mark.parametrize("bad", [DIVERGES, REFUSED], ids=["diverges", "refused"])
def test_a_recipe_that_fails_is_left_out_and_named_and_the_others_are_kept(bad: Recipe, tmp_path: Path) -> None:
    steps: list[Step] = []
    outcome = outcome_of(tmp_path, {"bad": bad, "markov": MARKOV}, steps)
    assert list(outcome.runs) == list(outcome.chosen) == ["markov"]
    (note,) = outcome.notes
    assert note.startswith("bad is left out: ")
    assert [step.label for step in steps if step.action == "left out"] == ["bad"]


def test_a_recipe_that_fails_with_every_seed_is_named_once(tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, {"bad": replace(DIVERGES, epochs=1), "markov": MARKOV}, seeds=(0, 1, 2))
    assert list(outcome.runs) == ["markov"]
    assert len(outcome.notes) == 1


@pytest.mark.parametrize(
    ("recipes", "message"),
    [
        ({"bad": REFUSED}, "needs a model that can be trained"),
        ({"caser": REFUSED, "markov": MARKOV}, "needs caser to compare with"),
    ],
)
def test_a_study_whose_rows_failed_is_an_error(recipes: dict[str, Recipe], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        run_study("compare", "?", recipes, {"": SPLIT}, small_plan(tmp_path), reference=lambda _: "caser")


def test_steps_count_up_to_their_total(tmp_path: Path) -> None:
    steps: list[Step] = []
    outcome_of(tmp_path, {"markov": MARKOV, "caser": TINY}, steps, seeds=(0, 1))
    assert [step.done for step in steps] == [1, 2, 3, 4, 5]
    assert {step.total for step in steps} == {5}


def test_the_time_left_is_unknown_before_a_network_has_finished_a_step_and_nothing_at_the_end(
    tmp_path: Path,
) -> None:
    steps: list[Step] = []
    outcome_of(tmp_path, {"markov": MARKOV, "caser": TINY}, steps, seeds=(0, 1))
    first = next(i for i, step in enumerate(steps) if step.label == "caser")
    assert [step.seconds_left for step in steps[:first]] == [None] * first
    assert all(step.seconds_left is not None and step.seconds_left > 0 for step in steps[first:-1])
    assert steps[-1].seconds_left == 0


# How often the test part was opened


def test_an_opening_is_counted_once_for_all_recipes(tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, {"markov": MARKOV, "popularity": POPULARITY})
    assert outcome.num_openings == 1
    assert openings(tmp_path) == [1]


def test_runs_that_are_used_again_do_not_open_the_test_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipes = {"markov": MARKOV, "caser": TINY}
    first = outcome_of(tmp_path, recipes)
    forbid_training(monkeypatch)
    again = outcome_of(tmp_path, recipes)
    assert again.num_openings == first.num_openings == 1
    np.testing.assert_array_equal(again.runs["caser"][0].table.ranks, first.runs["caser"][0].table.ranks)


def test_a_new_recipe_opens_the_part_once_more(tmp_path: Path) -> None:
    outcome_of(tmp_path, {"markov": MARKOV})
    assert outcome_of(tmp_path, {"markov": MARKOV, "popularity": POPULARITY}).num_openings == 2


def test_validation_opens_nothing(tmp_path: Path) -> None:
    assert outcome_of(tmp_path, {"markov": MARKOV}, part="validation").num_openings == 0
    assert openings(tmp_path) == []


def test_an_opening_is_counted_before_it_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forbidden = AssertionError("something was trained or ranked again")
    outcome_of(tmp_path, {"markov": MARKOV}, seeds=())
    forbid_training(monkeypatch)
    with pytest.raises(AssertionError, match=str(forbidden)):
        outcome_of(tmp_path, {"markov": MARKOV})
    assert openings(tmp_path) == [1]


# Side by side


def environment() -> dict[str, str]:
    """The variables of this process, without those that torch sets when it first needs them."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TORCH")}


@pytest.mark.slow
def test_two_workers_give_the_results_of_one(tmp_path: Path) -> None:
    recipes = {"caser": TINY, "markov": MARKOV, "bad": REFUSED}
    before = environment()
    alone = outcome_of(tmp_path / "one", recipes, seeds=(0, 1))
    together = outcome_of(tmp_path / "two", recipes, seeds=(0, 1), workers=2)
    assert environment() == before
    assert list(alone.runs) == list(together.runs) == ["caser", "markov"]
    assert alone.notes == together.notes
    for label in alone.runs:
        assert alone.chosen[label].recipe == together.chosen[label].recipe
        assert alone.chosen[label].choice.value == together.chosen[label].choice.value
        for one, two in zip(alone.runs[label], together.runs[label], strict=True):
            np.testing.assert_array_equal(one.table.ranks, two.table.ranks)


def test_a_worker_that_was_killed_is_an_error_in_one_sentence() -> None:
    with pytest.raises(CaserError, match=r"under `if __name__.*--jobs 1"), workers({}, 2):
        raise BrokenProcessPool("a process was terminated abruptly")


def test_one_worker_is_this_process() -> None:
    with workers({}, 1) as submit:
        assert submit(process_of).result() == os.getpid()


def process_of(_: object) -> int:
    return os.getpid()


def test_there_is_at_least_one_worker() -> None:
    assert default_number() >= 1
