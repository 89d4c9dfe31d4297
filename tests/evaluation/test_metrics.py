"""Each metric by hand, and the names that are read."""

from __future__ import annotations

import math

import numpy as np
import pytest

from caser.errors import ConfigError
from caser.evaluation.metrics import parse_metric

# Three queries over 11 candidates: targets at 1 and 4; at 3 and nowhere; at 12 of a longer list.
RANKS = np.array([[1.0, 4.0], [np.inf, 3.0], [9.0, np.inf]])
NUM_TARGETS = np.array([2, 2, 1])
NUM_CANDIDATES = np.array([11, 11, 11])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hit@3", [1, 1, 0]),
        ("hit@1", [1, 0, 0]),
        ("precision@4", [2 / 4, 1 / 4, 0]),
        ("recall@4", [1, 1 / 2, 0]),
        ("recall@9", [1, 1 / 2, 1]),
        ("mrr@3", [1, 1 / 3, 0]),
        ("ndcg@3", [1 / (1 + 1 / math.log2(3)), 0.5 / (1 + 1 / math.log2(3)), 0]),
        ("ndcg@1", [1, 0, 0]),
        ("map", [(1 + 2 / 4) / 2, (1 / 3) / 2, 1 / 9]),
        ("auc", [(10 + 7) / 10 / 2, 8 / 10 / 2, 2 / 10]),
    ],
)
def test_metrics_equal_values_worked_out_by_hand(name: str, expected: list[float]) -> None:
    np.testing.assert_allclose(parse_metric(name)(RANKS, NUM_TARGETS, NUM_CANDIDATES), expected)


def test_auc_of_a_target_without_a_rival_is_zero() -> None:
    assert parse_metric("auc")(np.array([[1.0]]), np.array([1]), np.array([1])).tolist() == [0.0]


def test_a_misspelt_metric_gets_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"did you mean ndcg\?"):
        parse_metric("ndgc@10")


@pytest.mark.parametrize("name", ["ndcg", "hit@", "hit@0", "hit@-1", "hit@ten", "hit@1.5", "map@10", "auc@", "", "@10"])
def test_a_cut_off_that_is_missing_wrong_or_not_wanted_is_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        parse_metric(name)
