"""Slices put every target into one bucket, for any queries."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from caser.data.queries import Queries
from caser.data.tape import Tape
from caser.evaluation.slices import POPULARITY, popularity_groups, slices

items = st.integers(1, 9)
histories = st.lists(items, max_size=30)


@given(st.lists(st.tuples(histories, st.lists(items, min_size=1, unique=True), st.integers(1, 3)), min_size=1))
def test_every_target_lies_in_one_bucket_of_every_slice(drawn: list[tuple[list[int], list[int], int]]) -> None:
    cases = sorted(drawn, key=lambda case: case[2])
    tape = Tape.from_sequences([history for history, _, _ in cases], num_items=9)
    targets = np.array([item for _, own, _ in cases for item in own], dtype=np.int32)
    queries = Queries(
        users=np.zeros(len(cases), dtype=np.int32),
        items=tape.items,
        starts=tape.offsets[1:-1],
        ends=tape.offsets[2:],
        targets=targets,
        target_offsets=np.concatenate([[0], np.cumsum([len(own) for _, own, _ in cases])]).astype(np.int64),
        owners=np.array([owner for _, _, owner in cases], dtype=np.int32),
    )
    is_repeat = np.array([item in history for history, own, _ in cases for item in own])
    for buckets in slices(queries, tape, is_repeat).values():
        assert len(buckets) > 1
        np.testing.assert_array_equal(np.sum(list(buckets.values()), axis=0), np.ones(len(targets)))
        assert all(mask.any() for mask in buckets.values())


@given(st.lists(histories, min_size=1))
def test_the_head_is_the_fewest_popular_items_with_half_of_the_interactions(
    sequences: list[list[int]],
) -> None:
    tape = Tape.from_sequences(sequences, num_items=9)
    groups, counts = popularity_groups(tape), tape.item_counts
    head = groups == POPULARITY.index("head")
    assert counts[head].sum() >= len(tape) / 2
    if head.any():
        assert counts[head].sum() - counts[head].min() < len(tape) / 2
        assert counts[head].min() >= counts[~head].max(initial=0)
    np.testing.assert_array_equal(groups == POPULARITY.index("never seen"), counts == 0)
