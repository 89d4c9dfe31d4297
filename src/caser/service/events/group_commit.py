"""One thread that writes to SQLite for everybody: whoever waits shares one commit (group commit).

A commit costs a disk flush whatever is in it, so all that came while the last one ran is committed together. Assumes
that `write` leaves the database as it was when it raises.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from caser.errors import BusyError, StoreError

Job: TypeAlias = Any
"""What is to be written; the writer does not look at it."""

_Waiting: TypeAlias = tuple[Job, "asyncio.Future[Any]", asyncio.AbstractEventLoop]

MOST_WAITING = 10_000
"""Jobs that may wait; more are refused at once."""

_MOST_PER_COMMIT = 1_000


class GroupCommit:
    """Jobs in, results out once their commit is on disk.

    `write` takes jobs, commits them together and returns a result for each.
    """

    def __init__(self, write: Callable[[Sequence[Job]], Sequence[Any]]) -> None:
        self._write = write
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="event-writer", daemon=True)
        self._thread.start()

    async def __call__(self, job: Job) -> Any:
        """Write a job and return its result after the commit."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        try:
            self._queue.put_nowait((job, done, loop))
        except queue.Full:
            raise BusyError(f"at most {MOST_WAITING:,} writes may wait; try again in a moment.") from None
        return await done

    def close(self) -> None:
        """Write what waits and stop."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, is_last = [first], False
            with contextlib.suppress(queue.Empty):
                while len(batch) < _MOST_PER_COMMIT:
                    waiting = self._queue.get_nowait()
                    if waiting is None:
                        is_last = True
                        break
                    batch.append(waiting)
            self._settle(batch)
            if is_last:
                return

    def _settle(self, batch: Sequence[_Waiting]) -> None:
        outcomes: Sequence[Any]
        try:
            outcomes = self._write([job for job, _, _ in batch])
        except Exception as error:
            known = error if isinstance(error, StoreError) else StoreError(f"events could not be written: {error}.")
            outcomes = [known] * len(batch)
        for (_, done, loop), outcome in zip(batch, outcomes, strict=True):
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_resolve, done, outcome)


def _resolve(done: asyncio.Future[Any], outcome: Any) -> None:
    if done.done():  # the one who waited has gone; the event is kept all the same
        return
    if isinstance(outcome, Exception):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)
