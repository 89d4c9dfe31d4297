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
from typing import Any, Generic, TypeVar

from caser.errors import BusyError, StoreError

Job = TypeVar("Job")

MAX_WAITING = 10_000
"""Jobs that may wait; further ones are refused at once."""

_MAX_PER_COMMIT = 1_000


class GroupCommit(Generic[Job]):
    """Runs jobs in a thread, several in one commit.

    write  commits several jobs together, and returns a result for each in the same order
    """

    def __init__(self, write: Callable[[Sequence[Job]], Sequence[Any]]) -> None:
        self._write = write
        self._queue: queue.Queue[tuple[Job, asyncio.Future[Any], asyncio.AbstractEventLoop] | None]
        self._queue = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name="event-writer", daemon=True)
        self._thread.start()

    async def __call__(self, job: Job) -> Any:
        """Write `job` and return its result after the commit.

        Raises BusyError when too many jobs wait, StoreError when the commit fails.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        try:
            self._queue.put_nowait((job, future, loop))
        except queue.Full:
            raise BusyError(f"at most {MAX_WAITING:,} writes may wait; try again in a moment.") from None
        return await future

    def close(self) -> None:
        """Write the jobs that wait, and stop the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        """Commit batches until `close` puts None into the queue."""
        while (first := self._queue.get()) is not None:
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

    def _commit(self, batch: Sequence[tuple[Job, asyncio.Future[Any], asyncio.AbstractEventLoop]]) -> None:
        """Write the jobs of a batch, and hand each client its result or error."""
        outcomes: Sequence[Any]
        try:
            outcomes = self._write([job for job, _, _ in batch])
        except Exception as error:
            known = error if isinstance(error, StoreError) else StoreError(f"events could not be written: {error}.")
            outcomes = [known] * len(batch)
        for (_, future, loop), outcome in zip(batch, outcomes, strict=True):
            with contextlib.suppress(RuntimeError):  # the event loop is closed: no client waits any more
                loop.call_soon_threadsafe(_resolve, future, outcome)


def _resolve(future: asyncio.Future[Any], outcome: Any) -> None:
    if future.done():  # the client has disconnected; the event is stored all the same
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
