"""What each route does: one method of `Service` per route. The types of its parameters describe the request.

A method returns JSON values. It notes the user of the request in the request's state, for the request log. Its name
and the first paragraph of its docstring appear in the API documentation. Which error gives which status is in
`error_responses.py`.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import HTTPException, Request, Response

from caser.answering.answers import REPLAY_HEADER
from caser.data.id_text import json_id, written
from caser.service.answers.answer import API_VERSION, Question, with_recent
from caser.service.answers.arms import Arm
from caser.service.answers.cost import events_cost, history_cost
from caser.service.answers.loaded_model import LoadedModel
from caser.service.answers.queue import QuestionQueue
from caser.service.events.histories import Histories
from caser.service.events.store import Event, EventStore, Outcome
from caser.service.http.admission import Deadlines, accept, charge, while_connected
from caser.service.http.answer_log import AnswerLog
from caser.service.http.arm_metrics import ArmMetrics
from caser.service.http.company import Company
from caser.service.http.connections import Connections, default_limits, descriptors
from caser.service.http.error_responses import RETRY_LATER, RETRY_SOON
from caser.service.http.metrics import Metrics
from caser.service.http.new_events import for_the_store
from caser.service.http.served_arms import ServedArms
from caser.service.logs import JsonLog, Pseudonym
from caser.service.request_schemas import (
    ArmInQuery,
    BulkRecommendRequest,
    EventsBody,
    IdInQuery,
    ItemIdInPath,
    NewEvent,
    NumFound,
    NumSimilar,
    RecommendRequest,
    SearchText,
    UserIdInPath,
)
from caser.service.settings import ServiceSettings

_QUESTIONS_PER_TURN = 64
"""How many questions of a request are checked before other requests get their turn."""


class Service:
    """A run that is served: its model, its event store, and its queue of questions.

    run        the run folder                 settings   how to serve it
    events     the event store                pseudonym  turns a user id into the text that logs show

    Raises ArtefactError when the run is damaged, DataError when the table of items cannot be read, StoreError when a
    log cannot be opened.
    """

    def __init__(self, run: Path, settings: ServiceSettings, events: EventStore, pseudonym: Pseudonym) -> None:
        self.run = run
        self.settings = settings
        self.events = events
        self.histories = Histories(
            events,
            window=settings.window,
            expire_days=settings.expire_days,
            max_bytes=settings.cache_mb << 19,  # one half; the other half is for the histories that the model reads
        )
        self.arms = ServedArms(run, settings, events)
        self._deadlines = Deadlines(settings.answer_seconds)
        self.is_draining = False
        self.connections = Connections(
            default_limits(settings.max_body, settings.max_connections, settings.idle_seconds, descriptors())
        )
        self.queue: QuestionQueue[RecommendRequest, Question, dict[str, Any]] = QuestionQueue(
            partial(with_recent, self.histories), self.arms.answer, settings.max_waiting, settings.answer_seconds
        )
        waiting, candidate = lambda: self.queue.cost_waiting, lambda: self.arms.candidate
        self.metrics = Metrics(lambda: self.model, waiting, events, self.histories, self.connections, candidate)
        is_experiment = self.arms.experiment is not None
        self._arm_metrics = ArmMetrics(self.metrics.registry, candidate) if is_experiment else None
        self.pseudonym = pseudonym
        self._answer_log = (
            None if settings.answer_log is None else AnswerLog(settings.answer_log, pseudonym, self.arms.experiment)
        )
        self.company: Company | None = None
        self.request_log = JsonLog()

    @property
    def model(self) -> LoadedModel:
        """The model that is served now."""
        return self.arms.incumbent.model

    def close(self) -> None:
        """Close the queue, the event store and the logs. No request may be in progress."""
        self.queue.close()
        self.events.close()
        self.request_log.close()
        if self._answer_log is not None:
            self._answer_log.close()

    async def recommend(self, question: RecommendRequest, request: Request) -> dict[str, Any]:
        """Recommend items for a user or a history.

        question  the body of the request       request  receives the user, for the log

        Raises BusyError when too much waits, TimeoutError when it takes too long, NumericalError when a score is no
        number, ConfigError for a rule that does not fit the table of items, HTTPException 422 for too high a cost.
        """
        # `request.state.user = ...` does the same, but makes an object first, which takes 2 % of the time of an answer.
        request.scope["state"]["user"] = None if question.user_id is None else written(question.user_id)
        if self._arm_metrics is None:
            return await self._recommend(question, request)
        return await self._arm_metrics.watch([self.arms.arm_of(question.user_id)], self._recommend(question, request))

    async def _recommend(self, question: RecommendRequest, request: Request) -> dict[str, Any]:
        [cost] = await self.arms.costs(self.histories, [question])
        if cost > 1:
            accept([question], cost, self.settings.max_cost, request)
        asking = self.queue.ask(question, cost)
        answer = await (
            while_connected(request, asking, self.settings.answer_seconds) if self.queue.is_long(cost) else asking
        )
        self._record([answer], request)
        return answer

    async def recommend_bulk(self, bulk: BulkRecommendRequest, request: Request) -> dict[str, Any]:
        """Answer many questions. Each answer is the same as if its question had been asked alone.

        bulk  the body of the request       request  its id goes to the answer log

        Raises as `recommend` does.
        """
        if self._arm_metrics is None:
            return await self._recommend_bulk(bulk, request)
        arms = {self.arms.arm_of(question.user_id) for question in bulk.questions}
        return await self._arm_metrics.watch(arms, self._recommend_bulk(bulk, request), is_one=False)

    async def _recommend_bulk(self, bulk: BulkRecommendRequest, request: Request) -> dict[str, Any]:
        costs: list[int] = []
        while len(costs) < len(bulk.questions):
            some = bulk.questions[len(costs) : len(costs) + _QUESTIONS_PER_TURN]
            places = [f"questions[{len(costs) + number}]." for number in range(len(some))]
            costs += await self.arms.costs(self.histories, some, places)
            await asyncio.sleep(0)
        accept(bulk.questions, sum(costs), self.settings.max_cost, request)
        asking = self.queue.ask_all(bulk.questions, costs)
        answers = await while_connected(request, asking, self.settings.answer_seconds)
        self._record(answers, request)
        return self._versioned(answers=answers)

    async def store_events(self, body: EventsBody, request: Request) -> dict[str, Any]:
        """Store one event or several. After the response, every answer takes them into account.

        body  one event, or several       request  its client pays for the events

        Raises BusyError when too many writes wait, TimeoutError when they take too long, StoreError when the events
        cannot be written, HTTPException 409 for a time in the future.
        """
        model = self.model
        new_events, events = for_the_store(body, time.time())
        charge(request, events_cost(len(events)))
        with self._deadlines:
            outcomes = await self.events.append(events)
        unknown_items = self._record_events(model, new_events, events, outcomes)
        return self._versioned(
            accepted=outcomes.count("new"),
            known=outcomes.count("known"),
            erased=outcomes.count("erased"),
            conflicts=[
                event.event_id for event, outcome in zip(events, outcomes, strict=True) if outcome == "conflict"
            ],
            durable=self.events.waits_for_disk,
            unknown_items=unknown_items,
            unknown_event_types=list(dict.fromkeys(filter(model.kinds.is_unknown, (one.event_type for one in events)))),
        )

    async def history(self, user_id: UserIdInPath, request: Request) -> dict[str, Any]:
        """Return the history of a user: what the run holds of the user, and the events that it does not hold.

        user_id  the raw id       request  receives the user, for the log
        """
        request.state.user = user_id
        model = self.model
        [recent] = await self.histories.recent_many([user_id])
        interactions = [
            {"item_id": json_id(item), "title": model.catalogue.title(item), "time": time}
            for item, time in model.history(user_id, recent, self.settings.window).interactions
        ]
        charge(request, history_cost(len(interactions)))
        return self._versioned(user_id=user_id, interactions=interactions)

    async def erase(self, user_id: UserIdInPath, request: Request, response: Response) -> dict[str, Any]:
        """Erase a user: remove the user's events, and stop using the run's history of the user.

        user_id  the raw id       request  receives the user, for the log       response  202 if bytes are left on disk

        Raises BusyError when too many writes wait, StoreError when the store cannot be written.
        """
        request.state.user = user_id
        with self._deadlines:
            num_removed = await self.events.erase(user_id)
        is_complete = self.events.num_erasures_incomplete == 0
        response.status_code = 200 if is_complete else 202
        return self._versioned(events_removed=num_removed, complete=is_complete)

    async def history_of(self, user_id: IdInQuery, request: Request) -> dict[str, Any]:
        """Return the history of a user, with the id in the query: for an id such as "..", which a path cannot hold.

        user_id  the raw id       request  receives the user, for the log
        """
        return await self.history(user_id, request)

    async def erase_user(self, user_id: IdInQuery, request: Request, response: Response) -> dict[str, Any]:
        """Erase a user, with the id in the query: for an id such as "..", which a path cannot hold.

        user_id  the raw id       request  receives the user, for the log       response  202 if bytes are left on disk

        Raises as `erase` does.
        """
        return await self.erase(user_id, request, response)

    async def similar_to(self, item_id: IdInQuery, request: Request, k: NumSimilar = 10) -> dict[str, Any]:
        """Return the items most similar to one item, with the id in the query: for an id which a path cannot hold.

        item_id  the raw id       request  its client pays for the answer       k  how many items

        Raises as `similar` does.
        """
        return await self.similar(item_id, request, k)

    async def similar(self, item_id: ItemIdInPath, request: Request, k: NumSimilar = 10) -> dict[str, Any]:
        """Return the items most similar to one item.

        item_id  the raw id       request  its client pays for the answer       k  how many items

        Raises UnknownIdError for an item that the model was not trained on, BusyError when too much waits, TimeoutError
        when it takes too long.
        """
        model = self.model
        cost = model.costs.similar(k)
        charge(request, cost)
        asking = self.queue.run_in_thread(lambda: model.recommender.similar([item_id], k=k), cost)
        similar = (await while_connected(request, asking, self.settings.answer_seconds))[0]
        items = [
            {"rank": rank, "item_id": json_id(item), "score": score, "title": model.catalogue.title(item)}
            for rank, (item, score) in enumerate(zip(similar.items, similar.scores, strict=True), start=1)
        ]
        return self._versioned(model, similar_to=json_id(model.raw_item(item_id)), source=similar.source, items=items)

    async def search(self, request: Request, query: SearchText = "", k: NumFound = 20) -> dict[str, Any]:
        """Find items whose titles contain every word of `query`. Without words, return the most popular items.

        request  its client pays for the answer       query  words of a title       k  how many items

        Raises BusyError when too much waits, TimeoutError when it takes too long.
        """
        model = self.model
        cost = model.costs.search(k)
        charge(request, cost)
        searching = self.queue.run_in_thread(lambda: model.catalogue.search(query, k), cost)
        found = await while_connected(request, searching, self.settings.answer_seconds)
        items = [{"item_id": json_id(item), "title": model.catalogue.title(item)} for item in found]
        return self._versioned(model, items=items)

    async def model_facts(self) -> dict[str, Any]:
        """Describe the model that is served."""
        return self.arms.facts()

    async def reload(self, arm: ArmInQuery = "incumbent") -> dict[str, Any]:
        """Load the run folder again and serve it. If the run cannot be used, the service keeps the model that it has.

        arm  which run: the one that is served, or the candidate

        After the response, every answer comes from the new model. Raises HTTPException 409 for a run that is damaged,
        that does not answer, or that takes too long, and where there is no candidate; BusyError while another reload is
        under way.
        """
        served = self.arms.of(arm)
        if self.company is not None:
            await self.company.reload(arm)
        else:
            await served.load()
            await self.begin(arm)
        return self.arms.facts()

    async def begin(self, arm: Arm) -> None:
        """Serve the model that was loaded from now on; `arm` says which."""
        self.arms.of(arm).begin()
        # The thread may still be using the old model: in this thread, collect its memory after that.
        await self.queue.run_in_thread(gc.collect)
        self.arms.log_items()

    async def metrics_text(self) -> bytes:
        """The metrics in the text format of Prometheus; those of all processes, where the service has several."""
        return self.metrics.text() if self.company is None else await self.company.metrics()

    async def health(self) -> dict[str, Any]:
        """Report that the process answers, and whether events can be stored."""
        return {"status": "ok", "store": self.events.problem() or "ok"}

    async def ready(self) -> dict[str, Any]:
        """Report whether the service accepts requests. It reports 503 while it is stopping, and when its store is gone.

        Raises HTTPException 503 in both cases.
        """
        if self.is_draining:
            raise HTTPException(503, "the service is stopping; ask another one.", RETRY_SOON)
        problem = self.events.problem()
        if self.events.is_lost:
            raise HTTPException(503, f"{problem}.", RETRY_LATER)
        return {"status": "ready", "store": problem or "ok"}

    def _record(self, answers: Iterable[dict[str, Any]], request: Request) -> None:
        """Count answers and write them to the answer log."""
        for answer in answers:
            self.metrics.count_answer(answer["source"])
            if self._arm_metrics is not None:
                self._arm_metrics.count_answer(answer["arm"])
            if self._answer_log is not None and REPLAY_HEADER not in request.headers:
                self._answer_log.answer(answer, request.state.id)

    def _record_events(
        self, model: LoadedModel, new_events: Sequence[NewEvent], events: Sequence[Event], outcomes: Sequence[Outcome]
    ) -> list[str | int]:
        """Count the new events, and write those to the answer log that the run predicts. Returns the unknown items."""
        unknown_items: dict[str | int, None] = {}
        for new_event, event, outcome in zip(new_events, events, outcomes, strict=True):
            is_known = model.knows_item(new_event.item_id)
            if not is_known:
                unknown_items[json_id(new_event.item_id)] = None
            if outcome == "new":
                self.metrics.count_event(new_event.item_id, is_known=is_known)
                if self._answer_log is not None and model.kinds.is_target(event.event_type):
                    self._answer_log.event(event)
        return list(unknown_items)

    def _versioned(self, model: LoadedModel | None = None, /, **values: Any) -> dict[str, Any]:
        """Add the versions of the API and of `model`, by default the one that is served now."""
        return {"api_version": API_VERSION, "model_version": (model or self.model).version, **values}
