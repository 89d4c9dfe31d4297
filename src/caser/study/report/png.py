"""Draws figures as PNG pictures for papers, for print and for readers without scripts; the background is white.

Each figure has its own canvas, so the state that a program keeps in matplotlib does not change.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any

from caser.study.report.extras import extra
from caser.study.report.figure import WRAP, WRAP_BELOW, Direction, Figure, Heat, Number, Panel, Series, ticks, wrapped
from caser.study.report.labels import GAP, Side, label_sides
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
    """Draw `figure` and return the bytes of a PNG file; the same figure gives the same bytes.

    Raises MissingDependencyError if the extra `report` is not installed.
    """
    matplotlib, figures = extra("matplotlib"), extra("matplotlib.figure")
    # The height of each row of panels, and of the whole picture
    rows = _rows(figure)
    heights = [max(figure.panels[i].height + 26 * bool(figure.panels[i].title) for i in row) for row in rows]
    inches = (sum(heights) + 30 * bool(figure.key())) / PIXELS_PER_INCH
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        canvas = figures.Figure(figsize=(WIDTH_INCHES, inches), layout="constrained")
        canvas.get_layout_engine().set(hspace=0.05, wspace=0.03)
        # The panels; the first takes the whole width if the figure says so.
        grid = canvas.add_gridspec(len(rows), figure.columns, height_ratios=heights)
        for row_number, row in enumerate(rows):
            for column, i in enumerate(row):
                is_lead = i == 0 and figure.has_lead
                axes = canvas.add_subplot(grid[row_number, :] if is_lead else grid[row_number, column])
                _draw(axes, figure.panels[i], WIDTH_INCHES / (1 if is_lead else figure.columns))
        # The key, and the labels, whose places depend on the size that the layout has given to each panel
        _key(canvas, figure)
        if any(label for panel in figure.panels for series in panel.series for label in series.labels):
            canvas.draw_without_rendering()
            for axes, panel in zip(canvas.axes, figure.panels, strict=False):
                _labels(axes, panel)
        # The file
        buffer = io.BytesIO()
        canvas.savefig(buffer, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()


def _rows(figure: Figure) -> list[list[int]]:
    """The numbers of the panels, row by row."""
    first = [[0]] if figure.has_lead else []
    rest = list(range(len(first), len(figure.panels)))
    return first + [rest[i : i + figure.columns] for i in range(0, len(rest), figure.columns)]


def _draw(axes: Any, panel: Panel, inches: float) -> None:
    """Draws one panel, which is `inches` wide."""
    _axis(axes, panel, "x", inches)
    _axis(axes, panel, "y", inches)
    for rule in panel.rules:
        line = axes.axvline if rule.along == "x" else axes.axhline
        line(rule.at, color=LIGHT["quiet"], linewidth=1, linestyle=":", zorder=1)
        _rule_label(axes, panel, rule.at, rule.along, rule.label)
    for series in panel.series:
        _series(axes, series)
    if panel.heat is not None:
        _heat(axes, panel.heat)
    # The title, and the labels of both axes; that of the y axis stands above it.
    axes.set_xlabel(panel.x.label)
    heading = f"{panel.title}\n" if panel.title else ""
    axes.set_title(heading, loc="left", fontsize=9, fontweight="bold", pad=4 if not panel.y.label else 8)
    if panel.y.label:
        axes.annotate(
            panel.y.label, (0, 1), (0, 5), "axes fraction", textcoords="offset points", color=LIGHT["quiet"], fontsize=8
        )


def _axis(axes: Any, panel: Panel, direction: Direction, inches: float) -> None:
    axis = panel.x if direction == "x" else panel.y
    # Range and scale
    low, high = panel.range(direction)
    if axis.is_log:
        getattr(axes, f"set_{direction}scale")("log")
        low, high = 10**low, 10**high
    getattr(axes, f"set_{direction}lim")(low, high)
    # Ticks and grid
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


def _series(axes: Any, series: Series) -> None:
    colour = LIGHT[series.colour]
    style: dict[str, Any] = {"color": colour, "zorder": 2 if series.colour == "faint" else 3}
    x, y = _numbers(series.x), _numbers(series.y)
    if series.kind == "bars":
        axes.barh(series.y, x, height=series.width, color=colour, alpha=0.85, zorder=2)
        _whiskers(axes, series, LIGHT["ink"])
        return
    if series.kind == "line":
        marker = "" if series.colour == "faint" else SYMBOLS[series.colour]
        axes.plot(x, y, marker=marker, markersize=3, linestyle=DASHES[series.colour], **style)
        if series.low and series.high:
            band = {"color": colour, "alpha": 0.16, "linewidth": 0}
            axes.fill_between(x, _numbers(series.low), _numbers(series.high), **band)
        return
    _whiskers(axes, series, colour)
    symbol, style["markeredgewidth"] = SYMBOLS[series.colour], 0
    if series.is_hollow:
        symbol, style["markeredgewidth"], style["markerfacecolor"] = "D", 1.4, LIGHT["background"]
    axes.plot(x, y, linestyle="none", marker=symbol, markersize=6, clip_on=False, **style)


def _whiskers(axes: Any, series: Series, colour: str) -> None:
    if series.low and series.high:
        lines, others = (axes.hlines, series.y) if series.along == "x" else (axes.vlines, series.x)
        lines(_numbers(others), _numbers(series.low), _numbers(series.high), color=colour, linewidth=1.4, zorder=3)


def _labels(axes: Any, panel: Panel) -> None:
    """Writes the labels of all series of a panel whose layout is finished."""
    box, dots = axes.get_window_extent(), axes.figure.dpi
    width, height = (PIXELS_PER_INCH * size / dots for size in (box.width, box.height))
    for series in panel.series:
        if not any(series.labels):
            continue
        for x, y, label, side in zip(
            series.x, series.y, series.labels, label_sides(panel, series, width, height), strict=True
        ):
            if side is not None:
                _label(axes, (x, y), label, side)


def _label(axes: Any, at: tuple[Number, Number], label: str, side: Side) -> None:
    up, across = side.split()
    gap = GAP * 72 / PIXELS_PER_INCH  # in points
    text = axes.annotate(
        label,
        at,
        ({"right": gap, "left": -gap, "center": 0}[across], {"top": gap, "middle": 0, "bottom": -gap}[up]),
        textcoords="offset points",
        ha={"right": "left", "left": "right", "center": "center"}[across],
        va={"top": "bottom", "middle": "center", "bottom": "top"}[up],
        fontsize=8,
    )
    text.set_in_layout(False)


def _rule_label(axes: Any, panel: Panel, at: float, along: Direction, label: str) -> None:
    low, high = sorted(panel.range(along))
    # A label right of the middle stands to the left of its line, so that it does not leave the panel.
    is_left_of_line = at > (low + high) / 2 or along == "y"
    axes.annotate(
        label,
        (at, 1) if along == "x" else (1, at),
        (0, 3),
        axes.get_xaxis_transform() if along == "x" else axes.get_yaxis_transform(),
        textcoords="offset points",
        ha="right" if is_left_of_line else "left",
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
            color=LIGHT[series.colour],
            marker="D" if series.is_hollow else "s" if series.kind == "bars" else SYMBOLS[series.colour],
            linestyle=DASHES[series.colour] if series.kind == "line" else "none",
            markerfacecolor="none" if series.is_hollow else LIGHT[series.colour],
            markersize=5,
            label=name,
        )
        for name, series in figure.key().items()
    ]
    if handles:
        canvas.legend(handles=handles, loc="outside upper left", ncols=4, frameon=False, fontsize=8)


def _numbers(values: Sequence[Number]) -> list[float]:
    """The values with NaN, which matplotlib leaves out, in place of None."""
    return [float("nan") if value is None else float(value) for value in values]
