"""Tuning, with a store that answers at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from caser.errors import ConfigError, NumericalError
from caser.fitting.fit import Choice
from caser.models import model_settings
from caser.study import tuning
from caser.study.recipes import Recipe
from caser.study.runs import Store
from caser.study.tuning import MOST_TRIALS, Tuned
from tests.study.small import TINY

pytest.importorskip("optuna")

SPACE = {"d": (4, 6, 8, 16), "learning_rate": (1e-3, 3e-3, 1e-2)}
TUNED = replace(TINY, space=SPACE)


def wider_is_better(recipe: Recipe) -> float:
    return float(recipe.model.model_dump()["d"])


@dataclass
class FakeStore:
    """Answers what a formula says, and writes down what it was asked."""

    value: Callable[[Recipe], float] = wider_is_better
    seconds: float = 10.0
    asked: list[tuple[Recipe, float]] = field(default_factory=list)

    def choice(self, recipe: Recipe, most_seconds: float = math.inf) -> Choice:
        self.asked.append((recipe, most_seconds))
        return Choice(self.value(recipe), min(self.seconds, most_seconds), epochs=2)


def tune(store: FakeStore, recipe: Recipe = TUNED, seconds: float = 100.0, **options: Any) -> Tuned:
    return tuning.tune(cast(Store, store), recipe, seconds, **options)


def test_the_first_trial_is_the_recipe_as_it_is() -> None:
    store = FakeStore()
    tune(store)
    assert store.asked[0] == (TUNED, math.inf)


def test_the_best_trial_wins_with_its_own_settings() -> None:
    found = tune(FakeStore())
    assert found.recipe.model.model_dump()["d"] == 16
    assert found.choice.value == 16


def test_the_budget_is_spent_and_no_more_begins() -> None:
    store = FakeStore()
    found = tune(store, seconds=95.0)
    assert found.num_trials == len(store.asked) == 10
    assert found.seconds == 95.0
    assert [limit for _, limit in store.asked[1:]] == [85.0 - 10 * place for place in range(9)]


def test_without_a_budget_or_a_space_there_is_one_trial() -> None:
    for store, recipe, seconds in ((FakeStore(), TUNED, 0.0), (FakeStore(), TINY, 100.0)):
        assert tune(store, recipe, seconds).num_trials == len(store.asked) == 1


def test_a_first_trial_that_takes_everything_leaves_nothing_to_tune() -> None:
    assert tune(FakeStore(seconds=500.0)).num_trials == 1


def test_a_hard_limit_cuts_the_first_trial_too() -> None:
    store = FakeStore(seconds=500.0)
    found = tune(store, seconds=30.0, is_hard=True)
    assert store.asked == [(TUNED, 30.0)]
    assert found.seconds == 30.0


def test_tuning_again_asks_for_the_same_in_the_same_order() -> None:
    stores = FakeStore(), FakeStore()
    results = [tune(store) for store in stores]
    assert stores[0].asked == stores[1].asked
    assert results[0] == results[1]


def test_another_seed_tries_other_settings() -> None:
    first, second = FakeStore(), FakeStore()
    tune(first)
    tune(second, TUNED.replace(seed=1))
    assert [one.replace(seed=0).model for one, _ in first.asked] != [
        one.replace(seed=0).model for one, _ in second.asked
    ]


def test_only_what_the_space_names_is_changed_and_only_to_its_values() -> None:
    store = FakeStore()
    tune(store)
    for recipe, _ in store.asked:
        settings = {**recipe.model.model_dump(), **recipe.training.model_dump()}
        chosen = {name: settings[name] for name in SPACE}
        assert all(value in SPACE[name] for name, value in chosen.items())
        assert recipe == TUNED.replace(**chosen)


def test_settings_that_diverge_are_passed_over() -> None:
    def diverges(recipe: Recipe) -> float:
        if recipe.model.model_dump()["d"] > 6:
            raise NumericalError("the loss must be finite")
        return wider_is_better(recipe)

    found = tune(FakeStore(diverges))
    assert found.choice.value == 6
    assert found.num_trials == 10  # each counts as much as the first


def test_a_recipe_that_diverges_as_it_is_is_an_error() -> None:
    def diverges(_: Recipe) -> float:
        raise NumericalError("the loss must be finite")

    with pytest.raises(NumericalError):
        tune(FakeStore(diverges))


def test_settings_that_do_not_go_together_are_passed_over() -> None:
    high = replace(TINY.replace(heights=(3,)), space={"L": (2, 3, 4)})  # a height of 3 needs at least 3 items
    with pytest.raises(ConfigError):
        high.replace(L=2)
    assert tune(FakeStore(), high).num_trials == 10


def test_a_setting_that_is_not_worth_trying_may_be_where_tuning_begins() -> None:
    store = FakeStore()
    tune(store, TUNED.replace(learning_rate=0.5))
    assert store.asked[0][0].training.learning_rate == 0.5


def test_however_cheap_trials_are_there_is_an_end() -> None:
    assert tune(FakeStore(seconds=0.0)).num_trials == MOST_TRIALS


def test_fixed_epochs_are_not_chosen() -> None:
    store = FakeStore()
    found = tune(store, replace(TUNED, epochs=4))
    assert not store.asked
    assert found.choice.epochs == 4


def test_a_value_worth_trying_may_be_a_list() -> None:
    model = model_settings("nextitnet")
    deepest = len(model.space["dilations"][1])
    store = FakeStore(lambda recipe: float(len(recipe.model.model_dump()["dilations"])))
    found = tune(store, Recipe.of(model, space={"dilations": model.space["dilations"]}))
    assert len(found.recipe.model.model_dump()["dilations"]) == deepest
