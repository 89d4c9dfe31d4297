"""The model that is served, and its replacement by a reload.

A reload has two steps, which the processes of one service take together. `load` loads the run and tries it in a thread
of its own, with a time limit; the old model serves until the new one has done everything that it is needed for, and
whatever goes wrong before, the old model stays. `begin` replaces it.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import Any, TypeAlias

from fastapi import HTTPException

from caser.errors import BusyError, CaserError
from caser.service.answers.answer import API_VERSION
from caser.service.answers.arms import Arm
from caser.service.answers.loaded_model import LoadedModel, load_model
from caser.service.answers.try_out import try_out
from caser.service.events.store import EventStore
from caser.service.http.error_responses import without_folders
from caser.service.logs import logger
from caser.service.settings import ServiceSettings

Tried: TypeAlias = tuple[LoadedModel, dict[str, Any]]
"""A model, and what `/v1/model` says of it."""


class ServedModel:
    """A model of a service. It is served after `start`, or after `load` and `begin`.

    run         the run folder                              settings  how it is served
    events      the store of events                         arm       its name, for the log
    max_cached  how many bytes of histories it may keep
    """

    def __init__(
        self, run: Path, settings: ServiceSettings, events: EventStore, max_cached: int, arm: Arm = "incumbent"
    ) -> None:
        self._run = run
        self._settings = settings
        self._events = events
        self._max_cached = max_cached
        self._arm = arm
        self.problem: str | None = None
        """Why no model is served, without the names of folders."""
        self._model: LoadedModel | None = None
        self._loading: Future[Tried] | None = None
        self._loaded: Tried | None = None
        """What `load` has loaded and `begin` has not begun with."""

    @property
    def is_loaded(self) -> bool:
        """Whether there is a model that can be served."""
        return self._model is not None

    @property
    def model(self) -> LoadedModel:
        """The model that is served now. Raises RuntimeError where there is none."""
        if self._model is None:
            raise RuntimeError("a model must be loaded before it answers.")
        return self._model

    def start(self) -> None:
        """Load the run, try it, and serve it.

        Raises ArtefactError when the run is damaged or does not answer, DataError when the table of items cannot be
        read.
        """
        self._model, _ = self._load()

    def try_to_start(self) -> None:
        """Load the run, try it, and serve it; if that fails, log why, and keep the reason as `problem`."""
        try:
            self.start()
        except Exception as error:
            reason = self._why_not(error)
            self.problem = self._without_folders(reason)
            logger.error("the %s is not served: %s", self._arm, reason)

    def withdraw(self) -> None:
        """Serve this model no more, until a run is loaded again."""
        if self._model is not None:
            self._model, self.problem = None, "another process of the service could not load it."
            logger.error("the %s is not served: %s", self._arm, self.problem)

    async def load(self) -> str:
        """Load the run again and try it, while the model that is served goes on. Returns the version of the new one.

        Several calls happen one after another. Raises HTTPException 409 for a run that is damaged, that does not
        answer, or that takes too long; BusyError if it has to wait too long for an earlier call.
        """
        end = time.monotonic() + self._settings.reload_seconds
        while self._loading is not None and not self._loading.done():
            await asyncio.wait([asyncio.wrap_future(self._loading)], timeout=max(0.0, end - time.monotonic()))
            if time.monotonic() >= end:
                raise BusyError("the service is loading a run already; try again when it has.")
        self._loading = self._start_loading()
        try:
            async with asyncio.timeout(self._settings.reload_seconds):
                self._loaded = await asyncio.wrap_future(self._loading)
            self._loading = None
        except Exception as error:
            reason = self._why_not(error)
            logger.warning("reload refused: %s", reason)
            reason = self._without_folders(reason)
            raise HTTPException(409, f"the run cannot be loaded, and the loaded one stays: {reason}") from None
        return self._loaded[0].version

    def begin(self) -> dict[str, Any]:
        """Serve the model that `load` has loaded from now on. Returns what `/v1/model` says of it."""
        if self._loaded is None:
            raise RuntimeError("a model must be loaded before it is served.")
        (self._model, facts), self._loaded, self.problem = self._loaded, None, None
        logger.info("reloaded the %s: now serving %s", self._arm, self._model.version[:12])
        return facts

    def abandon(self) -> None:
        """Forget what `load` has loaded."""
        self._loaded = None

    def facts(self, model: LoadedModel) -> dict[str, Any]:
        """Describe a model, as JSON values (see `ModelResponse`).

        model  the one that is served, or one that is tried
        """
        artefact, catalogue = model.recommender.artefact, model.catalogue
        return {
            "api_version": API_VERSION,
            "model_version": model.version,
            "model": artefact.config.name,
            "settings": artefact.config.model_dump(mode="json"),
            "users": len(artefact.users),
            "items": len(artefact.items),
            "columns": catalogue.columns,
            "values": catalogue.common_values,
            "ranges": catalogue.ranges,
            "item_notes": catalogue.notes,
            "has_titles": bool(catalogue.titles),
            "exclude_seen": artefact.manifest["seen"] == "remove",
            "metrics": artefact.manifest["metrics"],
            "protocol": artefact.manifest["protocol"],
            "durable": self._events.is_durable,
            "trained": model.trained_at,
            "loaded": model.loaded_at,
        }

    def _load(self) -> Tried:
        """Load the run, and try everything that it is needed for."""
        settings = self._settings
        model = load_model(self._run, settings.items, settings.onnx, self._max_cached)
        facts = self.facts(model)
        try_out(model, self._settings.window, facts)
        return model, facts

    def _start_loading(self) -> Future[Tried]:
        """Load in a thread of its own. It does not keep the process from ending."""
        future: Future[Tried] = Future()
        future.set_running_or_notify_cancel()

        def load() -> None:
            try:
                future.set_result(self._load())
            except BaseException as error:
                future.set_exception(error)

        Thread(target=load, name="loading", daemon=True).start()
        return future

    def _without_folders(self, reason: str) -> str:
        """A sentence that may leave the service: it names no folder of this machine."""
        given = (self._run, self._settings.items, self._settings.onnx)
        return without_folders(reason, [file for file in given if file is not None])

    def _why_not(self, error: Exception) -> str:
        """Why a run cannot be served, as a sentence."""
        if isinstance(error, CaserError):
            return str(error)
        if isinstance(error, MemoryError):
            return "there is too little memory to load it."
        if isinstance(error, TimeoutError):
            return f"it must load and answer within {self._settings.reload_seconds:g} seconds (--reload-seconds)."
        return f"loading it raised {type(error).__name__}. Train again."
