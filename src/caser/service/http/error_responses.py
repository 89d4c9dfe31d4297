"""Error responses: a status for each class of error, and one sentence that never repeats what the client sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fastapi import Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from caser.errors import BusyError, CaserError, ConfigError, StoreError, UnknownIdError
from caser.service.http.invalid_requests import sentence_about
from caser.service.logs import logger
from caser.service.response_schemas import ErrorResponse

_FOLDERS = re.compile(r"(?<![^\s'\"(])/(?:[^/\s:;'\"]+/)*(?=[^/\s])")
"""The folders of an absolute path, up to the name of the file."""

CLOSE_CONNECTION = {"connection": "close"}
RETRY_SOON = {"retry-after": "1"}
RETRY_LATER = {"retry-after": "60"}
_LATE = "an answer must take at most {:g} seconds; this one took longer. Ask for less, or later."
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


def response_to(error: Exception, request_id: str, answer_seconds: float) -> Response:
    """Return the response to a request that ended with an error.

    error       any error; what is not listed here is a failure of the service, and is logged under the id
    request_id  the id of the request       answer_seconds  the deadline of an answer, for the sentence about it

    >>> response_to(UnknownIdError("item must be known; got 7."), "a-1", 10.0).status_code
    404
    """
    match error:
        case HTTPException(status_code=404):
            return error_response(404, "this path does not exist; see /openapi.json.")
        case HTTPException(status_code=405, headers=headers):
            return error_response(405, f"the method must be {(headers or {})['Allow']}.", headers)
        case HTTPException():
            return error_response(error.status_code, error.detail, error.headers)
        case RequestValidationError():
            details = error.errors()
            return error_response(404 if details[0]["loc"][0] == "path" else 422, sentence_about(details))
        case BusyError():
            return error_response(503, str(error), RETRY_SOON)
        case TimeoutError():
            logger.warning("request %s had no answer within %g seconds (--answer-seconds)", request_id, answer_seconds)
            return error_response(503, _LATE.format(answer_seconds), RETRY_SOON)
        case UnknownIdError():
            return error_response(404, str(error))
        case ConfigError():  # a rule that does not fit the table of items
            return error_response(422, str(error))
        case ClientDisconnect():
            return error_response(400, "the connection must stay open until the answer; it ended before.")
    return _failure_response(error, request_id)


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


def _failure_response(error: Exception, request_id: str) -> Response:
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
