"""Every valid position trains exactly once per epoch, with its user, for any tape, window and batch size."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caser.data.tape import Tape
from caser.errors import DataError
from caser.system.randomness import torch_generator
from caser.training.batches import Batches
from tests.training.windows import pieces_in, windows_in, windows_of

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


@settings(max_examples=100, derandomize=True)
@given(
    tape=tapes.filter(lambda tape: len(tape) > 0),
    max_length=st.integers(1, 45),
    num_targets=st.integers(1, 5),
    batch_size=st.integers(1, 200),
    seed=st.integers(0, 1000),
)
def test_the_chunks_of_a_user_hold_every_position_once_and_their_number_is_the_smallest(
    tape: Tape, max_length: int, num_targets: int, batch_size: int, seed: int
) -> None:
    batches = Batches(tape, window=1, max_length=max_length, num_targets=num_targets, batch_size=batch_size)
    for epoch in (1, 2):
        found = list(batches.epoch(torch_generator(seed, "order", epoch)))
        assert len(found) == batches.num_batches
        assert all(len(batch.valid_CW) == 1 or batch.valid_CW.numel() <= batch_size for batch in found)
        states: list[tuple[int, tuple[int, ...]]] = []
        for user, read, targets in pieces_in(found):
            assert len(read) <= max_length
            assert read[1:] == [first for first, *_ in targets[:-1]]  # an item is a target, then what is read
            states += [(user, one) for one in targets]
        assert sorted(states) == sorted(
            (user, targets) for user, _, targets in windows_of(tape, 1, num_targets).elements()
        )
        assert len(pieces_in(found)) == sum(-(-int(length) // max_length) for length in tape.lengths)
