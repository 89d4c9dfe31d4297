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
