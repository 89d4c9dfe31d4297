"""A worker: one of several processes that serve a run. It does what the parent asks of all of them."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fastapi import HTTPException

from caser.errors import BusyError, CaserError
from caser.service.answers.arms import Arm
from caser.service.http.access import RateLimit
from caser.service.http.listening import joined
from caser.service.http.server import serve_sockets
from caser.service.http.service import Service
from caser.service.settings import ServiceSettings
from caser.service.workers.line import Handler, Line, LineEndedError, tell_before

SHARED_SECONDS = 0.1
"""How often a worker tells the others what clients have asked of it."""


@dataclass(frozen=True)
class WorkerTask:
    """What a worker serves.

    run   the run folder       settings  how to serve it, for this worker alone       host  the address of the sockets
    own_sockets    whether each worker listens on sockets of its own, at the same addresses
    pseudonym_key  of the digests that stand for users in the logs
    """

    run: Path
    settings: ServiceSettings
    host: str
    own_sockets: bool
    pseudonym_key: bytes


def work(task: WorkerTask, sockets: list[socket.socket], connection: Connection) -> None:
    """Serve until SIGTERM, or until the parent is gone. This is what a worker's process runs.

    task        what to serve
    sockets     the bound sockets of the service
    connection  this end of the pipe to the parent. If the worker cannot serve, the error goes there
    """
    # Ctrl-C reaches every process of a terminal; the parent passes it on as SIGTERM. Until the server listens to that
    # signal, nothing has been acknowledged, and the worker may end at once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    company = _Others(connection, task.pseudonym_key)
    try:
        listening = joined(sockets) if task.own_sockets else sockets
        serve_sockets(task.run, task.settings, task.host, listening, company.serves, company)
    except CaserError as error:
        if company.line is None:
            tell_before(connection, "failed", error)
        raise SystemExit(error.exit_code) from None
    except (HTTPException, LineEndedError):  # the others serve another model by now, or the parent is gone
        raise SystemExit(1) from None


@dataclass
class _Others:
    """The other workers, reached through the parent. See `company.Company`."""

    connection: Connection
    pseudonym_key: bytes
    line: Line | None = None
    _limits: list[_SharedRateLimit] = field(default_factory=list)

    async def join(self, service: Service, stop: Callable[[], None]) -> None:
        """Tell the parent which model was loaded, and wait until this worker may serve it."""

        async def load(arm: Arm) -> str:
            try:
                return await service.arms.of(arm).load()
            except BusyError as error:
                raise HTTPException(503, str(error)) from None

        async def begin(arm: Arm) -> None:
            await service.begin(arm)

        async def abandon(arm: Arm) -> None:
            service.arms.of(arm).abandon()

        async def withdraw(_: None) -> None:
            service.arms.withdraw()

        async def metrics(_: None) -> list[Any]:
            return list(service.metrics.registry.collect())

        async def charge(costs: dict[str, float]) -> None:
            for limit in self._limits:
                limit.take_from(costs)

        asked = (load, begin, abandon, withdraw, metrics, charge)
        handlers: dict[str, Handler] = {handler.__name__: handler for handler in asked}
        self.line = Line(self.connection, handlers, stop)
        if await self.line.ask("join", service.arms.version) != service.arms.version:
            service.arms.withdraw()  # the others serve no candidate
        for limit in self._limits:
            limit.tell_with(self.line)

    def serves(self, *_: object) -> None:
        """Tell the parent that this worker answers."""
        if self.line is not None:
            self.line.tell("serves")

    async def reload(self, arm: Arm) -> None:
        """Let all workers load a run again, and change to it together; `arm` says which."""
        await self._ask("reload", arm)

    async def metrics(self) -> bytes:
        """The metrics of all workers as those of one service."""
        text: bytes = await self._ask("metrics")
        return text

    def rate_limit(self, rate: float, burst: int) -> RateLimit:
        """A limit that counts what a client asks of any worker; the others hear of it within a tenth of a second."""
        limit = _SharedRateLimit(rate, burst)
        self._limits.append(limit)
        return limit

    async def _ask(self, word: str, value: Any = None) -> Any:
        try:
            if self.line is None:
                raise LineEndedError
            return await self.line.ask(word, value)
        except LineEndedError:
            raise HTTPException(503, "the service is stopping; ask another one.") from None


class _SharedRateLimit(RateLimit):
    """A rate limit that tells the other workers what each client took, and hears it from them."""

    def __init__(self, rate: float, burst: int) -> None:
        super().__init__(rate, burst)
        self._taken: dict[str, float] = {}
        self._line: Line | None = None

    def tell_with(self, line: Line) -> None:
        """Tell the others through `line` from now on."""
        self._line = line

    def seconds_to_wait(self, client: str) -> float:
        """Take 1 for a request of `client`. Returns 0 if it is allowed, else the seconds until the next one is."""
        seconds = super().seconds_to_wait(client)
        if not seconds:
            self._note(client, 1.0)
        return seconds

    def charge(self, client: str, cost: float) -> None:
        """Take a further `cost` from a client whose request was allowed."""
        super().charge(client, cost)
        self._note(client, cost)

    def take_from(self, costs: dict[str, float]) -> None:
        """Take what clients have asked of other workers; `costs` holds it by client."""
        for client, cost in costs.items():
            super().charge(client, cost)

    def _note(self, client: str, cost: float) -> None:
        if self._line is None:
            return
        if not self._taken:
            asyncio.get_running_loop().call_later(SHARED_SECONDS, self._tell)
        self._taken[client] = self._taken.get(client, 0.0) + cost

    def _tell(self) -> None:
        taken, self._taken = self._taken, {}
        if self._line is not None:
            self._line.tell("charge", taken)
