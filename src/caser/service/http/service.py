"""What each route does: one method of `Service` per route. The types of its parameters describe the request.

A method returns JSON values. It notes the user of the request in the request's state, for the request log. Its name
and the first paragraph of its docstring appear in the API documentation. Which error gives which status is in
`error_responses.py`.
"""

from __future__ import annotations

import asyncio
import gc
import secrets
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fastapi import HTTPException, Request

from caser.errors import CaserError
from caser.service.answers.answer import API_VERSION, answer_questions
from caser.service.answers.loaded_model import LoadedModel, load_model
from caser.service.answers.queue import QuestionQueue
from caser.service.answers.rules import CompiledRules
from caser.service.events.store import Event, EventStore, Outcome
from caser.service.http.error_responses import RETRY_LATER, RETRY_SOON, without_folders
from caser.service.http.metrics import Metrics
from caser.service.logs import JsonLog, Pseudonym, logger
from caser.service.request_schemas import (
    MAX_SECONDS_AHEAD,
    TIME_RULE,
    BulkRecommendRequest,
    EventsBody,
    ItemIdInPath,
    NewEvent,
    NewEvents,
    NumFound,
    NumSimilar,
    RecommendRequest,
    SearchText,
    UserIdInPath,
)
from caser.service.settings import ServiceSettings


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
        self.model = load_model(run, settings.items, settings.onnx)
        self.is_draining = False
        self.queue: QuestionQueue[RecommendRequest, dict[str, Any]] = QuestionQueue(self._answer, settings.max_waiting)
        self.metrics = Metrics(
            lambda: self.model, lambda: self.queue.num_waiting, events.problem, is_durable=events.is_durable
        )
        self.pseudonym = pseudonym
        self._answer_log = None if settings.answer_log is None else JsonLog(settings.answer_log)
        self.request_log = JsonLog()
        self._reload_lock = asyncio.Lock()

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

        Raises BusyError when the queue is full, NumericalError when a score is no number, ConfigError for a rule that
        does not fit the table of items.
        """
        # `request.state.user = ...` does the same, but makes an object first, which takes 2 % of the time of an answer.
        request.scope["state"]["user"] = None if question.user_id is None else str(question.user_id)
        self._check_rules(question)
        answer = await self.queue.ask(question)
        self._record([answer], request)
        return answer

    async def recommend_bulk(self, bulk: BulkRecommendRequest, request: Request) -> dict[str, Any]:
        """Answer many questions. Each answer is the same as if its question had been asked alone.

        bulk  the body of the request       request  its id goes to the answer log

        Raises as `recommend` does.
        """
        for number, question in enumerate(bulk.questions):
            self._check_rules(question, f"questions[{number}].")
        answers = await self.queue.ask_all(bulk.questions)
        self._record(answers, request)
        return self._versioned(answers=answers)

    async def store_events(self, body: EventsBody, request: Request) -> dict[str, Any]:
        """Store one event or several. After the response, every answer takes them into account.

        body  one event, or several       request  not used, but `JsonRoute` passes it

        Raises BusyError when too many writes wait, StoreError when the events cannot be written, HTTPException 422 for
        a time in the future.
        """
        model, now = self.model, time.time()
        new_events = body.events if isinstance(body, NewEvents) else [body]
        _check_times(body, now)
        events = [
            Event(
                new_event.event_id or secrets.token_hex(16),
                model.user_key(new_event.user_id),
                model.item_key(new_event.item_id),
                now if new_event.time is None else new_event.time,
                is_now=new_event.time is None,
            )
            for new_event in new_events
        ]
        outcomes = await self.events.append(events)
        unknown_items = self._record_events(model, new_events, events, outcomes)
        return self._versioned(
            accepted=outcomes.count("new"),
            known=outcomes.count("known"),
            conflicts=[
                event.event_id for event, outcome in zip(events, outcomes, strict=True) if outcome == "conflict"
            ],
            durable=self.events.is_durable,
            unknown_items=unknown_items,
        )

    async def history(self, user_id: UserIdInPath, request: Request) -> dict[str, Any]:
        """Return the history of a user: what the run holds of the user, and the events that it does not hold.

        user_id  the raw id       request  receives the user, for the log
        """
        request.state.user = user_id
        model = self.model
        recent = self.events.recent(model.user_key(user_id))
        return self._versioned(
            user_id=user_id,
            interactions=[
                {"item_id": item, "title": model.catalogue.title(item), "time": time}
                for item, time in model.history(user_id, recent, self.settings.window).interactions
            ],
        )

    async def erase(self, user_id: UserIdInPath, request: Request) -> dict[str, Any]:
        """Erase a user: remove the user's events, and stop using the run's history of the user.

        user_id  the raw id       request  receives the user, for the log

        Raises BusyError when too many writes wait, StoreError when the store cannot be written.
        """
        request.state.user = user_id
        return self._versioned(events_removed=await self.events.erase(self.model.user_key(user_id)))

    async def similar(self, item_id: ItemIdInPath, k: NumSimilar = 10) -> dict[str, Any]:
        """Return the items most similar to one item.

        item_id  the raw id       k  how many items

        Raises UnknownIdError for an item that the model was not trained on.
        """
        model = self.model
        similar = (await self.queue.run_in_thread(lambda: model.recommender.similar([item_id], k=k)))[0]
        items = [
            {"rank": rank, "item_id": item, "score": score, "title": model.catalogue.title(item)}
            for rank, (item, score) in enumerate(zip(similar.items, similar.scores, strict=True), start=1)
        ]
        return self._versioned(model, similar_to=similar.query, source=similar.source, items=items)

    async def search(self, query: SearchText = "", k: NumFound = 20) -> dict[str, Any]:
        """Find items whose titles contain every word of `query`. Without words, return the most popular items.

        query  words of a title       k  how many items
        """
        model = self.model
        found = await self.queue.run_in_thread(lambda: model.catalogue.search(query, k))
        return self._versioned(model, items=[{"item_id": item, "title": model.catalogue.title(item)} for item in found])

    async def model_facts(self) -> dict[str, Any]:
        """Describe the model that is served."""
        model = self.model
        artefact = model.recommender.artefact
        return self._versioned(
            model,
            model=artefact.config.name,
            settings=artefact.config.model_dump(mode="json"),
            users=len(artefact.users),
            items=len(artefact.items),
            columns=model.catalogue.columns,
            values=model.catalogue.common_values,
            ranges=model.catalogue.ranges,
            item_notes=model.catalogue.notes,
            has_titles=bool(model.catalogue.titles),
            exclude_seen=artefact.manifest["seen"] == "remove",
            metrics=artefact.manifest["metrics"],
            protocol=artefact.manifest["protocol"],
            durable=self.events.is_durable,
            trained=model.trained_at,
            loaded=model.loaded_at,
        )

    async def reload(self) -> dict[str, Any]:
        """Load the run folder again and serve it. If the run is damaged, the service keeps the model that it has.

        After the response, every answer comes from the new model. Raises HTTPException 409 for a damaged run.
        """
        async with self._reload_lock:
            try:
                model = await asyncio.to_thread(load_model, self.run, self.settings.items, self.settings.onnx)
            except (CaserError, MemoryError) as error:
                logger.warning("reload refused: %s", error)
                files = [file for file in (self.run, self.settings.items, self.settings.onnx) if file is not None]
                reason = str(error) if isinstance(error, CaserError) else "there is too little memory to load it."
                sentence = f"the run cannot be loaded, and the loaded one stays: {without_folders(reason, files)}"
                raise HTTPException(409, sentence) from None
            self.model = model
            # The thread may still be using the old model: in this thread, collect its memory after that.
            await self.queue.run_in_thread(gc.collect)
        logger.info("reloaded: now serving %s", model.version[:12])
        self.log_items()
        return await self.model_facts()

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

    def log_items(self) -> None:
        """Log what was guessed about the table of items, and what of it does not match the run."""
        for sentence in self.model.catalogue.notes:
            logger.info("table of items: %s", sentence)

    def _check_rules(self, question: RecommendRequest, place: str = "") -> None:
        """Raise ConfigError for a rule that does not fit the table of items, before the question is queued."""
        if question.filters or question.rules is not None:
            CompiledRules.of(self.model.catalogue, frozenset(), question.filters, question.rules, place)

    def _answer(self, questions: Sequence[RecommendRequest]) -> list[dict[str, Any]]:
        return answer_questions(self.model, self.events, self.settings.window, questions)

    def _record(self, answers: Iterable[dict[str, Any]], request: Request) -> None:
        """Count answers and write them to the answer log."""
        for answer in answers:
            self.metrics.count_answer(answer["source"])
            if self._answer_log is not None:
                user = answer["user_id"]
                self._answer_log.write(
                    kind="answer",
                    request=request.state.id,
                    user=None if user is None else self.pseudonym(self.model.user_key(user)),
                    model=answer["model_version"],
                    source=answer["source"],
                    items=[str(item["item_id"]) for item in answer["items"]],
                )

    def _record_events(
        self, model: LoadedModel, new_events: Sequence[NewEvent], events: Sequence[Event], outcomes: Sequence[Outcome]
    ) -> list[str | int]:
        """Count the new events and write them to the answer log. Returns the items that the model does not know."""
        unknown_items: dict[str | int, None] = {}
        for new_event, event, outcome in zip(new_events, events, outcomes, strict=True):
            is_known = model.knows_item(new_event.item_id)
            if not is_known:
                unknown_items[new_event.item_id] = None
            if outcome == "new":
                self.metrics.count_event(new_event.item_id, is_known=is_known)
                if self._answer_log is not None:
                    user = self.pseudonym(event.user_id)
                    self._answer_log.write(kind="event", user=user, item=event.item_id, at=event.time)
        return list(unknown_items)

    def _versioned(self, model: LoadedModel | None = None, /, **values: Any) -> dict[str, Any]:
        """Add the versions of the API and of `model`, by default the one that is served now."""
        return {"api_version": API_VERSION, "model_version": (model or self.model).version, **values}


def _check_times(body: NewEvent | NewEvents, now: float) -> None:
    """Raise HTTPException 422, which names the event, if a time is too far ahead of the clock `now`."""
    latest = now + MAX_SECONDS_AHEAD
    for number, event in enumerate(body.events if isinstance(body, NewEvents) else [body]):
        if event.time is not None and event.time > latest:
            where = f"events[{number}].time" if isinstance(body, NewEvents) else "time"
            raise HTTPException(422, f"{where} {TIME_RULE}.")
