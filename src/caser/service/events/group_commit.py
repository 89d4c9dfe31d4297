"""Group commit: one thread writes to the database for all clients, and clients that wait share a commit.

A commit flushes the disk, and that costs the same for one event as for many. So all jobs that arrive during a commit
are committed together in the next one. Assumes that `write` leaves the database unchanged when it raises.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from caser.errors import BusyError, StoreError

Job = TypeVar("Job")

MAX_WAITING = 10_000
"""Jobs that may wait; further ones are refused at once."""

_MAX_PER_COMMIT = 1_000
_IDLE_SECONDS = 1.0


class _Waiting(NamedTuple):
    """A job that waits for its commit, and who waits for its result."""

    job: Any
    num_bytes: int
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


class GroupCommit(Generic[Job]):
    """Runs jobs in a thread, several in one commit.

    write         commits several jobs together, and returns a result for each in the same order
    num_bytes_of  returns the memory that a job takes while it waits
    max_bytes     how much memory the jobs that wait may take; further jobs are refused at once. One job may always wait
    when_idle     is called in the thread about once a second while there is nothing to write; it must not raise
    """

    def __init__(
        self,
        write: Callable[[Sequence[Job]], Sequence[Any]],
        num_bytes_of: Callable[[Job], int] = lambda _: 0,
        max_bytes: int = 0,
        when_idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._write = write
        self._num_bytes_of = num_bytes_of
        self._max_bytes = max_bytes
        self._when_idle = when_idle
        self.num_bytes_waiting = 0
        """The memory of the jobs that wait or are being written."""
        self._lock = threading.Lock()
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name="event-writer", daemon=True)
        self._thread.start()

    async def __call__(self, job: Job) -> Any:
        """Write `job` and return its result after the commit.

        Raises BusyError when too many jobs wait, StoreError when the commit fails.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        size = self._num_bytes_of(job)
        if self.num_bytes_waiting and self.num_bytes_waiting + size > self._max_bytes:
            raise BusyError(
                f"the events that wait to be written may take at most {self._max_bytes:,} bytes; try again in a moment."
            )
        self._count(size)
        try:
            self._queue.put_nowait(_Waiting(job, size, future, loop))
        except queue.Full:
            self._count(-size)
            raise BusyError(f"at most {MAX_WAITING:,} writes may wait; try again in a moment.") from None
        return await future

    def close(self) -> None:
        """Write the jobs that wait, and stop the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        """Commit batches until `close` puts None into the queue."""
        while True:
            try:
                first = self._queue.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                self._when_idle()
                continue
            if first is None:
                return
            batch, is_last = [first], False
            with contextlib.suppress(queue.Empty):
                while len(batch) < _MAX_PER_COMMIT:
                    entry = self._queue.get_nowait()
                    if entry is None:
                        is_last = True
                        break
                    batch.append(entry)
            self._commit(batch)
            if is_last:
                return
            del first, batch  # the thread waits next, and must not keep the memory of what it wrote

    def _commit(self, batch: Sequence[_Waiting]) -> None:
        """Write the jobs of a batch, and hand each client its result or error."""
        outcomes: Sequence[Any]
        try:
            outcomes = self._write([waiting.job for waiting in batch])
        except Exception as error:
            is_known = isinstance(error, StoreError | BusyError)
            outcomes = [error if is_known else StoreError(f"events could not be written: {error}.")] * len(batch)
        self._count(-sum(waiting.num_bytes for waiting in batch))
        for waiting, outcome in zip(batch, outcomes, strict=True):
            with contextlib.suppress(RuntimeError):  # the event loop is closed: no client waits any more
                waiting.loop.call_soon_threadsafe(_resolve, waiting.future, outcome)

    def _count(self, num_bytes: int) -> None:
        with self._lock:
            self.num_bytes_waiting += num_bytes


def _resolve(future: asyncio.Future[Any], outcome: Any) -> None:
    if future.done():  # the client has disconnected; the event is stored all the same
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
