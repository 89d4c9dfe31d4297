"""Auto: try what there is within a budget, on validation, and ship what wins: one model, or a blend of two.

Counting models come first, because they cost seconds. The networks share the budget equally; each is tried as it is,
then with other settings as long as its share lasts. The two best are fitted on `fit` once more to see whether a blend
of them is better still; a blend ships only where validation shows that. Nothing here opens the test part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from caser import artefact
from caser.artefact import Artefact
from caser.data.split import Split
from caser.evaluation import judge
from caser.evaluation.rank_table import RankTable
from caser.evaluation.report import Report
from caser.fitting import fit
from caser.models import MODELS
from caser.models.base import Scorer
from caser.models.blend import Blend, BlendScorer
from caser.recommender import Recommender
from caser.study.compare import recipes_for
from caser.study.engine import Plan, Tell, carry_out
from caser.study.recipes import Recipe
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
    >>> winner.why[0].split(":")[0]
    'markov is best on validation'
    """
    quiet: Tell = tell or (lambda _: None)
    recipes, _ = recipes_for(split, models or [name for name in MODELS if name != "blend"], tuned=True, training=training or {})
    trying = replace(plan, part="validation", seeds=(), is_hard=True)
    outcome = carry_out(recipes, {"": split}, trying, quiet)
    chosen = outcome.chosen
    best_first = sorted(chosen, key=lambda label: -chosen[label].choice.value)
    tried = {label: chosen[label].choice.value for label in best_first}
    metric = f"{split.name} validation"
    first, *others = best_first
    why = [f"{first} is best on validation: {tried[first]:.4f} ({metric})"]
    weight = 1.0
    if others:
        second = others[0]
        why.append(f"{second} comes next: {tried[second]:.4f}")
        weight, sentence = _best_weight(split, plan, {label: chosen[label] for label in (first, second)}, quiet)
        why.append(sentence)
    if weight == 1.0:
        fitted = _fit(split, chosen[first])
    else:
        fitted = _blended(split, [chosen[first], chosen[others[0]]], weight)
    return Winner(fitted, tuple([*why, *outcome.notes]), tried)
