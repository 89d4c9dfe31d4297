"""Limits of connections: how many there are, how long each may take, and how large the head of a request may be.

uvicorn's protocol for HTTP has none of these limits, so a client could fill memory or take every descriptor before any
of its requests reaches the application. `LimitedProtocol` adds them to uvicorn's own protocol:

    head         the request line and the headers: their bytes, their number, and the time until they are complete
    trailers     headers after a body never reach the application
    pipelines    how many requests may wait on one connection for the answer to an earlier one
    connections  of one address, and in all; where all are taken, the one that has been idle longest is closed
    time         a connection without a request, and a client that does not read its answer, are closed after a while

Times are checked once a second for all connections together (`close_overdue`), so that a request costs no timer.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

import orjson
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

MOST_PATH_BYTES = 16_384
"""The longest path with its query. An id of 1,000 characters, percent-encoded, takes up to 12,000."""

MOST_HEAD_BYTES = 32_768
"""The most bytes of a request line and headers together."""

MOST_HEADERS = 100
"""The most headers of a request."""

MOST_AHEAD = 32
"""The most requests that a client may send on a connection before the first of them is answered."""

MOST_UNREAD_BYTES = 64 * 2**20
"""How many bytes of answers may wait for clients that do not read them, of all connections together."""

_SLOWEST_READER = 100_000
"""Bytes per second at which a client must read an answer, at least."""

_DISCARD_SECONDS = 1.0
"""How long a request that was refused is read and thrown away."""

_FRAMING_PER_BODY = 16
"""How many bytes of chunk sizes and trailers a client may send per byte that a body may have."""

_SLICE = 4_096
"""The head of a request is read in pieces of this size, so that no long header is ever put together."""


@dataclass(frozen=True)
class ConnectionLimits:
    """How many connections there may be, and how long they may wait.

    most         connections in all
    per_address  connections of one address; those of a Unix socket all have one address
    idle_seconds how long a connection may send no complete head of a request, or not read its answer
    max_body     the longest body in bytes
    """

    most: int
    per_address: int
    idle_seconds: float
    max_body: int


class Connections:
    """The open connections of one server, shared by its protocols."""

    def __init__(self, limits: ConnectionLimits) -> None:
        """`limits` hold for all connections together."""
        self.limits = limits
        self.of_address: Counter[str] = Counter()
        self.num_refused = 0
        self.num_closed = 0
        self._open: dict[LimitedProtocol, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, protocol: LimitedProtocol) -> bool:
        """Whether a new connection may stay; room is made for it by closing the one that has been idle longest."""
        if self.of_address[protocol.address] >= self.limits.per_address:
            self.num_refused += 1
            return False
        if len(self._open) >= self.limits.most:
            idle = min((one for one in self._open if one.is_idle), key=lambda one: one.since, default=None)
            if idle is None:
                self.num_refused += 1
                return False
            self.close(idle)
        self._open[protocol] = None
        self.of_address[protocol.address] += 1
        return True

    def forget(self, protocol: LimitedProtocol) -> None:
        """Forget a connection that is gone."""
        if self._open.pop(protocol, self) is None:
            self.of_address[protocol.address] -= 1
            if not self.of_address[protocol.address]:
                del self.of_address[protocol.address]

    def close(self, protocol: LimitedProtocol) -> None:
        """Close a connection at once, without waiting for its client."""
        self.num_closed += 1
        self.forget(protocol)
        protocol.transport.abort()

    def close_overdue(self, now: float) -> None:
        """Close the connections that have waited too long for their client. `now` is a time of `time.monotonic`.

        A client that reads its answer slowly has more time, by the bytes that it still has to read. Where the answers
        that nobody reads take too much memory together, those that have waited longest are closed.
        """
        unread = 0
        waiting = sorted((one for one in self._open if one.waits_for_client), key=lambda one: -one.since)
        for one in waiting:  # the newest first
            unread += one.num_unsent
            patience = self.limits.idle_seconds + one.num_unsent / _SLOWEST_READER
            if now - one.since > patience or unread > MOST_UNREAD_BYTES:
                self.close(one)


class LimitedProtocol(HttpToolsProtocol):
    """A connection, with limits. uvicorn makes one for each connection."""

    shared: Connections
    """The connections of the server; a subclass for each server has it (`protocol_for`)."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.since = time.monotonic()
        """Since when the connection waits for what it waits for."""
        self.address = ""
        self._is_in_head = False
        self._is_in_body = False
        self._is_writing_paused = False
        self._is_refused = False
        self._num_bytes = 0
        self._too_much: tuple[int, str] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no request is being read or answered."""
        return not self._is_in_body and (self.cycle is None or self.cycle.response_complete)

    @property
    def waits_for_client(self) -> bool:
        """Whether the next step is the client's: to send a request or the rest of one, or to read its answer."""
        return self.is_idle or self._is_in_body or self._is_writing_paused

    @property
    def num_unsent(self) -> int:
        """Bytes of answers that the client has not read."""
        return self.transport.get_write_buffer_size()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or refuse it if there are too many."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else "local"
        if not self.shared.admit(self):
            self._refuse(503, "this service has as many connections as it may have; try again later.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.shared.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what the client sent; refuse the request at the first limit that it passes."""
        while data and not self._is_refused and not self.transport.is_closing():
            # Pieces are small until the head is complete. What follows it is given to the parser as a whole.
            piece, data = (data, b"") if self._is_in_body else (data[:_SLICE], data[_SLICE:])
            super().data_received(piece)
            self._num_bytes += len(piece)
            self._check_sizes()

    def _check_sizes(self) -> None:
        """Refuse a request that is too large, before more of it is read."""
        if self._is_in_head:
            self._check_head()
        elif self._is_in_body and self._num_bytes > _FRAMING_PER_BODY * (self.shared.limits.max_body + MOST_HEAD_BYTES):
            self._too_much = 413, "a body must not consist of chunk sizes and trailers; got too many of them."
        if self._too_much:
            self._refuse(*self._too_much)

    def _check_head(self) -> None:
        """Note the first limit that the head of the request passes, as far as it was read."""
        if len(self.url) > MOST_PATH_BYTES:
            self._too_much = 414, f"a path with its query must have at most {MOST_PATH_BYTES:,} bytes; got more."
        elif len(self.headers) > MOST_HEADERS:
            self._too_much = 431, f"a request must have at most {MOST_HEADERS} headers; got more."
        elif self._num_bytes > MOST_HEAD_BYTES:
            self._too_much = 431, f"the headers of a request must have at most {MOST_HEAD_BYTES:,} bytes; got more."

    def _refuse(self, status: int, sentence: str) -> None:
        """Send one error response, and close the connection; what the client still sends is thrown away."""
        if self.transport.is_closing() or self._is_refused:
            return
        body = orjson.dumps({"error": sentence})
        lines = (
            STATUS_LINE[status],
            b"content-type: application/json\r\n",
            b"content-length: %d\r\n" % len(body),
            b"cache-control: no-store\r\n",
            b"connection: close\r\n\r\n",
        )
        self.transport.write(b"".join(lines) + body)
        if not self._too_much:
            self.transport.close()
            return
        # If the connection were closed while the client sends, the client might lose the response.
        self._is_refused = True
        self.transport.write_eof()
        self.loop.call_later(_DISCARD_SECONDS, self.transport.abort)

    # The parser calls the following.

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._is_in_head, self._is_in_body, self._num_bytes, self._too_much = True, False, 0, None
        self.since = time.monotonic()

    def on_headers_complete(self) -> None:
        """End the head, and let the application begin, unless the request was refused."""
        self._check_head()
        self._is_in_head, self._is_in_body = False, True
        if self._too_much is None and len(self.pipeline) < MOST_AHEAD:
            super().on_headers_complete()
        elif self._too_much is None and not self.transport.is_closing():
            # An error response would be taken for the answer to the first request.
            self.shared.close(self)
        self.headers = deque(maxlen=0)  # type: ignore[assignment]  # trailers are dropped

    def on_body(self, body: bytes) -> None:
        """Take a part of the body of a request that was not refused."""
        self.since = time.monotonic()
        if self._too_much is None and not self.transport.is_closing():
            super().on_body(body)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self.since = time.monotonic()
        super().on_response_complete()

    def on_message_complete(self) -> None:
        """End the request."""
        self._is_in_body = False
        if self._too_much is None and not self.transport.is_closing():
            super().on_message_complete()

    # The transport calls the following.

    def pause_writing(self) -> None:
        """Note that the client does not read."""
        self._is_writing_paused, self.since = True, time.monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that the client reads again."""
        self._is_writing_paused = False
        super().resume_writing()


def protocol_for(shared: Connections) -> type[LimitedProtocol]:
    """Return the protocol class of one server.

    shared  its connections
    """
    return type("LimitedProtocol", (LimitedProtocol,), {"shared": shared})


def descriptors() -> int:
    """Return how many files and connections this process may open."""
    if sys.platform == "win32":
        return 8192
    import resource

    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def default_limits(max_body: int, most: int | None, idle_seconds: float, descriptors: int) -> ConnectionLimits:
    """Return the limits of a server.

    max_body      the longest body in bytes        most         connections in all; None suits the descriptors
    idle_seconds  how long a client may wait       descriptors  how many files and connections the process may open

    >>> limits = default_limits(2**20, None, 15.0, descriptors=1024)
    >>> limits.most, limits.per_address
    (819, 409)
    """
    all_of_them = min(most or 10_000, descriptors * 4 // 5)
    return ConnectionLimits(all_of_them, max(1, all_of_them // 2), idle_seconds, max_body)
