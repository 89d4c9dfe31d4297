"""The figures of a study, in the order of its page; here those that compare models: who wins, at what cost, for whom.

Each function returns a figure, or None where the study has nothing to draw. The accent is for models that learn, grey
for those that count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from caser.study.report.changes import ablation, sweep
from caser.study.report.figure import Axis, Figure, Panel, Range, Rule, Series, sharing, spanned
from caser.study.report.finding_figures import finding_figure
from caser.study.report.palette import SERIES, Colour
from caser.study.report.study import (
    Row,
    Study,
    best_counting,
    estimate,
    groups,
    is_counting,
    ranked,
    rows,
    seconds,
    value,
)

KINDS_OF_MODELS: Mapping[bool, tuple[str, Colour]] = {False: ("learns", "accent"), True: ("counts", "neutral")}
"""Whether a model counts -> what it is called, and its colour."""

_MANY_TIMES = 20
"""From this ratio of the largest to the smallest cost on, an axis of costs is logarithmic."""


def study_figures(study: Study) -> list[Figure]:
    """All figures of a study, in the order of its page."""
    drawn = [draw(study) for draw in FIGURES[study["kind"]]]
    findings = [finding_figure(finding, i) for i, finding in enumerate(study.get("findings") or (), start=1)]
    return [figure for figure in [*drawn, *findings] if figure is not None]


def standing(study: Study) -> Figure | None:
    """Every model on one scale, with its interval."""
    metric, found = study["metric"], [row for row in rows(study) if value(row, study["metric"]) is not None]
    if not found:
        return None
    best = best_counting(study)
    at = None if best is None else value(best, metric)
    rules = () if best is None or at is None else (Rule(at, "x", "best counting model"),)
    fixed = spanned([end for row in found for end in estimate(row, metric)])
    panels = [_standing(title, members, metric, rules, fixed) for title, members in groups(found).items()]
    return Figure(
        "standing",
        "Who wins",
        f"Each dot is a model's {metric}, each line its 95 % interval"
        + (f"; what lies left of the dotted line does worse than {best['label']}, which only counts." if best else "."),
        f"{metric} of {len(found)} models with intervals, the best at the top",
        tuple(panels),
    )


def cost(study: Study) -> Figure | None:
    """Quality against the seconds that choosing and training took."""
    metric = study["metric"]
    found = [row for row in ranked(rows(study), metric) if value(row, metric) is not None and seconds(row)]
    if len(found) < 2:
        return None
    series = [_scatter(found, metric, counts) for counts in (False, True)]
    spent = [one for row in found if (one := seconds(row))]
    is_log = max(spent) > _MANY_TIMES * min(spent)
    x = Axis(f"seconds to choose and train{', log scale' * is_log}", is_log=is_log)
    return Figure(
        "cost",
        "Quality against cost",
        "Higher is better and further left is cheaper: a model below and right of another is never worth it.",
        f"Scatter of {metric} against seconds for {len(found)} models",
        (Panel(x, Axis(metric), tuple(one for one in series if one.x)),),
    )


def curves(study: Study) -> Figure | None:
    """Validation by epoch, one panel per model that learns, the others in grey behind it."""
    found = [row for row in rows(study) if row.get("history")]
    if not found:
        return None
    behind = [_curve(row, "faint") for row in found]
    panels = [
        Panel(
            Axis("epoch", limits=(1,)),
            Axis("validation"),
            (*behind[:i], *behind[i + 1 :], _curve(row, "accent")),
            row["label"],
        )
        for i, row in enumerate(found)
    ]
    return Figure(
        "curves",
        "Training",
        "Each panel shows one model's validation after every epoch, the others in grey: a curve that still climbs at "
        "its end could use more epochs.",
        f"Validation by epoch for {len(found)} models",
        sharing(panels, "x", "y"),
        columns=3,
    )


def slices(study: Study) -> Figure | None:
    """The best models on each slice of the targets, small multiples on one scale."""
    metric, found = study["metric"], study.get("slices") or {}
    labels = [row["label"] for row in ranked(rows(study), metric)]
    colours = _colours_in_slices(study, labels)
    panels = [_slice(name, buckets, colours, metric) for name, buckets in found.items() if buckets]
    if not panels:
        return None
    who = f"the best {len(colours)} of {len(labels)} models" if len(colours) < len(labels) else "every model"
    return Figure(
        "slices",
        "For whom it holds",
        f"Each panel splits the same targets another way and shows {who}, each line being a 95 % interval: look for "
        "slices where the order of the models changes.",
        f"{metric} of {len(colours)} models on {len(panels)} kinds of slices",
        sharing(panels, "y"),
        columns=2,
    )


FIGURES: Mapping[str, Sequence[Callable[[Study], Figure | None]]] = {
    "ablate": (ablation, curves, slices),
    "audit": (),
    "compare": (standing, cost, curves, slices),
    "sessions": (standing, slices, cost, curves),
    "sweep": (sweep, slices),
}


def _standing(title: str, members: Sequence[Row], metric: str, rules: tuple[Rule, ...], fixed: Range) -> Panel:
    found = ranked(members, metric)
    series = [_dots(found, metric, counts) for counts in (False, True)]
    names = Axis(names=tuple(row["label"] for row in found))
    return Panel(Axis(metric, fixed=fixed), names, tuple(one for one in series if one.x), title, rules)


def _dots(found: Sequence[Row], metric: str, counts: bool) -> Series:
    name, colour = KINDS_OF_MODELS[counts]
    chosen = [(i, *estimate(row, metric)) for i, row in enumerate(found) if is_counting(row) is counts]
    y, x, low, high = ([one[part] for one in chosen] for part in range(4))
    return Series("points", x, y, name, colour, low, high, along="x")


def _scatter(found: Sequence[Row], metric: str, counts: bool) -> Series:
    name, colour = KINDS_OF_MODELS[counts]
    members = [row for row in found if is_counting(row) is counts]
    y, low, high = ([estimate(row, metric)[part] for row in members] for part in range(3))
    labels = [row["label"] for row in members]
    return Series("points", [seconds(row) for row in members], y, name, colour, low, high, labels=labels)


def _curve(row: Row, colour: Colour) -> Series:
    history = row["history"]
    return Series("line", [one["number"] for one in history], [one.get("validation") for one in history], colour=colour)


def _colours_in_slices(study: Study, labels: Sequence[str]) -> dict[str, Colour]:
    """The best models, with the best counting model in grey among them, in order of quality."""
    best = best_counting(study)
    counting = [best["label"]] if best else []
    others = [label for label in labels if label not in counting][: len(SERIES) - 1]
    colours: dict[str, Colour] = dict(zip(others, SERIES, strict=False)) | dict.fromkeys(counting, "neutral")
    return {label: colours[label] for label in labels if label in colours}


def _slice(name: str, buckets: Mapping[str, Any], colours: Mapping[str, Colour], metric: str) -> Panel:
    names = tuple(f"{bucket}\nn = {one['num_targets']:,}" for bucket, one in buckets.items())
    series = []
    for number, (label, colour) in enumerate(colours.items()):
        told = [((one["models"].get(label) or {}).get(metric) or {}) for one in buckets.values()]
        aside = 0.14 * (number - (len(colours) - 1) / 2)
        x = [i + aside for i in range(len(names))]
        y, low, high = ([one.get(end) for one in told] for end in ("value", "low", "high"))
        series.append(Series("points", x, y, label, colour, low, high))
    return Panel(Axis(names=names), Axis(metric), tuple(series), name)
