"""Runs one server process for a saved run, from start to SIGTERM.

On SIGTERM the server first reports that it is not ready, and keeps answering for a while so that a load balancer can
notice. Then it closes each connection with its next response, completes the requests in progress, and exits with 0.
"""

from __future__ import annotations

import asyncio
import gc
import socket
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from caser.service.events.sqlite import SqliteEvents
from caser.service.http.access import AccessControl, RateLimit
from caser.service.http.app import make_app
from caser.service.http.service import Service
from caser.service.http.tokens import read_tokens
from caser.service.logs import log_to_stderr, logger, make_pseudonym, read_pseudonym_key
from caser.service.settings import DEFAULT_HOST, ServiceSettings

_SHUTDOWN_SECONDS = 10
"""How long requests in progress may take after the server has stopped to accept new ones."""
_BACKLOG = 2048
"""Connections that may wait to be accepted."""


def app_for_run(run: Path, settings: ServiceSettings, host: str = DEFAULT_HOST) -> FastAPI:
    """Load a run, open the event store, and return the application that serves them.

    run   the run folder       settings  how to serve it       host  the address that the server listens on

    Raises ConfigError when other machines can reach `host` and there are no tokens; ArtefactError, DataError or
    StoreError when the run, the table of items, the event store or a log cannot be used.
    """
    tokens = read_tokens(settings.token_file) if settings.token_file else None
    access = AccessControl(host, tokens, settings.allowed_host)
    pseudonym = make_pseudonym(None if settings.log_user_ids else read_pseudonym_key(settings.answer_log))
    events = SqliteEvents(settings.store, window=settings.window, expire_days=settings.expire_days)
    try:
        service = Service(run, settings, events, pseudonym)
    except BaseException:
        events.close()
        raise
    rate_limit = None if settings.rate is None else RateLimit(settings.rate, settings.burst)
    return make_app(service, access, rate_limit)


def serve(run: Path, settings: ServiceSettings, host: str, port: int) -> None:
    """Serve a run until SIGTERM or Ctrl-C.

    run   the run folder                 settings  how to serve it
    host  the address to listen on       port      the port; 0 takes a free one

    Raises as `app_for_run` does.
    """
    app = app_for_run(run, settings, host)
    log_to_stderr()
    service: Service = app.state.service
    service.log_items()
    # The model stays in memory until a reload: the garbage collector need not look at its objects again.
    gc.collect()
    gc.freeze()
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        ws="none",
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )
    try:
        _DrainingServer(config, service, settings.drain_seconds).run()
    finally:
        service.close()


class _DrainingServer(uvicorn.Server):
    """A server that reports that it is not ready for a while before it stops."""

    def __init__(self, config: uvicorn.Config, service: Service, drain_seconds: float) -> None:
        super().__init__(config)
        self._service = service
        self._drain_seconds = drain_seconds
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the port and log the address."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        for server in self.servers:
            for listening in server.sockets:
                logger.info("serving on http://%s:%d", *listening.getsockname()[:2])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """On the first signal, start to drain; on the second, stop at once."""
        if self._service.is_draining or self._loop is None:
            self.should_exit = True
            return
        self._service.is_draining = True
        self._loop.call_soon_threadsafe(self._loop.call_later, self._drain_seconds, self._stop)

    def _stop(self) -> None:
        self.should_exit = True
