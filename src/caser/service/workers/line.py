"""The line between the parent and a worker: each side asks the other to do something, and waits for the answer.

Both sides are processes of one service, so what arrives is trusted. A message is small: a word, and a value that pickle
carries.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any, TypeAlias

from fastapi import HTTPException

from caser.service.logs import logger

Handler: TypeAlias = Callable[[Any], Awaitable[Any]]
"""Does what the other side asks for: takes the value that it sent, and returns the answer."""


def tell_before(connection: Connection, word: str, value: Any) -> None:
    """Send what `Line.tell` would send, where there is no event loop yet.

    connection  this end of a pipe       word  a key of the handlers at the other end       value  what it takes
    """
    connection.send(("tell", -1, word, value))


class LineEndedError(Exception):
    """The process at the other end is gone."""


class Line:
    """One end of a line. Use it in one event loop.

    connection  this end of a pipe
    handlers    what the other side may ask for, by its word
    on_end      called once when the process at the other end is gone
    """

    def __init__(self, connection: Connection, handlers: Mapping[str, Handler], on_end: Callable[[], None]) -> None:
        self._connection = connection
        self._handlers = handlers
        self._on_end = on_end
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_open = True
        asyncio.get_running_loop().add_reader(connection.fileno(), self.read)

    async def ask(self, word: str, value: Any = None) -> Any:
        """Let the other side do something, and return its answer.

        word  a key of the handlers at the other end       value  what the handler takes

        Raises the HTTPException of the handler there, and LineEndedError if the other process is or goes away.
        """
        number, answer = next(self._numbers), asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._send("ask", number, word, value)
            return await answer
        finally:
            self._waiting.pop(number, None)

    def tell(self, word: str, value: Any = None) -> None:
        """Let the other side do something, without waiting for it. Nothing happens if the other process is gone.

        word  a key of the handlers at the other end       value  what the handler takes
        """
        if self._is_open:
            self._send("tell", -1, word, value)

    def close(self) -> None:
        """End the line. Whoever waits for an answer gets LineEndedError."""
        if self._is_open:
            self._is_open = False
            asyncio.get_running_loop().remove_reader(self._connection.fileno())
            self._connection.close()
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(LineEndedError())

    def _send(self, *message: Any) -> None:
        if not self._is_open:
            raise LineEndedError
        try:
            self._connection.send(message)
        except OSError:
            self._end()
            raise LineEndedError from None

    def read(self) -> None:
        """Take every message that has arrived. The loop calls this when one has."""
        try:
            while self._is_open and self._connection.poll():
                self._take(*self._connection.recv())
        except (EOFError, OSError):
            self._end()

    def _take(self, kind: str, number: int, word: Any, value: Any) -> None:
        if kind in ("ask", "tell"):
            task = asyncio.get_running_loop().create_task(self._handle(kind, number, word, value))
            self._tasks.add(task)  # a loop keeps no reference to a task
            task.add_done_callback(self._tasks.discard)
            return
        answer = self._waiting.get(number)
        if answer is not None and not answer.done():
            if kind == "answer":
                answer.set_result(value)
            else:
                answer.set_exception(HTTPException(word, value))

    async def _handle(self, kind: str, number: int, word: str, value: Any) -> None:
        """Do what the other side asks for, and send the answer, or the status and the sentence of a failure."""
        try:
            message: tuple[Any, ...] = ("answer", number, None, await self._handlers[word](value))
        except HTTPException as error:
            message = ("failure", number, error.status_code, error.detail)
        except LineEndedError:  # of another line, which this work needed
            message = ("failure", number, 503, "a process of the service ended; try again.")
        except Exception:
            logger.exception("a process of the service could not do: %s", word)
            message = ("failure", number, 500, "the service failed; its log has the details.")
        if kind == "ask" and self._is_open:
            try:
                self._send(*message)
            except LineEndedError:
                return

    def _end(self) -> None:
        if self._is_open:
            self.close()
            self._on_end()
