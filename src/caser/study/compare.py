"""Compare: every model under one protocol, and whether the sequence models are worth it.

Counting models are always among them. The verdict is taken against the best of them, the differences are corrected for
how many there are, and where nothing beats chance the study says that first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from caser.data.split import Split
from caser.errors import ConfigError
from caser.evaluation.protocols import protocol_named
from caser.evaluation.report import Report
from caser.models import COUNTING_BASELINES, MODELS, model_settings
from caser.study.chance import beat_chance, chance
from caser.study.engine import Plan, Tell
from caser.study.recipes import Recipe
from caser.study.study import Study, conduct


def compare(
    split: Split,
    models: Iterable[str] = (),
    plan: Plan | None = None,
    *,
    training: Mapping[str, Any] | None = None,
    tell: Tell | None = None,
) -> Study:
    """Compare models on a split: all that MODELS has by default, and the counting baselines in any case.

    plan      seeds, the budget for tuning, and where finished runs are kept
    training  settings of `Training` that hold for every neural model, such as {"epochs": 5}

    Opens the test part, unless the plan's part is `validation`. Raises ConfigError for an unknown model.

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
    plan = plan or Plan()
    recipes, notes = recipes_for(split, models, tuned=plan.budget > 0, training=training or {})
    counting = [label for label, recipe in recipes.items() if not recipe.is_neural]
    study = conduct(
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
        verdict = f"No model beats chance: guessing gets {study.metric} {by_chance:.4f}, and none is shown to get more."
        instead = "Ship popularity, or look at the log first: caser audit LOG."
        return replace(study, verdicts=(verdict,), advice=(instead,), notes=tuple(notes))
    return replace(study, verdicts=verdicts(study), advice=advice(study), notes=tuple(notes))


def recipes_for(
    split: Split, models: Iterable[str], *, tuned: bool, training: Mapping[str, Any]
) -> tuple[dict[str, Recipe], list[str]]:
    """A recipe for each model that the split's protocol allows, and sentences on those that it does not."""
    named = tuple(models)
    names = dict.fromkeys([*COUNTING_BASELINES, *(named or (name for name in MODELS if name != "blend"))])
    anonymous = protocol_named(split.name).anonymous
    recipes, notes = {}, []
    for name in names:
        model = model_settings(name)
        settings = model.without_user_vectors() if anonymous else model
        if settings is None:
            notes.append(f"{name} is left out: {split.name} judges only users that no user vector was learned for")
            continue
        recipe = Recipe.of(settings, space=settings.space if tuned else {})
        recipes[name] = recipe.replace(**training) if recipe.is_neural else recipe
    return recipes, notes


def best_of(labels: Iterable[str], report: Report) -> str:
    """The best of some rows, of those that are there, by the metric that chooses. Raises ConfigError if none is."""
    metric, named = report.protocol.validation_metric, list(labels)
    there = [label for label in named if label in report.values]
    if not there:
        raise ConfigError(f"a study needs one of {', '.join(named)} to compare with; all of them failed.")
    return max(there, key=lambda one: report.estimate(one, metric).value)


def verdicts(study: Study) -> tuple[str, ...]:
    """The best neural model and Caser against the best that only counts."""
    counting = study.reference
    neural = [label for label in study.ranking if study.recipe(label).is_neural]
    if not neural:
        return (f"{counting} is the best model that counts; none that trains was compared.",)
    best = neural[0]
    pairs = [(best, counting)]
    if "caser" in neural[1:]:
        pairs += [("caser", counting), ("caser", best)]
    return tuple(f"{sentence(study, *pair)}." for pair in pairs)


def advice(study: Study) -> tuple[str, ...]:
    """What to ship: chosen by validation, and what the test part says of the choice."""
    chosen = max(study.outcome.chosen, key=lambda label: study.outcome.chosen[label].choice.value)
    if not study.recipe(chosen).is_neural:
        return (f"Ship {chosen}: it is best on validation, and it needs no training.",)
    difference = study.differences[chosen]
    seconds = study.outcome.runs[chosen][0].seconds["training"]
    if difference.is_shown and difference.value > 0:
        return (f"Ship {chosen}: it is best on validation, the test part agrees, and it trains in {seconds:,.0f} s.",)
    return (
        f"{chosen} is best on validation, but the test part shows no gain over {study.reference}, which only counts: "
        f"ship {study.reference} unless you can judge on more {study.report.owner_word}s.",
    )


def sentence(study: Study, first: str, second: str) -> str:
    """One row against another, in plain words, without a full stop."""
    report, metric = study.report, study.metric
    found = study.differences[first] if second == study.reference else report.difference(first, second, metric)
    low, high = sorted((abs(found.low), abs(found.high)))
    if found.is_shown and low <= abs(found.value) <= high:
        verb = "beats" if found.value > 0 else "loses to"
        return f"{first} {verb} {second} by {abs(found.value):.4f} {metric} (95 % {low:.4f} to {high:.4f})"
    return (
        f"{first} and {second} do not differ by more than {report.num_owners:,} {report.owner_word}s can show: "
        f"{found.value:+.4f} {metric} (95 % {found.low:+.4f} to {found.high:+.4f}; smallest they could show "
        f"{found.smallest_detectable:.4f})"
    )
