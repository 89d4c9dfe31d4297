"""An operation that is asked and answers in JSON, without what FastAPI does for operations in general.

FastAPI describes it as any other, from its types. Called, it checks the body with the strict model at once (no JSON
values between), and sends what the operation returns as it is: the model of its answer is a description, which tests
hold it to. The general way costs a request 150 microseconds of processor in place of 46, measured in turns.
"""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send


class JsonRoute(APIRoute):
    """A route whose operation takes a body and the request, in this order."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        [body] = self.dependant.body_params
        kind: Any = body.field_info.annotation
        self._adapter: TypeAdapter[Any] = TypeAdapter(kind)
        self.app = self._answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != "application/json":
            raise HTTPException(415, "the body must be JSON, and the header Content-Type must say application/json.")
        content = await _read(receive)
        try:
            asked = self._adapter.validate_json(content)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False, include_context=False)
            raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in found]) from None
        answer = orjson.dumps(await self.endpoint(asked, request))
        await Response(answer, media_type="application/json")(scope, receive, send)


async def _read(receive: Receive) -> bytes:
    """The whole body; `Request.body` would make two generators of it, for 10 microseconds."""
    parts, is_whole = [], False
    while not is_whole:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        is_whole = not message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)
