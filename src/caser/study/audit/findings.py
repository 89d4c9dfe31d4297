"""Findings: a question about a log, its answer in one sentence, and the numbers that the answer rests on.

A finding becomes JSON values, so that a report can be drawn from a file. Nothing here draws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["good", "note", "warning"]
Fact = float | int | str | None


@dataclass(frozen=True)
class Series:
    """One line of a chart, or one bar at each x; `low` and `high` are the ends of intervals."""

    name: str
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


@dataclass(frozen=True)
class Chart:
    """The data of a figure."""

    kind: Literal["bars", "lines"]
    x: Sequence[str | float]
    series: Sequence[Series]
    x_label: str
    y_label: str


@dataclass(frozen=True)
class Table:
    """Rows under named columns."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Fact]]


@dataclass(frozen=True)
class Finding:
    """One question about a log, and its answer.

    name, question  a short name for JSON, and the question for people
    sentence        the answer
    severity        good, or worth a note, or worth a warning
    facts           the numbers that the answer rests on, by their description
    table, chart    more numbers, if there are any
    advice          what to do; a report collects the advice of all findings
    """

    name: str
    question: str
    sentence: str
    severity: Severity
    facts: Mapping[str, Fact]
    table: Table | None = None
    chart: Chart | None = None
    advice: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, without the advice; a number that is not finite becomes null.

        >>> Finding("size", "How large?", "One row.", "note", {"rows": 1, "share": float("nan")}).to_dict()["facts"]
        {'rows': 1, 'share': None}
        """
        values = asdict(self)
        del values["advice"]
        cleaned: dict[str, Any] = _json(values)
        return cleaned


def count(number: int, singular: str, plural: str | None = None) -> str:
    """Return a number with its noun: `singular` for 1, else `plural`, which is the singular with an -s by default.

    >>> count(1, "user"), count(2400, "user"), count(2, "query", "queries")
    ('1 user', '2,400 users', '2 queries')
    """
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def share(value: float) -> str:
    """Return `value`, a share from 0 to 1, as a percentage; only an exact 0 is "0 %", and only an exact 1 is "100 %".

    >>> share(0.1234), share(0.00002), share(0.99999), share(0.0), share(1.0)
    ('12.3 %', 'under 0.1 %', 'over 99.9 %', '0 %', '100 %')
    """
    if value in (0, 1):
        return f"{value:.0%}".replace("%", " %")
    if value < 0.001:
        return "under 0.1 %"
    return "over 99.9 %" if value > 0.999 else f"{value * 100:.1f} %"


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _json(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json(inner) for inner in value]
    if isinstance(value, bool | int | str) or value is None:
        return value
    number = float(value)
    return number if math.isfinite(number) else None
