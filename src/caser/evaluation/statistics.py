"""How certain a number is: means with 95 % intervals, paired differences, and what a test set is able to show.

Intervals are Student's t intervals for a mean over owners; an owner is a user, or a session. With n owners, v_o the sum
of the values of owner o and c_o the number of its queries, the mean is sum(v) / sum(c), and its standard error is

    sqrt(n / (n - 1) * sum over owners of (v_o - mean * c_o)^2) / sum(c)

With one query per owner this is the textbook's s / sqrt(n). Queries of one owner depend on each other, so all of them
count as one observation.

For a model with one seed, the formula gives the same interval as a bootstrap (a test compares them), without random
numbers. With several seeds, the standard error comes from a bootstrap over owners and seeds, and the degrees of freedom
from the formula of Welch and Satterthwaite, because three seeds say little about the variance between seeds.

Assumes that owners are independent; with fewer than about 30 of them, read an interval as a guess. Fewer than 6 show no
difference at all.

Shape suffixes: S seeds, Q queries, D draws of the bootstrap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy import special

from caser.arrays.types import Int32
from caser.errors import ConfigError
from caser.evaluation.bootstrap import owner_draws, seed_draws
from caser.evaluation.metrics import Values

SIGNIFICANCE = 0.05
"""The probability of reporting a difference where there is none; an interval covers 1 minus this."""

LEAST_OWNERS = 6
"""With fewer owners than this, no difference is shown. Even if all of them prefer one model, a sign test gives
2^(1 - n), which is above SIGNIFICANCE for n = 5."""

ENOUGH_OWNERS = 30
"""With fewer owners than this, an interval is a rough guess."""

# The probability with which `smallest_detectable` would be shown.
_POWER = 0.8


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval.

    value      the mean
    low, high  the ends of the interval; NaN with fewer than 2 owners, which show no variance
    """

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values; NaN becomes None."""
        return {
            name: None if isinstance(number, float) and np.isnan(number) else number
            for name, number in asdict(self).items()
        }


@dataclass(frozen=True)
class Difference(Estimate):
    """A paired difference of two models; an interval that contains 0 shows no difference, and few owners show none.

    value, low, high     the mean difference and its 95 % interval
    smallest_detectable  the true difference that a test set of this size would show with a probability of 80 %
    p_value              two-sided, for a true difference of 0; NaN with fewer than 2 owners
    p_adjusted           the p value after Holm's correction, or None for a comparison on its own
    family               the number of comparisons that were corrected together
    num_seeds            the seeds of the model that has more; with several, the interval is over seeds too
    num_owners           how many users or sessions were judged; None if that is unknown
    """

    smallest_detectable: float
    p_value: float = float("nan")
    p_adjusted: float | None = None
    family: int = 1
    num_seeds: int = 1
    num_owners: int | None = None

    @property
    def is_shown(self) -> bool:
        """Whether the interval excludes 0; in a family, whether the corrected p value is at most SIGNIFICANCE.

        Fewer than LEAST_OWNERS owners show nothing, whatever the interval.
        """
        if self.num_owners is not None and self.num_owners < LEAST_OWNERS:
            return False
        return self._excludes_zero if self.p_adjusted is None else self.p_adjusted <= SIGNIFICANCE

    @property
    def is_lost_to_correction(self) -> bool:
        """Whether the interval excludes 0, and only Holm's correction is why the difference is not shown."""
        return self._excludes_zero and not self.is_shown and self.p_adjusted is not None and self.family > 1

    @property
    def _excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, `is_shown` and `is_lost_to_correction` as JSON values; NaN becomes None."""
        derived = {"is_shown": self.is_shown, "is_lost_to_correction": self.is_lost_to_correction}
        return {**super().to_dict(), **derived}

    def sentence(self, first: str, second: str, metric: str, num_owners: int, owner: str = "user") -> str:
        """Say the difference in one sentence.

        first, second  the names of the models; `second` was subtracted
        metric         the metric's full name
        num_owners     the number of owners of the queries
        owner          the word for one owner, "user" or "session"

        >>> Difference(0.01, -0.01, 0.03, 0.028).sentence("caser", "count-knn", "hit@50", 943)
        'hit@50: caser against count-knn: no difference that 943 users can show (+0.0100, 95 % interval -0.0100 to
        +0.0300; only a difference of about 0.0280 or more would show up in most such tests)'
        """
        pair = f"{metric}: {first} against {second}"
        if num_owners < LEAST_OWNERS:
            owners = f"{num_owners} {owner} is" if num_owners == 1 else f"{num_owners} {owner}s are"
            return f"{pair}: {owners} too few to show a difference ({self.value:+.4f})"
        seeds = f" over {owner}s and {self.num_seeds} seeds" if self.num_seeds > 1 else ""
        interval = f"{self.value:+.4f}, 95 % interval {self.low:+.4f} to {self.high:+.4f}{seeds}{self._correction()}"
        if not self.is_shown:
            return f"{pair}: no difference that {num_owners:,} {owner}s can show ({interval}{self._limit()})"
        verb = "beats" if self.value > 0 else "loses to"
        return f"{metric}: {first} {verb} {second} ({interval})"

    def _limit(self) -> str:
        if not self.smallest_detectable > 0:  # all owners have the same difference
            return ""
        size = f"{self.smallest_detectable:.4f}"
        return f"; only a difference of about {size} or more would show up in most such tests"

    def _correction(self) -> str:
        if self.p_adjusted is None:
            return ""
        p_value = "p < 0.001" if self.p_adjusted < 0.001 else f"p {self.p_adjusted:.3f}"
        why = ", above 0.05: among so many, one interval without 0 may be chance" if self.is_lost_to_correction else ""
        return f"; {p_value} after Holm's correction for {self.family} comparisons{why}"


def mean_over_owners(values: Values, owners: Int32) -> Estimate:
    """Return the mean over queries and seeds, with an interval over owners and seeds.

    values  (Q,) or (S, Q) float64, one value per query, or per seed and query
    owners  (Q,) int32, the owner of each query

    The interval is clipped to the smallest and the largest value, because the mean cannot lie outside. Everything is
    NaN without queries.

    >>> mean_over_owners(np.array([0.0, 1.0, 1.0, 0.0]), np.array([1, 2, 3, 4])).value
    0.5
    """
    if values.size == 0:
        return Estimate(np.nan, np.nan, np.nan)
    spread = _spread([np.atleast_2d(values)], owners)
    half = spread.quantile(1 - SIGNIFICANCE / 2) * spread.error
    low, high = np.clip([spread.value - half, spread.value + half], values.min(), values.max())
    return Estimate(spread.value, float(low), float(high))


def paired_difference(first: Values, second: Values, owners: Int32) -> Difference:
    """Return the mean of `first - second` over the same queries, with an interval over owners and seeds.

    first, second  (Q,) or (S, Q) float64, one value per query, or per seed and query
    owners         (Q,) int32, the owner of each query

    Seeds are paired if both models have equally many, and a model with one seed is paired with each seed of the other.
    Otherwise the seeds of the two models are independent of each other. Raises ConfigError unless both have values for
    the same number of queries, at least one.

    >>> first, second = np.array([0.3, 0.4, 0.8, 0.5, 0.6, 0.9]), np.array([0.1, 0.2, 0.6, 0.3, 0.5, 0.6])
    >>> paired_difference(first, second, np.arange(6)).is_shown
    True
    >>> paired_difference(first[:3], second[:3], np.arange(3)).is_shown  # three users show nothing
    False
    """
    first_SQ, second_SQ = np.atleast_2d(first), np.atleast_2d(second)
    if not first_SQ.shape[1] == second_SQ.shape[1] == len(owners) or first_SQ.size == 0 or second_SQ.size == 0:
        raise ConfigError(
            f"a paired difference needs the same queries, at least one; got {first_SQ.shape[1]} and "
            f"{second_SQ.shape[1]} values for {len(owners)} owners. Judge both models under one protocol."
        )
    are_paired = len(first_SQ) == len(second_SQ) or 1 in (len(first_SQ), len(second_SQ))
    spread = _spread([first_SQ - second_SQ] if are_paired else [first_SQ, -second_SQ], owners)
    num_seeds = max(len(first_SQ), len(second_SQ))
    return spread.difference(num_seeds=num_seeds, num_owners=len(np.unique(owners)))


def unpaired_difference(first: Values, first_owners: Int32, second: Values, second_owners: Int32) -> Difference:
    """Return the mean of `first` minus that of `second`, which other owners have, with an interval over owners.

    first, second                (Q,) float64, one value per query; the two may have different numbers of queries
    first_owners, second_owners  (Q,) int32, the owner of each query; no owner has queries of both

    The variances of the two means add up; the degrees of freedom are those of Welch and Satterthwaite. Raises
    ConfigError without a query of either.

    >>> first, second = np.array([0.3, 0.4, 0.8, 0.5, 0.6, 0.9]), np.array([0.1, 0.2, 0.3, 0.2])
    >>> difference = unpaired_difference(first, np.arange(6), second, np.arange(4))
    >>> round(difference.value, 4), difference.is_shown, difference.num_owners
    (0.3833, True, 10)
    """
    if not len(first) or not len(second):
        raise ConfigError(f"a difference needs values of both; got {len(first)} and {len(second)}. Judge more users.")
    one, other = _spread_over_owners(first, first_owners), _spread_over_owners(second, second_owners)
    error = float(np.hypot(one.error, other.error))
    denominator = one.error**4 / one.freedom + other.error**4 / other.freedom
    freedom = error**4 / denominator if denominator else one.freedom + other.freedom
    num_owners = len(np.unique(first_owners)) + len(np.unique(second_owners))
    return _Spread(one.value - other.value, error, freedom).difference(num_owners=num_owners)


def corrected(differences: Mapping[str, Difference]) -> dict[str, Difference]:
    """Correct differences that were made together with Holm's method.

    differences  name -> difference

    Returns the same differences with `p_adjusted` and `family`. A single difference is returned unchanged.

    >>> family = {name: Difference(0.1, 0.01, 0.19, 0.1, p_value=p) for name, p in [("a", 0.04), ("b", 0.001)]}
    >>> {name: one.p_adjusted for name, one in corrected(family).items()}
    {'a': 0.04, 'b': 0.002}
    """
    if len(differences) < 2:
        return dict(differences)
    adjusted = holm(np.array([difference.p_value for difference in differences.values()]))
    return {
        name: replace(difference, p_adjusted=float(p), family=len(differences))
        for (name, difference), p in zip(differences.items(), adjusted, strict=True)
    }


def holm(p_values: Values) -> Values:
    """Holm's correction: multiply the i-th smallest of m p values by m - i + 1, keep their order, and stop at 1.

    p_values  (m,) float64, one per comparison

    Returns (m,) float64. Comparing them with a level bounds the probability of at least one false difference by that
    level. NaN stays NaN, and counts as a comparison. Source: Holm 1979, A simple sequentially rejective multiple test
    procedure.

    >>> holm(np.array([0.04, 0.001, 0.03])).tolist()
    [0.06, 0.003, 0.06]
    """
    order = np.argsort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1)
    return adjusted


@dataclass(frozen=True)
class _Spread:
    """A mean, its standard error, and the degrees of freedom of the error; the last two are NaN below 2 owners."""

    value: float
    error: float
    freedom: float

    def quantile(self, probability: float) -> float:
        """The quantile of Student's t distribution."""
        return float(special.stdtrit(self.freedom, probability))

    def difference(self, *, num_owners: int, num_seeds: int = 1) -> Difference:
        """The mean as a difference, with its interval."""
        quantile = self.quantile(1 - SIGNIFICANCE / 2)
        half, detectable = quantile * self.error, (quantile + self.quantile(_POWER)) * self.error
        ends = (self.value - half, self.value + half)
        return Difference(self.value, *ends, detectable, self.p_value, num_seeds=num_seeds, num_owners=num_owners)

    @property
    def p_value(self) -> float:
        """Two-sided, for a true mean of 0."""
        if self.error == 0:
            return float(self.value == 0)
        return float(2 * special.stdtr(self.freedom, -abs(self.value) / self.error))


def _spread(terms: Sequence[Values], owners: Int32) -> _Spread:
    """The sum of the means of one or two terms, (S, Q) each, whose seeds are independent of each other."""
    # With one seed in every term, the formula is enough.
    average_Q = np.sum([term.mean(axis=0) for term in terms], axis=0)
    by_formula = _spread_over_owners(average_Q, owners)
    with_seeds = [term for term in terms if len(term) > 1]
    if not with_seeds or np.isnan(by_formula.error):
        return by_formula
    # Otherwise draw owners once, and the seeds of each term; the draws are independent, so their variances add up.
    draws_by_source = [owner_draws(average_Q, owners), *(seed_draws(term, owners) for term in with_seeds)]
    error = float(np.std(np.sum(draws_by_source, axis=0), ddof=1))
    # Welch and Satterthwaite: (sum of variances)^2 / sum(variance^2 / degrees of freedom).
    variances = np.var(draws_by_source, axis=1, ddof=1)
    freedoms = np.array([by_formula.freedom, *(len(term) - 1 for term in with_seeds)])
    denominator = float(np.sum(variances**2 / freedoms))
    freedom = float(variances.sum()) ** 2 / denominator if denominator else by_formula.freedom
    return _Spread(by_formula.value, error, freedom)


def _spread_over_owners(values_Q: Values, owners: Int32) -> _Spread:
    """The formula of this module, for one value per query."""
    _, owner_of_Q = np.unique(owners, return_inverse=True)
    sums, counts = np.bincount(owner_of_Q, values_Q), np.bincount(owner_of_Q)
    num_owners, value = len(sums), float(values_Q.mean())
    if num_owners < 2:
        return _Spread(value, float("nan"), float("nan"))
    residuals = sums - value * counts
    error = np.sqrt(num_owners / (num_owners - 1) * np.sum(residuals**2)) / counts.sum()
    return _Spread(value, float(error), num_owners - 1)
