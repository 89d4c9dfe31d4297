"""What the service does, one method per operation; the types of its parameters say what may be asked.

A method returns JSON values. What the log must know of a request, its user, is noted in the request's state.
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
from caser.service.answers.answer import API_VERSION, answer
from caser.service.answers.loaded_model import Live, read_live
from caser.service.answers.queue import Batches
from caser.service.events.store import Event, EventStore
from caser.service.http.metrics import Metrics
from caser.service.http.problems import SOON
from caser.service.logs import Lines, Pseudonym, logger
from caser.service.schemas import Bulk, EventIn, EventsIn, ItemId, Ranked, Recommend, Shown, UserId, Words
from caser.service.settings import ServiceSettings


class Service:
    """A run that is served: its model, its events, its line of questions."""

    def __init__(self, run: Path, settings: ServiceSettings, events: EventStore, pseudonym: Pseudonym) -> None:
        self.run = run
        self.settings = settings
        self.events = events
        self.live = read_live(run, settings.items, settings.onnx)
        self.is_draining = False
        self.batches: Batches[Recommend, dict[str, Any]] = Batches(self._answer, settings.max_waiting)
        self.metrics = Metrics(lambda: self.live, lambda: self.batches.waiting)
        self.pseudonym = pseudonym
        self._log = None if settings.answer_log is None else Lines(settings.answer_log)
        self.requests = Lines()
        self._reloading = asyncio.Lock()

    def close(self) -> None:
        """Let go of everything, once nothing is asked any more."""
        self.batches.close()
        self.events.close()
        self.requests.close()
        if self._log is not None:
            self._log.close()

    async def recommend(self, question: Recommend, request: Request) -> dict[str, Any]:
        """Recommend items."""
        # As request.state.user elsewhere, without the object that makes of it: 2 % of an answer.
        request.scope["state"]["user"] = None if question.user_id is None else str(question.user_id)
        found = await self.batches.ask(question)
        self._served([found], request)
        return found

    async def recommend_bulk(self, bulk: Bulk, request: Request) -> dict[str, Any]:
        """Answer many questions, each as if it had been asked alone."""
        found = await self.batches.ask_all(bulk.questions)
        self._served(found, request)
        return self._versioned(answers=found)

    async def keep_event(self, body: EventIn | EventsIn, request: Request) -> dict[str, Any]:
        """Keep one event or several; acknowledged means that they are on disk and that the next answer knows them."""
        live, now = self.live, time.time()
        given = body.events if isinstance(body, EventsIn) else [body]
        events = [
            Event(
                one.event_id or secrets.token_hex(16),
                live.user_key(one.user_id),
                live.item_key(one.item_id),
                now if one.time is None else one.time,
            )
            for one in given
        ]
        is_new = await self.events.append(events)
        unknown = []
        for one, event, new in zip(given, events, is_new, strict=True):
            is_known = live.knows_item(one.item_id)
            if not is_known:
                unknown.append(one.item_id)
            if new:
                self.metrics.event(one.item_id, is_known=is_known)
                if self._log is not None:
                    self._log.write(kind="event", user=self.pseudonym(event.user_id), item=event.item_id, at=event.time)
        return self._versioned(
            accepted=sum(is_new),
            known=len(is_new) - sum(is_new),
            durable=self.events.is_durable,
            unknown_items=list(dict.fromkeys(unknown)),
        )

    async def history(self, user_id: UserId, request: Request) -> dict[str, Any]:
        """What the service knows of a user: the run's history of them, and the events since."""
        request.state.user = user_id
        live = self.live
        recent = self.events.recent(live.user_key(user_id))
        stored = () if recent.is_erased else live.stored(user_id)
        taken = [(item, None) for item in stored] + [
            (live.raw_item(item), time) for item, time in zip(recent.items, recent.times, strict=True)
        ]
        return self._versioned(
            user_id=user_id,
            interactions=[
                {"item_id": item, "title": live.catalogue.title(item), "time": time}
                for item, time in taken[-self.settings.window :]
            ],
        )

    async def erase(self, user_id: UserId, request: Request) -> dict[str, Any]:
        """Forget a user: their events are removed, and what the run holds of them is not used any more."""
        request.state.user = user_id
        return self._versioned(events_removed=await self.events.erase(self.live.user_key(user_id)))

    async def similar(self, item_id: ItemId, k: Ranked = 10) -> dict[str, Any]:
        """The items most like one item."""
        live = self.live
        found = (await self.batches.aside(lambda: live.recommender.similar([item_id], k=k)))[0]
        items = [
            {"rank": rank, "item_id": other, "score": score, "title": live.catalogue.title(other)}
            for rank, (other, score) in enumerate(zip(found.items, found.scores, strict=True), start=1)
        ]
        return self._versioned(live, similar_to=found.query, source=found.source, items=items)

    async def search(self, query: Words = "", k: Shown = 20) -> dict[str, Any]:
        """Find items whose title holds all words of `query`; without words, the most popular."""
        live = self.live
        found = await self.batches.aside(lambda: live.catalogue.search(query, k))
        return self._versioned(live, items=[{"item_id": item, "title": live.catalogue.title(item)} for item in found])

    async def model(self) -> dict[str, Any]:
        """What is being served."""
        live = self.live
        artefact = live.recommender.artefact
        return self._versioned(
            live,
            model=artefact.config.name,
            settings=artefact.config.model_dump(mode="json"),
            users=len(artefact.users),
            items=len(artefact.items),
            columns=live.catalogue.columns,
            values=live.catalogue.common_values,
            exclude_seen=artefact.manifest["seen"] == "remove",
            metrics=artefact.manifest["metrics"],
            protocol=artefact.manifest["protocol"],
            durable=self.events.is_durable,
            loaded=live.loaded,
        )

    async def reload(self) -> dict[str, Any]:
        """Read the run folder again and serve what it holds now; if it is not intact, the old model goes on serving.

        Once this has answered, no answer comes from the old model.
        """
        async with self._reloading:
            try:
                live = await asyncio.to_thread(read_live, self.run, self.settings.items, self.settings.onnx)
            except (CaserError, MemoryError) as error:
                logger.warning("reload refused: %s", error)
                sentence = "the run folder must hold an intact run that answers; it does not, and the loaded one stays."
                raise HTTPException(409, sentence) from None
            self.live = live
            await self.batches.aside(gc.collect)  # after what the thread still does with the old one
        logger.info("reloaded: now serving %s", live.version[:12])
        return await self.model()

    async def health(self) -> dict[str, Any]:
        """Whether the process answers at all."""
        return {"status": "ok"}

    async def ready(self) -> dict[str, Any]:
        """Whether to send requests here: not while it is stopping."""
        if self.is_draining:
            raise HTTPException(503, "the service is stopping; ask another one.", SOON)
        return {"status": "ready"}

    def _answer(self, questions: Sequence[Recommend]) -> list[dict[str, Any]]:
        return answer(self.live, self.events, self.settings.window, questions)

    def _served(self, answers: Iterable[dict[str, Any]], request: Request) -> None:
        for found in answers:
            self.metrics.answer(found["source"])
            if self._log is not None:
                user = found["user_id"]
                self._log.write(
                    kind="answer",
                    request=request.state.id,
                    user=None if user is None else self.pseudonym(self.live.user_key(user)),
                    model=found["model_version"],
                    source=found["source"],
                    items=[str(item["item_id"]) for item in found["items"]],
                )

    def _versioned(self, live: Live | None = None, **values: Any) -> dict[str, Any]:
        return {"api_version": API_VERSION, "model_version": (live or self.live).version, **values}
