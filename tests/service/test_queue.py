from __future__ import annotations

import asyncio
import time
from typing import Any

from caser.errors import BusyError
from caser.service.answers.queue import QuestionQueue


async def test_questions_that_arrive_together_are_answered_in_one_batch() -> None:
    sizes = []

    def answer(questions: Any) -> list[int]:
        sizes.append(len(questions))
        return [2 * question for question in questions]

    queue: QuestionQueue[int, int] = QuestionQueue(answer, max_waiting=100)
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

    queue: QuestionQueue[int, int] = QuestionQueue(answer, max_waiting=100)
    await asyncio.gather(*map(queue.ask, range(100)))
    assert sum(sizes) == 100
    assert max(sizes[6:]) <= 5
    queue.close()


async def test_a_question_that_fails_does_not_affect_the_others_in_its_batch() -> None:
    def answer(questions: Any) -> list[float]:
        return [1 / question for question in questions]

    queue: QuestionQueue[int, float] = QuestionQueue(answer, max_waiting=3)
    found = await asyncio.gather(queue.ask(1), queue.ask(0), queue.ask(2), queue.ask(4), return_exceptions=True)
    assert found[0] == 1.0
    assert isinstance(found[1], ZeroDivisionError)
    assert found[2] == 0.5
    assert isinstance(found[3], BusyError)
    queue.close()
