from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from caser.errors import BusyError, StoreError
from caser.service.answers.queue import QuestionQueue
from tests.service.serving import as_they_are


async def test_questions_that_arrive_together_are_answered_in_one_batch() -> None:
    sizes = []

    def answer(questions: Any) -> list[int]:
        sizes.append(len(questions))
        return [2 * question for question in questions]

    queue: QuestionQueue[int, int, int] = QuestionQueue(as_they_are, answer, max_waiting=100)
    queue._seconds_per_cost = 1e-9  # answers take no time
    assert await asyncio.gather(*map(queue.ask, range(50))) == [2 * number for number in range(50)]
    assert sizes == [32, 18]
    assert await queue.ask_all(list(range(80)), [1] * 80) == [2 * number for number in range(80)]
    queue.close()


async def test_batches_are_small_when_answers_are_slow() -> None:
    sizes = []

    def answer(questions: Any) -> list[int]:
        time.sleep(0.004 * len(questions))
        sizes.append(len(questions))
        return list(questions)

    queue: QuestionQueue[int, int, int] = QuestionQueue(as_they_are, answer, max_waiting=100)
    await asyncio.gather(*map(queue.ask, range(100)))
    assert sum(sizes) == 100
    assert max(sizes[6:]) <= 5
    queue.close()


async def test_a_question_that_fails_does_not_affect_the_others_in_its_batch() -> None:
    def answer(questions: Any) -> list[float]:
        return [1 / question for question in questions]

    queue: QuestionQueue[int, int, float] = QuestionQueue(as_they_are, answer, max_waiting=3)
    found = await asyncio.gather(queue.ask(1), queue.ask(0), queue.ask(2), queue.ask(4), return_exceptions=True)
    assert found[0] == 1.0
    assert isinstance(found[1], ZeroDivisionError)
    assert found[2] == 0.5
    assert isinstance(found[3], BusyError)
    queue.close()


async def test_a_question_whose_reading_fails_does_not_affect_the_others_in_its_batch() -> None:
    reads: list[list[int]] = []

    async def read(questions: Sequence[int]) -> list[int]:
        await asyncio.sleep(0)
        reads.append(list(questions))
        if 0 in questions:
            raise StoreError("gone")
        return [10 * question for question in questions]

    queue: QuestionQueue[int, int, int] = QuestionQueue(read, lambda read: [one + 1 for one in read], max_waiting=300)
    found = await asyncio.gather(*map(queue.ask, (1, 0, 2)), return_exceptions=True)
    assert (found[0], found[2]) == (11, 21)
    assert isinstance(found[1], StoreError)
    assert reads == [[1, 0, 2], [1], [0], [2]]
    assert await queue.ask(3, 200) == 31  # in the thread
    with pytest.raises(StoreError):
        await queue.ask(0, 200)
    assert await queue.ask(4) == 41
    assert queue.cost_waiting == 0
    queue.close()


async def test_what_a_question_needs_is_read_right_before_its_answer() -> None:
    """What waits in front of the thread holds nothing yet: only the questions in the thread were read."""
    go, reads = threading.Event(), []

    async def read(questions: Sequence[int]) -> Sequence[int]:
        reads.append(list(questions))
        return questions

    def answer(questions: Sequence[int]) -> list[int]:
        go.wait(10)
        return list(questions)

    queue: QuestionQueue[int, int, int] = QuestionQueue(read, answer, max_waiting=10_000)
    asked = [asyncio.ensure_future(queue.ask(number, 200)) for number in range(9)]
    while not reads:
        await asyncio.sleep(0)
    assert reads == [[0]]
    for one in asked[3:]:
        one.cancel()  # their clients leave
    go.set()
    assert await asyncio.gather(*asked[:3]) == [0, 1, 2]
    assert reads == [[0], [1], [2]]
    queue.close()
