"""Figures of studies that change one thing at a time: what each part carries, and how much of a setting it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from caser.study.report.figure import Axis, Figure, Number, Panel, Rule, Series, sharing
from caser.study.report.study import Row, Study, groups, published, reference_label, rows, source, value


def ablation(study: Study) -> Figure | None:
    """What each variant loses or gains against the full model, and what it costs."""
    full = reference_label(study)
    changed = [row for row in rows(study) if row.get("difference") and row["difference"].get("value") is not None]
    if not changed or full is None:
        return None
    changed.sort(key=lambda row: float(row["difference"]["value"]))
    metric = changed[0]["difference"]["metric"]
    parts = groups(changed)
    losses = [_losses(study, title, members, metric, full) for title, members in parts.items()]
    costs = sharing([_costs(members) for members in parts.values()], "x")
    theirs = f" Diamonds: the same difference in {source(study)}." if any(len(one.series) > 1 for one in losses) else ""
    return Figure(
        "ablation",
        "What each part carries",
        f"A bar left of zero is {metric} lost against {full}; the thin line is its 95 % interval, and one that crosses "
        f"zero is a loss the test cannot show.{theirs}",
        f"Differences in {metric} to {full} for {len(changed)} variants, beside the seconds each takes to train",
        tuple(panel for pair in zip(losses, costs, strict=True) for panel in pair),
        columns=2,
    )


def sweep(study: Study) -> Figure | None:
    """Quality by setting with a band over seeds, time and memory beside it."""
    found = [row for row in rows(study) if row.get("setting") is not None]
    if not found:
        return None
    metric, told = study["metric"], study.get("sweep") or {}
    over = str(told.get("over", "setting"))
    values = [row["setting"] for row in found]
    is_number = all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)
    x = Axis(over, names=() if is_number else tuple(map(str, values)))
    at: list[Number] = values if is_number else list(range(len(values)))
    quality = _quality(found, at, metric)
    panels = [Panel(x, Axis(metric), (quality, *_named_settings(told, values, quality)), "Quality")]
    for title, unit, measured in (
        ("Time", "seconds to train", [(row.get("seconds") or {}).get("training") for row in found]),
        ("Memory", "megabytes at most", [row.get("peak_memory_mb") for row in found]),
    ):
        if any(one is not None for one in measured):
            panels.append(Panel(x, Axis(unit, limits=(0,)), (Series("line", at, measured, colour="neutral"),), title))
    return Figure(
        "sweep",
        f"How much {over} it takes",
        f"The line is the mean and the band runs from the worst to the best seed: the smallest {over} within the noise "
        "of the best is enough.",
        f"{metric}, time and memory for {len(found)} values of {over}",
        tuple(panels),
        columns=2,
        has_lead=len(panels) != 2,
    )


def _losses(study: Study, title: str, members: Sequence[Row], metric: str, full: str) -> Panel:
    value, low, high = ([row["difference"].get(end) for row in members] for end in ("value", "low", "high"))
    bars = Series("bars", value, list(range(len(members))), "measured here", "accent", low, high, along="x")
    series = [bars]
    if theirs := _published_losses(study, members, metric, full):
        y, x = list(theirs), list(theirs.values())
        series.append(Series("points", x, y, source(study), "second", along="x", is_hollow=True))
    return Panel(Axis(f"difference in {metric}"), Axis(names=_names(members)), tuple(series), title, (Rule(0, "x"),))


def _published_losses(study: Study, members: Sequence[Row], metric: str, full: str) -> dict[int, float]:
    """Published differences to the full model, by the place of the variant among `members`."""
    told = {label: values[metric] for label, values in published(study).items() if values.get(metric) is not None}
    if full not in told:
        return {}
    return {i: told[row["label"]] - told[full] for i, row in enumerate(members) if row["label"] in told}


def _costs(members: Sequence[Row]) -> Panel:
    spent = [(row.get("seconds") or {}).get("training") for row in members]
    bars = Series("bars", spent, list(range(len(members))), "", "neutral", along="x")
    return Panel(Axis("seconds to train", limits=(0,)), Axis(names=_names(members)), (bars,), "Cost")


def _names(members: Sequence[Row]) -> tuple[str, ...]:
    return tuple(str(row.get("setting") or row["label"]) for row in members)


def _quality(found: Sequence[Row], at: Sequence[Number], metric: str) -> Series:
    mean = [value(row, metric) for row in found]
    seeds = [(row.get("by_seed") or {}).get(metric) or [one] for row, one in zip(found, mean, strict=True)]
    return Series("line", at, mean, "", "accent", [_end(min, one) for one in seeds], [_end(max, one) for one in seeds])


def _end(choose: Any, values: Sequence[Number]) -> Number:
    known = [one for one in values if one is not None]
    end: Number = choose(known) if known else None
    return end


def _named_settings(told: Mapping[str, Any], values: Sequence[Any], line: Series) -> Iterator[Series]:
    best, smallest = told.get("best"), told.get("smallest_within_noise")
    words = {smallest: "enough", best: "best"} if best != smallest else {best: "best, and enough"}
    for setting, word in words.items():
        if setting in values:
            i = values.index(setting)
            yield Series("points", [line.x[i]], [line.y[i]], "", "second", labels=[f"{word}: {setting}"])
