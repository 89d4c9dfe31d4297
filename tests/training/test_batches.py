"""Batches checked by hand, in edge cases, and with the windows of the d2l guide."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from caser.data.event_kinds import EventKinds
from caser.data.log import InteractionLog
from caser.data.split import d2l
from caser.data.tape import Tape
from caser.errors import DataError
from caser.system.randomness import torch_generator
from caser.training.batches import Batch, Batches
from tests.training.windows import pieces_in, windows_in, windows_of

TAPE = Tape.from_sequences([[3, 1, 4], [], [1, 5]], num_items=5)


def epoch_of(batches: Batches, epoch: int = 1) -> list[Batch]:
    return list(batches.epoch(torch_generator(0, "order", epoch)))


def test_a_small_tape_by_hand() -> None:
    found = windows_in(epoch_of(Batches(TAPE, window=2, num_targets=2, batch_size=64)), window=2)
    assert found == {
        (1, (0, 0), (3, 1)): 1,
        (1, (0, 3), (1, 4)): 1,
        (1, (3, 1), (4, 0)): 1,
        (3, (0, 0), (1, 5)): 1,
        (3, (0, 1), (5, 0)): 1,
    }


def test_full_positions_read_whole_windows_and_have_all_targets() -> None:
    tape = Tape.from_sequences([[3, 1, 4, 2], [1, 5]], num_items=5)
    found = windows_in(epoch_of(Batches(tape, window=2, num_targets=1, batch_size=64, positions="full")), window=2)
    assert found == {(1, (3, 1), (4,)): 1, (1, (1, 4), (2,)): 1}


def test_a_batch_has_the_shapes_and_types_that_a_network_reads() -> None:
    batches = Batches(TAPE, window=3, num_targets=2, batch_size=64)
    (batch,) = epoch_of(batches)
    C, W = batch.valid_CW.shape
    assert batch.tape_CX.shape == (C, W + 2)
    assert batch.targets_CWT.shape == (C, W, 2)
    assert (batch.users_CW.dtype, batch.tape_CX.dtype, batch.targets_CWT.dtype) == (
        torch.int32,
        torch.int32,
        torch.int64,
    )


def test_no_batch_exceeds_the_batch_size_and_num_batches_is_right() -> None:
    tape = Tape.from_sequences([[1, 2, 3, 4, 5] * 9] * 7, num_items=5)
    for batch_size in (1, 5, 32, 100, 1000):
        batches = Batches(tape, window=4, num_targets=3, batch_size=batch_size)
        sizes = [batch.valid_CW.numel() for epoch in range(4) for batch in epoch_of(batches, epoch)]
        assert max(sizes) <= batch_size
        assert len(sizes) == 4 * batches.num_batches


def test_epochs_differ_in_phase_and_order_and_the_same_seed_repeats_them() -> None:
    tape = Tape.from_sequences([list(range(1, 40))] * 5, num_items=40)
    batches = Batches(tape, window=5, num_targets=1, batch_size=32)

    def tapes(epoch: int) -> list[list[list[int]]]:
        return [batch.tape_CX.tolist() for batch in epoch_of(batches, epoch)]

    assert tapes(1) == tapes(1)
    assert tapes(1) != tapes(2)
    assert sorted(tapes(1)) != sorted(tapes(2))  # cut at another phase, not only shuffled


def test_a_batch_mixes_users() -> None:
    tape = Tape.from_sequences([[1] * 200] * 50, num_items=1)
    first = epoch_of(Batches(tape, window=5, num_targets=1, batch_size=512))[0]
    assert len(set(first.users_CW.flatten().tolist())) > 8


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_a_window_longer_than_any_history_and_more_targets_than_items(batch_size: int) -> None:
    found = windows_in(epoch_of(Batches(TAPE, window=9, num_targets=7, batch_size=batch_size)), window=9)
    assert found == windows_of(TAPE, window=9, num_targets=7)


def test_a_single_item_trains_once() -> None:
    tape = Tape.from_sequences([[], [1], []], num_items=1)
    found = windows_in(epoch_of(Batches(tape, window=1, num_targets=1, batch_size=1)), window=1)
    assert found == {(2, (0,), (1,)): 1}


def test_a_tape_mapped_from_a_file_trains(tmp_path: Path) -> None:
    np.save(tmp_path / "items.npy", TAPE.items)
    mapped = Tape(np.load(tmp_path / "items.npy", mmap_mode="r"), TAPE.offsets, TAPE.num_items)
    found = windows_in(epoch_of(Batches(mapped, window=2, num_targets=1, batch_size=8)), window=2)
    assert found == windows_of(TAPE, window=2, num_targets=1)


@pytest.mark.parametrize("positions", ["every", "full"])
def test_a_tape_without_interactions_is_refused_in_one_sentence(positions: str) -> None:
    empty = Tape.from_sequences([[], []], num_items=3)
    with pytest.raises(DataError, match=r"needs a user with at least \d+ interactions to train on"):
        Batches(empty, window=2, num_targets=1, batch_size=8, positions=positions)  # type: ignore[arg-type]


def test_full_positions_without_a_long_enough_user_are_refused_with_the_length_needed() -> None:
    Batches(TAPE, window=2, num_targets=1, batch_size=8, positions="full")
    with pytest.raises(DataError, match="at least 4 interactions to train on; the longest history has 3"):
        Batches(TAPE, window=2, num_targets=2, batch_size=8, positions="full")


# Causal models


def test_the_causal_chunks_of_a_small_tape_by_hand() -> None:
    found = epoch_of(Batches(TAPE, window=1, max_length=9, num_targets=2, batch_size=64))
    assert sorted(pieces_in(found)) == [
        (1, [0, 3, 1], [(3, 1), (1, 4), (4, 0)]),
        (3, [0, 1], [(1, 5), (5, 0)]),
    ]
    assert [batch.tape_CX.tolist() for batch in found if len(batch.tape_CX) == 2] == [[[0, 0, 1], [0, 3, 1]]]


def test_a_long_history_is_split_at_random_places_and_targets_cross_the_split() -> None:
    tape = Tape.from_sequences([list(range(1, 11))], num_items=10)
    batches = Batches(tape, window=1, max_length=4, num_targets=2, batch_size=4)
    firsts = set()
    for epoch in range(20):
        pieces = sorted(pieces_in(epoch_of(batches, epoch)), key=lambda piece: piece[2])
        assert len(pieces) == 3
        assert [len(read) for _, read, _ in pieces][1] == 4
        assert pieces[0][2][-1][1] == pieces[0][2][-1][0] + 1  # the second target lies in the next piece
        firsts.add(len(pieces[0][1]))
    assert firsts == {2, 3, 4}


def test_causal_chunks_of_similar_length_share_a_batch() -> None:
    tape = Tape.from_sequences([[1] * length for length in range(1, 101)], num_items=1)
    found = epoch_of(Batches(tape, window=1, max_length=60, num_targets=1, batch_size=300))
    assert max(batch.tape_CX.shape[1] for batch in found) == 60
    assert sum(batch.valid_CW.sum().item() for batch in found) == len(tape)
    assert len(tape) / sum(batch.valid_CW.numel() for batch in found) > 0.7


def test_epochs_split_and_order_chunks_differently_and_the_same_seed_repeats_them() -> None:
    tape = Tape.from_sequences([list(range(1, 40))] * 5, num_items=40)
    batches = Batches(tape, window=1, max_length=25, num_targets=1, batch_size=60)
    assert pieces_in(epoch_of(batches, 1)) == pieces_in(epoch_of(batches, 1))
    assert sorted(pieces_in(epoch_of(batches, 1))) != sorted(pieces_in(epoch_of(batches, 2)))


@pytest.mark.data
def test_windows_equal_those_of_the_d2l_guide(cache: Path) -> None:
    reference = np.load(cache.parent / "parity" / "d2l_ml100k.npz")
    expected = np.column_stack([reference["users"], reference["sequences"], reference["targets"]])
    columns = np.loadtxt(cache / "ml-100k" / "u.data", dtype=np.int64)
    log = InteractionLog.from_columns(
        pl.Series(columns[:, 0] - 1), pl.Series(columns[:, 1] - 1), columns[:, 3] * 1_000_000
    )
    users, items = log.user_vocabulary.ids.to_numpy(), log.item_vocabulary.ids.to_numpy()

    found = []
    batches = Batches(d2l(log).final, window=5, num_targets=1, batch_size=4096, positions="full")
    for batch in epoch_of(batches):
        valid = batch.valid_CW
        read = batch.tape_CX.unfold(1, 5, 1)[valid].numpy()
        found.append(
            np.column_stack(
                [users[batch.users_CW[valid] - 1], items[read - 1], items[batch.targets_CWT[valid].numpy() - 1]]
            )
        )
    rows = np.concatenate(found)
    assert len(rows) == len(expected) == 94_342
    assert np.array_equal(np.unique(rows, axis=0), np.unique(expected, axis=0))


def test_only_targets_are_predicted_and_the_others_are_read() -> None:
    tape = Tape(
        np.array([3, 1, 4, 2], np.int32),
        np.array([0, 0, 4]),
        5,
        kinds=EventKinds(np.array([0, 1, 0, 1], np.uint8), {"buy": 1.0}),
    )
    one = windows_in(epoch_of(Batches(tape, window=2, num_targets=1, batch_size=64)), window=2)
    assert one == {(1, (0, 3), (1,)): 1, (1, (1, 4), (2,)): 1}
    two = windows_in(epoch_of(Batches(tape, window=2, num_targets=2, batch_size=64)), window=2)
    assert two == {(1, (0, 0), (1, 0)): 1, (1, (0, 3), (1, 0)): 1, (1, (3, 1), (2, 0)): 1, (1, (1, 4), (2, 0)): 1}
    full = windows_in(epoch_of(Batches(tape, window=2, num_targets=2, batch_size=64, positions="full")), window=2)
    assert full == {(1, (3, 1), (2, 0)): 1}


def test_a_tape_without_targets_cannot_train() -> None:
    tape = Tape(
        np.array([3, 1], np.int32), np.array([0, 0, 2]), 5, kinds=EventKinds(np.zeros(2, np.uint8), {"buy": 1.0})
    )
    with pytest.raises(DataError, match="target_events"):
        Batches(tape, window=2, num_targets=1, batch_size=64)
