"""What a study says: findings with a question, an answer in one sentence, and the numbers it rests on.

JSON values only, so that a report can be drawn from a file. Will not draw.
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
    """One line, or one bar per place on the x axis; `low` and `high` bound an interval."""

    name: str
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


@dataclass(frozen=True)
class Chart:
    """What a picture needs to know."""

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
    """One question put to a log, and its answer. `advice` goes to the end of the study, with everybody's."""

    name: str
    question: str
    sentence: str
    severity: Severity
    facts: Mapping[str, Fact]
    table: Table | None = None
    chart: Chart | None = None
    advice: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """JSON values, without the advice; a number that is not finite becomes null.

        >>> Finding("size", "How large?", "One row.", "note", {"rows": 1, "share": float("nan")}).to_dict()["facts"]
        {'rows': 1, 'share': None}
        """
        values = asdict(self)
        del values["advice"]
        cleaned: dict[str, Any] = _json(values)
        return cleaned


def count(number: int, singular: str, plural: str | None = None) -> str:
    """A number with its noun.

    >>> count(1, "user"), count(2400, "user"), count(2, "query", "queries")
    ('1 user', '2,400 users', '2 queries')
    """
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def share(value: float) -> str:
    """A share in words: never 0 % of what there is, nor 100 % of what is not all.

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
