"""Session-based against user-aware, on one log: what do earlier sessions add, and what does a user vector?

Every model answers the same questions, "what comes next in this session", and differs in what it may read: this session
only, or all that the user did before; and in whether it has a vector for the user. A pause cuts the sessions
(`data/user_sessions.py`). Where a user of the log is a session already, nobody returns: compare under the protocol
`sessions` instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from caser.data.log import InteractionLog
from caser.data.split import Split
from caser.data.user_sessions import DEFAULT_GAP, Reads, user_sessions
from caser.errors import ConfigError
from caser.models import model_settings
from caser.study.compare import best_of, sentence
from caser.study.engine import Plan, Tell
from caser.study.recipes import Recipe
from caser.study.study import Study, conduct

READS: dict[Reads, str] = {"session": "this session", "all": "all sessions"}

DEFAULT_MODELS = ("popularity", "markov", "count-knn", "session-knn", "gru4rec", "caser")


def compare_sessions(
    log: InteractionLog,
    gap: float = DEFAULT_GAP,
    models: Iterable[str] = (),
    plan: Plan | None = None,
    *,
    training: Mapping[str, Any] | None = None,
    tell: Tell | None = None,
) -> Study:
    """Train each model on sessions and on users, with and without a user vector, and judge all on the same targets.

    gap  seconds; a longer pause begins a new session

    Raises DataError for a log without times or without returning users.
    """
    splits: dict[str, Split] = {reads: user_sessions(log, gap, reads) for reads in READS}
    # Both readings answer the questions of one protocol; what a view may read belongs to its recipe.
    splits = {reads: replace(split, name=splits["all"].name) for reads, split in splits.items()}
    plan = plan or Plan()
    recipes: dict[str, Recipe] = {}
    for name in dict.fromkeys(models or DEFAULT_MODELS):
        recipes |= dict(_recipes(name, training or {}, tuned=plan.budget > 0))
    counting = [label for label, recipe in recipes.items() if not recipe.is_neural]
    if not counting:
        raise ConfigError("a session study needs a model that only counts beside the others; name markov too.")
    study = conduct(
        "sessions",
        "Is the session enough, or does it help to know the user?",
        recipes,
        splits,
        plan,
        reference=lambda report: best_of(counting, report),
        baselines=counting,
        tell=tell,
    )
    return replace(study, verdicts=tuple(_verdicts(study)), extra={"gap_seconds": gap})


def _recipes(name: str, training: Mapping[str, Any], *, tuned: bool) -> Iterator[tuple[str, Recipe]]:
    """A model in every reading it has: this session or all, without and with a user vector."""
    model = model_settings(name)
    plain = model.without_user_vectors()
    kinds = {"": plain} if plain is model else {"": plain, " + user vector": model}
    for suffix, settings in kinds.items():
        if settings is None:
            continue
        recipe = Recipe.of(settings, space=settings.space if tuned else {})
        if recipe.is_neural:
            recipe = recipe.replace(**training)
        for reads, words in READS.items():
            if settings.name in ("popularity", "recent-popularity") and reads == "session":
                continue  # reads no history
            setting = "with a user vector" if suffix else "without a user vector"
            yield f"{name}{suffix} · {words}", replace(recipe, view=reads, group=words, setting=setting)


def _verdicts(study: Study) -> Iterator[str]:
    """The best reading, then what earlier sessions and the user vector are worth to each model."""
    best = study.ranking[0]
    if best == study.reference:
        value = study.report.estimate(best, study.metric).value
        yield f"{best} is best, and it only counts: {study.metric} {value:.4f}."
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
