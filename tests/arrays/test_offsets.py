"""Offsets of rows, and the place of every entry within its row."""

from __future__ import annotations

import numpy as np
import pytest

from caser.arrays.offsets import offsets_of, places_of


@pytest.mark.parametrize(
    ("lengths", "offsets", "places"),
    [
        ([], [0], []),
        ([0], [0, 0], []),
        ([3], [0, 3], [0, 1, 2]),
        ([2, 0, 0, 1], [0, 2, 2, 2, 3], [0, 1, 0]),
    ],
)
def test_offsets_and_places_by_hand(lengths: list[int], offsets: list[int], places: list[int]) -> None:
    assert offsets_of(lengths).tolist() == offsets
    assert places_of(lengths).tolist() == places


def test_lengths_of_a_small_type_do_not_overflow() -> None:
    lengths = np.full(1000, 127, dtype=np.int8)
    assert offsets_of(lengths)[-1] == 127_000
    assert offsets_of(lengths).dtype == places_of(lengths).dtype == np.int64
    assert len(places_of(lengths)) == 127_000
