"""Writes figures as plotly's JSON, one document per panel, and gives plotly's own script.

Colours are written as `$role` under plotly's keys for colours; `report.js` replaces them by light or dark colours.
plotly reads some HTML in every text, so every text that comes from a study is escaped here. Hover texts are plain text,
not templates. The `meta` of a trace with labels holds their places for several widths of its plot; the script draws the
plot at the largest of these that fits.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import Any

from caser.study.report.extras import extra
from caser.study.report.figure import (
    WRAP,
    WRAP_BELOW,
    Direction,
    Figure,
    Heat,
    Number,
    Panel,
    Series,
    interval,
    place,
    ticks,
    wrapped,
)
from caser.study.report.labels import LETTER, label_sides
from caser.study.report.palette import Colour

SYMBOLS: Mapping[Colour, str] = {
    "accent": "circle",
    "second": "square",
    "third": "triangle-up",
    "neutral": "circle",
    "faint": "circle",
}
DASHES: Mapping[Colour, str] = {
    "accent": "solid",
    "second": "dash",
    "third": "dot",
    "neutral": "dashdot",
    "faint": "solid",
}
WIDTHS = tuple(range(180, 901, 40))
"""The widths of a plot with labels, in pixels: their places hold for exactly one width."""
_TOP, _BOTTOM, _LEFT_OF_LABELS = 28, 46, 56


def script() -> str:
    """Return the code of plotly.js. Raises MissingDependencyError if the extra `report` is not installed."""
    return str(extra("plotly.offline").get_plotlyjs())


def figure_json(figure: Figure) -> list[dict[str, Any]]:
    """Return data and layout of each panel of `figure`, as JSON values; plots below each other have one left edge.

    >>> from caser.study.report.figure import Axis
    >>> panel = Panel(Axis("seconds"), Axis("<b>"), (Series("line", [1, 2], [3, 4]),))
    >>> figure_json(Figure("one", "", "", "", (panel,)))[0]["layout"]["annotations"][0]["text"]
    '&lt;b&gt;'
    """
    lefts = [_left(panel) for panel in figure.panels]
    if figure.columns == 1:
        lefts = [max(lefts)] * len(lefts)
    return [
        {"data": _data(panel), "layout": _layout(panel, left)} for panel, left in zip(figure.panels, lefts, strict=True)
    ]


def plain(text: str) -> str:
    """Escape `text` so that plotly shows it as it is, and reads neither HTML nor a formula between dollar signs.

    >>> plain('<a href="x">&')
    '&lt;a href="x"&gt;&amp;'
    """
    return html.escape(text, quote=False).replace("$", "&#36;")


def number(value: Number) -> str:
    """Write `value` for a hover text; None becomes "none"."""
    if value is None:
        return "none"
    return f"{value:,.4f}" if isinstance(value, float) else f"{value:,}"


def _data(panel: Panel) -> list[dict[str, Any]]:
    traces = [trace for series in panel.series for trace in _traces(panel, series)]
    return traces if panel.heat is None else [*traces, _heat(panel, panel.heat)]


def _traces(panel: Panel, series: Series) -> Iterator[dict[str, Any]]:
    """The traces of one series: a band comes before its line, so that it lies behind it."""
    colour = f"${series.colour}"
    common = {
        "x": list(series.x),
        "y": list(series.y),
        "name": plain(series.name),
        "hoverinfo": "text",
        "hovertext": [_hover(panel, series, i) for i in range(len(series.x))],
        "showlegend": False,
    }
    # Bars
    if series.kind == "bars":
        marker = {"color": colour, "opacity": 0.85}
        bar = {"type": "bar", "orientation": "h", "width": series.width, "marker": marker}
        yield {**common, **bar, **_whiskers(series, "$ink")}
        return
    # Points and lines
    if series.kind == "line" and series.low and series.high:
        yield _band(series)
    trace = {
        **common,
        "type": "scatter",
        "mode": "lines+markers" if series.kind == "line" else "markers",
        "marker": {
            "color": "$background" if series.is_hollow else colour,
            "symbol": "diamond" if series.is_hollow else SYMBOLS[series.colour],
            "size": 5 if series.kind == "line" else 9,
            "line": {"width": 2 if series.is_hollow else 0, "color": colour},
        },
        "line": {"color": colour, "width": 2, "dash": DASHES[series.colour]},
        "cliponaxis": False,
        **(_whiskers(series, colour) if series.kind == "points" else {}),
    }
    if series.colour == "faint":
        trace |= {"hoverinfo": "skip", "mode": "lines"}
    yield {**trace, **_labelled(panel, series)} if any(series.labels) else trace


def _labelled(panel: Panel, series: Series) -> dict[str, Any]:
    """The labels of a series for the largest width, and in `meta` for every width; the smaller, the fewer have room."""
    by_width = [{"width": width, **_texts(panel, series, width)} for width in WIDTHS]
    font = {"size": 12, "color": "$ink"}
    widest = {name: value for name, value in by_width[-1].items() if name != "width"}
    return {"mode": "markers+text", "textfont": font, **widest, "meta": {"labels": by_width}}


def _texts(panel: Panel, series: Series, width: int) -> dict[str, Any]:
    sides = label_sides(panel, series, width, panel.height - _TOP - _BOTTOM)
    return {
        "text": [plain(label) if side else "" for label, side in zip(series.labels, sides, strict=True)],
        "textposition": [side or "middle right" for side in sides],
    }


def _whiskers(series: Series, colour: str) -> dict[str, Any]:
    if not (series.low and series.high):
        return {}
    ends = list(zip(series.values, series.low, series.high, strict=True))
    return {
        f"error_{series.along}": {
            "type": "data",
            "symmetric": False,
            "array": [_distance(value, high) for value, _, high in ends],
            "arrayminus": [_distance(low, value) for value, low, _ in ends],
            "color": colour,
            "thickness": 1.6,
            "width": 0 if series.kind == "points" else 3,
        }
    }


def _distance(low: Number, high: Number) -> float:
    return 0.0 if low is None or high is None else max(high - low, 0.0)


def _band(series: Series) -> dict[str, Any]:
    """The area between the intervals' ends: along the high ends, and back along the low ones."""
    rows = [row for row in zip(series.x, series.low, series.high, strict=True) if None not in row]
    return {
        "type": "scatter",
        "x": [x for x, _, _ in rows] + [x for x, _, _ in reversed(rows)],
        "y": [high for _, _, high in rows] + [low for _, low, _ in reversed(rows)],
        "mode": "lines",
        "line": {"width": 0, "color": f"${series.colour}"},
        "fill": "toself",
        "fillcolor": f"${series.colour}-soft",
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _heat(panel: Panel, heat: Heat) -> dict[str, Any]:
    rows = zip(panel.y.names, heat.values, strict=True)
    trace = {
        "type": "heatmap",
        "x": list(range(len(panel.x.names))),
        "y": list(range(len(panel.y.names))),
        "z": [list(row) for row in heat.values],
        "zmin": -heat.largest,
        "zmax": heat.largest,
        "colorscale": "$heat",
        "xgap": 1,
        "ygap": 1,
        "hoverinfo": "text",
        "hovertext": [
            [f"{plain(y)}, {plain(x)}: {value:+.4f}" for x, value in zip(panel.x.names, row, strict=True)]
            for y, row in rows
        ],
        "colorbar": {"thickness": 8, "outlinewidth": 0, "nticks": 5, "tickfont": {"color": "$quiet", "size": 10}},
    }
    if heat.has_room_for_numbers:
        trace |= {"texttemplate": "%{z:.2f}", "textfont": {"size": 11}, "showscale": False}
    return trace


def _hover(panel: Panel, series: Series, i: int) -> str:
    """The hover text of one mark: series, place, value, interval and unit."""
    low, high = interval(series, i)
    ends = f" ({number(low)} to {number(high)})" if low is not None and high is not None else ""
    words = [series.name, place(panel, series, i)]
    axis = panel.x if series.along == "x" else panel.y
    return plain(f"{', '.join(word for word in words if word)}: {number(series.values[i])}{ends} {axis.label}".strip())


def _has_labels(panel: Panel) -> bool:
    return any(label for series in panel.series for label in series.labels)


def _left(panel: Panel) -> int:
    """The left margin in pixels, wide enough for the names of the y axis."""
    if _has_labels(panel):
        return _LEFT_OF_LABELS
    lines = [line for name in panel.y.names for line in wrapped(name)]
    return max(44, 14 + round(LETTER * max(map(len, lines), default=0)))


def _layout(panel: Panel, left: int) -> dict[str, Any]:
    return {
        "height": panel.height,
        "margin": {"l": left, "r": 16, "t": _TOP if panel.y.label or panel.rules else 8, "b": _BOTTOM, "pad": 4},
        "paper_bgcolor": "rgba(0, 0, 0, 0)",
        "plot_bgcolor": "rgba(0, 0, 0, 0)",
        "font": {"family": "system-ui, -apple-system, Segoe UI, Roboto, sans-serif", "size": 12, "color": "$quiet"},
        "hoverlabel": {"bgcolor": "$raised", "bordercolor": "$line", "font": {"color": "$ink"}, "align": "left"},
        "dragmode": False,
        "barmode": "overlay",
        "showlegend": False,
        "xaxis": {**_axis(panel, "x"), "title": {"text": plain(panel.x.label), "standoff": 8}},
        "yaxis": _axis(panel, "y"),
        "annotations": [*_axis_label(panel), *_rule_labels(panel)],
        "shapes": [_rule(rule.at, rule.along) for rule in panel.rules],
    }


def _axis(panel: Panel, direction: Direction) -> dict[str, Any]:
    described = panel.x if direction == "x" else panel.y
    names = described.names
    axis: dict[str, Any] = {
        "type": "log" if described.is_log else "linear",
        "range": list(panel.range(direction)),
        "fixedrange": True,
        "automargin": not _has_labels(panel),  # the places of labels hold for a plot of one size
        "gridcolor": "$line",
        "linecolor": "$line",
        "zeroline": panel.heat is None and not names,
        "zerolinecolor": "$quiet",
        "showgrid": panel.heat is None and not (names and direction == "x"),
        "nticks": 6,
        "ticks": "",
        "tickangle": 0,
        "tickfont": {"color": "$ink" if names else "$quiet"},
    }
    if (marks := ticks(panel, direction)) is not None:
        width = WRAP if direction == "y" else WRAP_BELOW
        texts = ["<br>".join(map(plain, wrapped(text, width))) for text in marks.text]
        axis |= {"tickmode": "array", "tickvals": list(marks.at), "ticktext": texts}
    return axis


def _axis_label(panel: Panel) -> list[dict[str, Any]]:
    if not panel.y.label:
        return []
    corner = {"xref": "paper", "yref": "paper", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom", "yshift": 6}
    return [{**corner, "text": plain(panel.y.label), "showarrow": False, "font": {"color": "$quiet", "size": 12}}]


def _rule(at: float, along: Direction) -> dict[str, Any]:
    other = "y" if along == "x" else "x"
    line = {"color": "$quiet", "width": 1.2, "dash": "dot"}
    return {
        "type": "line",
        "layer": "below",
        "line": line,
        f"{along}0": at,
        f"{along}1": at,
        f"{other}ref": "paper",
        f"{other}0": 0,
        f"{other}1": 1,
    }


def _rule_labels(panel: Panel) -> Iterator[dict[str, Any]]:
    for rule in panel.rules:
        other = "y" if rule.along == "x" else "x"
        low, high = sorted(panel.range(rule.along))
        # A label right of the middle stands to the left of its line, so that it does not leave the panel.
        is_right = rule.at > (low + high) / 2
        yield {
            rule.along: rule.at,
            other: 1,
            f"{other}ref": "paper",
            "text": plain(rule.label),
            "showarrow": False,
            "font": {"color": "$quiet", "size": 11},
            "xanchor": "right" if is_right or rule.along == "y" else "left",
            "yanchor": "bottom",
        }
