"""Exact top-k, block by block: the result does not depend on the block size, and memory stays bounded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caser.arrays.types import Int64, Scores
from caser.errors import ConfigError
from caser.search import exact
from caser.search.exact import Candidates, NotFiniteError, find_top_k

NUM_ITEMS = 12

tables = st.lists(
    st.lists(st.sampled_from([-np.inf, -1.0, 0.0, 1.0, 2.5]), min_size=NUM_ITEMS, max_size=NUM_ITEMS), max_size=3
)
items = st.lists(st.integers(0, NUM_ITEMS - 1), max_size=6)


@given(table=tables, barred=items, chosen=st.none() | items, seen=items, k=st.integers(1, 14), most=st.integers(1, 40))
def test_the_top_k_equals_the_start_of_a_stable_sort_of_the_candidates(
    table: list[list[float]], barred: list[int], chosen: list[int] | None, seen: list[int], k: int, most: int
) -> None:
    scores_BI = np.array(table).reshape(-1, NUM_ITEMS)
    candidates = Candidates(np.unique(np.array(barred, dtype=np.int64)))
    if chosen is not None:
        candidates = Candidates(candidates.barred, np.unique(np.array(chosen, dtype=np.int64)))
    candidates = candidates.without([np.array(seen[row:], dtype=np.int32) for row in range(len(table))])
    held = []

    def scores_of(items: slice | Int64) -> Scores:
        block = scores_BI[:, items].copy()
        held.append(block.size)
        return block

    found = find_top_k(scores_of, len(table), NUM_ITEMS, k, candidates, most)
    expected = []
    for row, scores in enumerate(table):
        allowed = set(range(NUM_ITEMS) if chosen is None else chosen) - set(barred) - set(seen[row:])
        ranked = sorted(sorted(allowed), key=lambda item: -scores[item])
        expected += [(row, item, scores[item]) for item in ranked if scores[item] > -np.inf][:k]
    assert list(zip(found.rows.tolist(), found.items.tolist(), found.scores.tolist(), strict=True)) == expected
    assert max(held, default=0) <= max(most, len(table))


@pytest.mark.parametrize("groups", [(1, 1), (7, 1), (512, 8)])
@pytest.mark.parametrize("k", [1, 3, 10, 100])
@pytest.mark.parametrize("kind", ["all differ", "mostly zeros", "three values", "few candidates", "none"])
def test_the_best_of_groups_of_columns_are_the_best_of_all(
    kind: str, k: int, groups: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact, "_LEAST_GROUPS", groups[0])
    monkeypatch.setattr(exact, "_GROUPS_PER_RESULT", groups[1])
    draw = np.random.default_rng(k)
    for num_columns in (k, k + 1, 2 * k + 1, 37, 1024, 1500):
        shape = (4, num_columns)
        scores_BN = {
            "all differ": draw.standard_normal(shape),
            "mostly zeros": np.where(draw.random(shape) < 0.02, draw.random(shape), 0.0),
            "three values": draw.integers(0, 3, shape).astype(np.float64),
            "few candidates": np.where(draw.random(shape) < 0.01, draw.random(shape), -np.inf),
            "none": np.full(shape, -np.inf),
        }[kind]
        order_BN = np.argsort(-scores_BN, axis=1, kind="stable")[:, :k]
        expected = [
            (row, column, scores_BN[row, column])
            for row in range(4)
            for column in order_BN[row].tolist()
            if scores_BN[row, column] > -np.inf
        ]
        found = exact.top_k(scores_BN, k)
        assert list(zip(*(array.tolist() for array in found), strict=True)) == expected


@pytest.mark.parametrize("descending", [False, True])
def test_a_catalogue_that_is_sorted_by_score_gives_the_top_k(descending: bool) -> None:
    scores_1I = np.arange(1000.0)[None, :: -1 if descending else 1]
    found = find_top_k(lambda items: scores_1I[:, items].copy(), 1, 1000, 3, Candidates(np.array([0])), most_scores=50)
    assert found.scores.tolist() == ([998.0, 997.0, 996.0] if descending else [999.0, 998.0, 997.0])


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_score_that_is_not_finite_names_its_query_unless_the_item_is_barred(wrong: float) -> None:
    scores_BI = np.zeros((3, 9))
    scores_BI[1, 7] = wrong
    with pytest.raises(NotFiniteError) as raised:
        find_top_k(lambda items: scores_BI[:, items].copy(), 3, 9, 2, Candidates(np.array([0])), most_scores=6)
    assert raised.value.row == 1
    found = find_top_k(lambda items: scores_BI[:, items].copy(), 3, 9, 2, Candidates(np.array([0, 7])), most_scores=6)
    assert found.items.tolist() == [1, 2] * 3


def test_k_is_checked_even_without_queries() -> None:
    with pytest.raises(ConfigError, match="k must be a whole number"):
        find_top_k(lambda items: np.zeros((0, 4)), 0, 4, 0, Candidates(np.array([0])))
