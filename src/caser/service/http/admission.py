"""What happens to a request because of its cost: it is refused, it is paid for, or it is given up.

`answers/cost.py` says what a request costs, and `access.py` how much a client may ask for in a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

from caser.service.answers.cost import sentence_about_cost
from caser.service.request_schemas import RecommendRequest

Result = TypeVar("Result")


def accept(questions: Sequence[RecommendRequest], cost: int, max_cost: int, request: Request) -> None:
    """Let a client pay for its questions.

    questions  the questions of the request        cost     what they cost together
    max_cost   the most that a request may cost    request  whose client pays

    Raises HTTPException 422, with the numbers, if they cost more than a request may.
    """
    if cost > max_cost:
        raise HTTPException(422, sentence_about_cost(questions, cost, max_cost))
    charge(request, cost)


def charge(request: Request, cost: int) -> None:
    """Let the client of a request pay its cost, where there is a rate limit. The middleware has taken 1 already."""
    take = request.scope["state"].get("charge")
    if take is not None and cost > 1:
        take(cost - 1)


class Deadlines:
    """Gives up tasks that take too long: a context manager that raises TimeoutError in the task which is in it.

    seconds  how long a task may take

    One timer serves all tasks, because a timer for each costs much more. A task cannot be in it twice.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadlines: dict[asyncio.Task[Any] | None, float] = {}
        """The earliest comes first, because all tasks have the same time."""
        self._late: set[asyncio.Task[Any] | None] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        self._deadlines[asyncio.current_task(loop)] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._give_up)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        task = asyncio.current_task()
        del self._deadlines[task]
        if task is not None and task in self._late:
            self._late.discard(task)
            if kind is asyncio.CancelledError and not task.uncancel():
                raise TimeoutError from None

    def _give_up(self) -> None:
        """Cancel the tasks whose time is over, and wait for the next one."""
        loop, self._timer = asyncio.get_running_loop(), None
        for task, deadline in self._deadlines.items():
            if deadline > loop.time():
                self._timer = loop.call_at(deadline, self._give_up)
                break
            if task is not None and task not in self._late:
                self._late.add(task)
                task.cancel()


async def while_connected(request: Request, work: Coroutine[Any, Any, Result], seconds: float) -> Result:
    """Do some work, and give it up when the client closes its connection or when it takes too long.

    request  from the client        work  what is done        seconds  how long it may take

    Raises ClientDisconnect and TimeoutError then.
    """
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_end_of(request))
    try:
        async with asyncio.timeout(seconds):
            await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            leaving.result()
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _end_of(request: Request) -> None:
    """Return when the connection of a request has ended; what its client still sends is thrown away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
