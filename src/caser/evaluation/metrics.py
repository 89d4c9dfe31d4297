"""Metrics: from the ranks of a query's targets to one number per query.

All have one signature, `(ranks_UT, num_targets_U, num_candidates_U, k) -> value_U`: ranks start at 1; a target that
cannot be found, and the padding of a short row, are inf; a target ranked beyond `k` counts as not found (`k` = inf
reads the full ranking). Values lie in 0..1, higher is better, and every query has at least one target. A new metric is
one function and one row of METRICS. The mean is taken in `statistics.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caser.arrays.types import Int64, Mask
from caser.errors import ConfigError, did_you_mean

Values = NDArray[np.floating[Any]]
MetricFunction = Callable[[Values, Int64, Int64, float], Values]


def hit(ranks_UT: Values, num_targets_U: Int64, num_candidates_U: Int64, k: float) -> Values:
    """1 if any target is in the top k, else 0. Reading: how often a list of k shows something right.

    >>> hit(np.array([[3.0, 12.0], [11.0, np.inf]]), np.array([2, 1]), np.array([50, 50]), 10).tolist()
    [1.0, 0.0]
    """
    return np.where(_found(ranks_UT, k).any(axis=1), 1.0, 0.0)


def precision(ranks_UT: Values, num_targets_U: Int64, num_candidates_U: Int64, k: float) -> Values:
    """Targets in the top k, divided by k. Reading: the share of a list of k that is right.

    >>> precision(np.array([[1.0, 2.0, 30.0]]), np.array([3]), np.array([50]), 5).tolist()
    [0.4]
    """
    share: Values = _found(ranks_UT, k).sum(axis=1) / k
    return share


def recall(ranks_UT: Values, num_targets_U: Int64, num_candidates_U: Int64, k: float) -> Values:
    """Targets in the top k, divided by all targets. Reading: the share of what came next that a list of k shows.

    >>> recall(np.array([[1.0, 2.0, 30.0, np.inf]]), np.array([4]), np.array([50]), 5).tolist()
    [0.5]
    """
    share: Values = _found(ranks_UT, k).sum(axis=1) / num_targets_U
    return share


def ndcg(ranks_UT: Values, num_targets_U: Int64, num_candidates_U: Int64, k: float) -> Values:
    """Sum over targets in the top k of 1 / log2(rank + 1), divided by the most that could be.

    Reading: like recall, but the top of the list counts more. Source: Järvelin & Kekäläinen 2002, binary gain.

    >>> ndcg(np.array([[1.0], [3.0], [11.0]]), np.array([1, 1, 1]), np.array([50, 50, 50]), 10).tolist()
    [1.0, 0.5, 0.0]
    """
    gains = np.where(_found(ranks_UT, k), 1 / np.log2(ranks_UT + 1), 0).sum(axis=1)
    longest = int(min(num_targets_U.max(initial=1), k))
    best = np.cumsum(1 / np.log2(np.arange(longest) + 2))
    ideal = best[np.minimum(num_targets_U, longest) - 1]
    share: Values = gains / ideal
    return share


def mrr(ranks_UT: Values, num_targets_U: Int64, num_candidates_U: Int64, k: float) -> Values:
    """1 / rank of the first target, 0 if that lies beyond k. Reading: how far down the first right item is.

    >>> mrr(np.array([[4.0, 2.0], [11.0, np.inf]]), np.array([2, 1]), np.array([50, 50]), 10).tolist()
    [0.5, 0.0]
    """
    first = ranks_UT.min(axis=1)
    return np.where(_found(first, k), 1 / first, 0)


def average_precision(ranks_UT: Values, num_targets_U: Int64, num_candidates_U: Int64, k: float) -> Values:
    """(1 / targets) times the sum over found targets of (found so far / rank); its mean is MAP.

    Reading: precision wherever a target turns up, so the whole ranking counts. Source: Tang & Wang 2018, section 4.1.

    >>> average_precision(np.array([[4.0, 1.0, np.inf]]), np.array([3]), np.array([50]), np.inf).tolist()
    [0.5]
    """
    ordered = np.sort(ranks_UT, axis=1)
    so_far = np.arange(1, ordered.shape[1] + 1)
    precisions = np.where(_found(ordered, k), so_far / ordered, 0)
    average: Values = precisions.sum(axis=1) / num_targets_U
    return average


def auc(ranks_UT: Values, num_targets_U: Int64, num_candidates_U: Int64, k: float) -> Values:
    """Mean over targets of (candidates - rank) / (candidates - 1), 0 for a target not found or without a rival.

    Reading: the share of other candidates that a target beats. Source: Dive into Deep Learning, section 21.4.

    >>> auc(np.array([[1.0], [26.0], [np.inf]]), np.array([1, 1, 1]), np.array([51, 51, 51]), np.inf).tolist()
    [1.0, 0.5, 0.0]
    """
    beaten = np.where(_found(ranks_UT, k), num_candidates_U[:, None] - ranks_UT, 0).sum(axis=1)
    share: Values = beaten / np.maximum(num_candidates_U - 1, 1) / num_targets_U
    return share


METRICS: dict[str, tuple[MetricFunction, bool]] = {
    "hit": (hit, True),
    "precision": (precision, True),
    "recall": (recall, True),
    "ndcg": (ndcg, True),
    "mrr": (mrr, True),
    "map": (average_precision, False),
    "auc": (auc, False),
}
"""Name -> (function, whether the name takes a cut-off, as in `ndcg@10`)."""


@dataclass(frozen=True)
class Metric:
    """A metric with its cut-off; `k` is inf where the full ranking is read."""

    name: str
    function: MetricFunction
    k: float

    def __call__(self, ranks_UT: Values, num_targets_U: Int64, num_candidates_U: Int64) -> Values:
        """The metric of every query, (U,)."""
        return self.function(ranks_UT, num_targets_U, num_candidates_U, self.k)


def parse_metric(text: str) -> Metric:
    """Read a metric's name: `ndcg@10`, `map`. Raises ConfigError for one that is unknown.

    >>> parse_metric("ndcg@10").k
    10
    """
    name, _, cut_off = text.partition("@")
    if name not in METRICS:
        raise ConfigError(f"a metric must be a known name; got {text!r}: {did_you_mean(name, METRICS)}")
    function, takes_k = METRICS[name]
    if not takes_k:
        if text != name:
            raise ConfigError(f"{name} reads the full ranking and takes no cut-off; got {text!r}. Write {name!r}.")
        return Metric(name, function, math.inf)
    if not re.fullmatch("[1-9][0-9]{0,8}", cut_off):
        raise ConfigError(f"{name} needs a cut-off of at least 1; got {text!r}. Write for example '{name}@10'.")
    return Metric(text, function, int(cut_off))


def _found(ranks_UT: Values, k: float) -> Mask:
    """Whether each target is in the top k; inf never is."""
    return (ranks_UT <= k) & np.isfinite(ranks_UT)
