"""The time that a study still needs, from steps whose times are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from caser.fitting.fit import Choice
from caser.study.runs import Run
from caser.study.time_left import seconds_left
from caser.study.tuning import Tuned
from tests.study.small import MARKOV, TINY

RECIPES = {"markov": MARKOV, "one": TINY, "two": TINY}


def chosen(seconds: float, epochs: int = 2) -> Tuned:
    """A network that was chosen in some seconds, of which each of four epochs trained for two."""
    history = tuple({"number": number, "seconds": 2.0, "validation": 0.1} for number in range(1, 5))
    return Tuned(TINY, Choice(0.1, seconds, epochs, history), 1, seconds)


def run(seconds: float) -> Run:
    """A run that trained for some seconds and ranked for one."""
    values: dict[str, Any] = {"table": None, "folder": Path(), "num_parameters": 1, "peak_memory_mb": None, "epochs": 2}
    return Run(**values, seed=0, seconds={"training": seconds, "ranking": 1.0})


def left(chosen: dict[str, Tuned], runs: dict[str, list[Run]], **changes: Any) -> float | None:
    given = {"left_out": (), "num_seeds": 3, "seconds_each": 0.0, "num_workers": 1, **changes}
    return seconds_left(RECIPES, chosen, runs, **given)


def test_nothing_is_known_before_the_first_network() -> None:
    assert left({}, {}) is None
    assert seconds_left({"markov": MARKOV}, {}, {}, (), num_seeds=3, seconds_each=0, num_workers=1) == 0


def test_a_network_that_has_not_begun_needs_as_long_as_the_finished_one() -> None:
    # One network: 3 refits of 2 epochs, 2 s each. The other: as long to choose, and the same refits.
    assert left({"one": chosen(10)}, {}) == pytest.approx(3 * 4 + 10 + 3 * 4)
    assert left({"one": chosen(10)}, {}, num_workers=2) == pytest.approx(17)
    assert left({"one": chosen(10)}, {}, left_out=("two",)) == pytest.approx(12)


def test_measured_runs_replace_the_estimate_and_a_budget_is_counted_in_full() -> None:
    assert left({"one": chosen(10)}, {"one": [run(5), run(7)]}, left_out=("two",)) == pytest.approx(7)
    tuned = {**RECIPES, "two": replace(TINY, space={"d": (4, 6)})}
    given: dict[str, Any] = {"num_seeds": 1, "seconds_each": 60.0, "num_workers": 1}
    assert seconds_left(tuned, {"one": chosen(10)}, {"one": [run(5)]}, (), **given) == pytest.approx(60 + 6)


def test_at_the_end_nothing_is_left() -> None:
    done = {label: [run(5)] * 3 for label in ("one", "two")}
    assert left({"one": chosen(10), "two": chosen(9)}, done) == 0
