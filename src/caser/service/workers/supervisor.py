"""The parent of a service with several workers: it starts them, replaces one that dies, and stops them all.

    caser serve RUN --workers 2        parent    binds the sockets, answers nothing
                                         worker  loads the run, answers on the sockets
                                         worker  the same

The parent ends with exit code 0 after SIGTERM or Ctrl-C, when every worker has given its last answers. If no worker can
serve at the start, it raises the error of the first. A worker that dies later is started again: at once, or with longer
and longer pauses if it dies before it serves.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import socket
from collections.abc import Coroutine
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.context import SpawnProcess
from pathlib import Path

from caser.errors import CaserError, ConfigError
from caser.service.answers.arms import Arm, check_candidate, folders
from caser.service.http.listening import bound_sockets, let_others_join, shown
from caser.service.http.server import SHUTDOWN_SECONDS, OnReady, access_control
from caser.service.http.watching import look, watch
from caser.service.logs import log_to_stderr, logger, read_pseudonym_key
from caser.service.settings import ServiceSettings
from caser.service.workers.hub import Hub, incumbent_of
from caser.service.workers.line import Handler, Line
from caser.service.workers.worker import WorkerTask, work

MAX_WORKERS = 256
"""Most processes of a service."""
GRACE_SECONDS = 5.0
"""How much longer than its limits a worker may take to stop before it is killed."""
_LONGEST_PAUSE = 30.0
"""Seconds between two starts of a worker that dies before it serves; the first is started again at once."""

_SPAWN = multiprocessing.get_context("spawn")


def serve(
    run: Path,
    settings: ServiceSettings,
    host: str,
    port: int,
    num_workers: int,
    uds: Path | None = None,
    on_ready: OnReady = lambda *_: None,
) -> None:
    """Serve a run with several processes until SIGTERM or Ctrl-C.

    run          the run folder                 settings  how to serve it; what it limits in all is shared evenly
    host         the address to listen on       port      the port; 0 takes a free one
    num_workers  how many processes answer      uds       the path of a Unix socket, in place of host and port
    on_ready     is called with the addresses and the version of the model when all of them answer

    Raises ConfigError for an address that cannot be listened on, for too many workers, and without a store, because
    each worker would keep events of its own; and what the first worker raises that cannot start.
    """
    check_workers(num_workers, settings)
    access_control(settings, host)  # what it refuses is refused once, and not by every worker
    check_candidate(run, settings)
    key = read_pseudonym_key(settings.answer_log)
    with bound_sockets(host, port, uds) as sockets:
        log_to_stderr()
        task = WorkerTask(run, share_of(settings, num_workers), host, let_others_join(sockets), key)
        asyncio.run(_Supervisor(task, sockets, num_workers, on_ready).run())
        logger.info("stopped")


def check_workers(num_workers: int, settings: ServiceSettings) -> None:
    """Raise ConfigError if these settings do not allow so many workers.

    num_workers  how many processes answer       settings  how to serve
    """
    if not 1 <= num_workers <= MAX_WORKERS:
        raise ConfigError(f"--workers must be from 1 to {MAX_WORKERS}; got {num_workers}.")
    if num_workers > 1 and settings.store is None:
        raise ConfigError(
            f"--workers {num_workers} needs --store, because each process would keep events of its own in memory. Give "
            "a file (--store events.db), which all of them use."
        )


def share_of(settings: ServiceSettings, num_workers: int) -> ServiceSettings:
    """Return the settings of one worker: what the service may take in all, in memory or waiting work, is shared.

    settings  of the service       num_workers  how many processes answer

    >>> share_of(ServiceSettings(cache_mb=256, max_waiting=40_000), 4).cache_mb
    64
    """
    shared = ("cache_mb", "max_waiting_mb", "max_waiting", "max_connections")
    values = {name: getattr(settings, name) for name in shared}
    least = {"max_connections": 2}
    return settings.replace(
        **{name: max(least.get(name, 1), value // num_workers) for name, value in values.items() if value is not None}
    )


@dataclass(eq=False)
class _Worker:
    """A process of the service, as the parent sees it.

    number  from 1       process  its process       line  the line to it
    """

    number: int
    process: SpawnProcess
    line: Line = field(init=False)


class _Supervisor:
    """Starts, replaces and stops the workers. All of it happens in one event loop.

    task         what each worker serves       sockets   which all of them share
    num_workers  how many there are            on_ready  is called when all of them serve
    """

    def __init__(self, task: WorkerTask, sockets: list[socket.socket], num_workers: int, on_ready: OnReady) -> None:
        self._task, self._sockets, self._num_workers, self._on_ready = task, sockets, num_workers, on_ready
        self._folders = folders(task.run, task.settings)
        self._seen = {arm: look(folder) for arm, folder in self._folders.items()}
        self._workers: dict[int, _Worker] = {}
        self._pauses: dict[int, float] = {}
        self._serving: set[int] = set()
        self._is_ready = self._is_stopping = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: CaserError | None = None

    async def run(self) -> None:
        """Serve until a signal, and until every worker has ended. Raises the error of a worker that cannot start."""
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self._hub = Hub(self._task.settings.reload_seconds, self._kill, tuple(self._folders))
        for heard in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(heard, self._stop, heard.name)
        for number in range(1, self._num_workers + 1):
            self._start(number)
        await self._ended.wait()
        for task in self._tasks:
            task.cancel()
        if self._error is not None:
            raise self._error

    def _start(self, number: int) -> None:
        ours, theirs = _SPAWN.Pipe()
        process = _SPAWN.Process(target=work, args=(self._task, self._sockets, theirs), name=f"worker {number}")
        process.start()
        theirs.close()
        worker = self._workers[number] = _Worker(number, process)
        self._loop.add_reader(process.sentinel, self._died, worker)

        worker.line = Line(ours, self._handlers(worker), lambda: self._hub.forget(worker.line))

    def _handlers(self, worker: _Worker) -> dict[str, Handler]:
        """What a worker may ask the parent for."""
        hub = self._hub

        async def join(version: str) -> str:
            return await hub.admit(worker.line, version)

        async def serves(_: None) -> None:
            self._serves(worker)

        async def failed(error: CaserError) -> None:
            self._failed(error)

        async def reload(arm: Arm) -> str:
            return await hub.reload(arm)

        async def metrics(_: None) -> bytes:
            return await hub.metrics()

        async def charge(costs: dict[str, float]) -> None:
            hub.charge(worker.line, costs)

        asked = (join, serves, failed, reload, metrics, charge)
        return {handler.__name__: handler for handler in asked}

    def _serves(self, worker: _Worker) -> None:
        self._pauses.pop(worker.number, None)
        self._serving.add(worker.number)
        logger.info("worker %d serves (process %d)", worker.number, worker.process.pid)
        if not self._is_ready and len(self._serving) == self._num_workers:
            self._is_ready = True
            addresses = [shown(listening) for listening in self._sockets]
            for address in addresses:
                logger.info("serving on %s with %d workers", address, self._num_workers)
            self._on_ready(addresses, incumbent_of(self._hub.version or ""))
            if self._task.settings.watch:
                for arm, folder in self._folders.items():
                    self._in_background(watch(folder, self._seen[arm], partial(self._hub.reload, arm)))

    def _failed(self, error: CaserError) -> None:
        """A worker cannot serve: at the start the service ends, and later the others go on."""
        if self._is_ready or self._is_stopping:
            logger.warning("a worker cannot start: %s", error)
        elif self._error is None:
            self._error = error
            self._end_all()

    def _died(self, worker: _Worker) -> None:
        """A process has ended: start another in its place, unless the service stops."""
        self._loop.remove_reader(worker.process.sentinel)
        worker.line.read()  # its last words
        worker.line.close()
        self._hub.forget(worker.line)
        worker.process.join()
        code = worker.process.exitcode
        del self._workers[worker.number]
        self._serving.discard(worker.number)
        if self._is_stopping:
            if not self._workers:
                self._ended.set()
            return
        pause = self._pauses.get(worker.number, 0.0)
        self._pauses[worker.number] = min(_LONGEST_PAUSE, max(0.5, 2 * pause))
        reason = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
        logger.warning("worker %d ended (%s): starting another in %g s", worker.number, reason, pause)
        self._in_background(self._start_later(worker.number, pause))

    async def _start_later(self, number: int, pause: float) -> None:
        await asyncio.sleep(pause)
        if not self._is_stopping:
            self._start(number)

    def _stop(self, name: str) -> None:
        """Let every worker end: on the first signal with its last answers, on the second at once."""
        if not self._is_stopping:
            logger.info("stopping %d workers after %s", len(self._workers), name)
        self._end_all()

    def _end_all(self) -> None:
        if not self._is_stopping:
            limit = self._task.settings.drain_seconds + SHUTDOWN_SECONDS + GRACE_SECONDS
            self._loop.call_later(limit, self._kill_all)
        self._is_stopping = True
        for worker in self._workers.values():
            worker.process.terminate()
        if not self._workers:
            self._ended.set()

    def _kill_all(self) -> None:
        for worker in self._workers.values():
            logger.warning("worker %d did not stop in time and is killed", worker.number)
            worker.process.kill()

    def _kill(self, line: Line) -> None:
        """End a worker that does not answer the hub; another takes its place."""
        for worker in self._workers.values():
            if worker.line is line:
                worker.process.kill()

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
