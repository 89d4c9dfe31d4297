"""Recipes: what they refuse, and what changing one changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from caser.config import Training
from caser.errors import ConfigError
from caser.models import MODELS, model_settings, network_settings
from caser.models.caser.caser import Caser
from caser.study.recipes import Recipe
from tests.study.small import MARKOV, TINY, training_of


def test_a_network_trains_as_it_says_itself_and_a_counting_model_does_not_train() -> None:
    assert Recipe.of("gru4rec").training == network_settings("gru4rec").training
    assert Recipe.of("markov").training is None


@pytest.mark.parametrize("given", [{"training": Training()}, {"epochs": 3}])
def test_a_counting_model_with_training_or_epochs_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"must have no {next(iter(given))}"):
        Recipe(model_settings("markov"), **given)


def test_a_network_without_training_is_refused() -> None:
    with pytest.raises(ConfigError, match="must say how it is trained"):
        Recipe(Caser())


def test_a_setting_goes_to_the_model_that_has_it_and_to_its_training_otherwise() -> None:
    changed = TINY.replace(L=4, learning_rate=0.1)
    assert training_of(changed) == training_of(TINY).replace(learning_rate=0.1)
    assert changed.model == TINY.model.replace(L=4)


@pytest.mark.parametrize("recipe", [TINY, MARKOV])
def test_a_setting_that_neither_model_nor_training_has_is_refused(recipe: Recipe) -> None:
    with pytest.raises(ConfigError, match="no setting 'learning_rat'"):
        recipe.replace(learning_rat=1)


def test_a_setting_of_training_is_refused_for_a_counting_model() -> None:
    with pytest.raises(ConfigError, match="no setting 'learning_rate'"):
        MARKOV.replace(learning_rate=0.1)


def test_another_seed_is_another_training_and_leaves_a_counting_model_alone() -> None:
    assert TINY.with_seed(3).seed == 3
    assert TINY.with_seed(3).model == TINY.model
    assert MARKOV.with_seed(3) == MARKOV


def test_effects_leave_out_what_a_missing_branch_would_use() -> None:
    without = TINY.replace(n_h=0)
    assert without.effects() == without.replace(phi_c="tanh", heights=(1,)).effects()
    assert TINY.effects() != TINY.replace(phi_c="tanh").effects()


@pytest.mark.parametrize("name", MODELS)
def test_the_default_of_a_setting_is_among_the_values_that_tuning_tries(name: str) -> None:
    recipe = Recipe.of(name)
    settings = {**(recipe.training.model_dump() if recipe.training else {}), **recipe.model.model_dump()}
    assert not {key: settings[key] for key, values in recipe.model.space.items() if settings[key] not in values}


def test_the_model_of_a_recipe_may_be_given_by_name() -> None:
    assert Recipe.of(model="caser", epochs=3) == Recipe.of("caser", epochs=3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Recipe.of("caser", epoch=3), "no field 'epoch': did you mean epochs"),
        (lambda: Recipe.of("caser", model="markov"), "has one model; got 'caser' and model='markov'. Leave one out"),
        (lambda: Recipe.of(), "a model must be a name or settings, .*; got None"),
        (lambda: Recipe.of("caser", cls=3), "has no field 'cls'"),
        (lambda: Recipe.of(cast(Any, Caser)), r"a name or settings, .* Write Caser\(\)"),
        (lambda: Recipe(cast(Any, Caser)), r"Write Caser\(\)"),
        (lambda: Recipe(cast(Any, "caser")), r"must be settings, .* Write Recipe.of\('caser'\)"),
        (lambda: Recipe(Caser(), cast(Any, {"epochs": 1})), "must be a Training"),
    ],
)
def test_arguments_of_a_wrong_kind_are_refused_in_a_sentence(make: Callable[[], Recipe], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
