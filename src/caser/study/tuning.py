"""Tuning on validation: tries settings from the recipe's space for a given time.

The first trial is the recipe as it is. Optuna's TPE sampler proposes the settings of further trials, and a trial begins
as long as time is left. A trial that falls behind the median of the earlier ones after an epoch ends there. The store
keeps every trial with the time it took, and that recorded time counts. So tuning that is started again tries the same
settings without training. The test part is not used.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from statistics import median
from typing import Any

from caser.answering.recommender import Recommender
from caser.data.split import Split
from caser.errors import ConfigError, DataError, NumericalError
from caser.fitting.checks import for_given_epochs
from caser.fitting.fit import Choice, Tell, TrainOn, fit
from caser.fitting.progress import Progress
from caser.study.recipes import Recipe
from caser.study.runs import Store
from caser.system.extras import require
from caser.system.randomness import stream_seed

LEAST_SECONDS = 1e-6
"""A budget that is used up after the first epoch of the first trial: nothing is tuned."""

MOST_TRIALS = 200
"""Trials of one recipe after which tuning ends, also if time is left."""


@dataclass(frozen=True)
class Tuned:
    """The result of tuning.

    recipe      the best recipe that was found
    choice      what validation said of it
    num_trials  how many settings were tried; 0 if the recipe fixes its epochs, so that nothing was chosen
    seconds     the time of all trials
    """

    recipe: Recipe
    choice: Choice
    num_trials: int
    seconds: float


def tune(
    store: Store,
    recipe: Recipe,
    seconds: float,
    is_hard: bool = False,
    keep: bool = False,
    tell: Tell | None = None,
) -> Tuned:
    """Try settings from a recipe's space, and return the best.

    store    keeps the trials
    recipe   the recipe to start from; with a fixed number of epochs, or without a space, no other settings are tried
    seconds  time for training and judging, all trials together
    is_hard  whether the time also cuts the first trial short; otherwise that trial runs to its end
    keep     whether the store keeps the model of the first trial, so that it need not be trained again for validation
    tell     called with Progress while a network trains, with the number of the trial and the time that is left

    Raises NumericalError if the recipe as it is diverges. Other settings that diverge, that cannot be combined, or with
    which this log cannot train, are skipped. Raises MissingDependencyError if there is something to tune and optuna is
    not installed.
    """
    if recipe.epochs is not None:
        return Tuned(recipe, Choice(math.nan, 0.0, recipe.epochs), 0, 0.0)
    if recipe.space and seconds > LEAST_SECONDS:
        require("tune", "tuning", "leave the budget at 0")
    listen = _numbered(tell, recipe, seconds)
    first = store.choice(recipe, seconds if is_hard else math.inf, keep=keep, tell=listen(1, 0.0))
    best, spent, trials = Tuned(recipe, first, 1, first.seconds), first.seconds, 1
    if spent >= seconds or not recipe.space:
        return best
    study, choices = _study(recipe, first)
    distributions = study.trials[0].distributions
    histories = [first.history]
    while spent < seconds and trials < MOST_TRIALS:
        trial = study.ask(distributions)
        try:
            tried = recipe.replace(**{name: choices[name][place] for name, place in trial.params.items()})
            choice = store.choice(tried, seconds - spent, bars=_bars(histories), tell=listen(trials + 1, spent))
        except (NumericalError, ConfigError, DataError):
            # A trial that fails costs as much as the first, so that tuning ends.
            study.tell(trial, float("-inf"))
            spent, trials = spent + first.seconds, trials + 1
            continue
        study.tell(trial, choice.value)
        histories.append(choice.history)
        spent, trials = spent + choice.seconds, trials + 1
        if choice.value > best.choice.value:
            best = Tuned(tried, choice, trials, spent)
    return Tuned(best.recipe, best.choice, trials, spent)


def fit_chosen(
    recipe: Recipe,
    choice: Choice,
    split: Split,
    *,
    train_on: TrainOn = "final",
    checkpoint: Path | None = None,
    tell: Tell | None = None,
) -> Recommender:
    """Fit a recipe for the number of epochs that validation chose; a counting model is fitted in one pass.

    Nothing is learned of the chances of answers.

    recipe                      the recipe
    choice                      what validation said of it
    split                       the split that it was chosen on
    train_on, checkpoint, tell  as for `fit`; a counting model takes no checkpoint
    """
    training = None if recipe.training is None else for_given_epochs(recipe.training)
    epochs = choice.epochs
    how: dict[str, Any] = {"epochs": epochs, "train_on": train_on, "checkpoint": checkpoint, "tell": tell}
    return fit(recipe.model, split, training, calibrate=False, **how)


def _numbered(tell: Tell | None, recipe: Recipe, seconds: float) -> Callable[[int, float], Tell | None]:
    """Return a function that makes the listener of one trial, from its number and the time spent before it."""

    def listener(trial: int, spent: float) -> Tell | None:
        if tell is None:
            return None
        began = time.perf_counter()

        def tell_trial(progress: Progress) -> None:
            left = max(0.0, seconds - spent - (time.perf_counter() - began))
            tell(replace(progress, model=recipe.model.name, trial=trial, seconds_left=left))

        return tell_trial

    return listener


def _bars(histories: Sequence[Sequence[Mapping[str, Any]]]) -> list[float]:
    """The value that a trial must have reached after each epoch: the median of what earlier trials had by then.

    histories  of the earlier trials; there are no bars for the first _TRIALS_WITHOUT_BARS
    """
    if len(histories) < _TRIALS_WITHOUT_BARS:
        return []
    reached = [list(accumulate((float(epoch["validation"]) for epoch in history), max)) for history in histories]
    shortest = min(map(len, reached))
    return [median(values[epoch] for values in reached) for epoch in range(shortest)]


_TRIALS_WITHOUT_BARS = 3
"""Trials that always run to their end. Later ones stop at an epoch where they are below the median of the others."""


def _study(recipe: Recipe, first: Choice) -> tuple[Any, dict[str, list[Any]]]:
    """An optuna study that knows the first trial, and the values of each setting.

    Optuna is given the position of a value instead of the value itself, because it keeps simple values only, and a
    value may be a list, such as dilations.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    of_training = recipe.training.model_dump() if recipe.training else {}
    settings = {**of_training, **recipe.model.model_dump()}
    choices = {  # the recipe's own value may be missing from the space
        name: list(dict.fromkeys((*values, settings[name]))) for name, values in recipe.space.items()
    }
    params = {name: values.index(settings[name]) for name, values in choices.items()}
    distributions: dict[str, Any] = {
        name: optuna.distributions.CategoricalDistribution(range(len(values))) for name, values in choices.items()
    }
    sampler = optuna.samplers.TPESampler(seed=stream_seed(recipe.seed, "tuning") % 2**32)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=first.value))
    return study, choices
