"""Error responses: a status for each class of error, and one sentence that never repeats what the client sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteException
from starlette.requests import ClientDisconnect

from caser.errors import BusyError, CaserError, ConfigError, StoreError, UnknownIdError
from caser.service.http.invalid_requests import sentence_about
from caser.service.logs import logger
from caser.service.response_schemas import ErrorResponse

Handler: TypeAlias = Callable[[Request, Any], Coroutine[Any, Any, Response]]

_FOLDERS = re.compile(r"(?<![^\s'\"(])/(?:[^/\s:;'\"]+/)*(?=[^/\s])")
"""The folders of an absolute path, up to the name of the file."""

CLOSE_CONNECTION = {"connection": "close"}
RETRY_SOON = {"retry-after": "1"}
RETRY_LATER = {"retry-after": "60"}
_STORE_LOST = (
    "the store of events was deleted or replaced, or cannot be used, so no event is stored; the service must be "
    "restarted with a good --store."
)
_STORE_AWAY = (
    "the store of events cannot be reached now, so nothing is stored or answered from it; ask again in a moment."
)


def error_response(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with this `status` and `headers`; its body is the `sentence` that says what is wrong.

    >>> error_response(404, "there is nothing here.").body
    b'{"error":"there is nothing here."}'
    """
    return JSONResponse({"error": sentence}, status, headers)


def failure_response(error: Exception, request_id: str) -> Response:
    """Return the response to a request that failed with `error`, and log the error under `request_id`."""
    if isinstance(error, StoreError):
        logger.error("request %s failed: %s", request_id, error)
        if error.is_lasting:
            return error_response(503, _STORE_LOST, RETRY_LATER)
        if error.is_away:
            return error_response(503, _STORE_AWAY, RETRY_SOON)
        return error_response(507, "the event could not be written, and is not stored; send it again later.")
    logger.error("request %s failed", request_id, exc_info=error)
    reason = "the model did not give a number" if isinstance(error, CaserError) else "the service failed"
    return error_response(500, f"{reason}; the log has the details under the id {request_id}.")


def without_folders(sentence: str, files: Iterable[Path] = ()) -> str:
    """Return a sentence in which each path is the name of its file: a client need not know the folders of the server.

    sentence  may hold absolute paths
    files     files and folders whose path may have spaces, or be relative

    >>> without_folders("/srv/demo/weights.safetensors does not match its checksum. Train again.")
    'weights.safetensors does not match its checksum. Train again.'
    """
    for file in files:
        for path in (file.resolve(), file):
            sentence = sentence.replace(str(path), path.name)
    return _FOLDERS.sub("", sentence)


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
    return error_response(404 if error.errors()[0]["loc"][0] == "path" else 422, sentence_about(error.errors()))


async def _busy(_: Request, error: BusyError) -> Response:
    return error_response(503, str(error), RETRY_SOON)


async def _late(request: Request, _: TimeoutError) -> Response:
    seconds = request.app.state.service.settings.answer_seconds
    logger.warning("request %s had no answer within %g seconds (--answer-seconds)", request.state.id, seconds)
    return error_response(
        503,
        f"an answer must take at most {seconds:g} seconds; this one took longer. Ask for less, or later.",
        RETRY_SOON,
    )


async def _unknown_id(_: Request, error: UnknownIdError) -> Response:
    return error_response(404, str(error))


async def _rule_that_does_not_fit(_: Request, error: ConfigError) -> Response:
    return error_response(422, str(error))


async def _disconnected(_: Request, __: ClientDisconnect) -> Response:
    return error_response(400, "the connection must stay open until the answer; it ended before.")


HANDLERS: dict[int | type[Exception], Handler] = {
    404: _not_found,
    405: _wrong_method,
    StarletteException: _http_error,
    RequestValidationError: _invalid,
    BusyError: _busy,
    TimeoutError: _late,
    UnknownIdError: _unknown_id,
    ConfigError: _rule_that_does_not_fit,
    ClientDisconnect: _disconnected,
}
"""The handler of each class of error. Any other error is a failure of the service (`failure_response`)."""
