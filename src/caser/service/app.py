"""The service as an ASGI application: let in, read, check, call, answer, count. One way through for every request."""

from __future__ import annotations

import secrets
import time
from math import ceil
from typing import Any

import orjson
from pydantic import ValidationError

from caser.errors import BusyError, CaserError, StoreError, UnknownIdError
from caser.service.asgi import Receive, RefusedError, Request, Response, Scope, Send, read_body
from caser.service.guard import Guard, RateLimit
from caser.service.logs import Lines, Pseudonym, logger
from caser.service.openapi import describe
from caser.service.page import read_page, unchanged
from caser.service.routes import ADAPTERS, find
from caser.service.service import Service

_OPEN = frozenset({b"/healthz", b"/readyz"})
_METHODS = frozenset({"GET", "HEAD", "POST", "DELETE"})
_METRICS, _OPENAPI = "/metrics", "/openapi.json"
_TEXT = b"text/plain; version=0.0.4; charset=utf-8"


class App:
    """Serve a Service. Needs no token: whether it lives, whether it is ready, and the files of the page."""

    def __init__(self, service: Service, guard: Guard, limit: RateLimit | None, pseudonym: Pseudonym) -> None:
        self.service = service
        self._guard = guard
        self._limit = limit
        self._pseudonym = pseudonym
        self._log = Lines()
        self._page = read_page()
        self._openapi = Response(orjson.dumps(describe()))
        self._open = _OPEN | {path.encode() for path in self._page}
        self._prefix = secrets.token_hex(4)
        self._count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or follow the life of the server."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            self._log.flush()
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = time.perf_counter()
        self._count += 1
        request = Request(
            scope["method"], {}, scope["query_string"], dict(scope["headers"]), "", f"{self._prefix}-{self._count}"
        )
        route, response = "other", Response(b"")
        try:
            route, response = await self._answer(scope, request, receive)
        except RefusedError as refused:
            response = refused.response()
        except Exception as error:
            response = _response(error, request.id)
        if self.service.is_draining:
            response.headers = [*response.headers, (b"connection", b"close")]
        await response.send(receive, send)
        seconds = time.perf_counter() - start
        self.service.metrics.request(route, response.status, seconds)
        self._log.write(
            method=request.method if request.method in _METHODS else "other",
            route=route,
            status=response.status,
            ms=round(seconds * 1e3, 2),
            client=request.client,
            user=request.user and self._pseudonym(request.user),
            id=request.id,
        )

    async def _answer(self, scope: Scope, request: Request, receive: Receive) -> tuple[str, Response]:
        """The path's template, for figures and logs, and the answer."""
        path = scope["raw_path"].partition(b"?")[0]
        address = scope["client"][0] if scope.get("client") else "unknown"
        is_get = request.method in ("GET", "HEAD")
        request.client = self._guard.admit(request.headers, address, is_open=path in self._open, changes=not is_get)
        if self._limit is not None and path not in _OPEN and (wait := self._limit.wait(request.client)):
            raise RefusedError(429, "too many requests from here.", [(b"retry-after", str(ceil(wait)).encode())])
        text = path.decode("latin-1")
        if is_get and text in self._page:
            return text, unchanged(request, self._page[text])
        if is_get and text == _OPENAPI:
            return text, Response(self._openapi.body)
        if is_get and text == _METRICS:
            return text, Response(self.service.metrics.text(), media=_TEXT)
        route, request.params = find(request.method, path)
        try:
            body = await self._body(route.path, request, receive)
            found = await route.handler(self.service, request, body)
        except RefusedError as refused:
            return route.path, refused.response()
        except Exception as error:
            return route.path, _response(error, request.id)
        return route.path, Response(orjson.dumps(found))

    async def _body(self, path: str, request: Request, receive: Receive) -> Any:
        """The checked body of a route that has one; what another one is sent is read and left."""
        content = await read_body(receive, request.headers, self.service.settings.max_body)
        adapter = ADAPTERS.get(path)
        if adapter is None:
            return None
        media = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if media != b"application/json":
            raise RefusedError(415, "the body must be JSON, and the header Content-Type must say application/json.")
        try:
            return adapter.validate_json(content)
        except ValidationError as error:
            raise RefusedError(422, _sentence(error)) from None


def _response(error: Exception, request_id: str) -> Response:
    """The answer to a request that failed: a status for each class of errors, and no more than one sentence."""
    if isinstance(error, BusyError):
        return RefusedError(503, str(error), [(b"retry-after", b"1")]).response()
    if isinstance(error, UnknownIdError):
        return RefusedError(404, str(error)).response()
    logger.error("request %s failed", request_id, exc_info=error)
    if isinstance(error, StoreError):
        return RefusedError(507, "the event could not be written, and is not kept; send it again later.").response()
    kind = "the model gave no number" if isinstance(error, CaserError) else "something failed"
    return RefusedError(500, f"{kind}; the service's log tells more under the id {request_id}.").response()


def _sentence(error: ValidationError) -> str:
    """The first thing that is wrong with a body; what was sent is not repeated."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the body"
    must = first["msg"].replace("Input should be", "must be")
    return f"{where[:200]}: {must[:300]}."


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
