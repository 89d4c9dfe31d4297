"""Describes a figure as data, which `plotly_figures.py` draws on the page and `png.py` draws as a picture.

A figure has panels side by side. A panel has two axes with series between them, or a heat map. The names on an axis
stand at 0, 1, 2, ... This module computes everything that both renderers must agree on: ranges, ticks, line breaks in
names, and the rows of the table that stands below the figure. It knows nothing of studies.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from caser.study.report.palette import Colour

Number = float | int | None
Direction = Literal["x", "y"]
Range = tuple[float, float]

WRAP, WRAP_BELOW = 24, 14
"""Letters on one line of a name: to the left of a y axis, and below an x axis."""
FRAME = 84
"""Pixels of a panel's height that the labels above and below its plot take."""
_MARGIN, _MOST_NAMES_ACROSS, _MOST_LINES = 0.05, 12, 3


@dataclass(frozen=True)
class Axis:
    """One axis: a scale of numbers, or names at 0, 1, 2, ...

    label   the title of the axis                  names  the names, which may have several lines; empty for a scale
    is_log  whether the scale is logarithmic       limits  values that must be in view besides those of the series
    fixed   the range itself, for panels that share one; None computes it
    """

    label: str = ""
    names: tuple[str, ...] = ()
    is_log: bool = False
    limits: tuple[float, ...] = ()
    fixed: Range | None = None


@dataclass(frozen=True)
class Series:
    """Marks that belong together.

    kind       how the marks are drawn                    x, y  the places of the marks; None leaves one out
    name       the name in the key of the figure          colour  a role of the palette
    low, high  ends of the interval of each mark: drawn as a band around a line, and as whiskers on other marks
    along      the direction of the values and intervals  labels  text next to each mark, shown where there is room
    is_hollow  whether marks are outlines                 width  thickness of a bar, in steps between names
    """

    kind: Literal["points", "line", "bars"]
    x: Sequence[Number]
    y: Sequence[Number]
    name: str = ""
    colour: Colour = "accent"
    low: Sequence[Number] = ()
    high: Sequence[Number] = ()
    along: Direction = "y"
    labels: Sequence[str] = ()
    is_hollow: bool = False
    width: float = 0.6

    @property
    def values(self) -> Sequence[Number]:
        """The measured values, which the intervals belong to: `x` or `y`, as `along` says."""
        return self.x if self.along == "x" else self.y

    @property
    def is_empty(self) -> bool:
        """Whether a reader would see nothing: no mark has a place, or all bars have length 0."""
        if self.kind == "bars":
            return not any(self.values)
        return not any(x is not None and y is not None for x, y in zip(self.x, self.y, strict=True))


@dataclass(frozen=True)
class Heat:
    """A matrix drawn as coloured cells. `values` holds its rows from top to bottom; 0 is the middle of the scale."""

    values: Sequence[Sequence[float]]

    @property
    def largest(self) -> float:
        """The largest absolute value, at which the colour scale ends in both directions; 1 if all values are 0."""
        return max((abs(value) for row in self.values for value in row), default=0.0) or 1.0

    @property
    def has_room_for_numbers(self) -> bool:
        """Whether the cells are few enough, and so large enough, to write their numbers into them."""
        return len(self.values) * len(self.values[0]) <= 48 and len(self.values[0]) <= 8


@dataclass(frozen=True)
class Rule:
    """A dotted line across the panel at the value `at` of the axis `along`; `label` says what it marks."""

    at: float
    along: Direction
    label: str = ""


@dataclass(frozen=True)
class Panel:
    """Two axes `x` and `y`, with `series` and `rules` or the heat map `heat` between them, under a `title`."""

    x: Axis
    y: Axis
    series: tuple[Series, ...] = ()
    title: str = ""
    rules: tuple[Rule, ...] = ()
    heat: Heat | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to see: no heat map, and no series but empty ones and those in the background."""
        return self.heat is None and all(one.is_empty for one in self.series if one.colour != "faint")

    @property
    def height(self) -> int:
        """The height in pixels: enough for every name on the y axis, or a fixed height if that axis has none."""
        if self.y.names:
            lines = max(len(wrapped(name)) for name in self.y.names)
            return (FRAME if self.y.label or self.rules else 64) + (12 + 16 * lines) * max(len(self.y.names), 3)
        return 400 if any(label for series in self.series for label in series.labels) else 290

    def range(self, direction: Direction) -> Range:
        """Return the ends of the axis in `direction`: powers of ten if it is logarithmic.

        The names of a y axis run from top to bottom, so its range runs from high to low.
        """
        axis = self.x if direction == "x" else self.y
        if axis.names:
            room = 0.5 if self.heat is not None else 0.6
            ends = (-room, len(axis.names) - 1 + room)
            return ends if direction == "x" else ends[::-1]
        if axis.fixed is not None:
            return axis.fixed
        return spanned([*self._values(direction), *axis.limits], axis.is_log)

    def _values(self, direction: Direction) -> Iterator[Number]:
        for series in self.series:
            yield from series.x if direction == "x" else series.y
            if series.along == direction:
                yield from (*series.low, *series.high)
        yield from (rule.at for rule in self.rules if rule.along == direction)


@dataclass(frozen=True)
class Figure:
    """Panels under one title, with sentences on how to read them.

    name     the file name, without its ending       title        the heading
    reading  how to read the figure                  alternative  the text for readers who cannot see it
    panels   the panels, row by row                  columns      the largest number of panels side by side
    has_lead whether the first panel takes the whole width
    """

    name: str
    title: str
    reading: str
    alternative: str
    panels: tuple[Panel, ...]
    columns: int = 1
    has_lead: bool = False

    def key(self) -> dict[str, Series]:
        """Return the first series of each name; empty if there is only one name, which needs no key."""
        by_name: dict[str, Series] = {}
        for panel in self.panels:
            for series in panel.series:
                if series.name:
                    by_name.setdefault(series.name, series)
        return by_name if len(by_name) > 1 else {}

    def rows(self) -> Iterator[tuple[str, str, str, Number, Number, Number]]:
        """Yield everything that is drawn, as rows of a table: panel, series, place, value, low, high.

        Series in the colour `faint` are left out: they repeat what another panel shows.
        """
        for panel in self.panels:
            if panel.heat is not None:
                for row, values in zip(panel.y.names, panel.heat.values, strict=True):
                    yield from (
                        (panel.title, row, column, value, None, None)
                        for column, value in zip(panel.x.names, values, strict=True)
                    )
            for series in panel.series:
                for i, value in enumerate(() if series.colour == "faint" else series.values):
                    low, high = interval(series, i)
                    yield (panel.title, series.name, place(panel, series, i), value, low, high)


def without_empty_panels(figure: Figure | None) -> Figure | None:
    """Leave out the panels of a figure in which there is nothing to see; None if no panel is left.

    figure  the figure; None stays None
    """
    if figure is None:
        return None
    panels = tuple(panel for panel in figure.panels if not panel.is_empty)
    has_lead = figure.has_lead and bool(panels) and panels[0] is figure.panels[0]
    return replace(figure, panels=panels, has_lead=has_lead) if panels else None


@dataclass(frozen=True)
class Ticks:
    """The marks of an axis: `at` holds their places and `text` their labels."""

    at: tuple[float, ...] = ()
    text: tuple[str, ...] = ()


def ticks(panel: Panel, direction: Direction) -> Ticks | None:
    """Return the ticks of the axis of `panel` in `direction`; None leaves the choice to the renderer.

    Names get one tick each, or every second, third, ... if an x axis has more than 12; a logarithmic axis has ticks at
    powers of ten, and at 2 and 5 times them if it is short. Any other axis gives None.
    """
    axis = panel.x if direction == "x" else panel.y
    if axis.names:
        step = 1 + (len(axis.names) - 1) // _MOST_NAMES_ACROSS if direction == "x" else 1
        return Ticks(tuple(map(float, range(0, len(axis.names), step))), axis.names[::step])
    if not axis.is_log:
        return None
    low, high = panel.range(direction)
    steps = (1,) if high - low >= 2 else (1, 2, 5)
    values = [step * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for step in steps]
    shown = tuple(value for value in values if low <= math.log10(value) <= high)
    return Ticks(shown, tuple(f"{value:,.10g}" for value in shown))


def wrapped(name: str, width: int = WRAP) -> list[str]:
    """Break `name` into at most three lines of `width` letters; a longer name ends in an ellipsis.

    >>> wrapped("count-knn, with earlier sessions", 16)
    ['count-knn, with', 'earlier sessions']
    """
    lines = [line for part in name.split("\n") for line in textwrap.wrap(part, width)]
    return lines if len(lines) <= _MOST_LINES else [*lines[: _MOST_LINES - 1], f"{lines[_MOST_LINES - 1]} …"]


def sharing(panels: Sequence[Panel], *directions: Direction) -> tuple[Panel, ...]:
    """Give all `panels` the same range in each of the `directions`, so that they can be compared."""
    for direction in directions:
        ranges = [panel.range(direction) for panel in panels]
        fixed = min(low for low, _ in ranges), max(high for _, high in ranges)
        panels = [_with_range(panel, direction, fixed) for panel in panels]
    return tuple(panels)


def spanned(values: Iterable[Number], is_log: bool = False) -> Range:
    """Return the range of all `values` that are not None, with some room at both ends; (0, 1) if there are none.

    With `is_log`, the ends are powers of ten, and values that are not positive are left out.

    >>> spanned([0, 10, None])
    (-0.5, 10.5)
    """
    numbers = [float(value) for value in values if value is not None and (value > 0 or not is_log)]
    if is_log:
        numbers = [math.log10(value) for value in numbers]
    if not numbers:
        return 0.0, 1.0
    low, high = min(numbers), max(numbers)
    room = (high - low) * _MARGIN or abs(high) * _MARGIN or 0.5
    return low - room, high + room


def interval(series: Series, i: int) -> tuple[Number, Number]:
    """Return the low and the high end of the interval of mark `i` of `series`; None where there is no interval."""
    return (series.low[i], series.high[i]) if series.low and series.high else (None, None)


def place(panel: Panel, series: Series, i: int) -> str:
    """Return the place of mark `i` of `series` in `panel` in words: its name on the axis, or its label and number."""
    axis, at = (panel.y, series.y[i]) if series.along == "x" else (panel.x, series.x[i])
    if at is None:
        text = ""
    elif axis.names:
        text = axis.names[round(at)].replace("\n", " ")
    else:
        text = f"{at:,.6g}"
    return f"{series.labels[i]} ({text})" if series.labels and series.labels[i] and not axis.names else text


def _with_range(panel: Panel, direction: Direction, fixed: Range) -> Panel:
    if direction == "x":
        return replace(panel, x=replace(panel.x, fixed=fixed))
    return replace(panel, y=replace(panel.y, fixed=fixed))
