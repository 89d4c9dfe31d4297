"""The door: what is asked of every request before the application sees it, and what every answer gets on its way out.

In order: the host, the token, the page it comes from (`guard.py`), the rate, the length that the body says it has. The
body is then read under a cap and a clock. On the way out: the headers that keep a browser careful, figures, a log line.
Pure ASGI, as what is refused here must not cost a body that is read.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress
from math import ceil
from typing import Any

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from caser.service.http.guard import Guard, RateLimit
from caser.service.http.problems import CLOSE, failure, problem
from caser.service.http.service import Service

BODY_SECONDS = 10.0
"""How long a client may take to send a body."""

_LINGER_SECONDS = 1.0
_METHODS = frozenset({"GET", "HEAD", "POST", "DELETE"})
_NO_STORE = (b"cache-control", b"no-store")
_SECURITY = [
    (b"content-security-policy", b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
     b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]  # fmt: skip


class Door:
    """ASGI middleware around the application.

    is_open   paths that need no token        unlimited  paths that no rate limits
    """

    def __init__(
        self,
        app: ASGIApp,
        service: Service,
        guard: Guard,
        limit: RateLimit | None,
        is_open: frozenset[str],
        unlimited: frozenset[str],
    ) -> None:
        self._app = app
        self._service = service
        self._guard = guard
        self._limit = limit
        self._is_open = is_open
        self._unlimited = unlimited
        self._prefix = secrets.token_hex(4)
        self._count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or refuse it; count it either way."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        self._count += 1
        visit = _Visit(scope, f"{self._prefix}-{self._count}")
        body = _Body(receive, self._service.settings.max_body)
        out = _Answer(send, body, self._service)
        try:
            self._admit(visit, body)
            await self._app(visit.scope, body, out)
        except HTTPException as refused:
            await problem(refused.status_code, refused.detail, refused.headers)(visit.scope, body, out)
        except Exception as error:
            if out.status:  # it has begun: all that is left is to break it off
                raise
            await failure(error, visit.state["id"])(visit.scope, body, out)
        seconds = time.perf_counter() - start
        route = getattr(visit.scope.get("route"), "path", "other")
        self._service.metrics.request(route, out.status, seconds)
        user = visit.state["user"]
        self._service.requests.write(
            method=scope["method"] if scope["method"] in _METHODS else "other",
            route=route,
            status=out.status,
            ms=round(seconds * 1e3, 2),
            client=visit.client,
            user=user and self._service.pseudonym(user),
            id=visit.state["id"],
        )

    def _admit(self, visit: _Visit, body: _Body) -> None:
        """Learn whose request it is. Raises HTTPException for one that may not come in."""
        headers, path = dict(visit.scope["headers"]), visit.scope["path"]
        changes = visit.scope["method"] != "GET"
        address = visit.scope["client"][0] if visit.scope.get("client") else "unknown"
        is_open = path in self._is_open
        visit.client = client = self._guard.admit(headers, address, is_open=is_open, changes=changes)
        if self._limit is not None and path not in self._unlimited and (wait := self._limit.wait(client)):
            raise HTTPException(429, "too many requests from here.", {"retry-after": str(ceil(wait))})
        body.expect(headers.get(b"content-length", b"0"))


class _Visit:
    """A request as the application sees it: a path as it was sent, so that an id may hold a slash; HEAD asks as GET."""

    def __init__(self, scope: Scope, request_id: str) -> None:
        self.state: dict[str, Any] = {"id": request_id, "user": None}
        self.client = ""
        self.scope: Scope = {
            **scope,
            "method": "GET" if scope["method"] == "HEAD" else scope["method"],
            "path": scope["raw_path"].partition(b"?")[0].decode("latin-1"),
            "state": self.state,
        }


class _Body:
    """Receives a body that may be neither too long nor too slow. Raises HTTPException once it is.

    A body that was refused is not read to its end, so its connection must not be used again.
    """

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._most = most
        self._left = most
        self._until: float | None = None

    def expect(self, declared: bytes) -> None:
        """Refuse a body by the length that it says it has."""
        if not declared.isdigit() or len(declared) > 18 or int(declared) > self._most:
            raise self._too_long()

    async def __call__(self) -> Message:
        """The next part."""
        try:
            if self._until is None:  # what sends nothing at all is an idle connection, and a clock costs a request 2 %
                message = await self._receive()
                self._until = asyncio.get_running_loop().time() + BODY_SECONDS
            else:
                async with asyncio.timeout_at(self._until):
                    message = await self._receive()
        except TimeoutError:
            sentence = f"a body must come within {BODY_SECONDS:.0f} seconds; it did not."
            raise HTTPException(408, sentence, CLOSE) from None
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise self._too_long()
        return message

    async def linger(self) -> None:
        """Let go by what is still being sent, for a moment: a connection closed under it may lose the answer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while (message := await self._receive())["type"] == "http.request" and message.get("more_body"):
                    pass

    def _too_long(self) -> HTTPException:
        return HTTPException(413, f"a body must have at most {self._most:,} bytes; got more.", CLOSE)


class _Answer:
    """Sends an answer with the headers every answer has; `status` is 0 before it begins."""

    def __init__(self, send: Send, body: _Body, service: Service) -> None:
        self._send = send
        self._body = body
        self._service = service
        self.status = 0

    async def __call__(self, message: Message) -> None:
        """Send the next part."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message["headers"], *_SECURITY]
            if not any(name == b"cache-control" for name, _ in headers):
                headers.append(_NO_STORE)
            if self._service.is_draining:  # the connection's last answer
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        elif self.status == 413:
            await self._send({**message, "more_body": True})
            await self._body.linger()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)
