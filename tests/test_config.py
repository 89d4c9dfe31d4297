"""Settings: frozen, closed, explained; one sentence for whatever is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from caser.config import LOSSES, Settings, Training
from caser.errors import CaserError, ConfigError
from caser.models import MODELS, model_class, model_settings

every_class = pytest.mark.parametrize("settings", [Training, *map(model_class, MODELS)], ids=lambda one: one.__name__)


@every_class
def test_every_setting_explains_itself(settings: type[Settings]) -> None:
    for name, setting in settings.model_fields.items():
        assert setting.description, f"{settings.__name__}.{name} needs a docstring: it is its --help"


@every_class
def test_defaults_are_valid_and_survive_a_round_trip(settings: type[Settings]) -> None:
    assert settings(**settings().model_dump()) == settings()


@every_class
def test_settings_are_frozen(settings: type[Settings]) -> None:
    one = settings()
    for name in settings.model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(one, name, getattr(one, name))


@every_class
def test_an_unknown_setting_is_refused(settings: type[Settings]) -> None:
    with pytest.raises(ConfigError, match=f"{settings.__name__} has no setting 'nonsense'"):
        settings(nonsense=1)


def test_a_misspelt_setting_names_the_nearest() -> None:
    misspelt: dict[str, Any] = {"learning_rat": 0.1}
    with pytest.raises(ConfigError) as refused:
        Training(**misspelt)
    assert str(refused.value) == "Training has no setting 'learning_rat': did you mean learning_rate?"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"epochs": 0}, "Training epochs must be greater than or equal to 1; got 0."),
        ({"learning_rate": -1}, "Training learning_rate must be greater than 0; got -1."),
        ({"learning_rate": float("inf")}, "Training learning_rate must be a finite number; got inf."),
        ({"weight_decay": float("nan")}, "Training weight_decay must be a finite number; got nan."),
        ({"user_dropout": 1}, "Training user_dropout must be less than 1; got 1."),
        (
            {"batch_size": 2.5},
            "Training batch_size must be a valid integer, got a number with a fractional part; got 2.5.",
        ),
        ({"schedule": "cosine"}, "Training schedule must be 'constant' or 'linear'; got 'cosine'."),
    ],
)
def test_a_wrong_value_is_one_sentence_with_what_was_got(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Training(**values)
    assert str(refused.value) == sentence


def test_settings_that_contradict_each_other_are_one_sentence() -> None:
    with pytest.raises(ConfigError) as refused:
        model_settings("caser", {"n_h": 0, "n_v": 0, "user_vector": False})
    assert str(refused.value) == "Caser must keep a branch (n_h or n_v above 0) or the user vector."


def test_a_wrong_setting_is_an_error_of_this_library_and_a_value_error() -> None:
    with pytest.raises(CaserError) as refused:
        Training(loss="l2")
    assert isinstance(refused.value, ValueError)
    assert refused.value.exit_code == 2


def test_but_changes_a_copy_and_checks_it() -> None:
    training = Training(epochs=4)
    assert training.replace(seed=3) == Training(epochs=4, seed=3)
    assert training.seed == 0
    with pytest.raises(ConfigError, match="epochs"):
        training.replace(epochs=-1)


def test_every_loss_has_a_name_in_the_settings_and_every_name_a_loss() -> None:
    for name in LOSSES:
        assert Training(loss=name).loss == name
    with pytest.raises(ConfigError, match="known: bce, bpr, bpr-max"):
        Training(loss="nonsense")
    with pytest.raises(ConfigError, match="did you mean softmax"):
        Training(loss="softmx")
