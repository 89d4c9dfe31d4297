"""The arguments of studies: models of every form, and settings of training that must have an effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from caser.config import Training
from caser.errors import ConfigError
from caser.models.counting.count_knn import CountKNN
from caser.models.counting.markov import Markov
from caser.study.arguments import models_by_name, with_training
from caser.study.auto import auto
from caser.study.compare import compare, recipes_for
from caser.study.recipes import Recipe
from caser.study.sessions import compare_sessions
from tests.study.small import MARKOV, TINY, small_plan, small_split, training_of

RECIPES = {"markov": MARKOV, "caser": TINY, "gru4rec": Recipe.of("gru4rec"), "bpr-mf": Recipe.of("bpr-mf")}


@pytest.mark.parametrize("models", ["markov", Markov(), ["markov"], [Markov()], iter(["markov", Markov(), "markov"])])
def test_models_are_names_or_settings_in_a_list_or_alone(models: Any) -> None:
    assert models_by_name(models) == {"markov": Markov()}


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([Markov], r"a name or settings, .* Write Markov\(\)"),
        (3, "a name or settings, .* got 3"),
        (["markof"], "did you mean markov"),
        (["count-knn", CountKNN(reach=1)], "must have each model once, .* got count-knn"),
    ],
)
def test_other_models_are_refused(models: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        models_by_name(models)


def test_settings_replace_a_baseline_of_the_same_name() -> None:
    recipes, _ = recipes_for(small_split(), [CountKNN(reach=1)], tuned=False, training=None)
    assert list(recipes) == ["popularity", "markov", "count-knn"]
    assert recipes["count-knn"].model == CountKNN(reach=1)


def test_a_network_gets_only_the_settings_that_have_an_effect_on_it() -> None:
    changed = with_training(RECIPES, {"epochs": 1, "user_dropout": 0.2, "num_negatives": 7})
    assert changed["markov"] == MARKOV
    assert {training_of(changed[name]).epochs for name in ("caser", "gru4rec", "bpr-mf")} == {1}
    assert training_of(changed["caser"]).user_dropout == 0.2
    assert training_of(changed["gru4rec"]).user_dropout == 0.0
    assert training_of(changed["bpr-mf"]).num_negatives == 7
    assert "num_negatives" not in training_of(changed["caser"]).model_fields_set


@pytest.mark.parametrize(
    ("names", "training", "message"),
    [
        (["markov", "gru4rec"], {"user_dropout": 0.2}, "user_dropout .* no effect on .*: markov, gru4rec"),
        (["markov"], {"epochs": 3}, "epochs .* no effect on .*: markov"),
        (["markov"], {"epoch": 3}, "did you mean epochs"),
        (["caser"], {"num_negatives": 3}, "num_negatives .* no effect"),
        (["caser"], {"loss_settings": {"calibration": 0.5}}, "loss_settings .* no effect"),
        (["caser"], {"loss": "gbce", "loss_settings": {"calibratoin": 0.5}}, "did you mean calibration"),
        (["caser"], {"loss": "gbec"}, "did you mean gbce"),
        (["caser"], {"learning_rate": -1}, "learning_rate must be above 0"),
        (["caser"], Training(epochs=1), "must be a dict of the settings to change"),
    ],
)
def test_a_setting_of_training_without_an_effect_is_refused(names: list[str], training: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_training({name: RECIPES[name] for name in names}, training)


def test_the_seed_of_training_is_refused_because_the_plan_has_the_seeds(tmp_path: Path) -> None:
    seeded = {"epochs": 1, "seed": 7}
    with pytest.raises(ConfigError, match=r"seed must be left out .* got 7. Set Plan.seeds"):
        compare(small_split(), ["caser"], small_plan(tmp_path), training=seeded)
    with pytest.raises(ConfigError, match=r"Set Plan.seeds"):
        compare_sessions(small_split().log, models=["markov", "caser"], plan=small_plan(tmp_path), training=seeded)
    assert not list(tmp_path.iterdir())


def test_auto_trains_with_the_given_seed_because_it_uses_no_seeds_of_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def stop(recipes: Any, *_: Any) -> Any:
        seen.append(recipes["caser"].seed)
        raise InterruptedError

    monkeypatch.setattr("caser.study.auto.carry_out", stop)
    with pytest.raises(InterruptedError):
        auto(small_split(), small_plan(tmp_path), cast(Any, "caser"), training={"seed": 7})
    assert seen == [7]
