"""Rows of unequal length: what is cut, what is padded, and what is dropped."""

from __future__ import annotations

import numpy as np
import pytest

from caser.arrays.ragged import concat_slices, distinct_in_rows, last_columns, last_items, pad_left, padded_histories
from caser.arrays.types import Int32

ITEMS: Int32 = np.array([3, 1, 4, 1, 5, 9], dtype=np.int32)
EMPTY: Int32 = np.array([], dtype=np.int32)


@pytest.mark.parametrize(
    ("length", "rows"),
    [
        (0, [[], [], []]),
        (1, [[4], [0], [9]]),
        (2, [[1, 4], [0, 0], [0, 9]]),
        (4, [[0, 3, 1, 4], [0] * 4, [0, 0, 0, 9]]),
    ],
)
def test_padded_histories_keep_the_newest_entries_of_each_slice(length: int, rows: list[list[int]]) -> None:
    histories = padded_histories(ITEMS, np.array([0, 3, 5]), np.array([3, 3, 6]), length)
    assert histories.tolist() == rows
    assert histories.dtype == np.int32


def test_padded_histories_of_an_empty_array_are_padding() -> None:
    assert padded_histories(EMPTY, np.array([0]), np.array([0]), 2).tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("length", "rows"), [(None, [[1, 2, 3], [0, 0, 0], [0, 0, 4]]), (2, [[2, 3], [0, 0], [0, 4]]), (0, [[0], [0], [0]])]
)
def test_pad_left_keeps_the_newest(length: int | None, rows: list[list[int]]) -> None:
    assert pad_left([[1, 2, 3], [], [4]], length).tolist() == rows


def test_pad_left_of_no_sequences_has_no_rows() -> None:
    assert pad_left([]).shape == (0, 1)


@pytest.mark.parametrize("length", [1, 3, 4, 7])
def test_last_columns_equals_padding_and_cutting_one_row_at_a_time(length: int) -> None:
    histories: Int32 = np.arange(1, 9, dtype=np.int32).reshape(2, 4)
    slow = [([0] * length + row)[-length:] for row in histories.tolist()]
    assert last_columns(histories, length).tolist() == slow


@pytest.mark.parametrize(("length", "rows"), [(9, [[1, 2], [0, 3]]), (2, [[1, 2], [0, 3]]), (1, [[2], [3]])])
def test_last_items_drop_columns_that_are_padding_in_every_row(length: int, rows: list[list[int]]) -> None:
    histories: Int32 = np.array([[0, 0, 1, 2], [0, 0, 0, 3]], dtype=np.int32)
    assert last_items(histories, length).tolist() == rows


def test_last_items_keep_one_column_of_padding() -> None:
    assert last_items(np.zeros((2, 5), dtype=np.int32), 3).tolist() == [[0], [0]]


def test_slices_are_concatenated_with_the_number_of_each() -> None:
    rows, entries = concat_slices(ITEMS, np.array([4, 2, 0]), np.array([6, 2, 1]))
    assert rows.tolist() == [0, 0, 2]
    assert entries.tolist() == [5, 9, 3]


@pytest.mark.parametrize("values", [ITEMS, EMPTY])
def test_empty_slices_give_nothing(values: Int32) -> None:
    rows, entries = concat_slices(values, np.array([0, 0]), np.array([0, 0]))
    assert (rows.tolist(), entries.tolist()) == ([], [])
    assert entries.dtype == np.int32


def test_distinct_values_keep_their_order_of_first_appearance() -> None:
    values: Int32 = np.array([9, 2, 9, 5, 2, 2], dtype=np.int32)
    distinct, offsets = distinct_in_rows(np.array([0, 0, 0, 0, 2, 2]), values, num_rows=4)
    assert distinct.tolist() == [9, 2, 5, 2]
    assert offsets.tolist() == [0, 3, 3, 4, 4]
