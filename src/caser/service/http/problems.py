"""What goes wrong, as an answer: a status for each class of errors, and one sentence that repeats nothing secret."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteException
from starlette.requests import ClientDisconnect

from caser.errors import BusyError, CaserError, StoreError, UnknownIdError
from caser.service.logs import logger
from caser.service.schemas import Problem

Handler = Callable[[Request, Any], Awaitable[Response]]

CLOSE = {"connection": "close"}
SOON = {"retry-after": "1"}


def problem(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to a request that is refused.

    >>> problem(404, "there is nothing here.").body
    b'{"error":"there is nothing here."}'
    """
    return JSONResponse({"error": sentence}, status, headers)


def failure(error: Exception, request_id: str) -> Response:
    """The answer to a request that failed; the log tells more."""
    logger.error("request %s failed", request_id, exc_info=error)
    if isinstance(error, StoreError):
        return problem(507, "the event could not be written, and is not kept; send it again later.")
    kind = "the model gave no number" if isinstance(error, CaserError) else "something failed"
    return problem(500, f"{kind}; the service's log tells more under the id {request_id}.")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What the description says of some statuses."""
    return {status: {"model": Problem, "description": Problem.SENTENCES[status]} for status in sorted(statuses)}


async def _refused(_: Request, error: StarletteException) -> Response:
    return problem(error.status_code, error.detail, error.headers)


async def _nothing(_: Request, __: StarletteException) -> Response:
    return problem(404, "there is nothing at this path; see /openapi.json.")


async def _wrong_method(_: Request, error: StarletteException) -> Response:
    return problem(405, f"the method must be {(error.headers or {})['Allow']}.", error.headers)


async def _invalid(_: Request, error: RequestValidationError) -> Response:
    """The first thing that is wrong with a request; what was sent is not repeated."""
    first = error.errors()[0]
    place, *names = first["loc"]
    if place == "path":
        return problem(404, "an id must have 1 to 200 characters in UTF-8.")
    where = ".".join(map(str, names))[:200] or "the body"
    must = first["msg"].replace("Input should be", "must be").replace("String should have", "must have")[:300]
    return problem(422, f"{where} {must}." if place == "query" else f"{where}: {must}.")


async def _busy(_: Request, error: BusyError) -> Response:
    return problem(503, str(error), SOON)


async def _unknown(_: Request, error: UnknownIdError) -> Response:
    return problem(404, str(error))


async def _gone(_: Request, __: ClientDisconnect) -> Response:
    return problem(400, "a request must have a whole body; the connection ended before.")


HANDLERS: dict[int | type[Exception], Handler] = {
    404: _nothing,
    405: _wrong_method,
    StarletteException: _refused,
    RequestValidationError: _invalid,
    BusyError: _busy,
    UnknownIdError: _unknown,
    ClientDisconnect: _gone,
}
"""What answers to which error; whatever is not here is a failure."""
