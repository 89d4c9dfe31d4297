"""How sure a number is: means with 95 % intervals, paired differences, and what a test set is able to show.

The interval is Student's, for a mean over owners (users, or sessions), from the spread between owners: with n owners,
v_o the sum of the values of owner o and c_o the number of its queries, the mean is sum(v) / sum(c), its standard error

    sqrt(n / (n - 1) * sum over owners of (v_o - mean * c_o)^2) / sum(c)

which for one query per owner is the textbook s / sqrt(n). Queries of one owner move together, so they count as one
draw. Of a model with one seed this is preferred to a bootstrap because it needs no random numbers and gives the same
interval (a test compares them). With several seeds the standard error is that of a bootstrap over owners and seeds;
the degrees of freedom are Welch's and Satterthwaite's, because three seeds tell little of how seeds spread.

Assumes that owners are independent; with fewer than about 30 of them, read it as a guess. Values are (Q,), or (S, Q)
for S seeds.
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
"""The share of true zeros that may pass for a difference: 1 less what an interval covers."""

_POWER = 0.8


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval; `low` and `high` are NaN where fewer than 2 owners leave no spread to see."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """JSON values; NaN becomes null."""
        return {
            name: None if isinstance(number, float) and np.isnan(number) else number
            for name, number in asdict(self).items()
        }


@dataclass(frozen=True)
class Difference(Estimate):
    """A paired difference. An interval that holds 0 shows no difference.

    smallest_detectable: the true difference that a test set of this size would show in 80 % of draws.
    p_value: how often as large a difference would come about if there were none; NaN where nothing can be said
    p_adjusted: the p value after correction for the `family` of comparisons that was made at once
    num_seeds: seeds of the model that has more; with several, the interval is over them too
    """

    smallest_detectable: float
    p_value: float = float("nan")
    p_adjusted: float | None = None
    family: int = 1
    num_seeds: int = 1

    @property
    def is_shown(self) -> bool:
        """Whether the interval leaves 0 out; in a family, whether the corrected p value is low enough."""
        return self.low > 0 or self.high < 0 if self.p_adjusted is None else self.p_adjusted <= SIGNIFICANCE

    def to_dict(self) -> dict[str, Any]:
        """JSON values; NaN becomes null."""
        return {**super().to_dict(), "is_shown": self.is_shown}

    def sentence(self, first: str, second: str, metric: str, num_owners: int, owner: str = "user") -> str:
        """Say in words what was found; `owner` is one of those whom the interval resamples, "user" or "session".

        >>> Difference(0.01, -0.01, 0.03, 0.028).sentence("caser", "count-knn", "hit@50", 943)
        'hit@50: caser against count-knn: no difference that 943 users can show (+0.0100, 95 % interval -0.0100 to
        +0.0300; smallest they could show: 0.0280)'
        """
        pair = f"{metric}: {first} against {second}"
        if num_owners < 2:
            return f"{pair}: {num_owners} {owner} cannot show a difference ({self.value:+.4f})"
        seeds = f" over {owner}s and {self.num_seeds} seeds" if self.num_seeds > 1 else ""
        interval = f"{self.value:+.4f}, 95 % interval {self.low:+.4f} to {self.high:+.4f}{seeds}{self._correction()}"
        if not self.is_shown:
            return (
                f"{pair}: no difference that {num_owners:,} {owner}s can show "
                f"({interval}; smallest they could show: {self.smallest_detectable:.4f})"
            )
        verb = "beats" if self.value > 0 else "loses to"
        return f"{metric}: {first} {verb} {second} ({interval})"

    def _correction(self) -> str:
        if self.p_adjusted is None:
            return ""
        p_value = "p < 0.001" if self.p_adjusted < 0.001 else f"p {self.p_adjusted:.3f}"
        return f"; {p_value} after Holm's correction for {self.family} comparisons"


def mean_over_owners(values: Values, owners: Int32) -> Estimate:
    """Mean over queries and seeds, with an interval over owners and seeds; (Q,) or (S, Q), and (Q,).

    The interval is cut at the smallest and largest value seen, which a mean cannot leave.

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
    """Mean of first - second over the same queries, with an interval over owners and seeds; (Q,) or (S, Q) each.

    Seeds are paired where both have as many. A model with one seed stands beside each seed of the other; numbers of
    seeds that differ otherwise vary on their own.

    >>> paired_difference(np.array([0.3, 0.4, 0.8]), np.array([0.1, 0.2, 0.6]), np.array([1, 2, 3])).is_shown
    True
    """
    first_SQ, second_SQ = np.atleast_2d(first), np.atleast_2d(second)
    if not first_SQ.shape[1] == second_SQ.shape[1] == len(owners) or first_SQ.size == 0 or second_SQ.size == 0:
        raise ConfigError(
            f"a paired difference needs the same queries, at least one; got {first_SQ.shape[1]} and "
            f"{second_SQ.shape[1]} values for {len(owners)} owners. Judge both models under one protocol."
        )
    are_paired = len(first_SQ) == len(second_SQ) or 1 in (len(first_SQ), len(second_SQ))
    spread = _spread([first_SQ - second_SQ] if are_paired else [first_SQ, -second_SQ], owners)
    quantile = spread.quantile(1 - SIGNIFICANCE / 2)
    half, detectable = quantile * spread.error, (quantile + spread.quantile(_POWER)) * spread.error
    return Difference(
        spread.value,
        spread.value - half,
        spread.value + half,
        detectable,
        spread.p_value,
        num_seeds=max(len(first_SQ), len(second_SQ)),
    )


def corrected(differences: Mapping[str, Difference]) -> dict[str, Difference]:
    """The same differences, judged as one family; a family of one is left as it is.

    >>> family = {name: Difference(0.1, 0.01, 0.19, 0.1, p_value=p) for name, p in [("a", 0.04), ("b", 0.001)]}
    >>> {name: one.p_adjusted for name, one in corrected(family).items()}
    {'a': 0.04, 'b': 0.002}
    """
    if len(differences) < 2:
        return dict(differences)
    adjusted = holm(np.array([one.p_value for one in differences.values()]))
    return {
        name: replace(one, p_adjusted=float(p), family=len(differences))
        for (name, one), p in zip(differences.items(), adjusted, strict=True)
    }


def holm(p_values: Values) -> Values:
    """Holm's correction: the i-th smallest of m p values times m - i + 1, never below a smaller one's, at most 1.

    Keeps the chance that any of m true zeros passes for a difference below the level. NaN stays NaN, and counts as a
    comparison. Source: Holm 1979, A simple sequentially rejective multiple test procedure.

    >>> holm(np.array([0.04, 0.001, 0.03])).tolist()
    [0.06, 0.003, 0.06]
    """
    order = np.argsort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1)
    return adjusted


def mean_over_seeds(values: Values) -> Estimate:
    """Mean over runs that differ in the seed only, (S,), with Student's t interval; at least 3 seeds for a claim.

    >>> estimate = mean_over_seeds(np.array([0.25, 0.5, 0.75]))
    >>> estimate.value, round(estimate.high - estimate.value, 3)
    (0.5, 0.621)
    """
    if len(values) == 0:
        raise ConfigError("a mean over seeds needs at least one run; got none.")
    spread = _over_owners(values, np.arange(len(values), dtype=np.int32))
    half = spread.quantile(1 - SIGNIFICANCE / 2) * spread.error
    return Estimate(spread.value, spread.value - half, spread.value + half)


@dataclass(frozen=True)
class _Spread:
    """A mean, its standard error, and the degrees of freedom of that; both NaN below 2 owners."""

    value: float
    error: float
    freedom: float

    def quantile(self, probability: float) -> float:
        """Quantile of Student's t."""
        return float(special.stdtrit(self.freedom, probability))

    @property
    def p_value(self) -> float:
        """Two-sided, of the mean being 0."""
        if self.error == 0:
            return float(self.value == 0)
        return float(2 * special.stdtr(self.freedom, -abs(self.value) / self.error))


def _spread(sides: Sequence[Values], owners: Int32) -> _Spread:
    """The sum of the means of some sides, (S, Q) each, whose seeds are independent of one another."""
    average_Q = np.sum([side.mean(axis=0) for side in sides], axis=0)
    formula = _over_owners(average_Q, owners)
    several = [side for side in sides if len(side) > 1]
    if not several or np.isnan(formula.error):
        return formula
    draws = [owner_draws(average_Q, owners), *(seed_draws(side, owners) for side in several)]
    variances = np.var(draws, axis=1, ddof=1)
    freedoms = np.array([formula.freedom, *(len(side) - 1 for side in several)])
    squares = float(np.sum(variances**2 / freedoms))
    freedom = float(variances.sum()) ** 2 / squares if squares else formula.freedom
    return _Spread(formula.value, float(np.std(np.sum(draws, axis=0), ddof=1)), freedom)


def _over_owners(values: Values, owners: Int32) -> _Spread:
    """The formula of the module, for one value per query, (Q,)."""
    _, owner_of = np.unique(owners, return_inverse=True)
    sums, counts = np.bincount(owner_of, values), np.bincount(owner_of)
    num_owners, value = len(sums), float(values.mean())
    if num_owners < 2:
        return _Spread(value, float("nan"), float("nan"))
    residuals = sums - value * counts
    error = np.sqrt(num_owners / (num_owners - 1) * np.sum(residuals**2)) / counts.sum()
    return _Spread(value, float(error), num_owners - 1)
