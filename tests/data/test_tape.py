"""The tape: every user's items in order, padded only when a history is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caser.data.tape import Tape
from tests.data.logs import log_of

TAPE = Tape.from_sequences([[], [3, 1, 4], [1], [], [9, 2, 6, 5]], num_items=9)


def test_sequences_lie_one_after_another_and_the_anonymous_user_has_no_items() -> None:
    assert TAPE.items.tolist() == [3, 1, 4, 1, 9, 2, 6, 5]
    assert TAPE.offsets.tolist() == [0, 0, 0, 3, 4, 4, 8]
    assert TAPE.lengths.tolist() == [0, 0, 3, 1, 0, 4]
    assert TAPE.users.tolist() == [2, 2, 2, 3, 5, 5, 5, 5]


def test_a_log_lies_on_the_tape_in_time_order_with_its_mask() -> None:
    log = log_of([("b", "x", 3), ("a", "y", 1), ("b", "z", 2), ("a", "x", 4)])
    assert [Tape.from_log(log).sequence(user).tolist() for user in (1, 2)] == [[1, 3], [2, 3]]
    first = Tape.from_log(log, log.users == 1)
    assert (first.offsets.tolist(), first.num_users, first.sequence(2).tolist()) == ([0, 0, 2, 2], 2, [])
    masked = Tape.from_log(log, log.users == 2)
    assert (len(masked), masked.num_users, masked.num_items) == (2, 2, 3)
    assert masked.sequence(1).tolist() == []


@pytest.mark.parametrize(
    ("length", "rows"),
    [(1, [[4], [0], [5]]), (3, [[3, 1, 4], [0, 0, 0], [2, 6, 5]]), (5, [[0, 0, 3, 1, 4], [0] * 5, [0, 9, 2, 6, 5]])],
)
def test_a_history_is_the_last_items_of_one_user_with_zeros_before(length: int, rows: list[list[int]]) -> None:
    histories = TAPE.histories([2, 4, 5], length)
    assert histories.tolist() == rows
    assert histories.dtype == np.int32


def test_histories_of_the_anonymous_user_and_of_an_empty_tape_are_padding() -> None:
    assert TAPE.histories([], 3).shape == (0, 3)
    assert TAPE.histories([0], 3).tolist() == [[0, 0, 0]]
    assert Tape.from_sequences([[], []], num_items=4).histories([1, 2], 2).tolist() == [[0, 0], [0, 0]]


def test_item_counts_do_not_count_padding() -> None:
    assert TAPE.item_counts.tolist() == [0, 2, 1, 1, 1, 1, 1, 0, 0, 1]


def test_a_tape_may_be_mapped_from_a_file(tmp_path: Path) -> None:
    np.save(tmp_path / "items.npy", TAPE.items)
    mapped = Tape(np.load(tmp_path / "items.npy", mmap_mode="r"), TAPE.offsets, TAPE.num_items)
    assert np.array_equal(mapped.histories([5, 2], 6), TAPE.histories([5, 2], 6))


def test_arrays_have_the_types_that_the_docstrings_promise() -> None:
    arrays = {"items": np.int32, "offsets": np.int64, "owners": np.int32, "users": np.int32, "lengths": np.int64}
    assert {name: getattr(TAPE, name).dtype for name in arrays} == {
        name: np.dtype(kind) for name, kind in arrays.items()
    }
    assert TAPE.item_counts.dtype == np.int64
    assert TAPE.owners.tolist() == list(range(6))


def test_sessions_are_put_together_by_user_and_users_without_one_are_kept() -> None:
    sessions = Tape(TAPE.items, TAPE.offsets, 9, np.array([0, 2, 2, 3, 3, 3], dtype=np.int32))
    whole = sessions.whole(num_users=5)
    assert whole.offsets.tolist() == [0, 0, 0, 3, 8, 8, 8]
    assert (whole.num_users, whole.num_items, whole.sequence_owners) == (5, 9, None)
    assert whole.sequence(3).tolist() == [1, 9, 2, 6, 5]
    assert whole.lengths.dtype == np.int64
    assert TAPE.whole(num_users=5) is TAPE
