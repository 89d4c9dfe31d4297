"""What cannot fit is refused with both numbers, before anything is allocated."""

from __future__ import annotations

import pytest

from caser import memory
from caser.errors import ConfigError
from caser.memory import TRAINING_COPIES, refuse_what_cannot_fit


def test_parameters_are_counted_with_their_gradients_and_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "memory", lambda: 16_000.0)
    refuse_what_cannot_fit("caser", [(100, 10)], TRAINING_COPIES)
    with pytest.raises(ConfigError, match=r"needs at least 0\.0 GB"):
        refuse_what_cannot_fit("caser", [(100, 10), (1,)], TRAINING_COPIES)


def test_a_table_larger_than_this_machine_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"needs at least [\d,]+\.\d GB and there are [\d,]+\.\d\."):
        refuse_what_cannot_fit("caser", [(10**9, 10**6)], TRAINING_COPIES)


def test_the_memory_is_a_positive_number() -> None:
    assert memory.memory() > 0
