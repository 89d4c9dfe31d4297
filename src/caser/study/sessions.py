"""Compares models that read one session with models that know the user: what do earlier sessions and a user vector add?

Every model predicts the same targets, the next items of a session. The models differ in the history that they read,
this session only or everything that the user did before, and in whether they have a vector for the user. A long pause
begins a new session (`data/user_sessions.py`). If each user of the log is a session already, use `compare` under the
protocol `sessions` instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from caser.data.log import InteractionLog
from caser.data.split import Split
from caser.data.user_sessions import DEFAULT_GAP, Reads, user_sessions
from caser.errors import ConfigError
from caser.fitting.defaults import facts_of
from caser.models.settings import ModelSettings
from caser.study.arguments import Models, models_by_name, refuse_seed, with_training
from caser.study.compare import best_of
from caser.study.engine import Plan, StepListener, plan_of
from caser.study.recipes import Recipe
from caser.study.study import Study, run_study
from caser.study.words import concluded, sentence

READS: dict[Reads, str] = {"session": "this session", "all": "all sessions"}
"""What a model reads, as a label says it."""

DEFAULT_MODELS = ("popularity", "markov", "count-knn", "session-knn", "gru4rec", "caser")
"""The models that are compared unless others are named."""


def compare_sessions(
    log: InteractionLog,
    gap: float = DEFAULT_GAP,
    models: Models = (),
    plan: Plan | None = None,
    *,
    training: Mapping[str, Any] | None = None,
    tell: StepListener | None = None,
) -> Study:
    """Train models on sessions and on whole users, with and without a user vector, and judge all on the same targets.

    log       a log with times, whose users return
    gap       seconds; a longer pause begins a new session
    models    names of models, or settings, a counting model among them; `DEFAULT_MODELS` if none is named
    plan      seeds, the budget for tuning, workers, and the folder of finished runs; `Plan()` by default
    training  settings of `Training` for every network on which they have an effect, such as {"epochs": 5}; each
              model's own otherwise. The seeds are the plan's
    tell      called with a `Step` after each step

    The study opens the test part, unless the plan's part is `validation`. Raises DataError for a log without times or
    without returning users. Raises ConfigError for an unknown model, for a setting of training that is wrong or has no
    effect on these models, or if no counting model is among the models.
    """
    plan = plan_of(plan)
    refuse_seed(training)
    named = models_by_name(models) or models_by_name(DEFAULT_MODELS)
    splits: dict[str, Split] = {reads: user_sessions(log, gap, reads) for reads in READS}
    # Both readings answer the questions of one protocol; what a view may read belongs to its recipe.
    splits = {reads: replace(split, name=splits["all"].name) for reads, split in splits.items()}
    recipes: dict[str, Recipe] = {}
    for model in named.values():
        recipes |= dict(_recipes(model, tuned=plan.budget > 0))
    # What is open is chosen once, so that the rows of a model differ only in what they read.
    facts = facts_of(splits["all"])
    recipes = {label: one.for_log(facts) for label, one in with_training(recipes, training).items()}
    counting = [label for label, recipe in recipes.items() if not recipe.is_neural]
    if not counting:
        raise ConfigError("a session study needs a counting model to compare with; got none. Name markov too.")
    study = run_study(
        "sessions",
        "Is the session enough, or does it help to know the user?",
        recipes,
        splits,
        plan,
        reference=lambda report: best_of(counting, report),
        baselines=counting,
        tell=tell,
    )
    return replace(concluded(study, _verdicts(study)), extra={"gap_seconds": gap})


def _recipes(model: ModelSettings, *, tuned: bool) -> Iterator[tuple[str, Recipe]]:
    """Every version of a model: it reads this session or all sessions, and has no user vector or one."""
    plain = model.without_user_vectors()
    kinds = {"": plain} if plain is model else {"": plain, " + user vector": model.with_user_vectors()}
    for suffix, settings in kinds.items():
        if settings is None:
            continue
        recipe = Recipe.of(settings, space=settings.space if tuned else {})
        for reads, words in READS.items():
            if settings.name in ("popularity", "recent-popularity") and reads == "session":
                continue  # these models read no history, so both would be the same
            setting = "with a user vector" if suffix else "without a user vector"
            yield f"{model.name}{suffix} · {words}", replace(recipe, view=reads, group=words, setting=setting)


def _verdicts(study: Study) -> Iterator[str]:
    """The best row, then what earlier sessions and the user vector add to each model."""
    best = study.ranking[0]
    if best == study.reference:
        value = study.report.estimate(best, study.metric).value
        yield f"{best}, a simple model, is best. Its {study.metric} is {value:.4f}."
    else:
        yield f"{sentence(study, best, study.reference)}."
    labels = set(study.report.values)
    for label in study.report.values:
        here, _, words = label.rpartition(" · ")
        if words == READS["session"] and (longer := f"{here} · {READS['all']}") in labels:
            yield f"Earlier sessions: {sentence(study, longer, label)}."
    for label in study.report.values:
        name, plus, rest = label.partition(" + user vector")
        if plus and (without := f"{name}{rest}") in labels:
            yield f"The user vector: {sentence(study, label, without)}."
