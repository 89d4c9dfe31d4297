"""Figures as pictures for papers, for print and for readers without scripts: PNG, always on white.

Draws on canvases of its own, so that no state of matplotlib that a program holds is touched.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

from caser.study.report.extras import extra
from caser.study.report.figure import WRAP, WRAP_BELOW, Direction, Figure, Heat, Number, Panel, Series, ticks, wrapped
from caser.study.report.labels import label_sides
from caser.study.report.palette import LIGHT

SYMBOLS = {"accent": "o", "second": "s", "third": "^", "neutral": "o", "faint": "o"}
DASHES = {"accent": "-", "second": "--", "third": ":", "neutral": "-.", "faint": "-"}
WIDTH_INCHES, DOTS_PER_INCH, PIXELS_PER_INCH = 7.2, 200, 96

_STYLE = {
    "text.parse_math": False,  # a dollar sign in a label is a dollar sign
    "font.family": "sans-serif",
    "font.size": 8.5,
    "axes.edgecolor": LIGHT["line"],
    "axes.labelcolor": LIGHT["quiet"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": LIGHT["line"],
    "grid.linewidth": 0.6,
    "text.color": LIGHT["ink"],
    "xtick.color": LIGHT["quiet"],
    "ytick.color": LIGHT["quiet"],
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
}


def png(figure: Figure) -> bytes:
    """Draw a figure. Raises MissingDependencyError without the extra."""
    matplotlib, figures = extra("matplotlib"), extra("matplotlib.figure")
    rows = _rows(figure)
    heights = [max(figure.panels[i].height + 26 * bool(figure.panels[i].title) for i in row) for row in rows]
    inches = (sum(heights) + 30 * bool(figure.key())) / PIXELS_PER_INCH
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        canvas = figures.Figure(figsize=(WIDTH_INCHES, inches), layout="constrained")
        canvas.get_layout_engine().set(hspace=0.05, wspace=0.03)
        grid = canvas.add_gridspec(len(rows), figure.columns, height_ratios=heights)
        for at, row in enumerate(rows):
            for column, i in enumerate(row):
                is_lead = i == 0 and figure.has_lead
                axes = canvas.add_subplot(grid[at, :] if is_lead else grid[at, column])
                _draw(axes, figure.panels[i], WIDTH_INCHES / (1 if is_lead else figure.columns))
        _key(canvas, figure)
        buffer = io.BytesIO()
        canvas.savefig(buffer, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()


def _rows(figure: Figure) -> list[list[int]]:
    """The places of the panels, row by row."""
    first = [[0]] if figure.has_lead else []
    rest = list(range(len(first), len(figure.panels)))
    return first + [rest[i : i + figure.columns] for i in range(0, len(rest), figure.columns)]


def _draw(axes: Any, panel: Panel, inches: float) -> None:
    _axis(axes, panel, "x", inches)
    _axis(axes, panel, "y", inches)
    for rule in panel.rules:
        line = axes.axvline if rule.along == "x" else axes.axhline
        line(rule.at, color=LIGHT["quiet"], linewidth=1, linestyle=":", zorder=1)
        _rule_label(axes, panel, rule.at, rule.along, rule.label)
    for one in panel.series:
        _series(axes, one)
        _labels(axes, panel, one, inches * 0.85 * PIXELS_PER_INCH)
    if panel.heat is not None:
        _heat(axes, panel.heat)
    axes.set_xlabel(panel.x.label)
    heading = f"{panel.title}\n" if panel.title else ""
    axes.set_title(heading, loc="left", fontsize=9, fontweight="bold", pad=4 if not panel.y.label else 8)
    if panel.y.label:
        axes.annotate(
            panel.y.label, (0, 1), (0, 5), "axes fraction", textcoords="offset points", color=LIGHT["quiet"], fontsize=8
        )


def _axis(axes: Any, panel: Panel, direction: Direction, inches: float) -> None:
    axis = panel.x if direction == "x" else panel.y
    low, high = panel.range(direction)
    if axis.is_log:
        getattr(axes, f"set_{direction}scale")("log")
        low, high = 10**low, 10**high
    getattr(axes, f"set_{direction}lim")(low, high)
    side = getattr(axes, f"{direction}axis")
    if (marks := ticks(panel, direction)) is not None:
        side.set_ticks(
            list(marks.at), ["\n".join(wrapped(text, WRAP if direction == "y" else WRAP_BELOW)) for text in marks.text]
        )
        side.set_ticks([], minor=True)
    else:
        axes.locator_params(direction, nbins=4 if direction == "x" and inches < WIDTH_INCHES else 7)
    if axis.names:
        axes.tick_params(direction, labelcolor=LIGHT["ink"])
    if panel.heat is None and not (axis.names and direction == "x"):
        side.grid(True)


def _series(axes: Any, one: Series) -> None:
    colour = LIGHT[one.colour]
    style = {"color": colour, "zorder": 2 if one.colour == "faint" else 3}
    if one.kind == "bars":
        axes.barh(one.y, _numbers(one.x), height=one.width, color=colour, alpha=0.85, zorder=2)
        _whiskers(axes, one, LIGHT["ink"])
        return
    if one.kind == "line":
        marker = "" if one.colour == "faint" else SYMBOLS[one.colour]
        axes.plot(_numbers(one.x), _numbers(one.y), marker=marker, markersize=3, linestyle=DASHES[one.colour], **style)
        if one.low and one.high:
            band = {"color": colour, "alpha": 0.16, "linewidth": 0}
            axes.fill_between(_numbers(one.x), _numbers(one.low), _numbers(one.high), **band)
        return
    _whiskers(axes, one, colour)
    face = {"markerfacecolor": LIGHT["background"], "markeredgewidth": 1.4} if one.is_hollow else {"markeredgewidth": 0}
    symbol = "D" if one.is_hollow else SYMBOLS[one.colour]
    axes.plot(
        _numbers(one.x), _numbers(one.y), linestyle="none", marker=symbol, markersize=6, clip_on=False, **face, **style
    )


def _whiskers(axes: Any, one: Series, colour: str) -> None:
    if one.low and one.high:
        lines, others = (axes.hlines, one.y) if one.along == "x" else (axes.vlines, one.x)
        lines(_numbers(others), _numbers(one.low), _numbers(one.high), color=colour, linewidth=1.4, zorder=3)


def _labels(axes: Any, panel: Panel, one: Series, width: float) -> None:
    if not any(one.labels):
        return
    found = label_sides(panel, one, width)
    for x, y, label, side in zip(one.x, one.y, one.labels, found, strict=True):
        if side is not None:
            up, across = side.split()
            shift = {"right": 5, "left": -5, "center": 0}[across], {"top": 5, "middle": 0, "bottom": -5}[up]
            horizontal = {"right": "left", "left": "right", "center": "center"}[across]
            vertical = {"top": "bottom", "middle": "center", "bottom": "top"}[up]
            axes.annotate(label, (x, y), shift, textcoords="offset points", ha=horizontal, va=vertical, fontsize=8)


def _rule_label(axes: Any, panel: Panel, at: float, along: Direction, label: str) -> None:
    low, high = sorted(panel.range(along))
    beyond_middle = at > (low + high) / 2 or along == "y"
    place = (at, 1) if along == "x" else (1, at)
    axes.annotate(
        label,
        place,
        (0, 3),
        axes.get_xaxis_transform() if along == "x" else axes.get_yaxis_transform(),
        textcoords="offset points",
        ha="right" if beyond_middle else "left",
        color=LIGHT["quiet"],
        fontsize=7.5,
    )


def _heat(axes: Any, heat: Heat) -> None:
    colours = extra("matplotlib.colors").LinearSegmentedColormap.from_list(
        "heat", [LIGHT["heat-low"], LIGHT["heat-middle"], LIGHT["heat-high"]]
    )
    picture = axes.imshow(
        heat.values, cmap=colours, vmin=-heat.largest, vmax=heat.largest, aspect="auto", interpolation="nearest"
    )
    if not heat.has_room_for_numbers:
        axes.figure.colorbar(picture, ax=axes, shrink=0.9, pad=0.02, aspect=14).outline.set_visible(False)
        return
    for y, row in enumerate(heat.values):
        for x, value in enumerate(row):
            ink = "white" if abs(value) > 0.6 * heat.largest else LIGHT["ink"]
            axes.text(x, y, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=8)


def _key(canvas: Any, figure: Figure) -> None:
    lines = extra("matplotlib.lines")
    handles = [
        lines.Line2D(
            [],
            [],
            color=LIGHT[one.colour],
            marker="D" if one.is_hollow else "s" if one.kind == "bars" else SYMBOLS[one.colour],
            linestyle=DASHES[one.colour] if one.kind == "line" else "none",
            markerfacecolor="none" if one.is_hollow else LIGHT[one.colour],
            markersize=5,
            label=name,
        )
        for name, one in figure.key().items()
    ]
    if handles:
        canvas.legend(handles=handles, loc="outside upper left", ncols=4, frameon=False, fontsize=8)


def _numbers(values: Any) -> list[float]:
    return [_number(value) for value in values]


def _number(value: Number) -> float:
    return float("nan") if value is None else float(value)
