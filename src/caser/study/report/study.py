"""Questions to a study, which is JSON values: which rows there are, which is best, what a metric says.

A study of the kinds `compare`, `ablate`, `sweep` and `sessions` has rows, one per model and setting; one of the kind
`audit` has findings. Nothing here draws.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from caser.errors import ConfigError, did_you_mean

KINDS = ("ablate", "audit", "compare", "sessions", "sweep")

Row = Mapping[str, Any]
Study = Mapping[str, Any]


def checked(study: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of JSON values only, with null for numbers that JSON has not.

    Raises ConfigError for an unknown kind, a missing key, or a value that is not JSON.

    >>> checked({"kind": "audit", "findings": [], "share": float("nan")})["share"] is None
    True
    """
    kind = study.get("kind")
    if kind not in KINDS:
        raise ConfigError(f"a study must be of a known kind; got {kind!r}: {did_you_mean(str(kind), KINDS)}")
    needed = ("findings",) if kind == "audit" else ("metric", "metrics", "rows")
    for key in needed:
        if key not in study:
            raise ConfigError(f"a study of the kind {kind} must have the key {key!r}; it has not. Run it again.")
    try:
        found: dict[str, Any] = json.loads(json.dumps(_finite(study), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"a study must hold JSON values only; got: {error}. Convert them first.") from None
    return found


def rows(study: Study) -> list[Row]:
    """All rows, none for an audit."""
    return list(study.get("rows") or ())


def value(row: Row, metric: str) -> float | None:
    """What a row says of a metric."""
    return estimate(row, metric)[0]


def estimate(row: Row, metric: str) -> tuple[float | None, float | None, float | None]:
    """Value, low and high of a metric; None for what is not there."""
    found = (row.get("metrics") or {}).get(metric) or {}
    return found.get("value"), found.get("low"), found.get("high")


def ranked(found: Iterable[Row], metric: str) -> list[Row]:
    """Rows with the best first, those without a value last."""
    return sorted(found, key=lambda row: -math.inf if (one := value(row, metric)) is None else one, reverse=True)


def is_counting(row: Row) -> bool:
    """Whether a row is of a model that counts."""
    return row.get("kind") == "counting"


def best_counting(study: Study) -> Row | None:
    """The counting model that every other has to beat, if there is one."""
    return next(iter(ranked(filter(is_counting, rows(study)), study["metric"])), None)


def reference_label(study: Study) -> str | None:
    """The label that most differences are taken to."""
    against = [row["difference"]["against"] for row in rows(study) if row.get("difference")]
    return max(against, key=against.count, default=None)


def published(study: Study) -> Mapping[str, Mapping[str, float]]:
    """Published figures, by label and metric."""
    return {label: values for label, values in (study.get("reference") or {}).items() if isinstance(values, Mapping)}


def source(study: Study) -> str:
    """Where the published figures are from."""
    return str((study.get("reference") or {}).get("source", "published"))


def seconds(row: Row) -> float | None:
    """Seconds of choosing and training together."""
    spent = row.get("seconds") or {}
    found = [spent[part] for part in ("choosing", "training") if spent.get(part) is not None]
    return sum(found) if found else None


def groups(found: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by their group, in order of appearance; "" for those without."""
    by_group: dict[str, list[Row]] = {}
    for row in found:
        by_group.setdefault(row.get("group") or "", []).append(row)
    return by_group


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
