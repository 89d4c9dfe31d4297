"""Sweep: trains a recipe with each value of one setting, and keeps everything else fixed.

The test targets and the training targets stay the same for every value, also for every window length L: windows are
padded on the left, so every position trains and every target is judged. (If a longer L dropped the short histories, the
curve would compare different questions.) A sweep chooses a value, so it judges on validation and leaves the test part
closed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from caser.data.split import Split
from caser.errors import ConfigError, did_you_mean
from caser.evaluation.judge import check_split
from caser.models.settings import ModelSettings
from caser.study.arguments import refuse_seed
from caser.study.compare import best_of
from caser.study.engine import Plan, StepListener, plan_of
from caser.study.recipes import Recipe, Setting
from caser.study.study import Study, run_study
from caser.study.words import concluded, sentence

MOST_VALUES = 50
"""Values that one sweep may have."""


def sweep(
    split: Split,
    recipe: Recipe | ModelSettings | str,
    over: str,
    values: Iterable[Setting],
    plan: Plan | None = None,
    *,
    tell: StepListener | None = None,
) -> Study:
    """Train a recipe with each value of one setting, and name the smallest value within the noise of the best.

    split   what the rows are trained and judged on
    recipe  the model and its training; all but the setting stays as it is. Settings or the name of a model stand for
            the recipe with the model's own training. The seeds are the plan's
    over    the name of a setting of the model or of its training, such as "L"
    values  2 to 50 different values
    plan    seeds, workers and the folder of finished runs; `Plan()` by default. Its part is not used: a sweep judges on
            validation
    tell    called with a `Step` after each step

    Raises ConfigError for arguments of another kind, for a seed in the training, for a setting that the recipe does not
    have, for a wrong value, for a setting that has no effect in this recipe, and for one that would change which
    positions train.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from caser.data.synthetic import chain_world
    >>> from caser.evaluation.protocols import apply
    >>> split = apply("leave-one-out", chain_world(num_users=60, num_items=6, length=9, seed=0).log)
    >>> with TemporaryDirectory() as folder:
    ...     study = sweep(split, Recipe.of("count-knn"), "reach", [1, 3], Plan(store=Path(folder)))
    >>> list(study.report.values)
    ['reach = 1', 'reach = 3']
    """
    check_split(split)
    recipe = recipe if isinstance(recipe, Recipe) else Recipe.of(recipe)
    refuse_seed(recipe.training)
    _check_setting(recipe, over)
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ConfigError(f"a sweep must have a list of values, such as [1, 2, 4]; got {values!r} of {over}.")
    distinct = _distinct(values)
    if not 2 <= len(distinct) <= MOST_VALUES:
        raise ConfigError(f"a sweep must have 2 to {MOST_VALUES} different values; got {len(distinct)} of {over}.")
    recipes = {f"{over} = {value}": replace(recipe.replace(**{over: value}), setting=value) for value in distinct}
    _check_effects(recipe, over, recipes)
    study = run_study(
        "sweep",
        f"How much {over} does this log need?",
        recipes,
        {"": split},
        plan_of(plan).replace(part="validation"),
        reference=lambda report: best_of(recipes, report),
        tell=tell,
    )
    return _with_verdict(study, over)


def _check_setting(recipe: Recipe, over: str) -> None:
    """Refuse a name that the recipe does not have, or whose values would not be compared on the same positions."""
    known = {**recipe.model.model_dump(), **(recipe.training.model_dump() if recipe.training else {})}
    known.pop("seed", None)  # every value is trained with several seeds
    if not known:
        raise ConfigError(f"a sweep must be over a setting; {recipe.model.name} has none. Choose another model.")
    if over not in known:
        raise ConfigError(
            f"a sweep must be over a setting of {recipe.model.name} or of its training; got {over!r}: "
            f"{did_you_mean(str(over), known)}"
        )
    if recipe.training and recipe.training.positions == "full" and over in ("L", "T"):
        raise ConfigError(
            f"a sweep over {over} must train the same positions throughout; positions='full' drops those of short "
            "histories. Leave it at 'every'."
        )


def _distinct(values: Iterable[Setting]) -> list[Setting]:
    """The values without repetitions. A list, such as the heights of filters, becomes a tuple, which has a hash."""
    return list(dict.fromkeys(tuple(value) if isinstance(value, list) else value for value in values))


def _check_effects(recipe: Recipe, over: str, recipes: Mapping[str, Recipe]) -> None:
    """Refuse a setting that changes nothing in this recipe."""
    effects = [one.effects() for one in recipes.values()]
    has_none = all(one == effects[0] for one in effects)
    if recipe.training and recipe.epochs is not None:  # the number of epochs is fixed, so nothing stops early
        has_none |= over == "patience" or (over == "epochs" and recipe.training.schedule == "constant")
    if over == "user_dropout" and not recipe.model.has_user_vectors:
        has_none = True
    if has_none:
        raise ConfigError(
            f"a sweep must be over a setting that has an effect; got {over}, which changes nothing with the other "
            f"settings of this {recipe.model.name}. Choose another, or change the setting that it depends on."
        )


def parse_values(text: str) -> tuple[str, list[Setting]]:
    """Return the name of a setting and its values, as the command line writes them.

    text  `L=1..20`, a range; `L=1..21/5`, a range in steps of 5; or a list such as `d=16,32,64` or `loss=bpr,softmax`

    Raises ConfigError for a text of another form.

    >>> parse_values("L=1..9/4")
    ('L', [1, 5, 9])
    >>> parse_values("dropout=0,0.5")
    ('dropout', [0, 0.5])
    """
    name, equals, values = text.partition("=")
    if in_range := re.fullmatch(r"(\d{1,6})\.\.(\d{1,6})(?:/([1-9]\d{0,5}))?", values):
        first, last, step = int(in_range[1]), int(in_range[2]), int(in_range[3] or 1)
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
    """Add verdicts that name the best value, and the smallest value that is not shown to be worse."""
    best = study.reference
    labels = [label for label in study.outcome.runs if isinstance(study.recipe(label).setting, int | float)]
    within = [label for label in labels if label == best or not study.differences[label].is_shown]
    smallest = min(within, key=lambda label: float(study.recipe(label).setting or 0), default=best)
    report, metric = study.report, study.metric
    verdicts = [f"{best} is best on validation. Its {metric} there is {report.estimate(best, metric).value:.4f}."]
    is_least = best not in labels or best == min(labels, key=lambda label: float(study.recipe(label).setting or 0))
    advice = f"Use {best}{'.' if is_least else ': every smaller value is shown to be worse.'}"
    if smallest != best:
        verdicts.insert(0, f"{smallest} is enough. {sentence(study, smallest, best)}.")
        advice = f"Use {smallest}: the best is not shown to be better."
    return replace(
        concluded(study, verdicts, (advice,)),
        extra={
            "sweep": {
                "over": over,
                "best": study.recipe(best).setting,
                "smallest_within_noise": study.recipe(smallest).setting,
            }
        },
    )
