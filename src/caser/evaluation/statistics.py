"""How sure a number is: means with 95 % intervals, paired differences, and what a test set is able to show.

The interval is Student's, for a mean over owners (users, or sessions), from the spread between owners: with n owners,
v_o the sum of the values of owner o and c_o the number of its queries, the mean is sum(v) / sum(c), its standard error

    sqrt(n / (n - 1) * sum over owners of (v_o - mean * c_o)^2) / sum(c)

which for one query per owner is the textbook s / sqrt(n). Queries of one owner move together, so they count as one
draw. It is preferred to a bootstrap because it needs no random numbers and gives the same interval (a test compares
them). Assumes that owners are independent; with fewer than about 30 of them, read it as a guess.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from caser.data.log import Int32
from caser.errors import ConfigError
from caser.evaluation.metrics import Values

_POWER = 0.8


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval; `low` and `high` are NaN where fewer than 2 owners leave no spread to see."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float | None]:
        """JSON values; NaN becomes null."""
        fields = {"value": self.value, "low": self.low, "high": self.high}
        return {name: None if np.isnan(number) else number for name, number in fields.items()}


@dataclass(frozen=True)
class Difference(Estimate):
    """A paired difference. An interval that holds 0 shows no difference.

    smallest_detectable: the true difference that a test set of this size would show in 80 % of draws.
    """

    smallest_detectable: float

    @property
    def is_shown(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0

    def sentence(self, first: str, second: str, metric: str, num_owners: int, owner: str = "user") -> str:
        """Say in words what was found; `owner` is one of those whom the interval resamples, "user" or "session".

        >>> Difference(0.01, -0.01, 0.03, 0.028).sentence("caser", "count-knn", "hit@50", 943)
        'hit@50: caser against count-knn: no difference that 943 users can show (+0.0100, 95 % interval -0.0100 to
        +0.0300; smallest they could show: 0.0280)'
        """
        pair = f"{metric}: {first} against {second}"
        if num_owners < 2:
            return f"{pair}: {num_owners} {owner} cannot show a difference ({self.value:+.4f})"
        interval = f"{self.value:+.4f}, 95 % interval {self.low:+.4f} to {self.high:+.4f}"
        if not self.is_shown:
            return (
                f"{pair}: no difference that {num_owners:,} {owner}s can show "
                f"({interval}; smallest they could show: {self.smallest_detectable:.4f})"
            )
        verb = "beats" if self.value > 0 else "loses to"
        return f"{metric}: {first} {verb} {second} ({interval})"


def mean_over_owners(values: Values, owners: Int32) -> Estimate:
    """Mean over queries, with an interval over owners; both arrays (Q,).

    The interval is cut at the smallest and largest value seen, which a mean cannot leave.

    >>> mean_over_owners(np.array([0.0, 1.0, 1.0, 0.0]), np.array([1, 2, 3, 4])).value
    0.5
    """
    if len(values) == 0:
        return Estimate(np.nan, np.nan, np.nan)
    value, error, num_owners = _ratio(values, owners)
    half = _quantile(0.975, num_owners) * error
    low, high = np.clip([value - half, value + half], values.min(), values.max())
    return Estimate(value, float(low), float(high))


def paired_difference(first: Values, second: Values, owners: Int32) -> Difference:
    """Mean of first - second over the same queries, (Q,) each, with an interval over owners.

    >>> paired_difference(np.array([0.3, 0.4, 0.8]), np.array([0.1, 0.2, 0.6]), np.array([1, 2, 3])).is_shown
    True
    """
    if not len(first) == len(second) == len(owners) or len(first) == 0:
        raise ConfigError(
            f"a paired difference needs the same queries, at least one; got {len(first)} and {len(second)} values for "
            f"{len(owners)} owners. Judge both models under one protocol."
        )
    value, error, num_owners = _ratio(first - second, owners)
    half = _quantile(0.975, num_owners) * error
    detectable = (_quantile(0.975, num_owners) + _quantile(_POWER, num_owners)) * error
    return Difference(value, value - half, value + half, detectable)


def mean_over_seeds(values: Values) -> Estimate:
    """Mean over runs that differ in the seed only, (S,), with Student's t interval; at least 3 seeds for a claim.

    >>> estimate = mean_over_seeds(np.array([0.25, 0.5, 0.75]))
    >>> estimate.value, round(estimate.high - estimate.value, 3)
    (0.5, 0.621)
    """
    if len(values) == 0:
        raise ConfigError("a mean over seeds needs at least one run; got none.")
    value, error, num_seeds = _ratio(values, np.arange(len(values), dtype=np.int32))
    half = _quantile(0.975, num_seeds) * error
    return Estimate(value, value - half, value + half)


def _ratio(values: Values, owners: Int32) -> tuple[float, float, int]:
    """The mean over queries, its standard error over owners, and how many owners there are."""
    _, owner_of = np.unique(owners, return_inverse=True)
    sums, counts = np.bincount(owner_of, values), np.bincount(owner_of)
    num_owners, value = len(sums), float(values.mean())
    if num_owners < 2:
        return value, float("nan"), num_owners
    residuals = sums - value * counts
    error = np.sqrt(num_owners / (num_owners - 1) * np.sum(residuals**2)) / counts.sum()
    return value, float(error), num_owners


def _quantile(probability: float, num_owners: int) -> float:
    """Quantile of Student's t with num_owners - 1 degrees of freedom; NaN below 2 owners."""
    return float(special.stdtrit(num_owners - 1, probability)) if num_owners > 1 else float("nan")
