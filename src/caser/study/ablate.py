"""Ablate: trains Caser without some of its parts, to say how much each part contributes and costs.

A study has two groups of rows. The first are the paper's variants (section 4.4): a name lists the parts that are kept,
p the user vector, h the horizontal filters, v the vertical filters. The second are the full model with one part removed
or changed. All rows are chosen, refitted and judged in the same way, and compared with the full model, pvh.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from caser.config import Training
from caser.data.split import Split
from caser.errors import ConfigError
from caser.evaluation.judge import check_split
from caser.evaluation.protocols import protocol_named
from caser.fitting.defaults import facts_of
from caser.models.caser.caser import Caser
from caser.study.arguments import refuse_seed
from caser.study.engine import Plan, StepListener, plan_of
from caser.study.recipes import Recipe
from caser.study.study import Study, run_study
from caser.study.words import concluded, sentence

FULL = "pvh"
VARIANTS = ("p", "h", "v", "vh", "ph", "pv", FULL)
PAPER_MAP = dict(zip(VARIANTS, (0.0935, 0.1304, 0.1403, 0.1448, 0.1372, 0.1494, 0.1507), strict=True))
"""The MAP that the paper reports on MovieLens-1M, where the protocol is `caser-paper`."""

PAPER_GROUP, REMOVED_GROUP = "the paper's variants", "one part changed"


def ablate(
    split: Split,
    model: Caser | None = None,
    training: Training | None = None,
    plan: Plan | None = None,
    *,
    removals: bool = True,
    choose: bool = True,
    tell: StepListener | None = None,
) -> Study:
    """Train Caser without some of its parts, and say how much each part contributes.

    split     what the rows are trained and judged on
    model     the full model, with both kinds of filters and a user vector; `Caser()` by default. A protocol that judges
              unknown users allows no user vector: then the full model is vh, and the variants with p are left out
    training  how every row is trained; as the model says by default. The seeds are the plan's
    plan      seeds, workers and the folder of finished runs; `Plan()` by default
    removals  whether to remove or change one part of the full model at a time, beside the paper's variants
    choose    whether to choose each row's number of epochs on validation; otherwise all train `training.epochs`
    tell      called with a `Step` after each step

    The study opens the test part, unless the plan's part is `validation`. Raises ConfigError for what is no split, for
    a model that is not Caser or lacks a part, for a setting of training without an effect, or if the full model cannot
    be trained.
    """
    check_split(split)
    full = Caser() if model is None else model
    if not isinstance(full, Caser):
        raise ConfigError(f"an ablation must start from settings of Caser, such as caser.Caser(L=5); got {full!r}.")
    anonymous = protocol_named(split.name).anonymous
    if not (full.n_v and full.n_h and (full.user_vector or anonymous)):
        raise ConfigError(
            f"an ablation must start from the full model, which has both kinds of filters and a user vector; got "
            f"n_v={full.n_v}, n_h={full.n_h}, user_vector={full.user_vector}. Leave those settings out."
        )
    _check_training(full, training, choose=choose, anonymous=anonymous)
    # Choose what is open for the full model once, so that its variants differ in nothing else.
    log = facts_of(split)
    full = (full.without_user_vectors() if anonymous else full.with_user_vectors()).for_log(log)
    how = full.training_for(log, training)
    recipes = dict(_variants(full, how, anonymous))
    reference = "vh" if anonymous else FULL
    if removals:
        recipes |= dict(_removals(recipes[reference]))
    if not choose:
        recipes = {label: replace(recipe, epochs=how.epochs) for label, recipe in recipes.items()}
    study = run_study(
        "ablate",
        "Which parts of Caser carry the result?",
        recipes,
        {"": split},
        plan_of(plan),
        reference=lambda report: reference,
        tell=tell,
    )
    study = replace(study, extra=_published(study), notes=_note(anonymous))
    return concluded(study, _verdicts(study, reference))


def _check_training(full: Caser, training: Training | None, *, choose: bool, anonymous: bool) -> None:
    """Refuse what is no training, and settings that a caller set but that have no effect."""
    if training is None:
        return
    if not isinstance(training, Training):
        raise ConfigError(f"training must be a Training, such as caser.Training(epochs=5); got {training!r}.")
    refuse_seed(training)
    own = full.training
    is_set = "patience" in training.model_fields_set
    if not choose and is_set and ("patience" not in own.model_fields_set or training.patience != own.patience):
        raise ConfigError(
            f"patience must be left out with choose=False, because no epoch is validated; got {training.patience}. "
            "Leave one of them out."
        )
    if anonymous and training.user_dropout:
        raise ConfigError(
            "user_dropout must be left out under a protocol that judges unknown users, where no row has user vectors; "
            f"got {training.user_dropout}. Leave it out."
        )


def _variants(full: Caser, training: Training, anonymous: bool) -> Iterator[tuple[str, Recipe]]:
    for name in VARIANTS:
        if anonymous and "p" in name:
            continue
        parts = {
            "n_h": full.n_h if "h" in name else 0,
            "n_v": full.n_v if "v" in name else 0,
            "user_vector": "p" in name,
        }
        how = training if parts["user_vector"] else training.replace(user_dropout=0.0)  # it hides user vectors
        yield name, Recipe(full.replace(**parts).without_unused(), how, group=PAPER_GROUP, setting=name)


def _removals(full: Recipe) -> Iterator[tuple[str, Recipe]]:
    """The full model with one part removed or changed, for each part that the variants keep as it is."""
    model = full.model
    heights = model.filter_heights if isinstance(model, Caser) else ()
    changes: dict[str, dict[str, object]] = {}
    if len(heights) > 1:
        for height in heights:
            kept = tuple(other for other in heights if other != height)
            changes[f"without height {height}"] = {"heights": kept}
    values = model.model_dump()
    if values["phi_c"] != "identity":
        changes["phi_c identity"] = {"phi_c": "identity"}
    if values["phi_a"] != "identity":
        changes["phi_a identity"] = {"phi_a": "identity"}
    if values["dropout"]:
        changes["without dropout"] = {"dropout": 0.0}
    if values["T"] > 1:
        changes["T = 1"] = {"T": 1}
    for label, change in changes.items():
        yield label, replace(full.replace(**change), group=REMOVED_GROUP, setting=label)


def _verdicts(study: Study, reference: str) -> Iterator[str]:
    """The part that matters most, what each part contributes, then the other changes that make a difference."""
    parts = {"h": "the horizontal filters", "v": "the vertical filters", "p": "the user vector"}
    without = {reference.replace(letter, ""): part for letter, part in parts.items() if letter in reference}
    without = {label: part for label, part in without.items() if label in study.report.values}
    worst = min(without, key=lambda label: study.differences[label].value, default=None)
    if worst is not None and study.differences[worst].is_shown and study.differences[worst].value < 0:
        lost = study.differences[worst]
        matter, it = ("matter", "them") if without[worst].endswith("s") else ("matters", "it")
        yield (
            f"{without[worst].capitalize()} {matter} most. Without {it}, {study.metric} falls by {-lost.value:.4f} "
            f"(95 % interval {-lost.high:.4f} to {-lost.low:.4f})."
        )
    else:
        yield (
            f"No single part is shown to matter. Without any one of them, {reference} loses less than these "
            f"{study.report.num_owners:,} {study.report.owner_word}s can show."
        )
    for label, part in without.items():
        yield f"Without {part}: {sentence(study, label, reference)}."
    if {"h", "v"} <= set(study.report.values):
        yield f"Alone: {sentence(study, 'h', 'v')}."
    removed = [label for label in study.report.values if study.recipe(label).group == REMOVED_GROUP]
    shown = [label for label in removed if study.differences[label].is_shown]
    for label in shown:
        yield f"{label[0].upper()}{label[1:]}: {sentence(study, label, reference)}."
    if len(shown) < len(removed):
        rest = ", ".join(label for label in removed if label not in shown)
        yield f"No difference that these {study.report.owner_word}s can show: {rest}."


def _published(study: Study) -> dict[str, object]:
    """The paper's figures, if the study has the paper's log and protocol."""
    log = study.split.log
    if study.report.protocol.name != "caser-paper" or (log.num_users, log.num_items) != (6040, 3416):
        return {}
    source = "Tang & Wang 2018, MovieLens-1M, MAP"
    return {"reference": {"source": source, **{name: {"map": value} for name, value in PAPER_MAP.items()}}}


def _note(anonymous: bool) -> tuple[str, ...]:
    return ("the protocol judges unknown users, so the variants with a user vector are left out",) if anonymous else ()
