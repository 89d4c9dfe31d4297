"""Metrics for each arm of an experiment: its answers, their time, and the questions that got none.

caser_arm_answers_total    answers, by arm
caser_arm_seconds          seconds from a question to its answer, by arm; without questions that came in bulk
caser_arm_errors_total     questions, or requests in bulk, that failed with a status of 500 or above, by arm
caser_candidate_info       which model is the candidate; absent while none is served
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Coroutine, Iterable
from typing import Any, TypeVar

from fastapi import HTTPException
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import ClientDisconnect

from caser.errors import ConfigError, UnknownIdError
from caser.service.answers.arms import ARMS, Arm
from caser.service.answers.loaded_model import LoadedModel

Result = TypeVar("Result")

_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_CLIENT_ERRORS = (ConfigError, UnknownIdError, ClientDisconnect)


class ArmMetrics:
    """The metrics of an experiment.

    registry   where they are added
    candidate  returns the model of the candidate, or None; it is called whenever the metrics are read
    """

    def __init__(self, registry: CollectorRegistry, candidate: Callable[[], LoadedModel | None]) -> None:
        answers = Counter("caser_arm_answers", "Answers, by arm of the experiment.", ["arm"], registry=registry)
        errors = Counter(
            "caser_arm_errors",
            "Questions, or requests in bulk, that failed with a status of 500 or above, by arm of the experiment.",
            ["arm"],
            registry=registry,
        )
        seconds = Histogram(
            "caser_arm_seconds",
            "Seconds from a question to its answer, by arm of the experiment; without questions that came in bulk.",
            ["arm"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._answers = {arm: answers.labels(arm) for arm in ARMS}
        self._errors = {arm: errors.labels(arm) for arm in ARMS}
        self._seconds = {arm: seconds.labels(arm) for arm in ARMS}
        registry.register(_CandidateInfo(candidate))

    def count_answer(self, arm: Arm) -> None:
        """Count an answer of an arm."""
        self._answers[arm].inc()

    async def watch(
        self, arms: Collection[Arm], answering: Coroutine[Any, Any, Result], *, is_one: bool = True
    ) -> Result:
        """Wait for answers, and note how long they take, or that they fail.

        arms    of the questions       answering  gives the answers       is_one  whether it is a question on its own
        """
        begun = time.perf_counter()
        try:
            answers = await answering
        except Exception as error:
            is_ours = error.status_code >= 500 if isinstance(error, HTTPException) else True
            if is_ours and not isinstance(error, _CLIENT_ERRORS):
                for arm in arms:
                    self._errors[arm].inc()
            raise
        if is_one:
            for arm in arms:
                self._seconds[arm].observe(time.perf_counter() - begun)
        return answers


class _CandidateInfo(Collector):
    """The metric `caser_candidate_info`, whose labels say which model is the candidate."""

    def __init__(self, candidate: Callable[[], LoadedModel | None]) -> None:
        self._candidate = candidate

    def collect(self) -> Iterable[Metric]:
        """Give the metric of the model that is the candidate now."""
        model = self._candidate()
        if model is not None:
            labels = {"version": model.version, "model": model.recommender.artefact.config.name}
            yield InfoMetricFamily("caser_candidate", "The model that is tried on a share of the users.", labels)
