"""ASGI middleware around the application: checks each request before the application sees it, and logs it afterwards.

Before: the host, the token and the origin (`access.py`), the rate limit, and the declared length of the body. The body
is then read with a size limit and a time limit. After: security headers, metrics, and a log line.

This is plain ASGI, because a request that is refused here must not cost the reading of its body.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress
from functools import partial
from math import ceil
from typing import Any

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from caser.service.http.access import AccessControl, RateLimit
from caser.service.http.error_responses import CLOSE_CONNECTION, error_response, failure_response
from caser.service.http.service import Service

BODY_SECONDS = 10.0
"""How long a client may take to send a body."""

_DISCARD_SECONDS = 1.0
"""How long a body that is too long is read and thrown away."""
_MAX_LENGTH_DIGITS = 18
_METHODS = frozenset({"GET", "HEAD", "POST", "DELETE"})
_NO_STORE = (b"cache-control", b"no-store")
_SECURITY_HEADERS = [
    (b"content-security-policy", b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
     b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]  # fmt: skip


class RequestMiddleware:
    """ASGI middleware: refuses, limits, counts and logs requests.

    app           the application behind it              service          its metrics and request log are written
    access        decides who may come in                rate_limit       limits each client; None for no limit
    public_paths  paths that need no token               unlimited_paths  paths without a rate limit
    """

    def __init__(
        self,
        app: ASGIApp,
        service: Service,
        access: AccessControl,
        rate_limit: RateLimit | None,
        public_paths: frozenset[str],
        unlimited_paths: frozenset[str],
    ) -> None:
        self._app = app
        self._service = service
        self._access = access
        self._rate_limit = rate_limit
        self._public_paths = public_paths
        self._unlimited_paths = unlimited_paths
        self._id_prefix = secrets.token_hex(4)
        self._num_requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or refuse it; count and log it in either case."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        self._num_requests += 1
        context = _RequestContext(scope, f"{self._id_prefix}-{self._num_requests}", self._service.settings.root_path)
        body = _LimitedBody(receive, self._service.settings.max_body)
        response = _ResponseRecorder(send, body, self._service)
        # Check the request and let the application answer it, or send an error response.
        try:
            self._check(context, body)
            await self._app(context.scope, body, response)
        except HTTPException as error:
            refusal = error_response(error.status_code, error.detail, error.headers)
            await refusal(context.scope, body, response)
        except Exception as error:
            if response.status:  # the response has begun: the connection can only be broken off
                raise
            await failure_response(error, context.state["id"])(context.scope, body, response)
        # Count and log it. The log has the route and never the path, which may hold a user id.
        seconds = time.perf_counter() - start
        route = getattr(context.scope.get("route"), "path", "other")
        self._service.metrics.count_request(route, response.status, seconds)
        user = context.state["user"]
        self._service.request_log.write(
            method=scope["method"] if scope["method"] in _METHODS else "other",
            route=route,
            status=response.status,
            ms=round(seconds * 1e3, 2),
            client=context.client,
            user=user and self._service.pseudonym(user),
            id=context.state["id"],
        )

    def _check(self, context: _RequestContext, body: _LimitedBody) -> None:
        """Find out which client sends the request. Raises HTTPException for a request that is not allowed."""
        headers, path = dict(context.scope["headers"]), context.scope["path"]
        address = context.scope["client"][0] if context.scope.get("client") else "unknown"
        context.client = client = self._access.check(
            headers, address, is_public=path in self._public_paths, is_write=context.scope["method"] != "GET"
        )
        if self._rate_limit is not None and path not in self._unlimited_paths:
            seconds = self._rate_limit.seconds_to_wait(client)
            if seconds:
                raise HTTPException(
                    429, "this client has asked for too much (--rate).", {"retry-after": str(ceil(seconds))}
                )
            context.state["charge"] = partial(self._rate_limit.charge, client)
        body.check_length(headers.get(b"content-length", b"0"))


class _RequestContext:
    """A request as the application sees it.

    Its path is still percent-encoded, so that an id may contain a slash, and it lacks the root path, which a proxy may
    cut off or pass on. HEAD is answered as GET.
    """

    def __init__(self, scope: Scope, request_id: str, root_path: str) -> None:
        path = scope["raw_path"].partition(b"?")[0].decode("latin-1")
        if root_path and path.startswith(f"{root_path}/"):
            path = path.removeprefix(root_path)
        self.state: dict[str, Any] = {"id": request_id, "user": None}
        self.client = ""
        self.scope: Scope = {
            **scope,
            "method": "GET" if scope["method"] == "HEAD" else scope["method"],
            "path": path,
            "state": self.state,
        }


class _LimitedBody:
    """An ASGI `receive` that raises HTTPException when the body is too long or arrives too slowly.

    A body that was refused is not read to its end, so its connection must not be used again.
    """

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._bytes_left = max_bytes
        self._deadline: float | None = None
        self._is_complete = False

    def check_length(self, content_length: bytes) -> None:
        """Refuse a body whose declared length is too large or is no number."""
        too_many_digits = len(content_length) > _MAX_LENGTH_DIGITS
        if not content_length.isdigit() or too_many_digits or int(content_length) > self._max_bytes:
            raise self._too_long()

    async def __call__(self) -> Message:
        """Receive the next part."""
        try:
            # The first part has no deadline: a client that sends nothing is an idle connection, and a timeout costs
            # each request 2 % of its time.
            # After the last part there is nothing to wait for but the end of the connection.
            if self._deadline is None or self._is_complete:
                message = await self._receive()
                self._deadline = asyncio.get_running_loop().time() + BODY_SECONDS
            else:
                async with asyncio.timeout_at(self._deadline):
                    message = await self._receive()
        except TimeoutError:
            sentence = f"a body must arrive within {BODY_SECONDS:.0f} seconds; it did not."
            raise HTTPException(408, sentence, CLOSE_CONNECTION) from None
        self._is_complete = not message.get("more_body", False)
        self._bytes_left -= len(message.get("body", b""))
        self._is_complete = not message.get("more_body", False)
        if self._bytes_left < 0:
            raise self._too_long()
        return message

    async def discard_rest(self) -> None:
        """Read and throw away what the client still sends, for a moment.

        If the connection were closed while the client sends, the client might lose the response.
        """
        if self._is_complete:  # a body that is too long only once it is unpacked
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_DISCARD_SECONDS):
                while (message := await self._receive())["type"] == "http.request" and message.get("more_body"):
                    pass

    def _too_long(self) -> HTTPException:
        return HTTPException(413, f"a body must have at most {self._max_bytes:,} bytes; got more.", CLOSE_CONNECTION)


class _ResponseRecorder:
    """An ASGI `send` that adds the common headers and records the status, which is 0 before the response begins."""

    def __init__(self, send: Send, body: _LimitedBody, service: Service) -> None:
        self._send = send
        self._body = body
        self._service = service
        self.status = 0

    async def __call__(self, message: Message) -> None:
        """Send the next part."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message["headers"], *_SECURITY_HEADERS]
            if not any(name == b"cache-control" for name, _ in headers):
                headers.append(_NO_STORE)
            if self._service.is_draining:  # this is the last response on its connection
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        elif self.status == 413:
            await self._send({**message, "more_body": True})
            await self._body.discard_rest()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)
