"""What the service does, one method per route, with nothing of HTTP but the request it was given.

A method takes a request and the checked body, and returns JSON values.
"""

from __future__ import annotations

import asyncio
import gc
import secrets
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from caser.errors import CaserError
from caser.service.answering import API_VERSION, answer
from caser.service.asgi import RefusedError, Request
from caser.service.batches import Batches
from caser.service.events import Event, EventStore
from caser.service.live import Live, read_live
from caser.service.logs import Lines, Pseudonym, logger
from caser.service.metrics import Metrics
from caser.service.schemas import Bulk, EventIn, EventsIn, Recommend
from caser.service.settings import ServiceSettings

MOST_SHOWN = 100


class Service:
    """A run that is served: its model, its events, its line of questions."""

    def __init__(self, run: Path, settings: ServiceSettings, events: EventStore, pseudonym: Pseudonym) -> None:
        self.run = run
        self.settings = settings
        self.events = events
        self.live = read_live(run, settings.items)
        self.is_draining = False
        self.batches: Batches[Recommend, dict[str, Any]] = Batches(self._answer, settings.max_waiting)
        self.metrics = Metrics(lambda: self.live, lambda: self.batches.waiting)
        self._log = None if settings.answer_log is None else Lines(settings.answer_log)
        self._pseudonym = pseudonym
        self._reloading = asyncio.Lock()

    def close(self) -> None:
        """Let go of everything, once nothing is asked any more."""
        self.batches.close()
        self.events.close()
        if self._log is not None:
            self._log.close()

    async def recommend(self, request: Request, body: Recommend) -> dict[str, Any]:
        """Recommend items."""
        request.user = None if body.user_id is None else str(body.user_id)
        found = await self.batches.ask(body)
        self._served([found], request.id)
        return found

    async def recommend_bulk(self, request: Request, body: Bulk) -> dict[str, Any]:
        """Answer many questions, each as if it had been asked alone."""
        found = await self.batches.ask_all(body.questions)
        self._served(found, request.id)
        return self._versioned(answers=found)

    async def keep_event(self, request: Request, body: EventIn | EventsIn) -> dict[str, Any]:
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
                    self._log.write(
                        kind="event", user=self._pseudonym(event.user_id), item=event.item_id, at=event.time
                    )
        return self._versioned(
            accepted=sum(is_new),
            known=len(is_new) - sum(is_new),
            durable=self.events.is_durable,
            unknown_items=list(dict.fromkeys(unknown)),
        )

    async def history(self, request: Request, _: None) -> dict[str, Any]:
        """What the service knows of a user: the run's history of them, and the events since."""
        live, user = self.live, request.params["user_id"]
        request.user = user
        recent = self.events.recent(live.user_key(user))
        stored = () if recent.is_erased else live.stored(user)
        taken = [(item, None) for item in stored] + [
            (live.raw_item(item), time) for item, time in zip(recent.items, recent.times, strict=True)
        ]
        return self._versioned(
            user_id=user,
            interactions=[
                {"item_id": item, "title": live.catalogue.title(item), "time": time}
                for item, time in taken[-self.settings.window :]
            ],
        )

    async def erase(self, request: Request, _: None) -> dict[str, Any]:
        """Forget a user: their events are removed, and what the run holds of them is not used any more."""
        request.user = request.params["user_id"]
        return self._versioned(events_removed=await self.events.erase(self.live.user_key(request.user)))

    async def similar(self, request: Request, _: None) -> dict[str, Any]:
        """The items most like one item."""
        live, item, k = self.live, request.params["item_id"], _number(request, "k", 10, 1000)
        found = (await self.batches.aside(lambda: live.recommender.similar([item], k=k)))[0]
        items = [
            {"rank": rank, "item_id": other, "score": score, "title": live.catalogue.title(other)}
            for rank, (other, score) in enumerate(zip(found.items, found.scores, strict=True), start=1)
        ]
        return self._versioned(live, similar_to=found.query, source=found.source, items=items)

    async def search(self, request: Request, _: None) -> dict[str, Any]:
        """Find items whose title holds all words of `query`; without words, the most popular."""
        live, words = self.live, _parameter(request, "query", 200)
        most = _number(request, "k", 20, MOST_SHOWN)
        found = await self.batches.aside(lambda: live.catalogue.search(words, most))
        return self._versioned(live, items=[{"item_id": item, "title": live.catalogue.title(item)} for item in found])

    async def model(self, request: Request, _: None) -> dict[str, Any]:
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
            metrics=artefact.manifest["metrics"],
            protocol=artefact.manifest["protocol"],
            durable=self.events.is_durable,
            loaded=live.loaded,
        )

    async def reload(self, request: Request, _: None) -> dict[str, Any]:
        """Read the run folder again and serve what it holds now; if it is not intact, the old model goes on serving.

        Once this has answered, no answer comes from the old model.
        """
        async with self._reloading:
            try:
                live = await asyncio.to_thread(read_live, self.run, self.settings.items)
            except (CaserError, MemoryError) as error:
                logger.warning("reload refused: %s", error)
                sentence = "the run folder must hold an intact run that answers; it does not, and the loaded one stays."
                raise RefusedError(409, sentence) from None
            self.live = live
            await self.batches.aside(gc.collect)  # after what the thread still does with the old one
        logger.info("reloaded: now serving %s", live.version[:12])
        return await self.model(request, None)

    async def health(self, request: Request, _: None) -> dict[str, Any]:
        """Whether the process answers at all."""
        return {"status": "ok"}

    async def ready(self, request: Request, _: None) -> dict[str, Any]:
        """Whether to send requests here: not while it is stopping."""
        if self.is_draining:
            raise RefusedError(503, "the service is stopping; ask another one.", [(b"retry-after", b"1")])
        return {"status": "ready"}

    def _answer(self, questions: Sequence[Recommend]) -> list[dict[str, Any]]:
        return answer(self.live, self.events, self.settings.window, questions)

    def _served(self, answers: Iterable[dict[str, Any]], request: str) -> None:
        for found in answers:
            self.metrics.answer(found["source"])
            if self._log is not None:
                user = found["user_id"]
                self._log.write(
                    kind="answer",
                    request=request,
                    user=None if user is None else self._pseudonym(self.live.user_key(user)),
                    model=found["model_version"],
                    source=found["source"],
                    items=[str(item["item_id"]) for item in found["items"]],
                )

    def _versioned(self, live: Live | None = None, **values: Any) -> dict[str, Any]:
        return {"api_version": API_VERSION, "model_version": (live or self.live).version, **values}


def _parameter(request: Request, name: str, longest: int) -> str:
    """A parameter of the query; empty if it is not there."""
    try:
        values = parse_qs(request.query.decode(), max_num_fields=20, errors="strict").get(name, [""])
    except ValueError:
        raise RefusedError(422, "the query must be name=value pairs in UTF-8; it is not.") from None
    if len(values[0]) > longest:
        raise RefusedError(422, f"{name} must have at most {longest} characters; it has {len(values[0])}.")
    return values[0]


def _number(request: Request, name: str, default: int, most: int) -> int:
    text = _parameter(request, name, 20)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise RefusedError(422, f"{name} must be a whole number from 1 to {most}.")
    return int(text)
