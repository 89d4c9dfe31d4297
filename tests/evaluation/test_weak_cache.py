"""The cache that keeps a result for as long as its object lives."""

from __future__ import annotations

import gc
import weakref

from caser.data.tape import Tape
from caser.evaluation.weak_cache import cached_while_alive


def test_a_result_is_computed_once_per_subject_and_options_and_the_subject_can_die() -> None:
    calls = []

    @cached_while_alive
    def length(tape: Tape, unit: int) -> int:
        calls.append((tape.items.tolist(), unit))
        return len(tape) * unit

    tape, other = (Tape.from_sequences([items], num_items=4) for items in ([1, 2, 1], [3, 4, 4]))
    assert [length(tape, 1), length(tape, 1), length(tape, 2), length(other, 1)] == [3, 3, 6, 3]
    assert calls == [([1, 2, 1], 1), ([1, 2, 1], 2), ([3, 4, 4], 1)]
    calls.clear()
    dead = weakref.ref(tape)
    del tape
    gc.collect()
    assert dead() is None
