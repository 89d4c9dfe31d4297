"""Metrics for Prometheus: traffic and latency by route, and how well the model still fits the events that arrive.

caser_requests_total, caser_request_seconds      requests by route and status; latency by route
caser_answers_total                              answers, by how they were made
caser_events_total                               events, by whether the model knows the item
caser_event_items_unknown_share                  share of the last events whose item the model does not know
caser_popularity_drift                           total variation distance between popularity in the run and lately
caser_model_age_seconds                          time since the run was written
caser_questions_waiting                          questions in the queue
"""

from __future__ import annotations

import time
from collections import Counter as Counts
from collections import deque
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from caser.arrays.types import RawId
from caser.service.answers.loaded_model import LoadedModel

_NUM_LAST_EVENTS = 10_000
_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """The metrics of one service.

    model        returns the model that is served now
    num_waiting  returns how many questions wait
    Both are called whenever the metrics are read.
    """

    def __init__(self, model: Callable[[], LoadedModel], num_waiting: Callable[[], int]) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = Counter("caser_requests", "Requests.", ["route", "status"], registry=registry)
        self._latency = Histogram(
            "caser_request_seconds", "Seconds per request.", ["route"], buckets=_BUCKETS, registry=registry
        )
        self._answers = Counter("caser_answers", "Answers, by how they were made.", ["source"], registry=registry)
        self._events = Counter(
            "caser_events", "Events, by whether the model knows the item.", ["item"], registry=registry
        )
        self._last_items: deque[RawId] = deque(maxlen=_NUM_LAST_EVENTS)
        self._model = model
        # Looking up a metric by its labels is slow, so the metrics that each request needs are kept here.
        self._by_route: dict[tuple[str, int], Counter] = {}
        self._latency_by_route: dict[str, Histogram] = {}
        self._by_source: dict[str, Counter] = {}
        gauges: dict[str, tuple[str, Callable[[], float]]] = {
            "caser_event_items_unknown_share": (
                "Share of the last events whose item the model does not know.",
                self.unknown_share,
            ),
            "caser_popularity_drift": (
                "Total variation distance between popularity in the run and in the last events.",
                self.popularity_drift,
            ),
            "caser_model_age_seconds": ("Seconds since the run was written.", lambda: time.time() - model().written_at),
            "caser_questions_waiting": ("Questions in the queue.", num_waiting),
        }
        for name, (meaning, value) in gauges.items():
            Gauge(name, meaning, registry=registry).set_function(value)

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """Count a request to `route` that was answered with `status` after so many `seconds`."""
        counter = self._by_route.get((route, status))
        if counter is None:
            counter = self._by_route[route, status] = self._requests.labels(route, str(status))
        counter.inc()
        histogram = self._latency_by_route.get(route)
        if histogram is None:
            histogram = self._latency_by_route[route] = self._latency.labels(route)
        histogram.observe(seconds)

    def count_answer(self, source: str) -> None:
        """Count an answer; `source` is how it was made."""
        counter = self._by_source.get(source)
        if counter is None:
            counter = self._by_source[source] = self._answers.labels(source)
        counter.inc()

    def count_event(self, item: RawId, *, is_known: bool) -> None:
        """Count a new event on `item`; `is_known` says whether the model knows the item."""
        self._events.labels("known" if is_known else "unknown").inc()
        self._last_items.append(item)

    def unknown_share(self) -> float:
        """The share of the last events whose item the model does not know; 0 without events."""
        model = self._model()
        return sum(not model.knows_item(item) for item in self._last_items) / max(1, len(self._last_items))

    def popularity_drift(self) -> float:
        """Half the sum over items of |p - q|, from 0 to 1; 0 without events.

        p is the share of an item among the interactions of the run, q its share among the last events on items that the
        model knows.
        """
        artefact = self._model().recommender.artefact
        indices = artefact.items.indices(list(self._last_items))
        recent_counts = Counts(index for index in indices.tolist() if index)
        total, trained_counts = sum(recent_counts.values()), artefact.trained.item_counts
        if not total:
            return 0.0
        overlap = sum(
            min(count / total, trained_counts[index] / trained_counts.sum()) for index, count in recent_counts.items()
        )
        return float(1 - overlap)

    def text(self) -> bytes:
        """Return the metrics in the text format of Prometheus."""
        return generate_latest(self.registry)
