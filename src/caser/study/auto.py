"""Auto: tries models on validation within a time budget, and fits the best one, or a blend of the two best.

The models that can be tuned share the budget equally. Each is tried with its default settings first, then with other
settings until its share is used up. The two best are fitted on `fit` once more, to see whether a blend of them is
better. The blend is chosen only if validation shows that it is better. The test part is never opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caser.answering.recommender import Recommender, load
from caser.data.split import Split
from caser.evaluation import protocols
from caser.evaluation.judge import check_split
from caser.fitting.calibrate import calibration_facts
from caser.fitting.fit import TrainOn
from caser.study.arguments import Models
from caser.study.best import Winner
from caser.study.blending import blend_weight, blended
from caser.study.compare import recipes_for
from caser.study.engine import Plan, StepListener, carry_out, plan_of
from caser.study.runs import Store
from caser.study.tuning import LEAST_SECONDS, Tuned, fit_chosen


def auto(
    split: Split,
    plan: Plan,
    models: Models = (),
    *,
    training: Mapping[str, Any] | None = None,
    train_on: TrainOn = "final",
    tell: StepListener | None = None,
) -> Winner:
    """Try models on validation within `plan.budget` seconds, and fit the winner.

    split     what the models are trained and judged on
    plan      the budget, workers, and the folder of finished runs; its part and its seeds are not used
    models    names of models, or settings; all models if none is named. The counting baselines, and a blend of the two
              best, are tried in any case
    training  settings of `Training` for every network on which they have an effect, such as {"epochs": 5} or
              {"seed": 1}; each model's own otherwise
    train_on  the part that the winner is trained on, as for `fit`
    tell      called with a `Step` after each step

    The test part is never opened. Raises ConfigError for what is no split, for an unknown model, and for a
    setting of training that is wrong or has no effect on these models.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from caser.data.synthetic import chain_world
    >>> from caser.evaluation.protocols import apply
    >>> split = apply("leave-one-out", chain_world(num_users=80, num_items=6, length=9, seed=0).log)
    >>> with TemporaryDirectory() as folder:
    ...     winner = auto(split, Plan(workers=1, store=Path(folder), budget=1.0), ["markov"])
    >>> sorted(winner.tried)
    ['count-knn', 'markov', 'popularity']
    """
    check_split(split)
    recipes, notes = recipes_for(split, models, tuned=True, training=training)
    budget = plan_of(plan).budget or LEAST_SECONDS
    on_validation = plan.replace(part="validation", seeds=(), budget=budget, is_hard=True)
    outcome = carry_out(recipes, {"": split}, on_validation, tell or (lambda _: None))
    ranking = sorted(outcome.chosen.values(), key=lambda tuned: -tuned.choice.value)
    best, *others = ranking
    why = [f"{_name(best)} is best on validation: {_metric(split)} {best.choice.value:.4f}"]
    store, fitted = Store(plan.store, split), None
    judged = _on_fit(store, best)
    if others:
        why.append(f"{_name(others[0])} comes next: {others[0].choice.value:.4f}")
        other = _on_fit(store, others[0])
        weight, sentence = blend_weight(split, judged, other)
        why.append(sentence)
        if weight is not None:
            second = _fitted(others[0], split, train_on)
            fitted = blended(_fitted(best, split, train_on), second, weight)
            judged = blended(judged, other, weight)
    fitted = fitted or _fitted(best, split, train_on)
    fitted.artefact.manifest.update(why=why, calibration=calibration_facts(judged.artefact.scorer, split))
    return Winner(fitted, (*why, *notes, *outcome.notes), {_name(one): one.choice.value for one in ranking})


def _on_fit(store: Store, tuned: Tuned) -> Recommender:
    """A tuned recipe, trained on `fit`."""
    return load(store.run(tuned.recipe, tuned.choice.epochs, tuned.recipe.seed, "validation").folder)


def _fitted(tuned: Tuned, split: Split, train_on: TrainOn) -> Recommender:
    """A tuned recipe, trained on the part that is wanted."""
    return fit_chosen(tuned.recipe, tuned.choice, split, train_on=train_on)


def _name(tuned: Tuned) -> str:
    return tuned.recipe.model.name


def _metric(split: Split) -> str:
    return protocols.protocol_named(split.name).validation_metric
