"""Metrics for Prometheus: traffic and latency by route, and how well the model still fits the events that arrive.

caser_requests_total, caser_request_seconds      requests by route and status; latency by route
caser_answers_total                              answers, by how they were made
caser_events_total                               events, by whether the model knows the item
caser_event_items_unknown_share                  share of the last events whose item the model does not know
caser_popularity_drift                           total variation distance between popularity in the run and lately
caser_popularity_drift_by_chance                 the distance that as many events have although nothing has changed
caser_model_info, caser_model_age_seconds        which model is served; time since it was trained
caser_store_writable, caser_store_durable        whether events can be stored, and whether they are on disk
caser_cost_waiting                               what the requests that wait for their answer cost together
caser_connections, ..._refused_total, ..._closed_total   open connections, refused ones, and those closed for waiting
caser_erasures_incomplete                        erased users of whom bytes are still on the disk
caser_events_waiting_bytes                       memory of the events that wait to be written
caser_histories_bytes                            memory of the histories that are kept for quick answers
process_...                                      memory, processor time and open files of the process (Linux)
"""

from __future__ import annotations

import math
import time
from collections import Counter as Counts
from collections import deque
from collections.abc import Callable, Iterable

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from caser.arrays.types import RawId
from caser.service.answers.loaded_model import LoadedModel
from caser.service.events.histories import Histories
from caser.service.events.store import EventStore
from caser.service.http.connections import Connections

MIN_EVENTS = 1_000
"""Below this many events, what is measured about the last events is NaN: a few events say nothing."""
_NUM_LAST_EVENTS = 10_000
_OF_THE_LAST = f"the last {_NUM_LAST_EVENTS:,} events since the start; NaN before {MIN_EVENTS:,} of them"
_MEANINGS = {
    "caser_event_items_unknown_share": (
        f"Share of items that the model does not know among {_OF_THE_LAST}. Where it grows, train again."
    ),
    "caser_popularity_drift": (
        "How far the popularity of items has moved since training, from 0 (not at all) to 1 (no item in common): half "
        f"the sum of the differences between the shares of each item in the run and among {_OF_THE_LAST}. Compare it "
        "with caser_popularity_drift_by_chance."
    ),
    "caser_popularity_drift_by_chance": (
        "The value that caser_popularity_drift would have by chance, for as many events, if nothing had changed."
    ),
    "caser_model_age_seconds": "Seconds since the model that is served was trained. A reload does not reset it.",
    "caser_store_writable": "1 if events can be stored, 0 if the last one could not: /healthz says why.",
    "caser_store_durable": "1 if events are on disk, 0 if they are in memory and are lost when the service stops.",
    "caser_cost_waiting": (
        "What the requests that wait for their answer cost together. At --max-waiting further ones are refused."
    ),
    "caser_connections": "Open connections. At --max-connections, idle ones make room, and then new ones are refused.",
    "caser_erasures_incomplete": (
        "Erased users of whom bytes are still on the disk, because another program reads the store. It goes to 0 when "
        "that program ends. NaN with PostgreSQL, where the service does not see the disk."
    ),
    "caser_events_waiting_bytes": (
        "Memory of the events that wait to be written. At --max-waiting-mb further ones are refused."
    ),
    "caser_histories_bytes": (
        "Memory of the histories of users that are kept for quick answers, by estimate; at most --cache-mb."
    ),
}
_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """The metrics of one service.

    model        returns the model that is served now
    cost_waiting returns what the requests that wait cost together
    events       the event store        histories    those that are kept for quick answers
    connections  the connections of the server
    candidate    returns the model of the candidate, or None
    The functions are called whenever the metrics are read.
    """

    def __init__(
        self,
        model: Callable[[], LoadedModel],
        cost_waiting: Callable[[], int],
        events: EventStore,
        histories: Histories,
        connections: Connections,
        candidate: Callable[[], LoadedModel | None] = lambda: None,
    ) -> None:
        self._candidate = candidate
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "caser_requests",
            "Requests, by route and by the status of the answer.",
            ["route", "status"],
            registry=registry,
        )
        self._latency = Histogram(
            "caser_request_seconds",
            "Seconds from a request to the end of its answer, by route.",
            ["route"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._answers = Counter(
            "caser_answers",
            "Answers, by how they were made: for a known user, by popularity and so on.",
            ["source"],
            registry=registry,
        )
        self._events = Counter(
            "caser_events",
            "New events, by whether the model knows the item. Events that are sent again do not count.",
            ["item"],
            registry=registry,
        )
        self._last_items: deque[RawId] = deque(maxlen=_NUM_LAST_EVENTS)
        self._model = model
        # Looking up a metric by its labels is slow, so the metrics that each request needs are kept here.
        self._by_route: dict[tuple[str, int], Counter] = {}
        self._latency_by_route: dict[str, Histogram] = {}
        self._by_source: dict[str, Counter] = {}
        self._known_events, self._unknown_events = self._events.labels("known"), self._events.labels("unknown")
        registry.register(_ModelInfo(model))
        registry.register(_ConnectionCounts(connections))
        for name, value in self._values(cost_waiting, events, histories, connections).items():
            Gauge(name, _MEANINGS[name], registry=registry).set_function(value)

    def _values(
        self, cost_waiting: Callable[[], int], events: EventStore, histories: Histories, connections: Connections
    ) -> dict[str, Callable[[], float]]:
        """The function of each metric that is computed when it is read."""
        return {
            "caser_event_items_unknown_share": self.unknown_share,
            "caser_popularity_drift": self.popularity_drift,
            "caser_popularity_drift_by_chance": self.drift_by_chance,
            "caser_model_age_seconds": lambda: time.time() - self._model().trained_at,
            "caser_store_writable": lambda: events.problem() is None,
            "caser_store_durable": lambda: events.is_durable,
            "caser_erasures_incomplete": lambda: _or_nan(events.num_erasures_incomplete),
            "caser_cost_waiting": cost_waiting,
            "caser_connections": lambda: len(connections),
            "caser_events_waiting_bytes": lambda: events.num_bytes_waiting,
            "caser_histories_bytes": lambda: histories.num_bytes + self._num_bytes_of_models(),
        }

    def _num_bytes_of_models(self) -> int:
        """The memory of the histories that the models keep."""
        models = [self._model(), self._candidate()]
        return sum(one.num_bytes_cached for one in models if one is not None)

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
        (self._known_events if is_known else self._unknown_events).inc()
        self._last_items.append(item)

    def unknown_share(self) -> float:
        """The share of the last events whose item the model does not know; NaN below `MIN_EVENTS` events."""
        if len(self._last_items) < MIN_EVENTS:
            return math.nan
        model = self._model()
        return sum(not model.knows_item(item) for item in self._last_items) / len(self._last_items)

    def popularity_drift(self) -> float:
        """Half the sum over items of |p - q|, from 0 to 1; NaN below `MIN_EVENTS` events.

        p is the share of an item among the interactions of the run, q its share among the last events on items that the
        model knows.
        """
        recent_counts, total = self._recent_counts()
        if total < MIN_EVENTS:
            return math.nan
        trained_counts = self._model().recommender.artefact.trained.item_counts
        overlap = sum(
            min(count / total, trained_counts[index] / trained_counts.sum()) for index, count in recent_counts.items()
        )
        return float(1 - overlap)

    def drift_by_chance(self) -> float:
        """The drift to expect of as many events if popularity has not changed; NaN below `MIN_EVENTS` events.

        Half the sum over items of the mean deviation of a share, sqrt(2 p (1 - p) / (pi n)), which is at most 2 p.
        """
        _, total = self._recent_counts()
        if total < MIN_EVENTS:
            return math.nan
        trained_counts = self._model().recommender.artefact.trained.item_counts
        share = trained_counts / trained_counts.sum()
        return float(np.minimum(np.sqrt(2 * share * (1 - share) / (np.pi * total)), 2 * share).sum() / 2)

    def _recent_counts(self) -> tuple[Counts[int], int]:
        """How often each item that the model knows is among the last events, and the sum."""
        indices = self._model().recommender.artefact.items.indices(list(self._last_items))
        counts = Counts(index for index in indices.tolist() if index)
        return counts, sum(counts.values())

    def text(self) -> bytes:
        """Return the metrics in the text format of Prometheus."""
        return generate_latest(self.registry)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


class _ModelInfo(Collector):
    """The metric `caser_model_info`, whose labels say which model is served."""

    def __init__(self, model: Callable[[], LoadedModel]) -> None:
        self._model = model

    def collect(self) -> Iterable[Metric]:
        """Give the metric of the model that is served now."""
        model = self._model()
        labels = {"version": model.version, "model": model.recommender.artefact.config.name}
        yield InfoMetricFamily(
            "caser_model", "The model that is served; version is the model_version of answers.", labels
        )


class _ConnectionCounts(Collector):
    """How many connections were refused, and how many were closed because they waited too long."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def collect(self) -> Iterable[Metric]:
        """Give both counts since the start."""
        yield CounterMetricFamily(
            "caser_connections_refused",
            "Connections that were refused because there were too many.",
            value=self._connections.num_refused,
        )
        yield CounterMetricFamily(
            "caser_connections_closed",
            "Connections that were closed because they waited too long, or to make room.",
            value=self._connections.num_closed,
        )
