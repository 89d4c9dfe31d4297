"""The models of a service: the one of its run, and that of a candidate where there is an experiment.

Both read the same events. A candidate that cannot be loaded when the service starts costs nobody an answer: until a
reload of it works, its users are answered by the incumbent, and the answers say so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import HTTPException

from caser.arrays.types import RawId
from caser.service.answers.answer import Question, answer_questions, question_costs
from caser.service.answers.arms import Arm, Experiment, check_candidate, folders
from caser.service.answers.loaded_model import LoadedModel
from caser.service.events.histories import Histories
from caser.service.events.store import EventStore
from caser.service.http.served_model import ServedModel
from caser.service.logs import logger
from caser.service.request_schemas import RecommendRequest
from caser.service.settings import ServiceSettings

NO_CANDIDATE = "-"
"""Stands in `version` for a candidate that is not served."""


class ServedArms:
    """The models that answer.

    run     the run that is served       settings  how it is served, and with which candidate
    events  the store of events

    Raises as `ServedModel` does for the run, and ConfigError as `check_candidate` does.
    """

    def __init__(self, run: Path, settings: ServiceSettings, events: EventStore) -> None:
        check_candidate(run, settings)
        self._window = settings.window
        self.experiment = Experiment.of(settings)
        of_arm = folders(run, settings)
        # One half of the memory is for histories of events; the models share the other half.
        max_cached = (settings.cache_mb << 19) // len(of_arm)
        self._served = {arm: ServedModel(folder, settings, events, max_cached, arm) for arm, folder in of_arm.items()}
        self.incumbent = self._served["incumbent"]
        self.incumbent.start()
        if "candidate" in self._served:
            self._served["candidate"].try_to_start()

    @property
    def candidate(self) -> LoadedModel | None:
        """The model of the candidate; None if there is none, or if it could not be loaded."""
        served = self._served.get("candidate")
        return served.model if served is not None and served.is_loaded else None

    @property
    def version(self) -> str:
        """What tells one set of models from another: the version of each arm, with a space in between."""
        if self.experiment is None:
            return self.incumbent.model.version
        return f"{self.incumbent.model.version} {self.candidate.version if self.candidate else NO_CANDIDATE}"

    def of(self, arm: Arm) -> ServedModel:
        """Return an arm. Raises HTTPException 409 for the candidate of a service that has none.

        arm  its name
        """
        if arm not in self._served:
            raise HTTPException(409, "the service has no candidate: it was started without --candidate.")
        return self._served[arm]

    def arm_of(self, user: RawId | None) -> Arm:
        """Return the arm that answers a user: the incumbent too where the candidate is not served.

        user  the raw id; None for a question without a user
        """
        if self.experiment is None or self.candidate is None:
            return "incumbent"
        return self.experiment.arm_of(user)

    def withdraw(self) -> None:
        """Serve the candidate no more, until it is loaded again."""
        if "candidate" in self._served:
            self._served["candidate"].withdraw()

    def facts(self) -> dict[str, Any]:
        """Describe what is served, as JSON values (see `ModelResponse`)."""
        facts = self.incumbent.facts(self.incumbent.model)
        if self.experiment is None:
            return facts
        found, served = self.candidate, self._served["candidate"]
        names = ("model_version", "model", "settings", "trained", "loaded")
        of_candidate = None if found is None else {name: served.facts(found)[name] for name in names}
        experiment = {"share": self.experiment.share, "candidate": of_candidate, "problem": served.problem}
        return {**facts, "experiment": experiment}

    def log_items(self) -> None:
        """Log what was guessed about the table of items, and what of it does not match the run."""
        for sentence in self.incumbent.model.catalogue.notes:
            logger.info("table of items: %s", sentence)

    async def costs(
        self, histories: Histories, requests: Sequence[RecommendRequest], places: Sequence[str] = ("",)
    ) -> list[int]:
        """Return what each question costs with the model that answers it.

        histories  the users' events       requests  the questions       places  where each stands in the request

        Raises as `question_costs` does.
        """
        if self.experiment is None:
            return await question_costs(self.incumbent.model, histories, self._window, requests, places)
        costs = [0] * len(requests)
        for arm, numbers in self._by_arm(requests).items():
            some, where = [requests[number] for number in numbers], [places[number] for number in numbers]
            found = await question_costs(self.of(arm).model, histories, self._window, some, where)
            for number, cost in zip(numbers, found, strict=True):
                costs[number] = cost
        return costs

    def answer(self, questions: Sequence[Question]) -> list[dict[str, Any]]:
        """Answer questions, each by the model of its arm; the answers say which arm that is.

        questions  with their users' stored events
        """
        if self.experiment is None:
            return answer_questions(self.incumbent.model, self._window, questions)
        answers: list[dict[str, Any]] = [{}] * len(questions)
        for arm, numbers in self._by_arm([one.request for one in questions]).items():
            found = answer_questions(self.of(arm).model, self._window, [questions[number] for number in numbers])
            for number, answer in zip(numbers, found, strict=True):
                answers[number] = {**answer, "arm": arm}
        return answers

    def _by_arm(self, requests: Sequence[RecommendRequest]) -> dict[Arm, list[int]]:
        """The numbers of the questions of each arm."""
        numbers: defaultdict[Arm, list[int]] = defaultdict(list)
        for number, request in enumerate(requests):
            numbers[self.arm_of(request.user_id)].append(number)
        return numbers
