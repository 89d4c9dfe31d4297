"""Checks the arguments that several studies share: the models, and settings of training for all networks.

A setting of training must have an effect on at least one network of the study. Networks on which it has no effect do
not get it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from caser.config import LOSSES, Training
from caser.errors import ConfigError, did_you_mean
from caser.models.settings import ModelSettings
from caser.study.recipes import Recipe, settings_of

Models = Iterable[str | ModelSettings] | str | ModelSettings
"""What a study takes as models: names, settings, or both; one alone needs no list."""


def models_by_name(models: Models) -> dict[str, ModelSettings]:
    """Return the settings of models by name, in the given order.

    models  names, which stand for the default settings, and settings

    Raises ConfigError for an unknown name, for what is neither a name nor settings, and if one name has two settings.

    >>> from caser.models.counting.markov import Markov
    >>> list(models_by_name(["popularity", Markov()]))
    ['popularity', 'markov']
    """
    listed = models if isinstance(models, Iterable) and not isinstance(models, str | ModelSettings) else [models]
    found: dict[str, ModelSettings] = {}
    for model in listed:
        settings = settings_of(model)
        if found.setdefault(settings.name, settings) != settings:
            raise ConfigError(
                f"a study must have each model once, because its rows are named after the models; got {settings.name} "
                "with different settings. Use caser.sweep to compare values of a setting."
            )
    return found


def refuse_seed(training: Training | Mapping[str, Any] | None) -> None:
    """Refuse a seed that a caller set in the training of a study: the seeds of the plan replace it.

    training  what the caller gave: all settings of training, or some by name

    Raises ConfigError if the seed is set.
    """
    if isinstance(training, Training) and "seed" in training.model_fields_set:
        seed = training.seed
    elif isinstance(training, Mapping) and "seed" in training:
        seed = training["seed"]
    else:
        return
    raise ConfigError(
        f"seed must be left out of the training of a study, which trains with every seed of its plan; got {seed!r}. "
        "Set Plan.seeds instead (on the command line, their number: --seeds)."
    )


def with_training(recipes: Mapping[str, Recipe], training: Mapping[str, Any] | None) -> dict[str, Recipe]:
    """Return the recipes with some settings of training changed, for each network on which they have an effect.

    recipes   by label
    training  new values by the name of the setting; None changes nothing

    Raises ConfigError for an unknown name, for a wrong value, and for a setting without an effect on any recipe.

    >>> with_training({"markov": Recipe.of("markov")}, {"epochs": 3})
    Traceback (most recent call last):
    caser.errors.ConfigError: epochs of the training has no effect on the models of this study: markov. Leave it out.
    """
    if training is None:
        return dict(recipes)
    if not isinstance(training, Mapping):
        raise ConfigError(
            'training must be a dict of the settings to change, such as {"epochs": 5}, because each network keeps its '
            f"own values of the others; got {type(training).__name__}."
        )
    for name in training:
        if name not in Training.model_fields:
            raise ConfigError(f"Training has no setting {name!r}: {did_you_mean(str(name), Training.model_fields)}")
    # Give each network the settings that have an effect on it.
    changed, effective = dict(recipes), set()
    for label, recipe in recipes.items():
        if recipe.training is not None:
            values = {name: value for name, value in training.items() if _has_effect(name, recipe, training)}
            changed[label] = replace(recipe, training=recipe.training.replace(**values))
            effective |= set(values)
    # Refuse a setting that no network got.
    for name, value in training.items():
        if name == "loss_settings" and "loss" in training:
            Training(loss=training["loss"], loss_settings=value)  # names a setting that the given loss does not have
        if name not in effective:
            raise ConfigError(
                f"{name} of the training has no effect on the models of this study: {', '.join(recipes)}. Leave it out."
            )
    return changed


def _has_effect(name: str, recipe: Recipe, training: Mapping[str, Any]) -> bool:
    """Whether a setting of `training` has an effect on a network, given the loss that it then trains with."""
    if name == "user_dropout":
        return recipe.model.has_user_vectors
    now = recipe.training or Training()
    loss = training.get("loss", now.loss)
    if not isinstance(loss, str) or loss not in LOSSES:
        return True  # Training refuses this loss with its own message
    if name in LOSSES[loss].unused_settings(str(training.get("negatives", now.negatives))):
        return False
    if name == "loss_settings" and isinstance(training[name], Mapping):
        return set(training[name]) <= set(LOSSES[loss].settings)
    return True
