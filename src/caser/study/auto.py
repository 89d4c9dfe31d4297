"""Auto: try what there is within a budget, on validation, and ship what wins: one model, or a blend of two.

Counting models come first, because they cost seconds. The networks share the budget equally; each is tried as it is,
then with other settings as long as its share lasts. The two best are fitted on `fit` once more to see whether a blend
of them is better still; a blend ships only where validation shows that. Nothing here opens the test part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from caser.answering.recommender import Recommender
from caser.artefact import folder as artefact
from caser.data.split import Split
from caser.evaluation import judge, protocols
from caser.fitting.checks import for_given_epochs
from caser.fitting.fit import fit
from caser.models.base import Scorer
from caser.models.blend import Blend, BlendScorer
from caser.study.compare import recipes_for
from caser.study.engine import Plan, Tell, carry_out
from caser.study.runs import Store
from caser.study.tuning import Tuned

WEIGHTS = (0.2, 0.35, 0.5, 0.65, 0.8)
"""What the better model may weigh in a blend."""


@dataclass(frozen=True, eq=False)
class Winner:
    """What ships, sentences that say why, and the validation value of everything that was tried, best first."""

    recommender: Recommender
    why: tuple[str, ...]
    tried: dict[str, float]


def auto(
    split: Split,
    plan: Plan,
    models: Iterable[str] = (),
    *,
    training: Mapping[str, Any] | None = None,
    tell: Tell | None = None,
) -> Winner:
    """Try models within `plan.budget` seconds, and fit the winner on `final`.

    models  by name; all but the blend, which is tried in any case, by default

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
    recipes, notes = recipes_for(split, models, tuned=True, training=training or {})
    trying = replace(plan, part="validation", seeds=(), is_hard=True)
    outcome = carry_out(recipes, {"": split}, trying, tell or (lambda _: None))
    chosen = sorted(outcome.chosen.values(), key=lambda tuned: -tuned.choice.value)
    best, *others = chosen
    why = [f"{_name(best)} is best on validation: {_metric(split)} {best.choice.value:.4f}"]
    fitted = None
    if others:
        why.append(f"{_name(others[0])} comes next: {others[0].choice.value:.4f}")
        weight, sentence = _blend_of(split, plan, best, others[0])
        why.append(sentence)
        if weight is not None:
            fitted = _blended(split, best, others[0], weight)
    fitted = fitted or _fitted(split, best)
    fitted.artefact.manifest["why"] = why
    return Winner(fitted, (*why, *notes, *outcome.notes), {_name(one): one.choice.value for one in chosen})


def _blend_of(split: Split, plan: Plan, best: Tuned, second: Tuned) -> tuple[float | None, str]:
    """The weight of the best model in a blend of two that validation shows to be better, or None; and a sentence."""
    store, metric = Store(plan.store, split), _metric(split)
    pair = (best, second)
    runs = [store.run(one.recipe, one.choice.epochs, one.recipe.training.seed, "validation") for one in pair]
    scorers: list[Scorer] = [artefact.load(run.folder).scorer for run in runs]
    blends = {str(weight): BlendScorer(_config(best, second, weight), *scorers) for weight in WEIGHTS}
    tables = {weight: [judge.rank(blend, split, "validation")] for weight, blend in blends.items()}
    report = judge.report({**tables, "alone": [runs[0].table]}, split, "validation", baselines=["alone"])
    found = max(tables, key=lambda weight: report.estimate(weight, metric).value)
    difference = report.differences("alone", metric)[found]
    blend = f"a blend of {_name(best)} at {float(found):g} with {_name(second)}"
    sentence = difference.sentence(blend, f"{_name(best)} alone", metric, report.num_owners, report.owner_word)
    return (float(found) if difference.is_shown and difference.value > 0 else None), sentence


def _fitted(split: Split, tuned: Tuned) -> Recommender:
    """A tuned recipe, fitted on `final`."""
    training = for_given_epochs(tuned.recipe.training) if tuned.recipe.is_neural else None
    return fit(tuned.recipe.model, split, training, epochs=tuned.choice.epochs)


def _blended(split: Split, best: Tuned, second: Tuned, weight: float) -> Recommender:
    """Both, fitted on `final`, as one model; facts of training are those of the one that trains."""
    parts = [_fitted(split, one).artefact for one in (best, second)]
    trained = next((part for part in parts if part.manifest["training"]), parts[0])
    config = _config(best, second, weight)
    scorer = BlendScorer(config, *(part.scorer for part in parts))
    return Recommender(replace(parts[0], config=config, scorer=scorer, manifest=trained.manifest))


def _config(best: Tuned, second: Tuned, weight: float) -> Blend:
    first_model, second_model = best.recipe.model, second.recipe.model
    return Blend(
        first=first_model.name,
        first_settings=first_model.model_dump(mode="json"),
        second=second_model.name,
        second_settings=second_model.model_dump(mode="json"),
        weight=weight,
    )


def _name(tuned: Tuned) -> str:
    return tuned.recipe.model.name


def _metric(split: Split) -> str:
    return protocols.protocol_named(split.name).validation_metric
