"""Reads the facts of a study: its rows, its best simple model, the estimate of a metric.

The facts are JSON values. A study of the kind `compare`, `ablate`, `sweep` or `sessions` has rows, one per model and
setting; a study of the kind `audit` has findings, and one of the kind `reliability` bins of chances. This module draws
nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from caser.errors import ConfigError, did_you_mean

KINDS = ("ablate", "audit", "compare", "reliability", "sessions", "sweep")

_NEEDED = {"audit": ("findings",), "reliability": ("bins", "ranks")}

StudyFacts = Mapping[str, Any]
"""A study as JSON values, as `Study.to_dict` returns it and `study.json` holds it."""
Row = Mapping[str, Any]
"""One row of a study: a model with its setting, metrics, cost and difference to the reference."""


def checked(study: StudyFacts) -> dict[str, Any]:
    """Copy the facts of a study as plain JSON values, with null in place of infinite numbers and of NaN.

    study  the facts, with tuples or numbers that are not finite where the caller has them

    Raises ConfigError for an unknown kind, a missing key, or a value that is not JSON.

    >>> checked({"kind": "audit", "findings": [], "share": float("nan")})["share"] is None
    True
    """
    kind = study.get("kind")
    if kind not in KINDS:
        raise ConfigError(f"a study must be of a known kind; got {kind!r}: {did_you_mean(str(kind), KINDS)}")
    needed = _NEEDED.get(str(kind), ("metric", "metrics", "rows"))
    for key in needed:
        if key not in study:
            raise ConfigError(f"a study of the kind {kind} must have the key {key!r}; it is missing. Run it again.")
    try:
        values: dict[str, Any] = json.loads(json.dumps(_finite(study), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"a study must hold JSON values only; got: {error}. Convert them first.") from None
    return values


def rows(study: StudyFacts) -> list[Row]:
    """Return all rows of `study`; an audit has none."""
    return list(study.get("rows") or ())


def value(row: Row, metric: str) -> float | None:
    """Return the value of `metric` in `row`, or None if the row does not have it."""
    return estimate(row, metric)[0]


def estimate(row: Row, metric: str) -> tuple[float | None, float | None, float | None]:
    """Return value, low end and high end of `metric` in `row`; None stands for what the row does not have."""
    found = (row.get("metrics") or {}).get(metric) or {}
    return found.get("value"), found.get("low"), found.get("high")


def ranked(members: Iterable[Row], metric: str) -> list[Row]:
    """Sort the rows `members` by `metric`, best first; rows without a value come last."""
    return sorted(members, key=lambda row: -math.inf if (own := value(row, metric)) is None else own, reverse=True)


def is_counting(row: Row) -> bool:
    """Return whether the model of `row` is simple: fitted in one pass, without epochs."""
    return row.get("kind") == "counting"


def best_counting(study: StudyFacts) -> Row | None:
    """Return the row of the best simple model of `study`, or None if it has none."""
    return next(iter(ranked(filter(is_counting, rows(study)), study["metric"])), None)


def reference_label(study: StudyFacts) -> str | None:
    """Return the label of the row that most differences of `study` are taken against; None without differences."""
    against = [row["difference"]["against"] for row in rows(study) if row.get("difference")]
    return max(against, key=against.count, default=None)


def published(study: StudyFacts) -> Mapping[str, Mapping[str, float]]:
    """Return the published figures that `study` quotes, by label and then by metric."""
    return {label: values for label, values in (study.get("reference") or {}).items() if isinstance(values, Mapping)}


def source(study: StudyFacts) -> str:
    """Return the name of the publication that the published figures of `study` come from."""
    return str((study.get("reference") or {}).get("source", "published"))


def seconds(row: Row) -> float | None:
    """Return the seconds that `row` took to choose its settings and to train; None if they were not measured."""
    spent = row.get("seconds") or {}
    parts = [spent[part] for part in ("choosing", "training") if spent.get(part) is not None]
    return sum(parts) if parts else None


def training_seconds(row: Row) -> float | None:
    """Return the seconds that `row` took to train alone; None if they were not measured."""
    spent: float | None = (row.get("seconds") or {}).get("training")
    return spent


def groups(members: Sequence[Row]) -> dict[str, list[Row]]:
    """Collect the rows `members` by their group, in order of appearance; rows without a group come under ""."""
    by_group: dict[str, list[Row]] = {}
    for row in members:
        by_group.setdefault(row.get("group") or "", []).append(row)
    return by_group


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
