"""Measures beyond accuracy: by hand, at the extremes, and in a report."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from caser.data.synthetic import chain_world
from caser.data.tape import Tape
from caser.evaluation import beyond
from caser.evaluation.beyond import beyond_accuracy, coverage, diversity, gini, head_share, novelty
from caser.evaluation.judge import counting_baselines, judge
from caser.evaluation.protocols import apply, resolve

CANDIDATES = np.array([True, True, True, True, True, False])  # padding is never a candidate; item 5 is none
LISTS = np.array([[1, 2], [1, 3], [1, 0]], dtype=np.int32)
TAPE = Tape.from_sequences([[1, 2, 1], [1, 2, 3], [3, 4], [3]], num_items=5)


def test_three_short_lists_by_hand() -> None:
    assert coverage(LISTS, CANDIDATES) == 3 / 4
    assert gini(LISTS, CANDIDATES) == pytest.approx((-3 * 0 - 1 * 1 + 1 * 1 + 3 * 3) / (5 * 3))
    assert head_share(LISTS, np.array([True, True, False, False, False, False])) == 3 / 5


def test_novelty_and_diversity_by_hand() -> None:
    # Of 9 interactions, item 1 has 3, item 2 has 2, item 3 has 3, and item 0 of a short list does not count.
    assert novelty(LISTS, TAPE.item_counts) == pytest.approx(
        -(3 * np.log2(3 / 9) + np.log2(2 / 9) + np.log2(3 / 9)) / 5
    )
    # Items 1 and 2: the same two users. Items 1 and 3: one of two and of three. The last list has no pair.
    assert diversity(LISTS, TAPE) == pytest.approx((0 + 1 - 1 / np.sqrt(6)) / 2)
    # Items 1, 4 and 5 share nobody; nobody had item 5.
    assert diversity(np.array([[1, 4, 5]], dtype=np.int32), TAPE) == 1
    assert diversity(np.array([[1, 2, 3]], dtype=np.int32), TAPE) == pytest.approx(2 / 3 * (1 - 1 / np.sqrt(6)))


@pytest.mark.parametrize("cells", [1, 3, 2**22])
def test_diversity_is_the_mean_over_all_pairs_however_many_are_compared_at_once(
    cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    sequences = [random.integers(1, 9, size=random.integers(1, 6)).tolist() for _ in range(20)]
    tops = np.array([random.permutation(8)[:4] for _ in range(9)], dtype=np.int32)  # 0 is an empty place
    users = {item: {number for number, own in enumerate(sequences) if item in own} for item in range(1, 9)}
    means = []
    for top in tops.tolist():
        pairs = [(users[a], users[b]) for a, b in itertools.combinations([one for one in top if one], 2)]
        distances = [1 - len(a & b) / max(1, len(a) * len(b)) ** 0.5 for a, b in pairs]
        means.append(sum(distances) / len(distances))
    monkeypatch.setattr(beyond, "_MOST_CELLS", cells)
    assert diversity(tops, Tape.from_sequences(sequences, 8)) == pytest.approx(np.mean(means))
    monkeypatch.setattr(beyond, "_MOST_LISTS", 3)
    assert diversity(tops, Tape.from_sequences(sequences, 8)) == pytest.approx(np.mean([means[0], means[4], means[8]]))


def test_equal_lists_are_concentrated_and_disjoint_lists_are_even() -> None:
    candidates = np.arange(101) > 0
    items = np.arange(1, 101, dtype=np.int32)
    equal, disjoint = np.tile(items[:10], (10, 1)), items.reshape(10, 10)
    assert (coverage(equal, candidates), coverage(disjoint, candidates)) == (0.1, 1)
    assert gini(equal, candidates) == pytest.approx(90 / 99)
    assert gini(disjoint, candidates) == 0


def test_empty_lists_give_zeros() -> None:
    empty = np.zeros((2, 3), dtype=np.int32)
    assert list(beyond_accuracy([empty], CANDIDATES, CANDIDATES, TAPE).values()) == [0, 0, 0, 0, 0]


def test_values_are_averaged_over_seeds() -> None:
    first, second = np.array([[[1]], [[4]]], dtype=np.int32)
    is_head = np.arange(6) == 1
    assert beyond_accuracy([first, second], CANDIDATES, is_head, TAPE)["head_share@1"] == 0.5
    assert beyond_accuracy([first, second], CANDIDATES, is_head, TAPE)["coverage@1"] == 1 / 4


def test_a_report_says_that_popularity_recommends_the_same_popular_items_to_all() -> None:
    split = apply("leave-one-out", chain_world(num_users=80, num_items=60, length=12, predictability=0.9, seed=0).log)
    report = judge(counting_baselines(split), split)
    assert list(report.beyond["markov"]) == ["coverage@10", "gini@10", "head_share@10", "novelty@10", "diversity@10"]
    assert report.beyond["popularity"]["coverage@10"] == 10 / resolve(split.name, split).candidates.sum()
    assert report.beyond["popularity"]["head_share@10"] == 1
    assert report.beyond["markov"]["coverage@10"] > report.beyond["popularity"]["coverage@10"]
    assert report.beyond["markov"]["gini@10"] < report.beyond["popularity"]["gini@10"]
    assert report.beyond["markov"]["novelty@10"] > report.beyond["popularity"]["novelty@10"]
    assert report.to_dict()["beyond"] == report.beyond


def test_items_that_nobody_had_are_at_distance_1() -> None:
    tape = Tape.from_sequences([[1, 2]], num_items=4)
    assert diversity(np.array([[3, 4]]), tape) == 1.0
