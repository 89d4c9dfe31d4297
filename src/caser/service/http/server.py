"""Runs one server process for a saved run, from start to SIGTERM.

On SIGTERM the server first reports that it is not ready, and keeps answering for a while so that a load balancer can
notice. Then it closes each connection with its next response, completes the requests in progress, and exits with 0.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from math import ceil
from pathlib import Path
from types import FrameType
from typing import TypeAlias

import uvicorn
from fastapi import FastAPI

from caser.service.answers.arms import Arm, check_candidate, folders
from caser.service.events.opening import open_store
from caser.service.http.access import AccessControl, RateLimit
from caser.service.http.app import make_app
from caser.service.http.company import Company
from caser.service.http.connections import protocol_for
from caser.service.http.listening import bound_sockets, refusal, shown
from caser.service.http.service import Service
from caser.service.http.tokens import read_tokens
from caser.service.http.watching import Look, look, watch
from caser.service.logs import log_to_stderr, logger, make_pseudonym, read_pseudonym_key
from caser.service.settings import DEFAULT_HOST, ServiceSettings

OnReady: TypeAlias = Callable[[list[str], str], None]
"""Takes the addresses and the version of the model."""

SHUTDOWN_SECONDS = 10
"""How long requests in progress may take after the server has stopped to accept new ones."""
_BACKLOG = 2048
"""Connections that may wait to be accepted."""
_TICKS_PER_SECOND = 10


def app_for_run(
    run: Path, settings: ServiceSettings, host: str = DEFAULT_HOST, company: Company | None = None
) -> FastAPI:
    """Load a run, open the event store, and return the application that serves them.

    run      the run folder       settings  how to serve it       host  the address that the server listens on
    company  the other processes of the service, if it has several

    Raises ConfigError when other machines can reach `host` and there are no tokens; ArtefactError, DataError or
    StoreError when the run, the table of items, the event store or a log cannot be used.
    """
    access = access_control(settings, host)
    key = read_pseudonym_key(settings.answer_log) if company is None else company.pseudonym_key
    pseudonym = make_pseudonym(None if settings.log_user_ids else key)
    events = open_store(settings.store, expire_days=settings.expire_days, max_waiting=settings.max_waiting_mb << 20)
    try:
        service = Service(run, settings, events, pseudonym)
    except BaseException:
        events.close()
        raise
    service.company = company
    kind = RateLimit if company is None else company.rate_limit
    rate_limit = None if settings.rate is None else kind(settings.rate, settings.burst)
    return make_app(service, access, rate_limit)


def serve(
    run: Path,
    settings: ServiceSettings,
    host: str,
    port: int,
    uds: Path | None = None,
    on_ready: OnReady = lambda *_: None,
) -> None:
    """Serve a run until SIGTERM or Ctrl-C.

    run   the run folder                 settings  how to serve it
    host  the address to listen on       port      the port; 0 takes a free one
    uds   the path of a Unix socket to listen on, in place of host and port
    on_ready  is called with the addresses and the version of the model when the service answers

    Raises as `app_for_run` does, and ConfigError for an address that cannot be listened on.
    """
    access_control(settings, host)  # what these refuse is refused before anything is bound
    check_candidate(run, settings)
    with bound_sockets(host, port, uds) as sockets:
        serve_sockets(run, settings, host, sockets, on_ready)


def serve_sockets(
    run: Path,
    settings: ServiceSettings,
    host: str,
    sockets: list[socket.socket],
    on_ready: OnReady,
    company: Company | None = None,
) -> None:
    """Serve a run on sockets until SIGTERM or Ctrl-C.

    run       the run folder                       settings  how to serve it
    host      the address of the sockets           sockets   bound, and perhaps shared with other processes
    on_ready  is called with the addresses and the version of the model when the service answers
    company   the other processes of the service, if it has several

    Raises as `app_for_run` does, and ConfigError where another program listens on the address.
    """
    seen = {arm: look(folder) for arm, folder in folders(run, settings).items()}
    app = app_for_run(run, settings, host, company)
    log_to_stderr()
    service: Service = app.state.service
    service.arms.log_items()
    # The model stays in memory until a reload: the garbage collector need not look at its objects again.
    gc.collect()
    gc.freeze()
    config = uvicorn.Config(
        app,
        http=protocol_for(service.connections),
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        ws="none",
        backlog=_BACKLOG,
        timeout_keep_alive=ceil(settings.idle_seconds),
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    try:
        _DrainingServer(config, service, settings, on_ready, seen).run(sockets)
    finally:
        service.close()
        logger.info("stopped")


def access_control(settings: ServiceSettings, host: str) -> AccessControl:
    """Return who may use the service.

    settings  how it is served       host  the address that it listens on

    Raises ConfigError where other machines can reach `host` and there are no tokens, or the tokens are no tokens.
    """
    tokens = read_tokens(settings.token_file) if settings.token_file else None
    return AccessControl(host, tokens, settings.allowed_host)


class _DrainingServer(uvicorn.Server):
    """A server that reports that it is not ready for a while before it stops."""

    def __init__(
        self,
        config: uvicorn.Config,
        service: Service,
        settings: ServiceSettings,
        on_ready: OnReady,
        seen: dict[Arm, Look],
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._service = service
        self._settings = settings
        self._seen = seen
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watching: list[asyncio.Task[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and log the addresses."""
        self._loop = asyncio.get_running_loop()
        company = self._service.company
        if company is not None:
            await company.join(self._service, lambda: self.handle_exit(signal.SIGTERM, None))
        elif self._settings.watch:
            self._watching = [
                self._loop.create_task(watch(folder, self._seen[arm], partial(self._service.reload, arm)))
                for arm, folder in folders(self._service.run, self._settings).items()
            ]
        try:
            await super().startup(sockets)
        except OSError as error:  # another program began to listen while the model was loaded
            host, port = (sockets or [])[0].getsockname()[:2]
            raise refusal(host, port, error) from None
        addresses = [shown(listening) for listening in sockets or []]
        if company is None:
            for address in addresses:
                logger.info("serving on %s", address)
        self._on_ready(addresses, self._service.model.version)

    async def on_tick(self, counter: int) -> bool:
        """Once a second, close the connections that have waited too long for their client."""
        if counter % _TICKS_PER_SECOND == 0:
            self._service.connections.close_overdue(time.monotonic())
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """On the first signal, start to drain; on the second, stop at once."""
        if sig == signal.SIGINT and self._service.company is not None:
            return  # Ctrl-C reaches every process of the terminal; the parent passes it on
        if self._service.is_draining or self._loop is None:
            self.should_exit = True
            return
        self._service.is_draining = True
        # A log line needs locks, which this thread may hold at this moment: write it in the event loop.
        self._loop.call_soon_threadsafe(self._drain, signal.Signals(sig).name)

    def _drain(self, name: str) -> None:
        logger.info(
            "stopping after %s: /readyz says so, and answers go on for %g s; then requests in progress have %d s",
            *(name, self._settings.drain_seconds, SHUTDOWN_SECONDS),
        )
        asyncio.get_running_loop().call_later(self._settings.drain_seconds, self._stop)

    def _stop(self) -> None:
        self.should_exit = True
