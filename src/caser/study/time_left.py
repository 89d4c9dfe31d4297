"""Estimates how many seconds a study still needs, from the time that its finished steps took.

Only networks count, because simple models take seconds. A network that has not begun is taken to need as long as the
finished ones did on average, so the estimate becomes better with every step.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from statistics import fmean

from caser.study.recipes import Recipe
from caser.study.runs import Run
from caser.study.tuning import Tuned


def seconds_left(
    recipes: Mapping[str, Recipe],
    chosen: Mapping[str, Tuned],
    runs: Mapping[str, Sequence[Run]],
    left_out: Collection[str],
    *,
    num_seeds: int,
    seconds_each: float,
    num_workers: int,
) -> float | None:
    """Return how many seconds a study still needs, about; None before a network has finished a step.

    recipes       all recipes of the study, by label
    chosen        those whose settings and epochs are chosen
    runs          the finished runs of each recipe
    left_out      the labels of recipes that failed
    num_seeds     how often each network is refitted
    seconds_each  time for tuning each recipe that has a space
    num_workers   how many processes share the work

    >>> seconds_left({"markov": Recipe.of("markov")}, {}, {}, (), num_seeds=3, seconds_each=0, num_workers=1)
    0.0
    """
    networks = {label: one for label, one in recipes.items() if one.is_neural and label not in left_out}
    if not networks:
        return 0.0
    choices = [chosen[label].seconds for label in networks if label in chosen]
    refits = {label: seconds for label in networks if (seconds := _refit(label, chosen, runs)) is not None}
    if not refits:
        return None
    usual_choice, usual_refit = fmean(choices), fmean(refits.values())
    left = 0.0
    for label, recipe in networks.items():
        if label not in chosen:
            left += max(usual_choice, seconds_each if recipe.space else 0.0)
        left += refits.get(label, usual_refit) * (num_seeds - len(runs.get(label, ())))
    return left / num_workers


def _refit(label: str, chosen: Mapping[str, Tuned], runs: Mapping[str, Sequence[Run]]) -> float | None:
    """The seconds of one refit: as measured, or as long as the chosen epochs took; None if neither is known."""
    if label in runs:
        return fmean(sum(run.seconds.values()) for run in runs[label])
    if label not in chosen or not chosen[label].choice.history:
        return None
    choice = chosen[label].choice
    return sum(float(epoch["seconds"]) for epoch in choice.history[: choice.epochs])
