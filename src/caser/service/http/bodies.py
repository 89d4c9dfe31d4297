"""Bodies of requests, read with limits of size and time; large ones have a limit together.

A body takes several times its bytes while it is parsed, and while what it asks for waits. So the large bodies of all
requests have a number of bytes together. Beyond it, a body is refused before it is read. Small bodies do not count:
there are as many as connections, and a question or an event must get through while large bodies wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from fastapi import HTTPException
from starlette.types import Message, Receive

from caser.service.http.error_responses import CLOSE_CONNECTION, RETRY_SOON

BODY_SECONDS = 10.0
"""How long a client may take to send a body."""

MOST_SMALL_BYTES = 16_384
"""The longest body that is small. Longer ones are large, and so is one that is compressed, whatever its length."""

MOST_LARGE_BYTES = 16 * 2**20
"""How many bytes the large bodies of all requests may have together, until their answers; one may always come."""

_DISCARD_SECONDS = 1.0
"""How long a body that was refused is read and thrown away."""
_MAX_LENGTH_DIGITS = 18


class LargeBodies:
    """The bytes of the large bodies of a service, from the moment that they are announced until their answers."""

    def __init__(self) -> None:
        self.num_bytes = 0

    def take(self, num_bytes: int) -> bool:
        """Whether a body of this length may come. Then its bytes count until `give_back`."""
        if self.num_bytes and self.num_bytes + num_bytes > MOST_LARGE_BYTES:
            return False
        self.num_bytes += num_bytes
        return True

    def give_back(self, num_bytes: int) -> None:
        """Forget the bytes of a body."""
        self.num_bytes -= num_bytes


class LimitedBody:
    """An ASGI `receive` that raises HTTPException when the body is too long, arrives too slowly, or has no room.

    receive  of the connection        max_bytes  the longest body        large  the large bodies of all requests

    A body that was refused is not read to its end, so its connection must not be used again.
    """

    def __init__(self, receive: Receive, max_bytes: int, large: LargeBodies) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._large = large
        self._num_bytes = 0
        self._num_taken = 0
        self._deadline: float | None = None
        self._is_complete = False
        self.is_refused = False
        """Whether the client may still send a body that nobody will read."""

    def check_length(self, headers: Mapping[bytes, bytes]) -> None:
        """Refuse a body whose declared length is too large, is no number, or has no room among the large bodies."""
        declared = headers.get(b"content-length", b"0")
        if not declared.isdigit() or len(declared) > _MAX_LENGTH_DIGITS or int(declared) > self._max_bytes:
            raise self._too_long()
        length = int(declared)
        if b"content-encoding" in headers and (length or b"transfer-encoding" in headers):
            length = self._max_bytes
        if length > MOST_SMALL_BYTES:
            self._take(length)

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
        self._num_bytes += len(message.get("body", b""))
        if self._num_bytes > self._max_bytes:
            raise self._too_long()
        if self._num_bytes > MOST_SMALL_BYTES and not self._num_taken:  # its length was not declared
            self._take(self._max_bytes)
        return message

    async def discard_rest(self) -> None:
        """Read and throw away what the client still sends, for a moment.

        If the connection were closed while the client sends, the client might lose the response.
        """
        if self._is_complete:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_DISCARD_SECONDS):
                while (message := await self._receive())["type"] == "http.request" and message.get("more_body"):
                    pass

    def forget(self) -> None:
        """Make room for other bodies, after the answer."""
        if self._num_taken:
            self._large.give_back(self._num_taken)

    def _take(self, length: int) -> None:
        if not self._large.take(length):
            self.is_refused = True
            sentence = (
                f"the large bodies that wait may have {MOST_LARGE_BYTES:,} bytes together; try again in a moment."
            )
            raise HTTPException(503, sentence, {**RETRY_SOON, **CLOSE_CONNECTION})
        self._num_taken = length

    def _too_long(self) -> HTTPException:
        self.is_refused = True
        return HTTPException(413, f"a body must have at most {self._max_bytes:,} bytes; got more.", CLOSE_CONNECTION)
