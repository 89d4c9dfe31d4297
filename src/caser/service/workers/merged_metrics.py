"""The metrics of several workers as those of one service.

Counts, bytes and connections add up. What is one thing for all of them is not added: the store can be written if every
worker can write to it, and the model is as old as the oldest. What a worker measures about its own last events is
averaged over the workers that have seen enough of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

Families: TypeAlias = Sequence[Metric]
"""The metrics of one worker, each with its samples."""


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _largest(values: Sequence[float]) -> float:
    return max((value for value in values if not math.isnan(value)), default=math.nan)


_RULES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "caser_event_items_unknown_share": _mean,
    "caser_popularity_drift": _mean,
    "caser_popularity_drift_by_chance": _mean,
    "caser_model_info": _largest,
    "caser_candidate_info": _largest,
    "caser_model_age_seconds": _largest,
    "caser_store_writable": min,
    "caser_store_durable": min,
    "caser_erasures_incomplete": _largest,
    "process_start_time_seconds": min,
    "process_max_fds": min,
}
"""How the values of the workers become one, for the samples that do not add up."""


def merged_text(workers: Sequence[Families]) -> bytes:
    """Return the metrics of all workers in the text format of Prometheus.

    workers  the metrics of each worker
    """
    registry = CollectorRegistry()
    registry.register(_Merged(workers))
    return generate_latest(registry)


class _Merged(Collector):
    """The merged metrics, as a registry takes them."""

    def __init__(self, workers: Sequence[Families]) -> None:
        self._workers = workers

    def collect(self) -> Iterable[Metric]:
        """Give each metric with its merged samples."""
        merged: dict[str, Metric] = {}
        values: dict[tuple[str, str, tuple[tuple[str, str], ...]], list[float]] = {}
        for family in (family for families in self._workers for family in families):
            merged.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                key = (family.name, sample.name, tuple(sample.labels.items()))
                values.setdefault(key, []).append(sample.value)
        for (family_name, name, labels), found in values.items():
            # When a counter was made is no count: the first worker that counted began it.
            rule = min if name.endswith("_created") else _RULES.get(name, sum)
            merged[family_name].add_sample(name, dict(labels), rule(found))
        return merged.values()
