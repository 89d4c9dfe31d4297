"""What every metric must do, a row of METRICS each."""

from __future__ import annotations

import numpy as np
import pytest

from caser.evaluation.metrics import METRICS, Metric, Values, parse_metric
from caser.system.randomness import numpy_generator

METRIC_LIST = [parse_metric(f"{name}@5" if row.takes_cutoff else name) for name, row in METRICS.items()]
every_metric = pytest.mark.parametrize("metric", METRIC_LIST, ids=lambda metric: metric.name)

NUM_CANDIDATES = 40


def random_ranks(num_queries: int = 200) -> tuple[Values, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Ranks of 1 to 6 targets per query, some of them not found."""
    generator = numpy_generator(0, "world")
    num_targets = generator.integers(1, 7, num_queries)
    ranks = np.full((num_queries, 6), np.inf)
    for row, count in enumerate(num_targets):
        found = generator.integers(0, count + 1)
        ranks[row, :found] = generator.choice(np.arange(1, NUM_CANDIDATES + 1), found, replace=False)
    return ranks, num_targets


def judged(metric: Metric, ranks: Values, num_targets: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Values:
    return metric(ranks, num_targets, np.full(len(ranks), NUM_CANDIDATES))


@every_metric
def test_values_lie_between_0_and_1(metric: Metric) -> None:
    values = judged(metric, *random_ranks())
    assert values.shape == (200,)
    assert ((values >= 0) & (values <= 1)).all()


@every_metric
def test_it_is_0_when_no_target_is_found(metric: Metric) -> None:
    assert judged(metric, np.full((2, 3), np.inf), np.array([3, 1])).tolist() == [0, 0]


@every_metric
def test_it_is_largest_for_the_only_target_at_rank_1(metric: Metric) -> None:
    best = 1 / 5 if metric.name == "precision@5" else 1
    assert judged(metric, np.array([[1.0]]), np.array([1])).tolist() == [best]


@every_metric
def test_a_better_rank_never_lowers_the_value(metric: Metric) -> None:
    ranks, num_targets = random_ranks()
    better = np.where(ranks > 1, np.minimum(ranks, NUM_CANDIDATES + 1) - 1, ranks)
    better = np.where(np.isfinite(ranks), better, np.inf)
    assert (judged(metric, better, num_targets) >= judged(metric, ranks, num_targets) - 1e-12).all()


@every_metric
def test_the_order_of_targets_and_more_padding_change_nothing(metric: Metric) -> None:
    ranks, num_targets = random_ranks()
    other = np.pad(ranks[:, ::-1], ((0, 0), (3, 2)), constant_values=np.inf)
    np.testing.assert_allclose(judged(metric, ranks, num_targets), judged(metric, other, num_targets), atol=1e-15)


@every_metric
def test_no_queries_give_no_values(metric: Metric) -> None:
    none = np.zeros(0, dtype=np.int64)
    assert metric(np.zeros((0, 1)), none, none).shape == (0,)
