"""Tuning on validation: the same time, or the same number of trials, for every recipe.

The first trial is the recipe as it is, and runs to its end; further ones are proposed by optuna's TPE sampler and begin
as long as time is left. Trials are kept, and their recorded time counts, so tuning that is started again repeats itself
without training. Assumes a recipe with a space. The test part plays no role.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from caser.errors import ConfigError, MissingDependencyError, NumericalError
from caser.fitting.fit import Choice
from caser.study.recipes import Recipe
from caser.study.runs import Store
from caser.system.randomness import stream_seed

MOST_TRIALS = 200
"""However cheap they are."""


@dataclass(frozen=True)
class Tuned:
    """The best recipe that was found, what validation says of it, and what it took."""

    recipe: Recipe
    choice: Choice
    num_trials: int
    seconds: float


def tune(store: Store, recipe: Recipe, seconds: float, is_hard: bool = False) -> Tuned:
    """Try settings from the recipe's space for about `seconds` of training and judging.

    Unless the limit `is_hard`, the first trial runs to its end however long it takes.
    A recipe with a fixed number of epochs has nothing to choose. Raises NumericalError if the recipe as it is diverges;
    other settings that do, or that do not go together, are passed over.
    """
    if recipe.epochs is not None:
        return Tuned(recipe, Choice(math.nan, 0.0, recipe.epochs), 0, 0.0)
    first = store.choice(recipe, seconds if is_hard else math.inf)
    best, spent, trials = Tuned(recipe, first, 1, first.seconds), first.seconds, 1
    if spent >= seconds or not recipe.space:
        return best
    study, choices = _study(recipe, first)
    distributions = study.trials[0].distributions
    while spent < seconds and trials < MOST_TRIALS:
        trial = study.ask(distributions)
        try:
            tried = recipe.replace(**{name: choices[name][place] for name, place in trial.params.items()})
            choice = store.choice(tried, seconds - spent)
        except (NumericalError, ConfigError):
            study.tell(trial, float("-inf"))
            spent, trials = spent + first.seconds, trials + 1
            continue
        study.tell(trial, choice.value)
        spent, trials = spent + choice.seconds, trials + 1
        if choice.value > best.choice.value:
            best = Tuned(tried, choice, trials, spent)
    return Tuned(best.recipe, best.choice, trials, spent)


def _study(recipe: Recipe, first: Choice) -> tuple[Any, dict[str, list[Any]]]:
    """An optuna study that knows the first trial, and the values that its numbers stand for.

    Numbers, because a value may be a list, such as dilations, and optuna keeps simple values only.
    """
    try:
        import optuna
    except ModuleNotFoundError:
        raise MissingDependencyError(
            "tuning needs optuna, which is not installed. Run: pip install 'caser[tune]', or leave the budget at 0."
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings = {**recipe.training.model_dump(), **recipe.model.model_dump()}
    choices = {  # the recipe's own value may be none of those worth trying
        name: list(dict.fromkeys((*values, settings[name]))) for name, values in recipe.space.items()
    }
    params = {name: values.index(settings[name]) for name, values in choices.items()}
    distributions: dict[str, Any] = {
        name: optuna.distributions.CategoricalDistribution(range(len(values))) for name, values in choices.items()
    }
    sampler = optuna.samplers.TPESampler(seed=stream_seed(recipe.training.seed, "tuning") % 2**32)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=first.value))
    return study, choices
