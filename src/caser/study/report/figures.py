"""Draws the figures of a study in the order of its page; those that compare models are made here.

Each function returns a figure, or None if the study has nothing to draw. Models that are trained have the accent
colour; simple models, which are fitted in one pass, are grey.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from caser.study.report.chance_figures import reliability
from caser.study.report.changes import ablation, sweep
from caser.study.report.figure import (
    Axis,
    Figure,
    Panel,
    Range,
    Rule,
    Series,
    sharing,
    spanned,
    without_empty_panels,
)
from caser.study.report.finding_figures import finding_figure
from caser.study.report.glossary import KINDS, SLICES
from caser.study.report.palette import SERIES, Colour
from caser.study.report.study import (
    Row,
    StudyFacts,
    best_counting,
    estimate,
    groups,
    is_counting,
    ranked,
    rows,
    seconds,
    value,
)

COLOURS: Mapping[bool, Colour] = {False: "accent", True: "neutral"}
"""Whether a model is simple -> its colour."""

_LOG_SCALE_RATIO = 20
"""The axis of costs is logarithmic if the largest cost is more than this many times the smallest."""


def study_figures(study: StudyFacts) -> list[Figure]:
    """Draw all figures of `study` in which there is something to see, in the order of its page.

    Raises KeyError if a part lacks a key that it needs.
    """
    drawn = [draw(study) for draw in FIGURES[study["kind"]]]
    findings = [finding_figure(finding, i) for i, finding in enumerate(study.get("findings") or (), start=1)]
    shown = map(without_empty_panels, [*drawn, *findings])
    return [figure for figure in shown if figure is not None]


def standing(study: StudyFacts) -> Figure | None:
    """Draw the quality of every model of `study`, best first, with intervals; None if no row has a value."""
    metric, members = study["metric"], [row for row in rows(study) if value(row, study["metric"]) is not None]
    if not members:
        return None
    best = best_counting(study)
    limit = None if best is None else value(best, metric)
    rules = () if best is None or limit is None else (Rule(limit, "x", "best simple model"),)
    # All groups share one scale, so that their models can be compared.
    fixed = spanned([end for row in members for end in estimate(row, metric)])
    panels = [_standing(title, group, metric, rules, fixed) for title, group in groups(members).items()]
    dotted_line = (
        f" A model left of the dotted line does worse than {best['label']}, the best simple one." if best else ""
    )
    return Figure(
        "standing",
        "Which model is best",
        f"Each dot is the {metric} of one model. The line through it is its 95 % interval: with other users, the dot "
        f"would most likely lie within it.{dotted_line}",
        f"{metric} of {len(members)} models with intervals, the best at the top",
        tuple(panels),
    )


def cost(study: StudyFacts) -> Figure | None:
    """Draw quality against seconds of choosing and training; None if fewer than two rows of `study` have both."""
    metric = study["metric"]
    members = [row for row in ranked(rows(study), metric) if value(row, metric) is not None and seconds(row)]
    if len(members) < 2:
        return None
    series = [_scatter(members, metric, counts) for counts in (False, True)]
    spent = [time for row in members if (time := seconds(row))]
    is_log = max(spent) > _LOG_SCALE_RATIO * min(spent)
    x = Axis(f"seconds to choose and train{', log scale' * is_log}", is_log=is_log)
    return Figure(
        "cost",
        "Quality against cost",
        "Higher is better, and further left is cheaper. A model that lies below and to the right of another one is "
        "both worse and more expensive.",
        f"Scatter of {metric} against seconds for {len(members)} models",
        (Panel(x, Axis(metric), tuple(one for one in series if one.x)),),
    )


def curves(study: StudyFacts) -> Figure | None:
    """Draw the validation metric by epoch, one panel per trained model; None if no model of `study` has a curve.

    One epoch makes no curve.
    """
    members = [row for row in rows(study) if len(row.get("history") or ()) > 1]
    if not members:
        return None
    # Each panel shows its own curve in colour in front of all others in grey.
    in_grey = [_curve(row, "faint") for row in members]
    panels = [
        Panel(
            Axis("epoch", limits=(1,)),
            Axis("validation"),
            (*in_grey[:i], *in_grey[i + 1 :], _curve(row, "accent")),
            row["label"],
        )
        for i, row in enumerate(members)
    ]
    return Figure(
        "curves",
        "Training",
        f"Each panel shows the {study['metric']} of one model on validation after every epoch (one pass over the log); "
        "the other models are grey. If a curve still rises at its end, more epochs may make the model better.",
        f"Validation by epoch for {len(members)} models",
        sharing(panels, "x", "y"),
        columns=3,
    )


def slices(study: StudyFacts) -> Figure | None:
    """Draw the best models of `study` on each slice of its targets, a panel per kind of slice; None without slices."""
    metric, by_name = study["metric"], study.get("slices") or {}
    labels = [row["label"] for row in ranked(rows(study), metric)]
    colours = _colours_in_slices(study, labels)
    panels = [_slice(name, buckets, colours, metric) for name, buckets in by_name.items() if buckets]
    if not panels:
        return None
    who = f"the best {len(colours)} of {len(labels)} models" if len(colours) < len(labels) else "every model"
    how = (
        f"Each panel divides the tested interactions in another way and shows {who}; n is their number, and each line "
        "is a 95 % interval. Look for groups in which another model is best."
    )
    return Figure(
        "slices",
        "Quality by slice",
        " ".join([how, *(SLICES[name] for name in by_name if name in SLICES)]),
        f"{metric} of {len(colours)} models on {len(panels)} kinds of slices",
        sharing(panels, "y"),
        columns=2,
    )


FIGURES: Mapping[str, Sequence[Callable[[StudyFacts], Figure | None]]] = {
    "ablate": (ablation, curves, slices),
    "audit": (),
    "compare": (standing, cost, curves, slices),
    "reliability": (reliability,),
    "sessions": (standing, slices, cost, curves),
    "sweep": (sweep, slices),
}
"""Kind of study -> the functions that draw its figures, in the order of the page."""


def _standing(title: str, members: Sequence[Row], metric: str, rules: tuple[Rule, ...], fixed: Range) -> Panel:
    best_first = ranked(members, metric)
    series = [_dots(best_first, metric, counts) for counts in (False, True)]
    names = Axis(names=tuple(row["label"] for row in best_first))
    return Panel(Axis(metric, fixed=fixed), names, tuple(one for one in series if one.x), title, rules)


def _dots(members: Sequence[Row], metric: str, counts: bool) -> Series:
    """The simple rows, or those that are trained, each at its place in `members`."""
    name, colour = KINDS[counts][0], COLOURS[counts]
    chosen = [(i, *estimate(row, metric)) for i, row in enumerate(members) if is_counting(row) is counts]
    y, x, low, high = ([one[part] for one in chosen] for part in range(4))
    return Series("points", x, y, name, colour, low, high, along="x")


def _scatter(members: Sequence[Row], metric: str, counts: bool) -> Series:
    name, colour = KINDS[counts][0], COLOURS[counts]
    chosen = [row for row in members if is_counting(row) is counts]
    y, low, high = ([estimate(row, metric)[part] for row in chosen] for part in range(3))
    labels = [row["label"] for row in chosen]
    return Series("points", [seconds(row) for row in chosen], y, name, colour, low, high, labels=labels)


def _curve(row: Row, colour: Colour) -> Series:
    history = row["history"]
    epochs, validation = [one["number"] for one in history], [one.get("validation") for one in history]
    return Series("line", epochs, validation, colour=colour)


def _colours_in_slices(study: StudyFacts, labels: Sequence[str]) -> dict[str, Colour]:
    """The colours of the best models and of the best counting model, in order of quality."""
    best = best_counting(study)
    counting = [best["label"]] if best else []
    others = [label for label in labels if label not in counting][: len(SERIES) - 1]
    colours: dict[str, Colour] = dict(zip(others, SERIES, strict=False)) | dict.fromkeys(counting, "neutral")
    return {label: colours[label] for label in labels if label in colours}


def _slice(name: str, buckets: Mapping[str, Any], colours: Mapping[str, Colour], metric: str) -> Panel:
    names = tuple(f"{bucket}\nn = {facts['num_targets']:,}" for bucket, facts in buckets.items())
    series = []
    for number, (label, colour) in enumerate(colours.items()):
        estimates = [((facts["models"].get(label) or {}).get(metric) or {}) for facts in buckets.values()]
        # The models of one bucket stand next to each other, not on top of each other.
        shift = 0.14 * (number - (len(colours) - 1) / 2)
        x = [i + shift for i in range(len(names))]
        y, low, high = ([one.get(end) for one in estimates] for end in ("value", "low", "high"))
        series.append(Series("points", x, y, label, colour, low, high))
    return Panel(Axis(names=names), Axis(metric), tuple(series), name)
