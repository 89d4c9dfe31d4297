"""The best items of a product of sparse matrices are those that the exact search of its scores finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from caser.errors import ConfigError
from caser.search import products
from caser.search.exact import Candidates, NotFiniteError, find_top_k
from caser.search.products import find_positive_top_k, loop_pays
from tests.skips import NEEDS_EXTRAS

pytest.importorskip("numba", reason=NEEDS_EXTRAS)

NUM_MIDDLES, NUM_ITEMS = 5, 9


def some_sparse(rows: int, columns: int, seed: int) -> sparse.csr_array:
    """A matrix with many zeros and few different values, so that products tie and are not exact in binary."""
    random = np.random.default_rng(seed)
    values = random.choice([0.1, 0.3, 0.7], size=(rows, columns))
    return sparse.csr_array(values * (random.random((rows, columns)) < 0.4))


@given(
    num_queries=st.integers(0, 6),
    seed=st.integers(0, 10**6),
    barred=st.lists(st.integers(0, NUM_ITEMS - 1), max_size=4),
    seen=st.lists(st.integers(0, NUM_ITEMS - 1), max_size=5),
    k=st.integers(1, NUM_ITEMS + 2),
)
def test_they_are_the_entries_above_zero_of_the_exact_search(
    num_queries: int, seed: int, barred: list[int], seen: list[int], k: int
) -> None:
    left, right = some_sparse(num_queries, NUM_MIDDLES, seed), some_sparse(NUM_MIDDLES, NUM_ITEMS, seed + 1)
    candidates = Candidates(np.unique(np.array(barred, dtype=np.int64)))
    candidates = candidates.without([np.array(seen[row:], dtype=np.int32) for row in range(num_queries)])
    scores_BI = (left @ right).toarray()
    exact = find_top_k(lambda items: scores_BI[:, items].copy(), num_queries, NUM_ITEMS, k, candidates)
    is_above = exact.scores > 0
    found = find_positive_top_k(left, right, k, candidates)
    np.testing.assert_array_equal(found.rows, exact.rows[is_above])
    np.testing.assert_array_equal(found.items, exact.items[is_above])
    np.testing.assert_array_equal(found.scores, exact.scores[is_above])


def test_results_of_many_queries_outgrow_their_first_room() -> None:
    """All items tie, so every one of them reaches the k-th best."""
    left, right = sparse.csr_array(np.ones((40, 1))), sparse.csr_array(np.ones((1, 300)))
    found = find_positive_top_k(left, right, 2, Candidates(np.array([0])))
    assert found.items.tolist() == [1, 2] * 40


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_score_that_is_no_number_names_its_query(value: float) -> None:
    left, right = sparse.csr_array([[0.0, 1.0], [1.0, 0.0]]), sparse.csr_array([[0.0, value], [0.0, 1.0]])
    with pytest.raises(NotFiniteError) as raised:
        find_positive_top_k(left, right, 1, Candidates(np.array([0])))
    assert raised.value.row == 1
    assert find_positive_top_k(left, right, 1, Candidates(np.array([0, 1]))).items.tolist() == []


def test_no_list_of_no_items() -> None:
    with pytest.raises(ConfigError, match="k must be a whole number, at least 1; got 0"):
        find_positive_top_k(some_sparse(1, 2, 0), some_sparse(2, 3, 0), 0, Candidates(np.array([0])))


def test_the_loop_is_for_many_queries_and_needs_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [loop_pays(1, 10**9), loop_pays(512, 1682), loop_pays(512, 12_086)] == [False, False, True]
    monkeypatch.setattr(products, "has_numba", lambda: False)
    assert not loop_pays(512, 12_086)
