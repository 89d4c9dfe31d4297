"""What a figure shows, as data: described once, drawn by `plotly_figures.py` on the page and by `png.py` as a picture.

A figure has panels side by side; a panel has two axes and series, or a heat map. Names on an axis stand at 0, 1, 2, ...
Whatever both renderers must agree on (ranges, ticks, where labels go, what a table says instead) is settled here.
Nothing here knows a study.
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
"""Letters on a line of a name beside an axis, and below one."""
FRAME = 84
"""Pixels of a panel's height that are not its plot: labels above and below."""
_MARGIN, _MOST_NAMES_ACROSS, _MOST_LINES = 0.05, 12, 3


@dataclass(frozen=True)
class Axis:
    """One axis: numbers, or names at 0, 1, 2, ... (which may have several lines).

    limits  the values that must be in view besides those of the series; fixed  the range itself, for panels that share
    """

    label: str = ""
    names: tuple[str, ...] = ()
    is_log: bool = False
    limits: tuple[float, ...] = ()
    fixed: Range | None = None


@dataclass(frozen=True)
class Series:
    """Marks that belong together.

    low, high  ends of an interval in direction `along`: a band around a line, whiskers on anything else
    labels     text beside marks, as far as there is room     name  what the marks have in common
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
    """Thickness of a bar, in steps between names."""

    @property
    def values(self) -> Sequence[Number]:
        """What the interval is about."""
        return self.x if self.along == "x" else self.y


@dataclass(frozen=True)
class Heat:
    """A matrix as coloured cells, one row below the other; 0 is the middle of the scale."""

    values: Sequence[Sequence[float]]

    @property
    def largest(self) -> float:
        """The largest size of a value: the end of the scale in both directions."""
        return max((abs(value) for row in self.values for value in row), default=0.0) or 1.0

    @property
    def has_room_for_numbers(self) -> bool:
        """Whether cells are few enough to be written in."""
        return len(self.values) * len(self.values[0]) <= 48 and len(self.values[0]) <= 8


@dataclass(frozen=True)
class Rule:
    """A line across the panel at one value of an axis, with a word on what it is."""

    at: float
    along: Direction
    label: str = ""


@dataclass(frozen=True)
class Panel:
    """Two axes and what is drawn between them."""

    x: Axis
    y: Axis
    series: tuple[Series, ...] = ()
    title: str = ""
    rules: tuple[Rule, ...] = ()
    heat: Heat | None = None

    @property
    def height(self) -> int:
        """Height in pixels: a row for each name, or a landscape."""
        if self.y.names:
            lines = max(len(wrapped(name)) for name in self.y.names)
            return (FRAME if self.y.label or self.rules else 64) + (12 + 16 * lines) * max(len(self.y.names), 3)
        return 380 if any(label for one in self.series for label in one.labels) else 290

    def range(self, direction: Direction) -> Range:
        """The ends of an axis; of a logarithmic one, the powers of ten. Names run downwards on the y axis."""
        axis = self.x if direction == "x" else self.y
        if axis.names:
            room = 0.5 if self.heat is not None else 0.6
            ends = (-room, len(axis.names) - 1 + room)
            return ends if direction == "x" else ends[::-1]
        if axis.fixed is not None:
            return axis.fixed
        return spanned([*self._values(direction), *axis.limits], axis.is_log)

    def _values(self, direction: Direction) -> Iterator[Number]:
        for one in self.series:
            yield from one.x if direction == "x" else one.y
            if one.along == direction:
                yield from (*one.low, *one.high)
        yield from (rule.at for rule in self.rules if rule.along == direction)


@dataclass(frozen=True)
class Figure:
    """Panels under one title, with one sentence on how to read them.

    name     the file's name without ending          alternative  what a reader hears who cannot see it
    columns  how many panels may stand side by side         has_lead  whether the first takes the whole width
    """

    name: str
    title: str
    reading: str
    alternative: str
    panels: tuple[Panel, ...]
    columns: int = 1
    has_lead: bool = False

    def key(self) -> dict[str, Series]:
        """The first series of each name, if there are several names to tell apart."""
        found: dict[str, Series] = {}
        for panel in self.panels:
            for one in panel.series:
                if one.name:
                    found.setdefault(one.name, one)
        return found if len(found) > 1 else {}

    def rows(self) -> Iterator[tuple[str, str, str, Number, Number, Number]]:
        """All that is drawn as rows of text and numbers: panel, series, place, value, low, high."""
        for panel in self.panels:
            if panel.heat is not None:
                for row, values in zip(panel.y.names, panel.heat.values, strict=True):
                    yield from (
                        (panel.title, row, column, value, None, None)
                        for column, value in zip(panel.x.names, values, strict=True)
                    )
            for one in panel.series:
                for i, value in enumerate(() if one.colour == "faint" else one.values):
                    low, high = interval(one, i)
                    yield (panel.title, one.name, place(panel, one, i), value, low, high)


@dataclass(frozen=True)
class Ticks:
    """Where an axis is marked, and with what."""

    at: tuple[float, ...] = ()
    text: tuple[str, ...] = ()


def ticks(panel: Panel, direction: Direction) -> Ticks | None:
    """Ticks of an axis of names or of a logarithmic one; None leaves them to the renderer."""
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
    """The lines of a name, at most three.

    >>> wrapped("count-knn, with earlier sessions", 16)
    ['count-knn, with', 'earlier sessions']
    """
    lines = [line for part in name.split("\n") for line in textwrap.wrap(part, width)]
    return lines if len(lines) <= _MOST_LINES else [*lines[: _MOST_LINES - 1], f"{lines[_MOST_LINES - 1]} …"]


def sharing(panels: Sequence[Panel], *directions: Direction) -> tuple[Panel, ...]:
    """The panels with the same range on the axes of some directions, so that they can be compared."""
    for direction in directions:
        ranges = [panel.range(direction) for panel in panels]
        fixed = min(low for low, _ in ranges), max(high for _, high in ranges)
        panels = [_with_range(panel, direction, fixed) for panel in panels]
    return tuple(panels)


def spanned(values: Iterable[Number], is_log: bool = False) -> Range:
    """The range that holds all values with some room at both ends; powers of ten on a logarithmic axis.

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
    """The ends of the interval at one mark; None where there is none."""
    return (series.low[i], series.high[i]) if series.low and series.high else (None, None)


def place(panel: Panel, series: Series, i: int) -> str:
    """Where a mark stands, in words: its name on the axis that has names, or its number and label on the other."""
    axis, at = (panel.y, series.y[i]) if series.along == "x" else (panel.x, series.x[i])
    text = "" if at is None else axis.names[round(at)].replace("\n", " ") if axis.names else f"{at:,.6g}"
    return f"{series.labels[i]} ({text})" if series.labels and series.labels[i] and not axis.names else text


def _with_range(panel: Panel, direction: Direction, fixed: Range) -> Panel:
    if direction == "x":
        return replace(panel, x=replace(panel.x, fixed=fixed))
    return replace(panel, y=replace(panel.y, fixed=fixed))
