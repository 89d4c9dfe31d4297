"""The figures of an ablation and of a sweep, which change one thing at a time and show what it costs or brings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from caser.study.report.figure import Axis, Figure, Number, Panel, Rule, Series, sharing
from caser.study.report.study import (
    Row,
    StudyFacts,
    groups,
    published,
    reference_label,
    rows,
    source,
    training_seconds,
    value,
)


def ablation(study: StudyFacts) -> Figure | None:
    """Draw the differences of the variants in `study` to the full model, and their cost; None without differences."""
    full = reference_label(study)
    changed = [row for row in rows(study) if row.get("difference") and row["difference"].get("value") is not None]
    if not changed or full is None:
        return None
    changed.sort(key=lambda row: float(row["difference"]["value"]))
    metric = changed[0]["difference"]["metric"]
    # Each group of variants has two panels side by side: differences on the left, seconds on the right.
    by_group = groups(changed)
    differences = [_differences(study, title, members, metric, full) for title, members in by_group.items()]
    costs = sharing([_costs(members) for members in by_group.values()], "x")
    has_published = any(len(panel.series) > 1 for panel in differences)
    diamonds = f" A diamond is the same difference in {source(study)}." if has_published else ""
    return Figure(
        "ablation",
        "How much each part contributes",
        f"A bar to the left of zero means that the variant has a lower {metric} than the full model, {full}. The thin "
        f"line is the 95 % interval of the difference. If it crosses zero, this data cannot tell whether the part "
        f"helps.{diamonds}",
        f"Differences in {metric} to {full} for {len(changed)} variants, next to the seconds that each takes to train",
        tuple(panel for pair in zip(differences, costs, strict=True) for panel in pair),
        columns=2,
    )


def sweep(study: StudyFacts) -> Figure | None:
    """Draw quality, training time and memory of `study` by the setting; None without rows that have a setting."""
    members = [row for row in rows(study) if row.get("setting") is not None]
    if not members:
        return None
    metric, facts = study["metric"], study.get("sweep") or {}
    over = str(facts.get("over", "setting"))
    # The x axis is a scale if all values are numbers, and a list of names otherwise.
    settings = [row["setting"] for row in members]
    is_number = all(isinstance(one, int | float) and not isinstance(one, bool) for one in settings)
    x = Axis(over, names=() if is_number else tuple(map(str, settings)))
    places: list[Number] = settings if is_number else list(range(len(settings)))
    # The first panel shows quality; the others show what it costs, where that was measured.
    quality = _quality(members, places, metric)
    panels = [Panel(x, Axis(metric), (quality, *_named_settings(facts, settings, quality)), "Quality")]
    for title, unit, measured in (
        ("Time", "seconds to train", [training_seconds(row) for row in members]),
        ("Memory", "peak memory, MB", [row.get("peak_memory_mb") for row in members]),
    ):
        if any(one is not None for one in measured):
            line = Series("line", places, measured, colour="neutral")
            panels.append(Panel(x, Axis(unit, limits=(0,)), (line,), title))
    return Figure(
        "sweep",
        f"Which value of {over} is enough",
        f'The line is the mean over the seeds, and the band spans the worst to the best seed. "Enough" marks the '
        f"smallest {over} that is not clearly worse than the best.",
        f"{metric}, time and memory for {len(members)} values of {over}",
        tuple(panels),
        columns=2,
        has_lead=len(panels) != 2,
    )


def _differences(study: StudyFacts, title: str, members: Sequence[Row], metric: str, full: str) -> Panel:
    """Bars of the measured differences, with published ones as diamonds where there are any."""
    value, low, high = ([row["difference"].get(end) for row in members] for end in ("value", "low", "high"))
    bars = Series("bars", value, list(range(len(members))), "measured here", "accent", low, high, along="x")
    series = [bars]
    if by_place := _published_differences(study, members, metric, full):
        y, x = list(by_place), list(by_place.values())
        series.append(Series("points", x, y, source(study), "second", along="x", is_hollow=True))
    return Panel(Axis(f"difference in {metric}"), Axis(names=_names(members)), tuple(series), title, (Rule(0, "x"),))


def _published_differences(study: StudyFacts, members: Sequence[Row], metric: str, full: str) -> dict[int, float]:
    """Published differences to the full model, by the place of the variant in `members`."""
    known = {label: values[metric] for label, values in published(study).items() if values.get(metric) is not None}
    if full not in known:
        return {}
    return {i: known[row["label"]] - known[full] for i, row in enumerate(members) if row["label"] in known}


def _costs(members: Sequence[Row]) -> Panel:
    spent = [training_seconds(row) for row in members]
    bars = Series("bars", spent, list(range(len(members))), "", "neutral", along="x")
    return Panel(Axis("seconds to train", limits=(0,)), Axis(names=_names(members)), (bars,), "Cost")


def _names(members: Sequence[Row]) -> tuple[str, ...]:
    return tuple(str(row.get("setting") or row["label"]) for row in members)


def _quality(members: Sequence[Row], places: Sequence[Number], metric: str) -> Series:
    """The mean of each setting, with a band from its worst to its best seed."""
    mean = [value(row, metric) for row in members]
    seeds = [(row.get("by_seed") or {}).get(metric) or [own] for row, own in zip(members, mean, strict=True)]
    low, high = ([_extreme(choose, values) for values in seeds] for choose in (min, max))
    return Series("line", places, mean, "", "accent", low, high)


def _extreme(choose: Callable[[Sequence[float]], float], values: Sequence[Number]) -> Number:
    known = [one for one in values if one is not None]
    return choose(known) if known else None


def _named_settings(facts: Mapping[str, Any], settings: Sequence[Any], line: Series) -> Iterator[Series]:
    """A marked point for the best setting, and one for the smallest that is enough."""
    best, smallest = facts.get("best"), facts.get("smallest_within_noise")
    words = {smallest: "enough", best: "best"} if best != smallest else {best: "best, and enough"}
    for setting, word in words.items():
        if setting in settings:
            i = settings.index(setting)
            yield Series("points", [line.x[i]], [line.y[i]], "", "second", labels=[f"{word}: {setting}"])
