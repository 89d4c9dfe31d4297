"""Places the labels of a scatter plot: each goes next to its point, on the first side where it covers nothing.

The places are computed in pixels, for one size of the plot, and they hold for that size only: in a larger plot the
marks move apart, but the labels do not grow. So the page has them for several widths, and draws its plot at one of
these. Widths of letters are those of a wide font. A label without room is not drawn; the reader still finds it in the
table and in the hover text.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import Literal, get_args

from caser.study.report.figure import Axis, Number, Panel, Range, Series, interval

Side = Literal[
    "middle right", "top right", "bottom right", "middle left", "top left", "bottom left", "top center", "bottom center"
]
"""The side of its mark on which a label stands, in plotly's words."""
SIDES: tuple[Side, ...] = get_args(Side)
Box = tuple[float, float, float, float]
"""Left, top, right and bottom edge, in pixels."""

LETTER, LINE, GAP, MARK = 7.4, 15.0, 7.0, 5.0
"""Pixels: width of a letter, height of a line, distance of a label from its mark, half the size of a mark."""
_NARROW, _WIDE = "fijlrtI.,:;'|!()[] -", "mwMW@%&—"
_NARROW_LETTER, _WIDE_LETTER = 4.8, 11.8


def text_width(text: str) -> float:
    """Return the width of `text` in pixels, as a wide font of 12 pixels has it.

    >>> text_width("ill") < text_width("ace") < text_width("mmm")
    True
    """
    return sum(_NARROW_LETTER if one in _NARROW else _WIDE_LETTER if one in _WIDE else LETTER for one in text)


def label_sides(panel: Panel, series: Series, width: float, height: float) -> list[Side | None]:
    """Choose the side on which the label of each mark goes; None where there is no room for it.

    panel          the panel with all its series, whose labels and marks must not be covered
    series         the series of `panel` whose labels are placed
    width, height  the size of the plot between its axes, in pixels

    >>> from caser.study.report.figure import Axis
    >>> series = Series("points", x=[0, 1], y=[0, 0.01], labels=["one", "two"])
    >>> panel = Panel(Axis(limits=(0, 2)), Axis(limits=(0, 1)), (series,))
    >>> label_sides(panel, series, 300, 200)
    ['middle right', 'middle right']
    """
    plot = Plot(panel, width, height)
    sides = {id(one): plot.place(one) for one in panel.series}
    return sides[id(series)]


class Plot:
    """The space that is already taken in a plot of `width` by `height` pixels.

    Marks and labels must stay free. Whiskers should, but a label may cover one if there is no other room.
    """

    def __init__(self, panel: Panel, width: float, height: float) -> None:
        self._panel, self._width, self._height = panel, width, height
        places = [(one, i) for one in panel.series for i in range(len(one.x))]
        self._taken = [box for one, i in places for box in self._marks(one, i)]
        self._whiskers = [box for one, i in places if (box := self._whisker(one, i))]

    def place(self, series: Series) -> list[Side | None]:
        """Choose the side of each label of `series`, None where there is no room, and mark the space as taken."""
        sides: list[Side | None] = []
        for i, label in enumerate(series.labels):
            x, y = self.pixels(series.x[i], series.y[i])
            is_drawn = None not in (series.x[i], series.y[i])
            boxes = {side: label_box(side, x, y, label) for side in SIDES if label and is_drawn}
            # Prefer a side that covers nothing at all to one that covers a whisker.
            free = [side for side, box in boxes.items() if self._is_free(box)]
            side = next((side for side in free if not _touches(boxes[side], self._whiskers)), next(iter(free), None))
            sides.append(side)
            self._taken += [boxes[side]] if side else []
        return sides

    def _marks(self, series: Series, i: int) -> list[Box]:
        """The boxes that mark `i` covers; those of a line also cover the way to its next mark."""
        x, y = self.pixels(series.x[i], series.y[i])
        steps = 1
        across = up = 0.0
        if series.kind == "line" and i + 1 < len(series.x):
            next_x, next_y = self.pixels(series.x[i + 1], series.y[i + 1])
            across, up = next_x - x, next_y - y
            steps = 1 + int(max(abs(across), abs(up)) / MARK)
        places = [(x + across * step / steps, y + up * step / steps) for step in range(steps)]
        return [(x - MARK, y - MARK, x + MARK, y + MARK) for x, y in places]

    def _whisker(self, series: Series, i: int) -> Box | None:
        low, high = interval(series, i)
        if series.kind != "points" or series.along != "y" or low is None or high is None:
            return None
        (x, bottom), (_, top) = self.pixels(series.x[i], low), self.pixels(series.x[i], high)
        return x - 1, top, x + 1, bottom

    def pixels(self, x: Number, y: Number) -> tuple[float, float]:
        """Return the place of the value `x`, `y`, in pixels from the top left corner of the plot."""
        across = _share(self._panel.x, self._panel.range("x"), x)
        up = _share(self._panel.y, self._panel.range("y"), y)
        return across * self._width, (1 - up) * self._height

    def _is_free(self, box: Box) -> bool:
        left, top, right, bottom = box
        is_inside = left >= 0 and top >= 0 and right <= self._width and bottom <= self._height
        return is_inside and not _touches(box, self._taken)


def _share(axis: Axis, ends: Range, value: Number) -> float:
    """The place of a value on an axis, from 0 to 1."""
    low, high = ends
    if value is None or (axis.is_log and value <= 0):
        return 0.0
    return ((log10(value) if axis.is_log else value) - low) / (high - low)


def label_box(side: Side, x: float, y: float, label: str) -> Box:
    """Return the box that `label` covers on a `side` of the mark at `x` and `y`, all in pixels from the top left."""
    width = text_width(label)
    up, across = side.split()
    left = {"right": x + GAP, "left": x - GAP - width, "center": x - width / 2}[across]
    top = {"top": y - GAP - LINE, "middle": y - LINE / 2, "bottom": y + GAP}[up]
    return left, top, left + width, top + LINE


def _touches(box: Box, others: Sequence[Box]) -> bool:
    left, top, right, bottom = box
    return any(left < b[2] and b[0] < right and top < b[3] and b[1] < bottom for b in others)
