"""One process that serves a run over HTTP, from start to SIGTERM.

On SIGTERM it first says that it is not ready, goes on answering for a while so that a balancer can notice, closes each
connection with its next answer, finishes what it has begun, and ends with code 0.
"""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from caser.service.events.sqlite import SqliteEvents
from caser.service.http.app import make_application
from caser.service.http.guard import Guard, RateLimit
from caser.service.http.service import Service
from caser.service.http.tokens import read_tokens
from caser.service.logs import log_key, log_to_stderr, logger, pseudonym
from caser.service.settings import ServiceSettings

_GRACE_SECONDS = 10
_BACKLOG = 2048


def make_app(run: Path, settings: ServiceSettings, host: str = "127.0.0.1") -> FastAPI:
    """Read the run and open the store. Raises ConfigError rather than serve other machines without tokens."""
    guard = Guard(host, read_tokens(settings.token_file) if settings.token_file else None, settings.allowed_host)
    stands_for = pseudonym(None if settings.log_user_ids else log_key(settings.answer_log))
    events = SqliteEvents(settings.store, window=settings.window, expire_days=settings.expire_days)
    try:
        service = Service(run, settings, events, stands_for)
    except BaseException:
        events.close()
        raise
    limit = None if settings.rate is None else RateLimit(settings.rate, settings.burst)
    return make_application(service, guard, limit)


def serve(run: Path, settings: ServiceSettings, host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    app = make_app(run, settings, host)
    log_to_stderr()
    service: Service = app.state.service
    gc.collect()
    gc.freeze()  # what was loaded lives as long as the process: no collection needs to look at it again
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
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    try:
        _Server(config, service, settings.drain_seconds).run()
    finally:
        service.close()


class _Server(uvicorn.Server):
    """A server that is not ready for a while before it stops."""

    def __init__(self, config: uvicorn.Config, service: Service, drain_seconds: float) -> None:
        super().__init__(config)
        self._service = service
        self._drain_seconds = drain_seconds
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Open the port and say where."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)  # type: ignore[arg-type]
        for server in self.servers:
            for socket in server.sockets:
                logger.info("serving on http://%s:%d", *socket.getsockname()[:2])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Say no to readiness, and stop in a while; at once when asked twice."""
        if self._service.is_draining or self._loop is None:
            self.should_exit = True
            return
        self._service.is_draining = True
        self._loop.call_soon_threadsafe(self._loop.call_later, self._drain_seconds, self._stop)

    def _stop(self) -> None:
        self.should_exit = True
