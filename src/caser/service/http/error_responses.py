"""Error responses: a status for each class of error, and one sentence that never repeats what the client sent."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteException
from starlette.requests import ClientDisconnect

from caser.errors import BusyError, CaserError, ConfigError, StoreError, UnknownIdError
from caser.service.logs import logger
from caser.service.request_schemas import MAX_ID_LENGTH, Schema
from caser.service.response_schemas import ErrorResponse

Handler: TypeAlias = Callable[[Request, Any], Coroutine[Any, Any, Response]]

_FIELDS = tuple(dict.fromkeys(name for schema in Schema.__subclasses__() for name in schema.model_fields))
"""The names of the fields that some request has."""

CLOSE_CONNECTION = {"connection": "close"}
RETRY_SOON = {"retry-after": "1"}


def error_response(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with this `status` and `headers`; its body is the `sentence` that says what is wrong.

    >>> error_response(404, "there is nothing here.").body
    b'{"error":"there is nothing here."}'
    """
    return JSONResponse({"error": sentence}, status, headers)


def failure_response(error: Exception, request_id: str) -> Response:
    """Return the response to a request that failed with `error`, and log the error under `request_id`."""
    logger.error("request %s failed", request_id, exc_info=error)
    if isinstance(error, StoreError):
        return error_response(507, "the event could not be written, and is not stored; send it again later.")
    reason = "the model did not give a number" if isinstance(error, CaserError) else "the service failed"
    return error_response(500, f"{reason}; the log has the details under the id {request_id}.")


def described_errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the descriptions of some error `statuses` for the API documentation."""
    return {
        status: {"model": ErrorResponse, "description": ErrorResponse.SENTENCES[status]} for status in sorted(statuses)
    }


async def _http_error(_: Request, error: StarletteException) -> Response:
    return error_response(error.status_code, error.detail, error.headers)


async def _not_found(_: Request, __: StarletteException) -> Response:
    return error_response(404, "this path does not exist; see /openapi.json.")


async def _wrong_method(_: Request, error: StarletteException) -> Response:
    return error_response(405, f"the method must be {(error.headers or {})['Allow']}.", error.headers)


async def _invalid(_: Request, error: RequestValidationError) -> Response:
    """Name the first field that is invalid and the rule that it breaks."""
    first = error.errors()[0]
    place, *names = first["loc"]
    if place == "path":
        return error_response(404, f"an id must have 1 to {MAX_ID_LENGTH} characters in UTF-8.")
    where = ".".join(map(str, names))[:200] or "the body"
    if first["type"] == "extra_forbidden":
        return error_response(422, _unknown_field(where, str(names[-1])))
    rule = first["msg"].replace("Input should be", "must be").replace("String should have", "must have")[:300]
    return error_response(422, f"{where} {rule}." if place == "query" else f"{where}: {rule}.")


def _unknown_field(where: str, name: str) -> str:
    """Return the sentence about a field that no request has at this place, with the most similar field of a request.

    >>> _unknown_field("histry", "histry")
    'histry is not a field of this request; did you mean history?'
    """
    near = difflib.get_close_matches(name, _FIELDS, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}?" if near and near[0] != name else "see /openapi.json."
    return f"{where} is not a field of this request; {hint}"


async def _busy(_: Request, error: BusyError) -> Response:
    return error_response(503, str(error), RETRY_SOON)


async def _unknown_id(_: Request, error: UnknownIdError) -> Response:
    return error_response(404, str(error))


async def _rule_that_does_not_fit(_: Request, error: ConfigError) -> Response:
    return error_response(422, str(error))


async def _disconnected(_: Request, __: ClientDisconnect) -> Response:
    return error_response(400, "the body must be complete; the connection ended before its end.")


HANDLERS: dict[int | type[Exception], Handler] = {
    404: _not_found,
    405: _wrong_method,
    StarletteException: _http_error,
    RequestValidationError: _invalid,
    BusyError: _busy,
    UnknownIdError: _unknown_id,
    ConfigError: _rule_that_does_not_fit,
    ClientDisconnect: _disconnected,
}
"""The handler of each class of error. Any other error is a failure of the service (`failure_response`)."""
