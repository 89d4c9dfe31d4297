"""Exact ranks: by hand, with ties, with seen items, in blocks, and with scores that are NaN or infinite."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

from caser.arrays.types import Int32, Scores
from caser.data.log import Vocabulary
from caser.data.queries import Queries
from caser.data.tape import Tape
from caser.errors import ConfigError, NumericalError
from caser.evaluation.metrics import parse_metric
from caser.evaluation.rank_table import RankTable
from caser.evaluation.ranking import MOST_QUERIES, Ties, best_candidates, ranks
from caser.models.base import Arrays


@dataclass
class Fixed:
    """Gives the same scores to every query, or one row per user index."""

    table: Scores
    history_length: int | None = 1

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        return self.table[users_B]

    def arrays(self) -> Arrays:
        return {"table": self.table}


@dataclass
class Uncopied(Fixed):
    """Gives its own array, not a copy."""

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        return self.table


def queries(histories: list[list[int]], targets: list[list[int]]) -> Queries:
    """One query per user u, from 0, with histories[u] and targets[u]."""
    tape = Tape.from_sequences(histories, num_items=99)
    users = np.arange(len(histories), dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in targets])]).astype(np.int64)
    flat = np.array([item for one in targets for item in one], dtype=np.int32)
    return Queries(users, tape.items, tape.offsets[1:-1], tape.offsets[2:], flat, offsets, users + 1)


def all_items(num_items: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.arange(num_items + 1) > 0


SCORES = np.array([[9.0, 5.0, 4.0, 4.0, 4.0, 1.0]])  # column 0 is padding, however high it scores


def ranked(target: int, ties: Ties = "against", remove_seen: bool = False, history: tuple[int, ...] = ()) -> float:
    test_queries = queries([list(history)], [[target]])
    table = ranks(Fixed(SCORES), test_queries, candidates=all_items(5), remove_seen=remove_seen, ties=ties)
    return float(table.ranks[0])


def test_ranks_start_at_1_and_padding_is_never_a_candidate() -> None:
    assert [ranked(target) for target in (1, 5)] == [1, 5]


def test_ties_count_against_the_target() -> None:
    assert [ranked(target) for target in (2, 3, 4)] == [4, 4, 4]


def test_ties_by_index_rank_the_lowest_index_first() -> None:
    assert [ranked(target, "index") for target in (1, 2, 3, 4, 5)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("ties", "expected"), [("against", 2), ("index", 1)])
def test_removed_seen_items_do_not_rank_before_a_target(ties: Ties, expected: int) -> None:
    assert ranked(3, ties, remove_seen=True, history=(1, 2)) == expected


@pytest.mark.parametrize("ties", ["against", "index"])
def test_a_target_that_was_removed_as_seen_cannot_be_found(ties: Ties) -> None:
    assert ranked(1, ties, remove_seen=True, history=(1,)) == np.inf
    assert ranked(1, ties, remove_seen=False, history=(1,)) == 1


@pytest.mark.parametrize("ties", ["against", "index"])
def test_a_target_outside_the_catalogue_cannot_be_found_and_does_not_compete(ties: Ties) -> None:
    test_queries = queries([[]], [[1, 5]])
    candidates = np.array([True, False, True, True, True, True])
    table = ranks(Fixed(SCORES), test_queries, candidates=candidates, remove_seen=False, ties=ties)
    assert table.ranks.tolist() == [np.inf, 4]
    assert table.num_candidates.tolist() == [4]


def test_a_constant_scorer_has_a_hit_rate_of_0() -> None:
    test_queries = queries([[], [1]], [[2], [3, 4]])
    table = ranks(Fixed(np.zeros((2, 21))), test_queries, candidates=all_items(20), remove_seen=True)
    assert table.values(parse_metric("hit@10")).tolist() == [0, 0]


def test_minus_infinity_is_the_lowest_score_and_still_a_candidate() -> None:
    scores = np.array([[0.0, -np.inf, 3.0, -np.inf]])
    test_queries = queries([[]], [[1, 2]])
    table = ranks(Fixed(scores), test_queries, candidates=all_items(3), remove_seen=False)
    assert table.ranks.tolist() == [3, 1]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_error_about_a_score_names_the_user(bad: float) -> None:
    scores = np.zeros((3, 6))
    scores[1, 4] = bad
    test_queries = queries([[1], [2], [3]], [[4], [4], [5]])
    with pytest.raises(NumericalError, match=r"user index 2 and item index 4"):
        ranks(Fixed(scores), test_queries, candidates=all_items(5), remove_seen=True)
    names = Vocabulary(pl.Series(["al", "bo", "cy"]))
    with pytest.raises(NumericalError, match=r"user 'bo'"):
        ranks(Fixed(scores), test_queries, candidates=all_items(5), remove_seen=True, user_vocabulary=names)


def test_padding_may_score_anything() -> None:
    scores = np.array([[np.nan, 1.0, 2.0]])
    table = ranks(Fixed(scores), queries([[]], [[1]]), candidates=all_items(2), remove_seen=False)
    assert table.ranks.tolist() == [2]


def test_scores_for_another_catalogue_are_refused() -> None:
    with pytest.raises(ConfigError, match="shape"):
        ranks(Fixed(SCORES), queries([[]], [[1]]), candidates=all_items(7), remove_seen=False)


def test_ranking_does_not_change_the_array_that_the_scorer_returned() -> None:
    scores = np.array([[0.0, 1.0, 2.0, 3.0]])
    ranks(Fixed(scores), queries([[3]], [[1]]), candidates=all_items(3), remove_seen=True)
    assert scores.tolist() == [[0, 1, 2, 3]]


def test_scores_may_have_any_memory_layout_and_be_read_only() -> None:
    rows = np.array([[0.0, 1.0, 2.0, 3.0], [0.0, 3.0, 2.0, 1.0]])
    test_queries = queries([[3], [1]], [[1], [2]])
    for scores in (rows, np.asfortranarray(rows), np.repeat(rows, 2, axis=1)[:, ::2]):
        scores.flags.writeable = False
        table = ranks(Uncopied(scores), test_queries, candidates=all_items(3), remove_seen=True)
        assert (table.ranks.tolist(), table.top_QK[:, :3].tolist()) == ([2, 1], [[2, 1, 0], [2, 3, 0]])


def test_queries_of_several_blocks_get_the_ranks_they_get_alone() -> None:
    num_queries = 2 * MOST_QUERIES + 3
    scores = np.random.default_rng(5).integers(0, 9, (num_queries, 8)).astype(np.float32)
    test_queries = queries(
        [[1 + row % 7] for row in range(num_queries)], [[1 + row % 5, 6] for row in range(num_queries)]
    )
    table = ranks(Fixed(scores), test_queries, candidates=all_items(7), remove_seen=False)
    for row in range(num_queries):
        own = scores[row, 1:]
        expected = [int(np.sum(own >= scores[row, target])) for target in (1 + row % 5, 6)]
        assert table.ranks[2 * row : 2 * row + 2].tolist() == expected


@pytest.mark.parametrize("ties", ["against", "index"])
@pytest.mark.parametrize("most_targets", [2, 9])
def test_small_blocks_give_the_same_ranks_as_one_block(ties: Ties, most_targets: int) -> None:
    generator = np.random.default_rng(3)
    num_items, num_users = 30_000, 60
    scores = generator.integers(0, 50, (num_users, num_items + 1)).astype(np.float32)
    targets = [
        generator.choice(np.arange(1, num_items), generator.integers(1, most_targets), replace=False).tolist()
        for _ in range(num_users)
    ]
    histories = [generator.integers(1, num_items, 20).tolist() for _ in range(num_users)]
    test_queries = queries(histories, targets)
    one, many = (
        ranks(
            Fixed(scores), test_queries, candidates=all_items(num_items), remove_seen=True, ties=ties, memory_mb=memory
        )
        for memory in (1000, 1)
    )
    np.testing.assert_array_equal(one.ranks, many.ranks)
    np.testing.assert_array_equal(one.is_repeat, many.is_repeat)
    np.testing.assert_array_equal(one.num_candidates, many.num_candidates)


def test_memory_below_a_megabyte_is_refused() -> None:
    with pytest.raises(ConfigError, match="1 megabyte"):
        ranks(Fixed(SCORES), queries([[]], [[1]]), candidates=all_items(5), remove_seen=False, memory_mb=0)


def test_no_queries_give_an_empty_table() -> None:
    table = ranks(Fixed(SCORES), queries([], []), candidates=all_items(5), remove_seen=True)
    assert len(table) == 0
    assert table.values(parse_metric("map")).shape == (0,)


def test_a_table_is_reduced_to_repeated_or_to_new_targets() -> None:
    test_queries = queries([[1, 2], [5]], [[1, 3], [4]])
    table = ranks(Fixed(np.repeat(SCORES, 2, axis=0)), test_queries, candidates=all_items(5), remove_seen=False)
    assert table.is_repeat.tolist() == [True, False, False]
    repeat, new = table.only(table.is_repeat), table.only(~table.is_repeat)
    assert (len(repeat), repeat.owners.tolist(), repeat.num_targets.tolist()) == (1, [1], [1])
    assert (len(new), new.queries.tolist(), new.num_targets.tolist()) == (2, [0, 1], [1, 1])
    assert new.values(parse_metric("hit@4")).tolist() == [1, 1]


@pytest.mark.parametrize("cells", [1, 5, 2**16])
@pytest.mark.parametrize("metric", ["map", "ndcg@10", "auc", "recall@5"])
def test_a_query_has_the_same_value_in_a_table_of_many_as_alone(
    metric: str, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("caser.evaluation.rank_table._CELLS_PER_BLOCK", cells)
    own = [[1.0], [2.0, 3.0, 4.0, 5.0, 6.0], [7.0, np.inf], [9.0, 10.0, 11.0], [20.0]]
    alone = [RankTable.from_lists([ranks], num_candidates=20).values(parse_metric(metric))[0] for ranks in own]
    np.testing.assert_allclose(
        RankTable.from_lists(own, num_candidates=20).values(parse_metric(metric)), alone, rtol=1e-15
    )


def test_the_best_candidates_are_kept_with_equal_scores_by_lowest_index() -> None:
    test_queries = queries([[2], []], [[1], [5]])
    scores = np.repeat(SCORES, 2, axis=0)
    table = ranks(Fixed(scores), test_queries, candidates=all_items(5), remove_seen=True, depth=3)
    assert table.top_QK.tolist() == [[1, 3, 4], [1, 2, 3]]


def test_a_list_longer_than_the_catalogue_ends_in_padding() -> None:
    scores = np.array([[np.nan, -np.inf, np.nan, 2.0]])
    assert best_candidates(scores, 6).tolist() == [[3, 1, 0, 0, 0, 0]]
    assert best_candidates(scores, 0).shape == (1, 0)
