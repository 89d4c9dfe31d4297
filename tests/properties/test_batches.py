"""Whatever the tape, the window and the batch: every valid position trains exactly once an epoch, as its user's own."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caser.data.batches import Batches
from caser.data.tape import Tape
from caser.errors import DataError
from caser.randomness import torch_generator
from tests.data.windows import windows_in, windows_of

NUM_ITEMS = 6

tapes = st.lists(st.lists(st.integers(1, NUM_ITEMS), max_size=40), min_size=1, max_size=8).map(
    lambda sequences: Tape.from_sequences(sequences, num_items=NUM_ITEMS)
)


@pytest.mark.parametrize("positions", ["every", "full"])
@settings(max_examples=60, derandomize=True)
@given(
    tape=tapes,
    window=st.integers(1, 12),
    num_targets=st.integers(1, 5),
    batch_size=st.integers(1, 200),
    seed=st.integers(0, 1000),
)
def test_every_valid_position_trains_exactly_once_an_epoch(
    positions: Literal["every", "full"], tape: Tape, window: int, num_targets: int, batch_size: int, seed: int
) -> None:
    expected = windows_of(tape, window, num_targets, positions)
    if not expected:
        with pytest.raises(DataError):
            Batches(tape, window=window, num_targets=num_targets, batch_size=batch_size, positions=positions)
        return
    batches = Batches(tape, window=window, num_targets=num_targets, batch_size=batch_size, positions=positions)
    for epoch in (1, 2):
        assert windows_in(batches.epoch(torch_generator(seed, "order", epoch)), window) == expected
