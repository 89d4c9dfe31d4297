"""A bounded line of questions, answered in batches by one thread: whoever waits is answered together.

While one batch is being answered the next one gathers, so batches grow with the load and an idle service adds no
delay. A line that is full refuses at once. Assumes that the work is done by one function, which takes many questions.
"""

from __future__ import annotations

import asyncio
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


class Batches(Generic[Question, Answer]):
    """Ask one question or several, and get their answers; `most_waiting` questions may wait."""

    def __init__(self, answer: Callable[[Sequence[Question]], Sequence[Answer]], most_waiting: int) -> None:
        self._answer = answer
        self._most_waiting = most_waiting
        self._line: deque[tuple[Question, asyncio.Future[Answer]]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="answers")
        self._task: asyncio.Task[None] | None = None

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
            answers += await asyncio.gather(*map(self._join, questions[start : start + MOST_TOGETHER]))
        return answers

    async def run(self, work: Callable[[], Result]) -> Result:
        """Do other work in the thread that answers, after what is being answered now."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Stop; nothing may wait any more."""
        self._thread.shutdown()

    def _join(self, question: Question) -> asyncio.Future[Answer]:
        if len(self._line) >= self._most_waiting:
            raise BusyError(f"at most {self._most_waiting} questions may wait; try again in a moment.")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Answer] = loop.create_future()
        self._line.append((question, done))
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._work())
        return done

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._line:
            batch = [self._line.popleft() for _ in range(min(MOST_TOGETHER, len(self._line)))]
            batch = [(question, done) for question, done in batch if not done.done()]  # the others have gone
            asked = [question for question, _ in batch]
            for (_, done), answer in zip(
                batch, await loop.run_in_executor(self._thread, self._safely, asked), strict=True
            ):
                if done.done():
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
