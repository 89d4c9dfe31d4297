"""Plans: what they accept, and the values that they refuse when they are made."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, cast

import pytest

from caser.errors import ConfigError
from caser.study.compare import compare
from caser.study.engine import Plan
from caser.study.study import Study
from tests.study.small import small_plan, small_split


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"part": "tets"}, "part must be .*; got 'tets'"),
        ({"seeds": 3}, "must be a tuple of whole numbers, .* got 3"),
        ({"seeds": "012"}, "must be a tuple of whole numbers"),
        ({"seeds": (0.5,)}, "must be a tuple of whole numbers"),
        ({"seeds": (0, 0, 0)}, r"seeds of a plan must differ, .* got \(0, 0, 0\)"),
        ({"budget": "10m"}, "must be a number of seconds, .* got '10m'"),
        ({"budget": -1}, "budget must be at least 0; got -1"),
        ({"workers": -1}, "workers must be at least 1; got -1"),
        ({"workers": 0}, "workers must be at least 1; got 0"),
        ({"store": None}, "must be the path of a folder; got None"),
        ({"is_hard": True}, "has an effect only with a budget"),
        ({"seed": (0,)}, "did you mean seeds"),
    ],
)
def test_a_wrong_value_is_refused_in_one_sentence(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Plan(**values)


def test_the_store_may_be_text_and_seeds_any_list() -> None:
    plan = Plan(store="st", seeds=range(2))
    assert (plan.store, plan.seeds) == (Path("st"), (0, 1))


def test_a_plan_can_be_hashed_sent_to_workers_and_changed() -> None:
    plan = Plan(seeds=(3,), budget=1.0, is_hard=True)
    assert pickle.loads(pickle.dumps(plan)) == plan
    assert hash(plan) == hash(Plan(seeds=(3,), budget=1.0, is_hard=True))
    assert plan.replace(part="validation") == Plan(seeds=(3,), budget=1.0, is_hard=True, part="validation")


def compared(plan: Any) -> Study:
    return compare(small_split(), ["markov"], plan)


def test_a_study_needs_a_seed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs at least one seed"):
        compared(small_plan(tmp_path, seeds=()))
    assert not list(tmp_path.iterdir())


def test_what_is_no_plan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a plan must be a"):
        compared(cast(Any, str(tmp_path)))
