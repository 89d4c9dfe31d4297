"""Reliability: do items with a chance of 20 % come next in 20 of 100 cases? Measured where nothing was learned.

What is judged are pairs of a query and one of the first K items of its answer. The pairs are put into bins by their
chance, so that all bins promise about equally many hits; equal chances share a bin. With n_b pairs in bin b, their mean
chance c_b and the share h_b of them that came next:

    expected calibration error  ECE = sum over b of n_b |c_b - h_b| / sum of n_b
    Brier score                 mean of (chance - hit)^2
    log loss                    mean of -log(chance) for a hit, and of -log(1 - chance) for another pair

The last two are compared with a forecast that gives every pair the same chance, the share of hits among all pairs: what
is gained over it is what chances tell. Intervals are over owners, as everywhere. The ECE is never 0 by luck, so it is
shown beside what chances that are perfectly right would have by luck. Source: Naeini et al., AAAI 2015 (ECE); Bröcker &
Smith 2007 (what a right forecast shows by luck); Brier 1950.

Shape suffixes: Q queries, K items of an answer, P pairs, D draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from caser.arrays.types import Floats, Int32, Int64, Mask
from caser.evaluation.bootstrap import owner_draws
from caser.evaluation.statistics import Difference, Estimate, mean_over_owners, paired_difference
from caser.system.randomness import numpy_generator

BINS = 10
"""How many bins there are, if the chances differ enough."""

_DRAWS = 200
_LEAST_CHANCE = 1e-12  # of a log loss


@dataclass(frozen=True)
class Bin:
    """The pairs with about the same chance, or at the same rank.

    pairs   how many         chance  their mean chance       hits  the share of them that came next, with its interval
    """

    pairs: int
    chance: float
    hits: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {"pairs": self.pairs, "chance": self.chance, "hits": self.hits.to_dict()}


@dataclass(frozen=True)
class Reliability:
    """How well the chances of a run hold.

    facts         what was judged: model, protocol, part, fingerprint, and how the calibration came to the run
    num_owners    how many users or sessions there are, and `owner` the word for one
    num_queries   how many answers were judged        length  K, the items of each
    bins, ranks   the pairs by chance, and by rank
    error         the expected calibration error
    by_luck       the error that perfectly right chances would have by luck: the mean, and what 95 % of draws stay below
    excess        mean of chance - hit: above 0, the chances promise too much
    brier, log_loss            of the chances
    brier_gain, log_loss_gain  how much lower they are than those of the same chance for every pair
    """

    facts: dict[str, Any]
    num_owners: int
    owner: str
    num_queries: int
    length: int
    bins: tuple[Bin, ...]
    ranks: tuple[Bin, ...]
    error: Estimate
    by_luck: tuple[float, float]
    excess: Estimate
    brier: Estimate
    log_loss: Estimate
    brier_gain: Difference
    log_loss_gain: Difference

    def __repr__(self) -> str:
        return f"Reliability({self.facts['model']}, error {self.error.value:.4f}, {self.num_owners:,} {self.owner}s)"

    @property
    def verdicts(self) -> list[str]:
        """Sentences on what was found."""
        who = f"{self.num_owners:,} {self.owner}s"
        error, promised = f"{self.error.value:.4f}", sum(one.pairs * one.chance for one in self.bins)
        interval = f"95 % interval {self.error.low:.4f} to {self.error.high:.4f}"
        came = sum(one.pairs * one.hits.value for one in self.bins)
        if self.error.value <= self.by_luck[1]:
            first = f"the chances hold as far as {who} can show"
        else:
            first = f"the chances are off: {who} show an error that is not luck"
        return [
            f"{first}: expected calibration error {error} ({interval}; chances that are right would have "
            f"{self.by_luck[0]:.4f} by luck, at most {self.by_luck[1]:.4f} in 95 of 100 cases)",
            f"the first {self.length} items of {self.num_queries:,} answers promised {promised:,.1f} hits, and "
            f"{came:,.0f} came (mean chance minus share of hits {self.excess.value:+.4f}, 95 % interval "
            f"{self.excess.low:+.4f} to {self.excess.high:+.4f})",
            _gain("log loss", self.log_loss, self.log_loss_gain, who),
            _gain("Brier score", self.brier, self.brier_gain, who),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return every number as JSON values."""
        return {
            **self.facts,
            "num_owners": self.num_owners,
            "owner": self.owner,
            "num_queries": self.num_queries,
            "length": self.length,
            "verdicts": self.verdicts,
            "expected_calibration_error": self.error.to_dict(),
            "by_luck": {"mean": self.by_luck[0], "most": self.by_luck[1]},
            "excess": self.excess.to_dict(),
            "brier": self.brier.to_dict(),
            "brier_gain": self.brier_gain.to_dict(),
            "log_loss": self.log_loss.to_dict(),
            "log_loss_gain": self.log_loss_gain.to_dict(),
            "bins": [one.to_dict() for one in self.bins],
            "ranks": [one.to_dict() for one in self.ranks],
        }


def measure(
    chances_QK: Floats, is_target_QK: Mask, owners: Int32, owner: str, facts: dict[str, Any], *, seed: int = 0
) -> Reliability:
    """Measure how well chances hold.

    chances_QK    (Q, K) float64, the chances of the items of every answer, best first; NaN where an answer is shorter
    is_target_QK  (Q, K) bool, whether the item came next; at most one of an answer
    owners        (Q,) int32, the user or session of each answer        owner  the word for one
    facts         what was judged, for the reader
    seed          of the draws of what comes next if the chances are right

    >>> chances = np.full((400, 1), 0.25)
    >>> hits = (np.arange(400) % 4 == 0)[:, None]
    >>> measured = measure(chances, hits, np.arange(400, dtype=np.int32), "user", {"model": "markov"})
    >>> measured.error.value, round(measured.brier.value, 4), len(measured.bins)
    (0.0, 0.1875, 1)
    """
    rows_P, places_P = np.nonzero(~np.isnan(chances_QK))
    chances_P, hits_P = chances_QK[rows_P, places_P], is_target_QK[rows_P, places_P].astype(np.float64)
    owners_P = owners[rows_P]
    bins_P = _bins(chances_P)
    error, base_P = _error(chances_P - hits_P, bins_P), np.full(len(hits_P), hits_P.mean())
    brier_P, loss_P = (chances_P - hits_P) ** 2, _log_loss(chances_P, hits_P)
    return Reliability(
        facts=facts,
        num_owners=len(np.unique(owners)),
        owner=owner,
        num_queries=len(owners),
        length=chances_QK.shape[1],
        bins=_grouped(bins_P, chances_P, hits_P, owners_P),
        ranks=_grouped(places_P, chances_P, hits_P, owners_P),
        error=_with_interval(error, chances_P - hits_P, bins_P, owners_P),
        by_luck=_by_luck(chances_QK, bins_P, seed),
        excess=mean_over_owners(chances_P - hits_P, owners_P),
        brier=mean_over_owners(brier_P, owners_P),
        log_loss=mean_over_owners(loss_P, owners_P),
        brier_gain=paired_difference((base_P - hits_P) ** 2, brier_P, owners_P),
        log_loss_gain=paired_difference(_log_loss(base_P, hits_P), loss_P, owners_P),
    )


def _bins(chances_P: Floats) -> Int64:
    """The bin of each pair, from 0: all bins have about the same sum of chances."""
    value_of_P = np.unique(chances_P, return_inverse=True)[1]
    sums = np.bincount(value_of_P, chances_P)
    middle = (np.cumsum(sums) - sums / 2) / max(sums.sum(), _LEAST_CHANCE)
    of_value = np.minimum((middle * BINS).astype(np.int64), BINS - 1)
    return np.unique(of_value[value_of_P], return_inverse=True)[1].astype(np.int64)


def _error(excess_P: Floats, bins_P: Int64) -> float:
    """The expected calibration error of pairs whose chances exceed what came by `excess_P`."""
    return float(np.abs(np.bincount(bins_P, excess_P)).sum() / len(bins_P))


def _with_interval(error: float, excess_P: Floats, bins_P: Int64, owners_P: Int32) -> Estimate:
    """The error with an interval over owners: how far it lies from its mean when owners are drawn anew."""
    if len(np.unique(owners_P)) < 2:
        return Estimate(error, float("nan"), float("nan"))
    drawn_D = sum(np.abs(owner_draws(excess_P * (bins_P == number), owners_P)) for number in range(bins_P.max() + 1))
    low, high = error + np.quantile(drawn_D - np.mean(drawn_D), [0.025, 0.975])
    return Estimate(error, max(0.0, float(low)), float(high))


def _by_luck(chances_QK: Floats, bins_P: Int64, seed: int) -> tuple[float, float]:
    """The mean and the 95 % quantile of the error if what comes next is drawn from the chances themselves."""
    is_there_QK = ~np.isnan(chances_QK)
    sums_QK = np.cumsum(np.where(is_there_QK, chances_QK, 0.0), axis=1)
    bins_QK = np.zeros(chances_QK.shape, dtype=np.int64)
    bins_QK[is_there_QK] = bins_P
    promised = np.bincount(bins_P, chances_QK[is_there_QK])
    generator = numpy_generator(seed, "reliability")
    errors = np.empty(_DRAWS)
    for draw in range(_DRAWS):
        places_Q = (sums_QK <= generator.random((len(sums_QK), 1))).sum(axis=1)
        rows = np.flatnonzero(places_Q < sums_QK.shape[1])
        came = np.bincount(bins_QK[rows, places_Q[rows]], minlength=len(promised))
        errors[draw] = np.abs(promised - came).sum() / len(bins_P)
    return float(errors.mean()), float(np.quantile(errors, 0.95))


def _grouped(groups_P: Int64, chances_P: Floats, hits_P: Floats, owners_P: Int32) -> tuple[Bin, ...]:
    """The pairs of each group, from 0 on, with their chance and their hits."""
    members = [groups_P == number for number in np.unique(groups_P)]
    return tuple(
        Bin(int(own.sum()), float(chances_P[own].mean()), mean_over_owners(hits_P[own], owners_P[own]))
        for own in members
    )


def _log_loss(chances_P: Floats, hits_P: Floats) -> Floats:
    right_P = np.where(hits_P > 0, chances_P, 1 - chances_P)
    loss_P: Floats = -np.log(right_P.clip(min=_LEAST_CHANCE))
    return loss_P


def _gain(name: str, own: Estimate, gain: Difference, who: str) -> str:
    """Say whether chances are better than the same chance for every pair."""
    against = f"{own.value + gain.value:.4f} of the same chance for every item"
    interval = f"{gain.value:+.4f}, 95 % interval {gain.low:+.4f} to {gain.high:+.4f}"
    if not gain.is_shown:
        return f"{name} {own.value:.4f} against {against}: no difference that {who} can show ({interval})"
    return f"{name} {own.value:.4f} against {against}: {'better' if gain.value > 0 else 'worse'} ({interval})"
