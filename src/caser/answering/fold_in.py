"""Fold-in: a vector for a user that training never saw, from the user's history alone.

Scores are linear in the user vector p. Therefore the likelihood of a history has exactly one maximum in p, which a
quasi-Newton method (BFGS) finds in about a millisecond. Nothing else in the model changes. Needs a StateScorer with
user vectors. Source: ours.

Shape suffixes: H history length, P positions, I catalogue without padding, E width of user vectors, B = P queries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caser.arrays.ragged import padded_histories
from caser.arrays.types import Floats, Int32, Int64, Scores
from caser.errors import ConfigError, NumericalError
from caser.models.base import StateScorer

MOST_POSITIONS = 50
"""The vector is fitted to at most this many of the last items of a history."""

_MOST_STEPS = 100
_MOST_TRIES = 30
_SMALLEST_GAIN = 1e-6
_LARGEST_CHANGE = 10.0
"""One step may change the difference of two items' scores by at most this much, so that no exponential overflows."""


@dataclass(frozen=True, eq=False)
class UserPrior:
    """The prior distribution of a user vector: what is assumed before the history is known.

    mean       the mean of the normal distribution, (E,) float64
    precision  the inverse of the variance of each coordinate
    """

    mean: Floats
    precision: float

    @classmethod
    def of(cls, user_vectors: NDArray[np.floating], lengths: Int64) -> UserPrior:
        """Estimate the prior from the vectors of the users that have interactions.

        user_vectors  (U, E) floats, row 0 for the anonymous user
        lengths       (U,) int64, the number of interactions of each user; 0 for row 0

        Raises ConfigError if no user has interactions.

        >>> UserPrior.of(np.array([[9.0], [1.0], [3.0], [8.0]]), np.array([0, 5, 5, 0])).mean
        array([2.])
        """
        trained = user_vectors[lengths > 0].astype(np.float64)
        if len(trained) == 0:
            raise ConfigError("a prior for unknown users needs at least one user with interactions; got none.")
        return cls(trained.mean(axis=0), float(1 / (trained.var(axis=0).mean() + 1e-6)))


def fold_in(scorer: StateScorer, history: Int32, prior: UserPrior) -> Floats:
    """Return the most probable user vector for a history, (E,) float64.

    scorer   a model with user vectors
    history  (H,) int32, item indices, oldest first; an empty history gives the mean of the prior
    prior    the distribution of the user vectors

    The vector p minimises

        sum over positions t of -log softmax(a_t + U p)[x_t]  +  precision / 2 |p - mean|^2

    where x_t is the item at position t, a_t are the scores that the items before t give without a user, and U holds the
    user columns of the item vectors. The search ends after a fixed number of steps, whatever the parameters are. Raises
    ConfigError for a model without user vectors, and NumericalError if the vector that it finds is not finite.
    """
    if scorer.user_columns is None:
        raise ConfigError("fold-in needs a model with user vectors; this one has none.")
    if len(history) == 0:
        return prior.mean
    objective = FoldInObjective.of(scorer, history, prior)
    # Everything below is relative to the mean: `offset` is p - mean, and `gains_I` are U (p - mean).
    offset_E, gains_I = np.zeros_like(prior.mean), np.zeros_like(objective.share_PI[0])
    gradient_E = objective.gradient(offset_E, gains_I)
    inverse_EE = np.eye(len(offset_E)) / prior.precision
    for _ in range(_MOST_STEPS):
        # The quasi-Newton direction. Stop when it promises no more improvement.
        step_E = -inverse_EE @ gradient_E
        slope = float(gradient_E @ step_E)
        if not -slope >= _SMALLEST_GAIN:  # true also for NaN
            break
        # A line search along the direction, until the slope at its end is small or still negative.
        changes_I = objective.gains(step_E)
        size = min(1.0, _LARGEST_CHANGE / max(float(changes_I.max() - changes_I.min()), _SMALLEST_GAIN))
        for _ in range(_MOST_TRIES):
            new_gradient_E = objective.gradient(offset_E + size * step_E, gains_I + size * changes_I)
            end_slope = float(new_gradient_E @ step_E)
            if end_slope <= -slope / 4:
                break
            size *= slope / (slope - end_slope)  # the step went too far: take the zero of the line through both slopes
        else:
            break  # no step is better: the vectors are so large that rounding hides the slope
        # Take the step, and learn the curvature from it.
        inverse_EE = _updated(inverse_EE, size * step_E, new_gradient_E - gradient_E)
        offset_E, gains_I, gradient_E = offset_E + size * step_E, gains_I + size * changes_I, new_gradient_E
    if not np.isfinite(offset_E).all():
        raise NumericalError(
            "the vector of an unknown user must be finite; the parameters of this model are too large."
        )
    return prior.mean + offset_E


@dataclass(frozen=True, eq=False)
class FoldInObjective:
    """The function that `fold_in` minimises; its argument is the offset of a user vector from the mean.

    share_PI      (P, I) floats, the softmax of each position's scores for the mean user
    user_part_IE  (I, E) floats, the user columns of the item vectors
    targets_P     (P,) int64, the column of share_PI that holds each position's item
    taken_E       (E,) floats, the sum of user_part_IE over the targets
    precision     the precision of the prior

    The shares of another user are the shares of the mean user times exp(U offset), normalised again. So a step costs
    one exponential per item, instead of one per item and position.
    """

    share_PI: Scores
    user_part_IE: Scores
    targets_P: Int64
    taken_E: Scores
    precision: float

    @classmethod
    def of(cls, scorer: StateScorer, history: Int32, prior: UserPrior) -> FoldInObjective:
        """Prepare the function for the last positions of a history.

        scorer   a model with user vectors
        history  (H,) int32, item indices, oldest first, at least one
        prior    the distribution of the user vectors
        """
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

    def gains(self, offset_E: Floats) -> Scores:
        """Return how much the score of each item changes, (I,) floats.

        offset_E  (E,) float64, a user vector minus the mean
        """
        gains_I: Scores = self.user_part_IE @ offset_E.astype(self.user_part_IE.dtype)
        return gains_I

    def value(self, offset_E: Floats) -> float:
        """Return the value of the function minus its value at the mean.

        offset_E  (E,) float64, a user vector minus the mean
        """
        gains_I = self.gains(offset_E)
        total_P = self.share_PI @ np.exp(gains_I)
        return float(np.log(total_P).sum() - gains_I[self.targets_P].sum() + self.precision / 2 * offset_E @ offset_E)

    def gradient(self, offset_E: Floats, gains_I: Scores) -> Floats:
        """Return the gradient, (E,) float64.

        offset_E  (E,) float64, a user vector minus the mean
        gains_I   (I,) floats, the gains of this offset, so that they need not be computed again
        """
        factor_I = np.exp(gains_I - gains_I.max())
        total_P = (self.share_PI @ factor_I).clip(min=np.finfo(factor_I.dtype).tiny)
        expected_I = factor_I * ((1 / total_P) @ self.share_PI)
        gradient_E: Floats = expected_I @ self.user_part_IE - self.taken_E + self.precision * offset_E
        return gradient_E


def _updated(inverse_EE: Floats, step_E: Floats, change_E: Floats) -> Floats:
    """The inverse Hessian after a step that changed the gradient: BFGS (Nocedal & Wright, equation 6.17)."""
    curvature = float(step_E @ change_E)
    product_E = inverse_EE @ change_E
    mixed_EE = np.outer(product_E, step_E)
    step_EE = np.outer(step_E, step_E)
    return (
        inverse_EE + (1 + change_E @ product_E / curvature) / curvature * step_EE - (mixed_EE + mixed_EE.T) / curvature
    )
