"""Metrics: functions that turn the ranks of a query's targets into one number per query.

Every metric has the signature `(ranks_UT, num_targets_U, num_candidates_U, k) -> values_U`:

    ranks_UT          (U, T) float64: the rank of each target, from 1; inf for a target that cannot be found, and for
                      the padding at the end of a row with fewer than T targets
    num_targets_U     (U,) int64: the number of targets of each query, at least 1
    num_candidates_U  (U,) int64: the number of items that were ranked for each query
    k                 the cut-off: a target ranked beyond k counts as not found; inf reads the full ranking
    values_U          (U,) float64: values between 0 and 1, higher is better

To add a metric to this library, write one function and one row of METRICS. To add one from your own code, call
`register_metric`. Metrics do not take the mean over queries: `statistics.py` does.

Shape suffixes: U queries, T targets of the query that has most.
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
from caser.errors import ConfigError
from caser.system.registry import Registry, instance_of

Values = NDArray[np.floating[Any]]
"""Values of a metric, or ranks, in floating point."""

MetricFunction = Callable[[Values, Int64, Int64, float], Values]
"""The signature of every metric; the docstring of this module explains it."""


def hit(ranks_UT: Values, num_targets_U: Int64, num_candidates_U: Int64, k: float) -> Values:
    """1 if any target is in the top k, else 0.

    Reading: how often a list of k items contains a right one. Parameters and shapes: see the module.

    >>> hit(np.array([[3.0, 12.0], [11.0, np.inf]]), np.array([2, 1]), np.array([50, 50]), 10).tolist()
    [1.0, 0.0]
    """
    return np.where(_is_found(ranks_UT, k).any(axis=1), 1.0, 0.0)


def precision(ranks_UT: Values, num_targets_U: Int64, num_candidates_U: Int64, k: float) -> Values:
    """Number of targets in the top k, divided by k.

    Reading: the share of a list of k items that is right. Parameters and shapes: see the module.

    >>> precision(np.array([[1.0, 2.0, 30.0]]), np.array([3]), np.array([50]), 5).tolist()
    [0.4]
    """
    share: Values = _is_found(ranks_UT, k).sum(axis=1) / k
    return share


def recall(ranks_UT: Values, num_targets_U: Int64, num_candidates_U: Int64, k: float) -> Values:
    """Number of targets in the top k, divided by the number of all targets.

    Reading: the share of the targets that a list of k items contains. Parameters and shapes: see the module.

    >>> recall(np.array([[1.0, 2.0, 30.0, np.inf]]), np.array([4]), np.array([50]), 5).tolist()
    [0.5]
    """
    share: Values = _is_found(ranks_UT, k).sum(axis=1) / num_targets_U
    return share


def ndcg(ranks_UT: Values, num_targets_U: Int64, num_candidates_U: Int64, k: float) -> Values:
    """Sum of 1 / log2(rank + 1) over the targets in the top k, divided by the largest possible sum.

    Reading: like recall, but a place near the top of the list counts more. Parameters and shapes: see the module.
    Source: Järvelin & Kekäläinen 2002, with binary gain.

    >>> ndcg(np.array([[1.0], [3.0], [11.0]]), np.array([1, 1, 1]), np.array([50, 50, 50]), 10).tolist()
    [1.0, 0.5, 0.0]
    """
    gains = np.where(_is_found(ranks_UT, k), 1 / np.log2(ranks_UT + 1), 0).sum(axis=1)
    # The largest sum of n targets is reached when they take the ranks 1 to min(n, k).
    most_found = int(min(num_targets_U.max(initial=1), k))
    largest_sums = np.cumsum(1 / np.log2(np.arange(most_found) + 2))
    share: Values = gains / largest_sums[np.minimum(num_targets_U, most_found) - 1]
    return share


def mrr(ranks_UT: Values, num_targets_U: Int64, num_candidates_U: Int64, k: float) -> Values:
    """1 / rank of the best ranked target, or 0 if that rank is beyond k.

    Reading: how far down the list the first right item is. Parameters and shapes: see the module.

    >>> mrr(np.array([[4.0, 2.0], [11.0, np.inf]]), np.array([2, 1]), np.array([50, 50]), 10).tolist()
    [0.5, 0.0]
    """
    best_U = ranks_UT.min(axis=1)
    return np.where(_is_found(best_U, k), 1 / best_U, 0)


def average_precision(ranks_UT: Values, num_targets_U: Int64, num_candidates_U: Int64, k: float) -> Values:
    """Mean over targets of the precision at the target's rank, 0 for a target not found; its mean over queries is MAP.

    Reading: every target counts, wherever it is ranked. Parameters and shapes: see the module.
    Source: Tang & Wang 2018, section 4.1.

    >>> average_precision(np.array([[4.0, 1.0, np.inf]]), np.array([3]), np.array([50]), np.inf).tolist()
    [0.5]
    """
    ascending_UT = np.sort(ranks_UT, axis=1)
    num_found = np.arange(1, ascending_UT.shape[1] + 1)  # targets found down to each target's rank
    precisions_UT = np.where(_is_found(ascending_UT, k), num_found / ascending_UT, 0)
    average: Values = precisions_UT.sum(axis=1) / num_targets_U
    return average


def auc(ranks_UT: Values, num_targets_U: Int64, num_candidates_U: Int64, k: float) -> Values:
    """Mean over targets of (candidates - rank) / (candidates - 1), 0 for a target not found or the only candidate.

    Reading: the share of the other candidates that a target outranks. Parameters and shapes: see the module.
    Source: Dive into Deep Learning, section 21.4.

    >>> auc(np.array([[1.0], [26.0], [np.inf]]), np.array([1, 1, 1]), np.array([51, 51, 51]), np.inf).tolist()
    [1.0, 0.5, 0.0]
    """
    outranked_U = np.where(_is_found(ranks_UT, k), num_candidates_U[:, None] - ranks_UT, 0).sum(axis=1)
    share: Values = outranked_U / np.maximum(num_candidates_U - 1, 1) / num_targets_U
    return share


@dataclass(frozen=True)
class MetricDefinition:
    """A row of METRICS.

    function      computes the metric; the docstring of this module explains its signature
    takes_cutoff  whether the name is written with a cut-off, as in `ndcg@10`; else the function gets k = inf
    reading       what the metric says, for people: the end of a sentence that begins with its name; `{k}` stands for
                  the cut-off. Empty if nobody has written it
    """

    function: MetricFunction
    takes_cutoff: bool = True
    reading: str = ""


METRICS: Registry[MetricDefinition] = Registry(
    "a metric",
    "caser.metrics",
    {
        "hit": MetricDefinition(hit, reading="is how often a list of {k} items contains a right one"),
        "precision": MetricDefinition(precision, reading="is the share of a list of {k} items that is right"),
        "recall": MetricDefinition(recall, reading="is the share of the right items that a list of {k} items contains"),
        "ndcg": MetricDefinition(
            ndcg, reading="says how often a list of {k} items contains a right one, and how near to its top"
        ),
        "mrr": MetricDefinition(
            mrr,
            reading="is 1 if the first item is right, 1/2 if only the second is, and so on down to item {k}",
        ),
        "map": MetricDefinition(
            average_precision,
            takes_cutoff=False,
            reading="says how near to the top of the full ranking right items are",
        ),
        "auc": MetricDefinition(
            auc,
            takes_cutoff=False,
            reading="is the share of wrong items ranked below a right one: chance is 0.5",
        ),
    },
    instance_of(MetricDefinition),
)
"""The metrics by name: those of this library, of installed packages, and of `register_metric`.

A package adds a metric with the entry-point group `caser.metrics`: the entry names a `MetricDefinition`.
"""


def register_metric(name: str, function: MetricFunction, *, takes_cutoff: bool = True) -> None:
    """Add a metric of your own to METRICS, so that a protocol can name it, and reports and studies contain it.

    name          the new metric's name, without a cut-off
    function      `(ranks_UT, num_targets_U, num_candidates_U, k) -> values_U`; the docstring of this module explains
                  each array. Values lie between 0 and 1, higher is better
    takes_cutoff  whether the name is written with a cut-off, as in `ndcg@10`; else the function gets k = inf

    Registering the same function under the same name again changes nothing. A function that was defined again, as
    when a notebook cell runs a second time, replaces the old one. Raises ConfigError if another metric has the name,
    if the name is not made of lower-case letters, digits, `-` and `_`, or if `function` cannot be called.

    >>> def first(ranks_UT, num_targets_U, num_candidates_U, k):
    ...     return (ranks_UT == 1).any(axis=1).astype(float)
    >>> register_metric("first", first, takes_cutoff=False)
    >>> parse_metric("first")(np.array([[1.0], [2.0]]), np.array([1, 1]), np.array([50, 50])).tolist()
    [1.0, 0.0]
    """
    if not (isinstance(name, str) and re.fullmatch("[a-z][a-z0-9_-]*", name)):
        raise ConfigError(
            f"a metric's name must be made of lower-case letters, digits, - and _, a letter first; got {name!r}. "
            "Leave out the cut-off: it is written where the metric is used."
        )
    if not callable(function):
        raise ConfigError(f"the function of the metric {name} must be callable; got {function!r}.")
    METRICS.register(name, MetricDefinition(function, takes_cutoff))


@dataclass(frozen=True)
class Metric:
    """A metric with its cut-off, as a protocol names it.

    name      the full name, such as `ndcg@10` or `map`
    function  computes the values of queries
    k         the cut-off, or inf where the metric reads the full ranking
    """

    name: str
    function: MetricFunction
    k: float

    def __call__(self, ranks_UT: Values, num_targets_U: Int64, num_candidates_U: Int64) -> Values:
        """Return the metric of every query, (U,) float64; the module explains the parameters.

        Raises ConfigError when the function returns another shape.
        """
        values_U = self.function(ranks_UT, num_targets_U, num_candidates_U, self.k)
        if np.shape(values_U) != num_targets_U.shape:
            raise ConfigError(
                f"a metric must return one number per query, shape {num_targets_U.shape}; {self.name} returned "
                f"shape {np.shape(values_U)}."
            )
        return values_U


def parse_metric(text: str) -> Metric:
    """Read a metric from its full name.

    text  a name of METRICS, with `@` and a cut-off of at least 1 where the metric takes one: `ndcg@10`, `map`

    Raises ConfigError for an unknown name, and for a cut-off that is missing, malformed or not taken by the metric.

    >>> parse_metric("ndcg@10").k
    10
    """
    name, _, cutoff = text.partition("@")
    row = METRICS[name]
    if not row.takes_cutoff:
        if text != name:
            raise ConfigError(f"{name} reads the full ranking and takes no cut-off; got {text!r}. Write {name!r}.")
        return Metric(name, row.function, math.inf)
    if not re.fullmatch("[1-9][0-9]{0,8}", cutoff):
        raise ConfigError(f"{name} needs a cut-off of at least 1; got {text!r}. Write for example '{name}@10'.")
    return Metric(text, row.function, int(cutoff))


def _is_found(ranks: Values, k: float) -> Mask:
    """Whether each rank is at most k; inf never is, even where k is inf."""
    return (ranks <= k) & np.isfinite(ranks)
