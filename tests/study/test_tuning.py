"""Tuning, tested with a store that answers at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from caser.errors import ConfigError, NumericalError
from caser.fitting.fit import Choice, Progress
from caser.models import model_settings
from caser.study import tuning
from caser.study.recipes import Recipe
from caser.study.runs import Store
from caser.study.tuning import MOST_TRIALS, Tuned
from tests.skips import NEEDS_EXTRAS
from tests.study.small import TINY, training_of

pytest.importorskip("optuna", reason=NEEDS_EXTRAS)

SPACE = {"d": (4, 6, 8, 16), "learning_rate": (1e-3, 3e-3, 1e-2)}
TUNED = replace(TINY, space=SPACE)


def wider_is_better(recipe: Recipe) -> float:
    return float(recipe.model.model_dump()["d"])


@dataclass
class FakeStore:
    """Gives the value of a formula instead of training, and records its calls."""

    value: Callable[[Recipe], float] = wider_is_better
    seconds: float = 10.0
    calls: list[tuple[Recipe, float]] = field(default_factory=list)

    def choice(self, recipe: Recipe, most_seconds: float = math.inf, tell: Any = None, **_: Any) -> Choice:
        self.calls.append((recipe, most_seconds))
        if tell is not None:
            tell(Progress("choosing", "ndcg@10", epoch=1, epochs=2))
        return Choice(self.value(recipe), min(self.seconds, most_seconds), epochs=2)


def tune(store: FakeStore, recipe: Recipe = TUNED, seconds: float = 100.0, **options: Any) -> Tuned:
    return tuning.tune(cast(Store, store), recipe, seconds, **options)


def test_the_first_trial_is_the_recipe_as_it_is() -> None:
    store = FakeStore()
    tune(store)
    assert store.calls[0] == (TUNED, math.inf)


def test_every_trial_is_told_with_its_number_and_the_time_that_is_left() -> None:
    told: list[Progress] = []
    tune(FakeStore(), seconds=35.0, tell=told.append)
    assert [(one.model, one.trial) for one in told] == [("caser", number) for number in (1, 2, 3, 4)]
    assert [one.seconds_left for one in told] == pytest.approx([35, 25, 15, 5], abs=1)


def test_the_best_trial_wins_with_its_own_settings() -> None:
    found = tune(FakeStore())
    assert found.recipe.model.model_dump()["d"] == 16
    assert found.choice.value == 16


def test_the_budget_is_spent_and_no_more_begins() -> None:
    store = FakeStore()
    found = tune(store, seconds=95.0)
    assert found.num_trials == len(store.calls) == 10
    assert found.seconds == 95.0
    assert [limit for _, limit in store.calls[1:]] == [85.0 - 10 * place for place in range(9)]


def test_without_a_budget_or_a_space_there_is_one_trial() -> None:
    for store, recipe, seconds in ((FakeStore(), TUNED, 0.0), (FakeStore(), TINY, 100.0)):
        assert tune(store, recipe, seconds).num_trials == len(store.calls) == 1


def test_a_first_trial_that_uses_all_the_time_ends_tuning() -> None:
    assert tune(FakeStore(seconds=500.0)).num_trials == 1


def test_a_hard_limit_cuts_the_first_trial_too() -> None:
    store = FakeStore(seconds=500.0)
    found = tune(store, seconds=30.0, is_hard=True)
    assert store.calls == [(TUNED, 30.0)]
    assert found.seconds == 30.0


def test_tuning_again_tries_the_same_settings_in_the_same_order() -> None:
    stores = FakeStore(), FakeStore()
    results = [tune(store) for store in stores]
    assert stores[0].calls == stores[1].calls
    assert results[0] == results[1]


def test_another_seed_tries_other_settings() -> None:
    first, second = FakeStore(), FakeStore()
    tune(first)
    tune(second, TUNED.replace(seed=1))
    assert [one.replace(seed=0).model for one, _ in first.calls] != [
        one.replace(seed=0).model for one, _ in second.calls
    ]


def test_only_settings_of_the_space_are_changed_and_only_to_values_of_the_space() -> None:
    store = FakeStore()
    tune(store)
    for recipe, _ in store.calls:
        settings = {**recipe.model.model_dump(), **training_of(recipe).model_dump()}
        chosen = {name: settings[name] for name in SPACE}
        assert all(value in SPACE[name] for name, value in chosen.items())
        assert recipe == TUNED.replace(**chosen)


def test_settings_that_diverge_are_skipped() -> None:
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


def test_settings_that_cannot_be_combined_are_skipped() -> None:
    high = replace(TINY.replace(heights=(3,)), space={"L": (2, 3, 4)})  # a height of 3 needs at least 3 items
    with pytest.raises(ConfigError):
        high.replace(L=2)
    assert tune(FakeStore(), high).num_trials == 10


def test_tuning_may_start_from_a_value_outside_the_space() -> None:
    store = FakeStore()
    tune(store, TUNED.replace(learning_rate=0.5))
    assert training_of(store.calls[0][0]).learning_rate == 0.5


def test_tuning_ends_however_cheap_the_trials_are() -> None:
    assert tune(FakeStore(seconds=0.0)).num_trials == MOST_TRIALS


def test_fixed_epochs_are_not_chosen() -> None:
    store = FakeStore()
    found = tune(store, replace(TUNED, epochs=4))
    assert not store.calls
    assert found.choice.epochs == 4


def test_a_value_of_the_space_may_be_a_list() -> None:
    model = model_settings("nextitnet")
    deepest = len(model.space["dilations"][1])
    store = FakeStore(lambda recipe: float(len(recipe.model.model_dump()["dilations"])))
    found = tune(store, Recipe.of(model, space={"dilations": model.space["dilations"]}))
    assert len(found.recipe.model.model_dump()["dilations"]) == deepest
