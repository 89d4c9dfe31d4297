"""A bounded queue of requests, each with a cost: cheap ones are answered in batches, expensive ones in a thread.

Requests gather while a batch is being answered, and form the next batch. So batches grow with the load, and an idle
service adds no delay. What the requests that wait cost together has a limit; beyond it, requests are refused at once.

Batches are answered in the event loop itself. With eight clients, a question cost 275 microseconds of processor time
this way and 340 in a second thread, because the two threads waited for one interpreter. A batch holds only as much cost
as can be answered within `_BATCH_SECONDS`, so the event loop is never blocked for long. A request that costs more than
that is answered alone, in a thread. A request of many questions is answered in parts, and ends with its client.

What the answers of a batch need from elsewhere is read right before they are computed, in one go. So requests that wait
take no memory for it, and each answer is as fresh as it can be.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from caser.errors import BusyError

Request = TypeVar("Request")
Ready = TypeVar("Ready")
Response = TypeVar("Response")
Result = TypeVar("Result")

MAX_BATCH_SIZE = 32
"""Requests in one batch."""
MAX_BATCH_COST = 100
"""The cost of one batch, and of a request that is answered in the event loop."""
_BATCH_SECONDS = 0.02
_TURN_SECONDS = 0.001
"""How long the thread keeps the interpreter while the event loop waits for it; Python's default is 5 ms."""
_TURNS_BETWEEN_BATCHES = 16
"""Turns of the event loop between two batches. With 1, 512 clients wait a second to be refused; with 16, 18 ms."""


class _Waiting(NamedTuple, Generic[Request, Response]):
    """A request that waits for the next batch, until `deadline` on the clock of the event loop."""

    request: Request
    cost: int
    deadline: float
    future: asyncio.Future[Response]


class QuestionQueue(Generic[Request, Ready, Response]):
    """Answers requests in batches, in the order in which they arrive.

    read          adds to each request of a batch what its answer needs, in order; it may wait, and raise
    answer_batch  returns one response for each request that was read, in order; it may raise
    max_waiting   what the requests that wait may cost together; further ones raise BusyError
    max_seconds   how long a request may wait; then it raises TimeoutError
    """

    def __init__(
        self,
        read: Callable[[Sequence[Request]], Awaitable[Sequence[Ready]]],
        answer_batch: Callable[[Sequence[Ready]], Sequence[Response]],
        max_waiting: int,
        max_seconds: float = float("inf"),
    ) -> None:
        self._read = read
        self._answer_batch = answer_batch
        self._max_waiting = max_waiting
        self._max_seconds = max_seconds
        self.cost_waiting = 0
        """What the requests that wait, or that are being answered, cost together."""
        self._pending: deque[_Waiting[Request, Response]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._seconds_per_cost = _BATCH_SECONDS / MAX_BATCH_SIZE
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="background")
        self._turn = asyncio.Lock()

    async def ask(self, request: Request, cost: int = 1) -> Response:
        """Wait for the response to `request`.

        Raises BusyError when too much waits, TimeoutError when it takes too long, and the error of `answer_batch` when
        that fails.
        """
        self._admit(cost)
        try:
            if self.is_long(cost):
                return (await self._in_thread([request], cost))[0]
            return await self._enqueue(request, cost)
        finally:
            self.cost_waiting -= cost

    async def ask_all(self, requests: Sequence[Request], costs: Sequence[int]) -> list[Response]:
        """Wait for the responses to many `requests`, in order; each has its cost.

        One batch is queued at a time, so that other clients get their turn in between. Raises as `ask` does.
        """
        left = sum(costs)
        self._admit(left)
        responses: list[Response] = []
        try:
            for place in _batches(costs):
                cost = sum(costs[place])
                if self.is_long(max(costs[place])):
                    responses += await self._in_thread(requests[place], cost)
                else:
                    responses += await asyncio.gather(*map(self._enqueue, requests[place], costs[place]))
                self.cost_waiting -= cost
                left -= cost
        finally:
            self.cost_waiting -= left
        return responses

    async def run_in_thread(self, work: Callable[[], Result], cost: int = 0) -> Result:
        """Run slower `work` in a background thread and return its result. The thread does one thing at a time.

        Raises BusyError when too much waits.
        """
        self._admit(cost)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, _in_short_turns, work)
        finally:
            self.cost_waiting -= cost

    def close(self) -> None:
        """Stop the background thread. No request may be waiting."""
        self._thread.shutdown(cancel_futures=True)

    def is_long(self, cost: int) -> bool:
        """Whether work of this cost would block the event loop for too long, judged by the last answers."""
        return cost > MAX_BATCH_COST or cost * self._seconds_per_cost > _BATCH_SECONDS

    def _admit(self, cost: int) -> None:
        # Where nothing waits, everything is admitted.
        if self.cost_waiting and self.cost_waiting + cost > self._max_waiting:
            raise BusyError(
                f"the requests that wait may cost at most {self._max_waiting:,} together; try again in a moment."
            )
        self.cost_waiting += cost

    def _enqueue(self, request: Request, cost: int) -> asyncio.Future[Response]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Response] = loop.create_future()
        self._pending.append(_Waiting(request, cost, loop.time() + self._max_seconds, future))
        if self._worker is None or self._worker.done():
            self._worker = loop.create_task(self._answer_pending())
        return future

    async def _in_thread(self, requests: Sequence[Request], cost: int) -> list[Response]:
        """Answer requests in the thread. If their client leaves while they still wait there, they are not answered."""

        def work(ready: Sequence[Ready]) -> Sequence[Response | Exception]:
            start = time.perf_counter()
            outcomes = self._outcomes(ready)
            self._learn(start, cost)
            return outcomes

        async with asyncio.timeout(self._max_seconds), self._turn:
            ready = await self._read(requests)
            outcomes = await asyncio.get_running_loop().run_in_executor(
                self._thread, _in_short_turns, partial(work, ready)
            )
        responses: list[Response] = []
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
            responses.append(outcome)
        return responses

    async def _answer_pending(self) -> None:
        """Answer batches until the queue is empty."""
        while self._pending:
            # Let other tasks run: they queue requests, store events, or refuse requests.
            for _ in range(_TURNS_BETWEEN_BATCHES):
                await asyncio.sleep(0)
            batch, ready = await self._read_batch(self._next_batch())
            if not batch:
                continue
            start = time.perf_counter()
            outcomes = self._outcomes(ready)
            self._learn(start, sum(one.cost for one in batch))
            # Hand the outcomes to the clients that still wait.
            for (*_, future), outcome in zip(batch, outcomes, strict=True):
                if future.done():  # cancelled: the client has disconnected
                    continue
                if isinstance(outcome, Exception):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)

    async def _read_batch(
        self, batch: Sequence[_Waiting[Request, Response]]
    ) -> tuple[Sequence[_Waiting[Request, Response]], Sequence[Ready]]:
        """Read what a batch needs. A request for which that fails gets the error, and leaves the batch."""
        if not batch:
            return (), ()
        try:
            return batch, await self._read([one.request for one in batch])
        except Exception as error:
            if len(batch) == 1:
                [*_, future] = batch[0]
                if not future.done():
                    future.set_exception(error)
                return (), ()
        rest: list[_Waiting[Request, Response]] = []
        ready: list[Ready] = []
        for one in batch:
            found, read = await self._read_batch([one])
            rest += found
            ready += read
        return rest, ready

    def _next_batch(self) -> list[_Waiting[Request, Response]]:
        """Take as many requests as fit the time of a batch, without those whose client left or whose time is over."""
        left = min(MAX_BATCH_COST, _BATCH_SECONDS / self._seconds_per_cost)
        now = asyncio.get_running_loop().time()
        batch: list[_Waiting[Request, Response]] = []
        while self._pending and (not batch or (self._pending[0].cost <= left and len(batch) < MAX_BATCH_SIZE)):
            one = self._pending.popleft()
            if one.future.done():
                continue
            if one.deadline < now:
                one.future.set_exception(TimeoutError())
                continue
            batch.append(one)
            left -= one.cost
        return batch

    def _learn(self, start: float, cost: int) -> None:
        """Update the time that a unit of cost takes, with work that began at `start`."""
        self._seconds_per_cost = (self._seconds_per_cost + (time.perf_counter() - start) / cost) / 2

    def _outcomes(self, ready: Sequence[Ready]) -> Sequence[Response | Exception]:
        """Responses or errors. If a batch fails, its requests are answered one by one: only the bad one fails."""
        try:
            return self._answer_batch(ready)
        except Exception as error:
            if len(ready) <= 1:
                return [error] * len(ready)
            return [outcome for one in ready for outcome in self._outcomes([one])]


def _in_short_turns(work: Callable[[], Result]) -> Result:
    """Do some work in the thread, so that the event loop never waits long for the interpreter."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_SECONDS)
    try:
        return work()
    finally:
        sys.setswitchinterval(before)


def _batches(costs: Sequence[int]) -> Iterator[slice]:
    """Cut a list of costs into the parts of batches; what costs more than a batch is a part of its own.

    >>> list(_batches([60, 30, 20, 200, 1]))
    [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None), slice(4, 5, None)]
    """
    start = total = 0
    for place, cost in enumerate(costs):
        if place > start and (total + cost > MAX_BATCH_COST or place - start == MAX_BATCH_SIZE):
            yield slice(start, place)
            start, total = place, 0
        total += cost
    if costs:
        yield slice(start, len(costs))
