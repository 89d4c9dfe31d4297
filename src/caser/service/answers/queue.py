"""A bounded line of questions, answered in batches: whoever waits is answered together.

While one batch is being answered the next one gathers, so batches grow with the load and an idle service adds no
delay. A line that is full refuses at once. Batches are answered in the event loop itself: in a thread beside it, with
eight clients, a question cost 340 microseconds of processor instead of 275: the two wait for one interpreter. So that
the loop is never away for long, a batch has only as many questions as can be answered in a moment.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from caser.errors import BusyError

Question = TypeVar("Question")
Answer = TypeVar("Answer")
Result = TypeVar("Result")

MOST_TOGETHER = 32
"""Questions in a batch."""
_BATCH_SECONDS = 0.02
_TURNS = 16
"""Turns of the event loop between two batches. With one, 512 clients wait a second to be refused; with 16, 18 ms."""


class Batches(Generic[Question, Answer]):
    """Ask one question or several, and get their answers; `most_waiting` questions may wait."""

    def __init__(self, answer: Callable[[Sequence[Question]], Sequence[Answer]], most_waiting: int) -> None:
        self._answer = answer
        self._most_waiting = most_waiting
        self._line: deque[tuple[Question, asyncio.Future[Answer]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._seconds = _BATCH_SECONDS / MOST_TOGETHER
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="aside")

    @property
    def waiting(self) -> int:
        """How many questions wait."""
        return len(self._line)

    async def ask(self, question: Question) -> Answer:
        """The answer to one question. Raises BusyError when the line is full."""
        return await self._join(question)

    async def ask_all(self, questions: Sequence[Question]) -> list[Answer]:
        """Answers to many questions, a batch at a time, so that others get their turn between."""
        answers: list[Answer] = []
        for start in range(0, len(questions), MOST_TOGETHER):
            some = questions[start : start + MOST_TOGETHER]
            self._check_room(len(some))
            answers += await asyncio.gather(*map(self._join, some))
        return answers

    async def aside(self, work: Callable[[], Result]) -> Result:
        """Do slower work in a thread, one after another."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Stop; nothing may wait any more."""
        self._thread.shutdown()

    def _check_room(self, count: int) -> None:
        # An empty line takes a whole batch, however short it may be.
        if self._line and len(self._line) + count > self._most_waiting:
            raise BusyError(f"at most {self._most_waiting} questions may wait; try again in a moment.")

    def _join(self, question: Question) -> asyncio.Future[Answer]:
        self._check_room(1)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Answer] = loop.create_future()
        self._line.append((question, done))
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._work())
        return done

    async def _work(self) -> None:
        while self._line:
            for _ in range(_TURNS):  # lets in who has come meanwhile: to the line, with an event, or to be refused
                await asyncio.sleep(0)
            size = max(1, min(MOST_TOGETHER, len(self._line), int(_BATCH_SECONDS / self._seconds)))
            batch = [self._line.popleft() for _ in range(size)]
            start = time.perf_counter()
            answers = self._safely([question for question, _ in batch])
            self._seconds = (self._seconds + (time.perf_counter() - start) / size) / 2
            for (_, done), answer in zip(batch, answers, strict=True):
                if done.done():  # whoever asked has gone
                    continue
                if isinstance(answer, Exception):
                    done.set_exception(answer)
                else:
                    done.set_result(answer)

    def _safely(self, asked: Sequence[Question]) -> Sequence[Answer | Exception]:
        """Answers; where a batch fails, each question is asked alone, so that one cannot spoil the others."""
        try:
            return self._answer(asked)
        except Exception as error:
            if len(asked) <= 1:
                return [error] * len(asked)
            return [answer for one in asked for answer in self._safely([one])]
