"""Ranks against a slow, obvious implementation, with ties, seen items and a partial catalogue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from caser.arrays.types import Int32, Scores
from caser.data.queries import Queries
from caser.data.tape import Tape
from caser.evaluation.ranking import ranks
from caser.models.base import Arrays


@dataclass
class ByUser:
    table: Scores
    history_length: int | None = None

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        return self.table[users_B]

    def arrays(self) -> Arrays:
        return {}


@dataclass
class Case:
    """Scores (Q, I), histories, targets, candidates."""

    scores: list[list[float]]
    histories: list[list[int]]
    targets: list[list[int]]
    candidates: list[bool]
    remove_seen: bool

    def queries(self) -> Queries:
        tape = Tape.from_sequences(self.histories, num_items=len(self.candidates) - 1)
        users = np.arange(len(self.scores), dtype=np.int32)
        offsets = np.concatenate([[0], np.cumsum([len(one) for one in self.targets])]).astype(np.int64)
        targets = np.array([item for one in self.targets for item in one], dtype=np.int32)
        return Queries(users, tape.items, tape.offsets[1:-1], tape.offsets[2:], targets, offsets, users)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    num_items = draw(st.integers(1, 9))
    num_queries = draw(st.integers(1, 4))
    score = st.one_of(st.integers(-2, 2).map(float), st.just(-np.inf), st.floats(-1, 1))
    item = st.integers(1, num_items)
    return Case(
        scores=[draw(st.lists(score, min_size=num_items + 1, max_size=num_items + 1)) for _ in range(num_queries)],
        histories=[draw(st.lists(item, max_size=6)) for _ in range(num_queries)],
        targets=[draw(st.lists(item, min_size=1, unique=True)) for _ in range(num_queries)],
        candidates=[draw(st.booleans()), *draw(st.lists(st.booleans(), min_size=num_items, max_size=num_items))],
        remove_seen=draw(st.booleans()),
    )


def slow_ranks(case: Case, ties: str) -> tuple[list[float], list[int]]:
    """Rank every target by comparing it with every other candidate, in plain Python."""
    all_ranks, sizes = [], []
    for scores, history, targets in zip(case.scores, case.histories, case.targets, strict=True):
        candidates = [item for item in range(1, len(scores)) if case.candidates[item]]
        candidates = [item for item in candidates if not (case.remove_seen and item in history)]
        sizes.append(len(candidates))
        for target in targets:
            rank = 1.0 if target in candidates else np.inf
            for other in candidates:
                ties_before = other != target if ties == "against" else other < target
                rank += scores[other] > scores[target] or (scores[other] == scores[target] and ties_before)
            all_ranks.append(rank)
    return all_ranks, sizes


@given(cases(), st.integers(0, 12))
def test_the_best_candidates_are_the_start_of_a_stable_sort(case: Case, depth: int) -> None:
    check_best(case, depth)


def check_best(case: Case, depth: int) -> None:
    table = ranks(
        ByUser(np.array(case.scores)),
        case.queries(),
        candidates=np.array(case.candidates),
        remove_seen=case.remove_seen,
        depth=depth,
    )
    for scores, history, found in zip(case.scores, case.histories, table.top_QK.tolist(), strict=True):
        candidates = [item for item in range(1, len(scores)) if case.candidates[item]]
        candidates = [item for item in candidates if not (case.remove_seen and item in history)]
        expected = sorted(candidates, key=lambda item: (-scores[item], item))[:depth]
        assert found == expected + [0] * (depth - len(expected))


@given(cases())
def test_ranks_with_ties_against_equal_slow_ranks(case: Case) -> None:
    check(case, "against")


@given(cases())
def test_ranks_with_ties_by_index_equal_slow_ranks(case: Case) -> None:
    check(case, "index")


@st.composite
def large_cases(draw: st.DrawFn) -> Case:
    """Up to 300 items; all may be seen, none may be a candidate, and all may tie, even at -inf."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    num_items, num_queries = draw(st.integers(1, 300)), draw(st.integers(1, 3))
    levels = draw(st.sampled_from([1, 2, 5, 10**6]))
    scores = generator.integers(0, levels, (num_queries, num_items + 1)).astype(np.float64)
    scores[generator.random(scores.shape) < draw(st.sampled_from([0, 0.1, 1]))] = -np.inf

    def some_items(share: float) -> list[int]:
        return (np.flatnonzero(generator.random(num_items) < share) + 1).tolist()

    seen, targets = draw(st.sampled_from([0, 0.2, 1])), draw(st.sampled_from([0, 0.1, 1]))
    return Case(
        scores=scores.tolist(),
        histories=[some_items(seen) + some_items(seen) for _ in range(num_queries)],
        targets=[some_items(targets) or [num_items] for _ in range(num_queries)],
        candidates=[False, *(generator.random(num_items) < draw(st.sampled_from([0, 0.8, 1]))).tolist()],
        remove_seen=draw(st.booleans()),
    )


@settings(max_examples=40)
@given(large_cases(), st.sampled_from(["against", "index"]), st.sampled_from(["float32", "float64"]))
def test_large_cases_equal_slow_ranks(case: Case, ties: str, dtype: str) -> None:
    check(case, ties, dtype)


@settings(max_examples=40)
@given(large_cases(), st.integers(1, 20))
def test_the_best_of_many_candidates_are_the_start_of_a_stable_sort(case: Case, depth: int) -> None:
    check_best(case, depth)


def check(case: Case, ties: str, dtype: str = "float64") -> None:
    table = ranks(
        ByUser(np.array(case.scores, dtype=dtype)),
        case.queries(),
        candidates=np.array(case.candidates),
        remove_seen=case.remove_seen,
        ties="against" if ties == "against" else "index",
    )
    expected, sizes = slow_ranks(case, ties)
    assert table.ranks.tolist() == expected
    assert table.num_candidates.tolist() == sizes
    repeats = [item in history for history, items in zip(case.histories, case.targets, strict=True) for item in items]
    assert table.is_repeat.tolist() == repeats
