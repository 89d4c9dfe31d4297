"""What a monitor can see: rates and times by route, what waits, and how far the model has fallen behind the world.

caser_requests_total, caser_request_seconds      by route and status; by route
caser_answers_total                              by how they were made
caser_events_total                               by whether the model knows the item
caser_event_items_unknown_share                  of the last events
caser_popularity_drift                           total variation between popularity in the run and in the last events
caser_model_age_seconds, caser_questions_waiting
"""

from __future__ import annotations

import time
from collections import Counter as Counts
from collections import deque
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from caser.arrays.types import RawId
from caser.service.answers.loaded_model import Live

_LAST_EVENTS = 10_000
_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """The figures of one service; `live` and `waiting` are asked when a monitor looks."""

    def __init__(self, live: Callable[[], Live], waiting: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        there = self.registry
        self._requests = Counter("caser_requests", "Requests.", ["route", "status"], registry=there)
        self._seconds = Histogram("caser_request_seconds", "Time.", ["route"], buckets=_BUCKETS, registry=there)
        self._answers = Counter("caser_answers", "Answers, by how they were made.", ["source"], registry=there)
        self._events = Counter("caser_events", "Events, by whether the model knows the item.", ["item"], registry=there)
        self._last: deque[RawId] = deque(maxlen=_LAST_EVENTS)
        self._live = live
        self._by_route: dict[tuple[str, int], Counter] = {}
        self._timers: dict[str, Histogram] = {}
        self._by_source: dict[str, Counter] = {}
        gauges: dict[str, tuple[str, Callable[[], float]]] = {
            "caser_event_items_unknown_share": ("Share of the last events' items unknown to the model.", self.unknown),
            "caser_popularity_drift": ("Total variation between popularity in the run and lately.", self.drift),
            "caser_model_age_seconds": ("Since the run was written.", lambda: time.time() - live().made),
            "caser_questions_waiting": ("Questions that wait.", waiting),
        }
        for name, (meaning, value) in gauges.items():
            Gauge(name, meaning, registry=there).set_function(value)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        counter = self._by_route.get((route, status))
        if counter is None:
            counter = self._by_route[route, status] = self._requests.labels(route, str(status))
        counter.inc()
        timer = self._timers.get(route)
        if timer is None:
            timer = self._timers[route] = self._seconds.labels(route)
        timer.observe(seconds)

    def answer(self, source: str) -> None:
        """Count an answer."""
        counter = self._by_source.get(source)
        if counter is None:
            counter = self._by_source[source] = self._answers.labels(source)
        counter.inc()

    def event(self, item: RawId, *, is_known: bool) -> None:
        """Count an event that is new."""
        self._events.labels("known" if is_known else "unknown").inc()
        self._last.append(item)

    def unknown(self) -> float:
        """The share of the last events whose item the model does not know; 0 without events."""
        live = self._live()
        return sum(not live.knows_item(item) for item in self._last) / max(1, len(self._last))

    def drift(self) -> float:
        """Half the sum of |p - q| over items, p in the run and q in the last events that it knows; 0 without events."""
        artefact = self._live().recommender.artefact
        indices = artefact.items.indices(list(self._last))
        lately = Counts(index for index in indices.tolist() if index)
        total, trained = sum(lately.values()), artefact.histories.item_counts
        if not total:
            return 0.0
        shared = sum(min(count / total, trained[index] / trained.sum()) for index, count in lately.items())
        return float(1 - shared)

    def text(self) -> bytes:
        """What a monitor reads."""
        return generate_latest(self.registry)
