"""Draws the charts of an audit's findings: bars or lines, with one series or several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caser.study.report.figure import Axis, Figure, Panel, Series
from caser.study.report.palette import SERIES


def finding_figure(finding: Mapping[str, Any], number: int) -> Figure | None:
    """Draw the chart of one finding; return None if the finding has no chart.

    finding  the finding as JSON values, with its `question` and perhaps a `chart`
    number   its place in the audit, from 1, which goes into the name of the figure
    """
    chart = finding.get("chart")
    if not chart:
        return None
    subject = f"{chart['y_label']} by {chart['x_label']}"
    has_intervals = any(series.get("low") for series in chart["series"])
    names = ", ".join(series["name"] for series in chart["series"])
    return Figure(
        f"finding-{number}",
        finding["question"],
        f"The chart shows {subject}{', with 95 % intervals' if has_intervals else ''}.",
        f"{subject}: {names}",
        (_bars(chart) if chart["kind"] == "bars" else _lines(chart),),
    )


def _bars(chart: Mapping[str, Any]) -> Panel:
    """Draws horizontal bars, so that long names fit; the bars of one name lie below each other."""
    names, members = tuple(map(str, chart["x"])), chart["series"]
    width = 0.8 / len(members)
    drawn = [
        Series(
            "bars",
            x=series["y"],
            y=[i + (number - (len(members) - 1) / 2) * width for i in range(len(names))],
            name=series["name"],
            colour=SERIES[number % len(SERIES)],
            low=series.get("low") or (),
            high=series.get("high") or (),
            along="x",
            width=0.9 * width,
        )
        for number, series in enumerate(members)
    ]
    return Panel(Axis(chart["y_label"], limits=(0,)), Axis(chart["x_label"], names), tuple(drawn))


def _lines(chart: Mapping[str, Any]) -> Panel:
    places = chart["x"]
    is_number = all(isinstance(place, int | float) for place in places)
    drawn = [
        Series(
            "line",
            x=places if is_number else list(range(len(places))),
            y=series["y"],
            name=series["name"],
            colour=SERIES[number % len(SERIES)],
            low=series.get("low") or (),
            high=series.get("high") or (),
        )
        for number, series in enumerate(chart["series"])
    ]
    names = () if is_number else tuple(map(str, places))
    return Panel(Axis(chart["x_label"], names), Axis(chart["y_label"], limits=(0,)), tuple(drawn))
