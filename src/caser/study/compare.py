"""Compare: every model under one protocol, to say whether sequence models are worth training on a log.

Counting models are always compared too, and the verdict is on the difference to the best of them. Differences are
corrected for the number of models. If no model beats chance, the study says so first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from caser.data.split import Split
from caser.errors import ConfigError
from caser.evaluation.judge import check_split
from caser.evaluation.protocols import protocol_named
from caser.evaluation.report import Report
from caser.models import COUNTING_BASELINES, MODELS
from caser.study.arguments import Models, models_by_name, refuse_seed, with_training
from caser.study.chance import beat_chance, chance
from caser.study.engine import Plan, StepListener, plan_of
from caser.study.recipes import Recipe
from caser.study.study import Study, run_study
from caser.study.words import concluded, sentence


def compare(
    split: Split,
    models: Models = (),
    plan: Plan | None = None,
    *,
    training: Mapping[str, Any] | None = None,
    tell: StepListener | None = None,
) -> Study:
    """Compare models on one split. The counting baselines are always among them.

    split     what the models are trained and judged on, such as `caser.split("leave-one-out", log)`
    models    names of models, or settings such as `caser.Caser(L=3)`; all models but the blend if none is named
    plan      seeds, the budget for tuning, workers, and the folder of finished runs; `Plan()` by default
    training  settings of `Training` for every network on which they have an effect, such as {"epochs": 5}; each
              model's own otherwise. The seeds are the plan's
    tell      called with a `Step` after each step

    The study opens the test part, unless the plan's part is `validation`. Models that the protocol does not allow, and
    models whose training fails, are left out and named in the notes. Raises ConfigError for what is no split, for an
    unknown model, for a setting of training that is wrong or has no effect on these models, or if no counting model
    could be fitted.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from caser.data.synthetic import chain_world
    >>> from caser.evaluation.protocols import apply
    >>> split = apply("leave-one-out", chain_world(num_users=60, num_items=6, length=9, seed=0).log)
    >>> with TemporaryDirectory() as folder:
    ...     study = compare(split, ["markov"], Plan(workers=1, store=Path(folder)))
    >>> study.ranking[0]
    'markov'
    """
    check_split(split)
    plan = plan_of(plan)
    refuse_seed(training)
    recipes, notes = recipes_for(split, models, tuned=plan.budget > 0, training=training)
    counting = [label for label, recipe in recipes.items() if not recipe.is_neural]
    study = run_study(
        "compare",
        "Which model is worth it on this log?",
        recipes,
        {"": split},
        plan,
        reference=lambda report: best_of(counting, report),
        baselines=counting,
        tell=tell,
    )
    by_chance = chance(next(iter(study.outcome.runs.values()))[0].table, study.metric)
    estimates = {label: study.report.estimate(label, study.metric) for label in study.report.values}
    if not beat_chance(estimates, by_chance):
        guessing = f"a random order gets {study.metric} {by_chance:.4f}"
        verdict = f"No model beats chance: {guessing}, and no model is shown to do better."
        instead = "Ship popularity, or look at the log first: caser audit LOG."
        return replace(concluded(study, (verdict,), (instead,)), notes=tuple(notes))
    return replace(concluded(study, verdicts(study), advice(study)), notes=tuple(notes))


def recipes_for(
    split: Split, models: Models, *, tuned: bool, training: Mapping[str, Any] | None
) -> tuple[dict[str, Recipe], list[str]]:
    """Return a recipe for each model that the split's protocol allows, and sentences on the models that it does not.

    split     its protocol decides whether a model may have user vectors
    models    as for `compare`
    tuned     whether the recipes get the space of their model, so that they are tuned
    training  as for `compare`; a seed is used

    Raises ConfigError for an unknown model, and for a setting of training that is wrong or has no effect.
    """
    named = models_by_name(models) or models_by_name(name for name in MODELS.usable() if name != "blend")
    anonymous = protocol_named(split.name).anonymous
    recipes, notes = {}, []
    for name, model in {**models_by_name(COUNTING_BASELINES), **named}.items():
        settings = model.without_user_vectors() if anonymous else model
        if settings is None:
            notes.append(
                f"{name} is left out: {split.name} judges only users that training never saw, without a vector"
            )
            continue
        recipes[name] = Recipe.of(settings, space=settings.space if tuned else {})
    return with_training(recipes, training), notes


def best_of(labels: Iterable[str], report: Report) -> str:
    """Return the best of some rows.

    labels  the rows; one that the report does not have, because it failed, is passed over
    report  judges them, by the metric that chooses on validation

    Raises ConfigError if the report has none of them.
    """
    metric, named = report.protocol.validation_metric, list(labels)
    judged = [label for label in named if label in report.values]
    if not judged:
        raise ConfigError(f"a study needs one of {', '.join(named)} to compare with; all of them failed.")
    return max(judged, key=lambda label: report.estimate(label, metric).value)


def verdicts(study: Study) -> tuple[str, ...]:
    """Return sentences that compare the best network of `study`, and Caser, with the best simple model."""
    counting = study.reference
    neural = [label for label in study.ranking if study.recipe(label).is_neural]
    if not neural:
        return (f"{counting} is the best simple model: {_about(study, counting)}. No network was compared with it.",)
    best = neural[0]
    pairs = [(best, counting)]
    if "caser" in neural[1:]:
        pairs += [("caser", counting), ("caser", best)]
    return tuple(f"{sentence(study, *pair)}." for pair in pairs)


def advice(study: Study) -> tuple[str, ...]:
    """Return a sentence on which model of `study` to ship: the best on validation, if the test part agrees."""
    chosen = max(study.outcome.chosen, key=lambda label: study.outcome.chosen[label].choice.value)
    if not study.recipe(chosen).is_neural:
        return (f"Ship {chosen}: it is best on validation, and it is simple: {_about(study, chosen)}.",)
    difference = study.differences[chosen]
    seconds = study.outcome.runs[chosen][0].seconds["training"]
    if difference.is_shown and difference.value > 0:
        return (f"Ship {chosen}: it is best on validation, the test part agrees, and it trains in {seconds:,.0f} s.",)
    return (
        f"{chosen} is best on validation, but the test part shows no gain over {study.reference}, a simple model: "
        f"ship {study.reference} unless you can judge on more {study.report.owner_word}s.",
    )


def _about(study: Study, label: str) -> str:
    """What the model of a row does, as a clause."""
    return f"it {study.recipe(label).model.about}"
