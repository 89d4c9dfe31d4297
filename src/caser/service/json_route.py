"""An operation that is asked and answers in JSON, without what FastAPI does for operations in general.

FastAPI describes it as any other, from its types. Called, it reads the body with the strict model at once (no JSON
values between), and sends what the operation returns as it is: the model of its answer is a description, which tests
hold it to. Measured beside it, the general way costs a request twice as much as the rest of HTTP does.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError


class JsonRoute(APIRoute):
    """A route whose operation takes a body and the request, in this order."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        [body] = self.dependant.body_params
        kind: Any = body.field_info.annotation
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        operation = self.endpoint

        async def answer(request: Request) -> Response:
            media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if media != "application/json":
                sentence = "the body must be JSON, and the header Content-Type must say application/json."
                raise HTTPException(415, sentence)
            try:
                asked = adapter.validate_json(await request.body())
            except ValidationError as error:
                found = error.errors(include_url=False, include_input=False, include_context=False)
                raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in found]) from None
            return Response(orjson.dumps(await operation(asked, request)), media_type="application/json")

        return answer
