"""Sweep: one setting over a range, everything else fixed: the test targets, the training targets, the recipe.

Whatever L is, a window is padded on the left, so every position trains and every target is judged; elsewhere a longer L
drops the short histories, and the curve compares different questions. A sweep chooses, so it judges on validation and
leaves the test part closed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from caser.data.split import Split
from caser.errors import ConfigError, did_you_mean
from caser.study.compare import best_of, sentence
from caser.study.engine import Plan, Tell
from caser.study.recipes import Recipe, Setting
from caser.study.study import Study, conduct

MOST_VALUES = 50


def sweep(
    split: Split,
    recipe: Recipe,
    over: str,
    values: Sequence[Setting],
    plan: Plan | None = None,
    *,
    tell: Tell | None = None,
) -> Study:
    """Train a recipe with each value of one setting, and name the smallest value within the noise of the best.

    over  a setting of the model or of its training, such as "L"

    Raises ConfigError for a setting the recipe does not have, or for one that would change which positions train.
    """
    known = {**recipe.model.model_dump(), **(recipe.training.model_dump() if recipe.is_neural else {})}
    known.pop("seed", None)  # every value is trained with several
    if over not in known:
        raise ConfigError(
            f"a sweep must be over a setting of {recipe.model.name} or of its training; got {over!r}: "
            f"{did_you_mean(over, known)}"
        )
    if recipe.training.positions == "full" and over in ("L", "T"):
        raise ConfigError(
            f"a sweep over {over} must train the same positions throughout; positions='full' drops those of short "
            "histories. Leave it at 'every'."
        )
    distinct = list(dict.fromkeys(values))
    if not 2 <= len(distinct) <= MOST_VALUES:
        raise ConfigError(f"a sweep must have 2 to {MOST_VALUES} different values; got {len(distinct)} of {over}.")
    recipes = {f"{over} = {value}": replace(recipe.replace(**{over: value}), setting=value) for value in distinct}
    study = conduct(
        "sweep",
        f"How much {over} does this log need?",
        recipes,
        {"": split},
        replace(plan or Plan(), part="validation"),
        reference=lambda report: best_of(recipes, report),
        tell=tell,
    )
    return _with_verdict(study, over)


def parse_values(text: str) -> tuple[str, list[Setting]]:
    """Read `L=1..20`, `L=1..21/5`, `d=16,32,64` or `loss=bpr,softmax`: the setting, and its values.

    >>> parse_values("L=1..9/4")
    ('L', [1, 5, 9])
    >>> parse_values("dropout=0,0.5")
    ('dropout', [0, 0.5])
    """
    name, equals, values = text.partition("=")
    if found := re.fullmatch(r"(\d{1,6})\.\.(\d{1,6})(?:/([1-9]\d{0,5}))?", values):
        first, last, step = int(found[1]), int(found[2]), int(found[3] or 1)
        chosen: list[Setting] = [*range(first, last + 1, step)][: MOST_VALUES + 1]
    else:
        chosen = [_value(part.strip()) for part in values.split(",") if part.strip()]
    if not (name and equals and chosen):
        raise ConfigError(f"a sweep must be written as SETTING=VALUES; got {text!r}. Write for example L=1..20.")
    return name.replace("-", "_"), chosen


def _value(text: str) -> Setting:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)


def _with_verdict(study: Study, over: str) -> Study:
    """Name the best value, and the smallest that is not shown to be worse."""
    best = study.reference
    labels = [label for label in study.outcome.runs if isinstance(study.recipe(label).setting, int | float)]
    within = [label for label in labels if label == best or not study.differences[label].is_shown]
    smallest = min(within, key=lambda label: float(study.recipe(label).setting or 0), default=best)
    report, metric = study.report, study.metric
    verdicts = [f"{best} is best on validation: {metric} {report.estimate(best, metric).value:.4f}."]
    is_least = best not in labels or best == min(labels, key=lambda label: float(study.recipe(label).setting or 0))
    advice = f"Use {best}{'.' if is_least else ': every smaller value is shown to be worse.'}"
    if smallest != best:
        verdicts.insert(0, f"{smallest} is enough: {sentence(study, smallest, best)}.")
        advice = f"Use {smallest}: the best is not shown to be better."
    return replace(
        study,
        verdicts=tuple(verdicts),
        advice=(advice,),
        extra={
            "sweep": {
                "over": over,
                "best": study.recipe(best).setting,
                "smallest_within_noise": study.recipe(smallest).setting,
            }
        },
    )
