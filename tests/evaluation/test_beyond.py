"""Measures beyond accuracy: by hand, at the extremes, and in a report."""

from __future__ import annotations

import numpy as np
import pytest

from caser.data.synthetic import chain_world
from caser.evaluation.beyond import beyond_accuracy, coverage, gini, head_share
from caser.evaluation.judge import counting_baselines, judge
from caser.evaluation.protocols import apply, resolve

CANDIDATES = np.array([True, True, True, True, True, False])  # padding is never a candidate; item 5 is none
LISTS = np.array([[1, 2], [1, 3], [1, 0]], dtype=np.int32)


def test_three_short_lists_by_hand() -> None:
    assert coverage(LISTS, CANDIDATES) == 3 / 4
    assert gini(LISTS, CANDIDATES) == pytest.approx((-3 * 0 - 1 * 1 + 1 * 1 + 3 * 3) / (5 * 3))
    assert head_share(LISTS, np.array([True, True, False, False, False, False])) == 3 / 5


def test_equal_lists_are_concentrated_and_disjoint_lists_are_even() -> None:
    candidates = np.arange(101) > 0
    items = np.arange(1, 101, dtype=np.int32)
    equal, disjoint = np.tile(items[:10], (10, 1)), items.reshape(10, 10)
    assert (coverage(equal, candidates), coverage(disjoint, candidates)) == (0.1, 1)
    assert gini(equal, candidates) == pytest.approx(90 / 99)
    assert gini(disjoint, candidates) == 0


def test_empty_lists_give_zeros() -> None:
    empty = np.zeros((2, 3), dtype=np.int32)
    assert list(beyond_accuracy([empty], CANDIDATES, CANDIDATES).values()) == [0, 0, 0]


def test_values_are_averaged_over_seeds() -> None:
    first, second = np.array([[[1]], [[4]]], dtype=np.int32)
    is_head = np.arange(6) == 1
    assert beyond_accuracy([first, second], CANDIDATES, is_head)["head_share@1"] == 0.5
    assert beyond_accuracy([first, second], CANDIDATES, is_head)["coverage@1"] == 1 / 4


def test_a_report_says_that_popularity_recommends_the_same_popular_items_to_all() -> None:
    split = apply("leave-one-out", chain_world(num_users=80, num_items=60, length=12, predictability=0.9, seed=0).log)
    report = judge(counting_baselines(split), split)
    assert list(report.beyond["markov"]) == ["coverage@10", "gini@10", "head_share@10"]
    assert report.beyond["popularity"]["coverage@10"] == 10 / resolve(split.name, split).candidates.sum()
    assert report.beyond["popularity"]["head_share@10"] == 1
    assert report.beyond["markov"]["coverage@10"] > report.beyond["popularity"]["coverage@10"]
    assert report.beyond["markov"]["gini@10"] < report.beyond["popularity"]["gini@10"]
    assert report.to_dict()["beyond"] == report.beyond
