"""The charts of an audit's findings: bars or lines, one series or several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caser.study.report.figure import Axis, Figure, Panel, Series
from caser.study.report.palette import SERIES


def finding_figure(finding: Mapping[str, Any], number: int) -> Figure | None:
    """The chart of one finding, None if it has none."""
    chart = finding.get("chart")
    if not chart:
        return None
    shown = f"{chart['y_label']} by {chart['x_label']}"
    has_intervals = any(one.get("low") for one in chart["series"])
    names = ", ".join(one["name"] for one in chart["series"])
    return Figure(
        f"finding-{number}",
        finding["question"],
        f"This shows {shown}{'; intervals are 95 %' if has_intervals else ''}.",
        f"{shown}: {names}",
        (_bars(chart) if chart["kind"] == "bars" else _lines(chart),),
    )


def _bars(chart: Mapping[str, Any]) -> Panel:
    """Bars lie down, so that long names have room; those of one place lie below each other."""
    names, series = tuple(map(str, chart["x"])), chart["series"]
    width = 0.8 / len(series)
    drawn = [
        Series(
            "bars",
            x=one["y"],
            y=[i + (number - (len(series) - 1) / 2) * width for i in range(len(names))],
            name=one["name"],
            colour=SERIES[number % len(SERIES)],
            low=one.get("low") or (),
            high=one.get("high") or (),
            along="x",
            width=0.9 * width,
        )
        for number, one in enumerate(series)
    ]
    return Panel(Axis(chart["y_label"], limits=(0,)), Axis(chart["x_label"], names), tuple(drawn))


def _lines(chart: Mapping[str, Any]) -> Panel:
    at = chart["x"]
    is_number = all(isinstance(one, int | float) for one in at)
    drawn = [
        Series(
            "line",
            x=at if is_number else list(range(len(at))),
            y=one["y"],
            name=one["name"],
            colour=SERIES[number % len(SERIES)],
            low=one.get("low") or (),
            high=one.get("high") or (),
        )
        for number, one in enumerate(chart["series"])
    ]
    names = () if is_number else tuple(map(str, at))
    return Panel(Axis(chart["x_label"], names), Axis(chart["y_label"], limits=(0,)), tuple(drawn))
