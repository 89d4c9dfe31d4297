"""Fold-in: a vector for a user whom training never saw, from their history alone.

Scores are linear in the user vector p, so the likelihood of a history has one maximum in p, and a quasi-Newton method
finds it in a millisecond. Everything else in the model stays as it is. Assumes a StateScorer with user vectors. Source:
ours.

Shape suffixes: H history length, P positions, I catalogue without padding, E width of user vectors, B = P queries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caser.arrays.ragged import padded_histories
from caser.arrays.types import Int32, Int64, Scores
from caser.errors import ConfigError
from caser.models.base import StateScorer

Floats = NDArray[np.float64]

MOST_POSITIONS = 50
"""Last items of a history that are fitted."""

_MOST_STEPS = 100
_SMALLEST_GAIN = 1e-6
_LARGEST_RISE = 10.0
"""How far one step may move two items' scores apart, so that no exponential overflows."""


@dataclass(frozen=True, eq=False)
class UserPrior:
    """What is believed of a user before their history is known: normal around `mean` (E,), each coordinate with
    variance 1 / `precision`.
    """

    mean: Floats
    precision: float

    @classmethod
    def of(cls, user_vectors: NDArray[np.floating], lengths: Int64) -> UserPrior:
        """The mean and the mean variance of the users that have interactions; row 0 is nobody.

        >>> UserPrior.of(np.array([[9.0], [1.0], [3.0], [8.0]]), np.array([0, 5, 5, 0])).mean
        array([2.])
        """
        trained = user_vectors[lengths > 0].astype(np.float64)
        if len(trained) == 0:
            raise ConfigError("a prior for unknown users needs at least one user with interactions; got none.")
        return cls(trained.mean(axis=0), float(1 / (trained.var(axis=0).mean() + 1e-6)))


def fold_in(scorer: StateScorer, history: Int32, prior: UserPrior) -> Floats:
    """The most probable user vector (E,) given a history of item indices, oldest first.

    It minimises sum over positions t of -log softmax(a_t + U p)[x_t] + precision / 2 |p - mean|^2, where x_t is the
    item at t, a_t the scores that the items before t give without a user, and U the user columns of the item vectors.
    An empty history gives the mean. Raises ConfigError for a model without user vectors.
    """
    if scorer.user_columns is None:
        raise ConfigError("fold-in needs a model with user vectors; this one has none.")
    if len(history) == 0:
        return prior.mean
    objective = FoldInObjective.of(scorer, history, prior)
    away, gains = np.zeros_like(prior.mean), np.zeros_like(objective.share_PI[0])
    gradient = objective.gradient(away, gains)
    inverse = np.eye(len(away)) / prior.precision
    for _ in range(_MOST_STEPS):
        step = -inverse @ gradient
        slope = float(gradient @ step)
        if -slope < _SMALLEST_GAIN:
            break
        rise = objective.gains(step)
        size = min(1.0, _LARGEST_RISE / float(rise.max() - rise.min()))
        while True:
            after = objective.gradient(away + size * step, gains + size * rise)
            end = float(after @ step)
            if end <= -slope / 4:
                break
            size *= slope / (slope - end)  # beyond the minimum: to where a line through both slopes is zero
        inverse = _updated(inverse, size * step, after - gradient)
        away, gains, gradient = away + size * step, gains + size * rise, after
    return prior.mean + away


@dataclass(frozen=True, eq=False)
class FoldInObjective:
    """What `fold_in` minimises, by how far a user vector is away from the mean.

    share_PI      softmax of each position's scores for the mean user          targets_P  columns of share_PI
    user_part_IE  user columns of the item vectors                             taken_E    their sum over the targets
    precision     of the prior

    With the mean user's shares kept, a step costs one exponential per item, not one per item and position: the shares
    of another user are those, times exp(U away), normalised anew.
    """

    share_PI: Scores
    user_part_IE: Scores
    targets_P: Int64
    taken_E: Scores
    precision: float

    @classmethod
    def of(cls, scorer: StateScorer, history: Int32, prior: UserPrior) -> FoldInObjective:
        """The objective of the last positions of a history."""
        vectors_ID, bias_I = scorer.item_vectors()
        ends = np.arange(max(0, len(history) - MOST_POSITIONS), len(history))
        width = scorer.history_length or len(history)
        histories_PH = padded_histories(history, np.zeros_like(ends), ends, width)
        mean_PE = np.tile(prior.mean.astype(vectors_ID.dtype), (len(ends), 1))
        share_PI = scorer.states(mean_PE, histories_PH) @ vectors_ID[1:].T
        share_PI += bias_I[1:]
        share_PI -= share_PI.max(axis=1, keepdims=True)
        np.exp(share_PI, out=share_PI)
        share_PI /= share_PI.sum(axis=1, keepdims=True)
        user_part_IE = vectors_ID[1:, scorer.user_columns]
        targets_P = history[ends].astype(np.int64) - 1
        return cls(share_PI, user_part_IE, targets_P, user_part_IE[targets_P].sum(axis=0), prior.precision)

    def gains(self, away_E: Floats) -> Scores:
        """What items gain in score (I,)."""
        gains_I: Scores = self.user_part_IE @ away_E.astype(self.user_part_IE.dtype)
        return gains_I

    def value(self, away_E: Floats) -> float:
        """The value, less what it is at the mean."""
        gains_I = self.gains(away_E)
        total_P = self.share_PI @ np.exp(gains_I)
        return float(np.log(total_P).sum() - gains_I[self.targets_P].sum() + self.precision / 2 * away_E @ away_E)

    def gradient(self, away_E: Floats, gains_I: Scores) -> Floats:
        """The gradient (E,), given also what items gain."""
        factor_I = np.exp(gains_I - gains_I.max())
        total_P = (self.share_PI @ factor_I).clip(min=np.finfo(factor_I.dtype).tiny)
        expected_I = factor_I * ((1 / total_P) @ self.share_PI)
        gradient_E: Floats = expected_I @ self.user_part_IE - self.taken_E + self.precision * away_E
        return gradient_E


def _updated(inverse: Floats, step: Floats, change: Floats) -> Floats:
    """The inverse Hessian after a step that changed the gradient: BFGS (Nocedal & Wright, equation 6.17)."""
    along = float(step @ change)
    turned = inverse @ change
    mixed = np.outer(turned, step)
    return inverse + (1 + change @ turned / along) / along * np.outer(step, step) - (mixed + mixed.T) / along
