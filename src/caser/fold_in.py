"""Fold-in: a vector for a user whom training never saw, from their history alone.

Scores are linear in the user vector p, so the likelihood of a history has one maximum in p, and Newton's method finds
it in milliseconds. Everything else in the model stays as it is. Assumes a StateScorer with user vectors. Source: ours.

Shape suffixes: H history length, P positions, I catalogue without padding, E width of user vectors, B = P queries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caser.data.log import Int32, Int64
from caser.data.tape import padded_histories
from caser.errors import ConfigError
from caser.models.base import StateScorer

Floats = NDArray[np.float64]

MOST_POSITIONS = 50
"""Last items of a history that are fitted."""

_MOST_STEPS = 20
_SMALLEST_GAIN = 1e-6


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
    objective = Objective.of(scorer, history, prior)
    vector = prior.mean
    value, gradient, hessian = objective(vector)
    for _ in range(_MOST_STEPS):
        step = -np.linalg.solve(hessian, gradient)
        slope = float(gradient @ step)
        if -slope < _SMALLEST_GAIN:
            break
        size = 1.0
        while (found := objective(vector + size * step))[0] > value + 1e-4 * size * slope and size > 1e-6:
            size /= 2
        vector = vector + size * step
        value, gradient, hessian = found
    return vector


@dataclass(frozen=True, eq=False)
class Objective:
    """What `fold_in` minimises, with its gradient and its Hessian, which is positive definite.

    base_PI  scores without a user            user_part_IE  user columns of the item vectors
    targets_P  columns of base_PI             prior  what is believed before the history is known
    """

    base_PI: Floats
    user_part_IE: Floats
    targets_P: Int64
    prior: UserPrior

    @classmethod
    def of(cls, scorer: StateScorer, history: Int32, prior: UserPrior) -> Objective:
        """The objective of the last positions of a history."""
        vectors_ID, bias_I = scorer.item_vectors()
        ends = np.arange(max(0, len(history) - MOST_POSITIONS), len(history))
        width = scorer.history_length or len(history)
        histories_PH = padded_histories(history, np.zeros_like(ends), ends, width)
        nobody_PE = np.zeros((len(ends), len(prior.mean)), dtype=vectors_ID.dtype)
        base_PI = scorer.states(nobody_PE, histories_PH) @ vectors_ID[1:].T + bias_I[1:]
        user_part_IE = vectors_ID[1:, scorer.user_columns]
        return cls(
            base_PI.astype(np.float64), user_part_IE.astype(np.float64), history[ends].astype(np.int64) - 1, prior
        )

    def __call__(self, vector_E: Floats) -> tuple[float, Floats, Floats]:
        """Value, gradient (E,) and Hessian (E, E)."""
        scores_PI = self.base_PI + self.user_part_IE @ vector_E
        scores_PI -= scores_PI.max(axis=1, keepdims=True)
        share_PI = np.exp(scores_PI)
        total_P = share_PI.sum(axis=1)
        share_PI /= total_P[:, None]
        away_E = vector_E - self.prior.mean
        rows = np.arange(len(self.targets_P))
        value = (
            np.log(total_P).sum() - scores_PI[rows, self.targets_P].sum() + self.prior.precision / 2 * away_E @ away_E
        )
        expected_PE = share_PI @ self.user_part_IE
        gradient_E = (expected_PE - self.user_part_IE[self.targets_P]).sum(axis=0) + self.prior.precision * away_E
        spread_EE = (self.user_part_IE.T * share_PI.sum(axis=0)) @ self.user_part_IE - expected_PE.T @ expected_PE
        return float(value), gradient_E, spread_EE + self.prior.precision * np.eye(len(vector_E))
