"""Fold-in: the objective's derivatives, its convexity, its one minimum, and that it finds the taste of a user."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caser.errors import ConfigError
from caser.fold_in import MOST_POSITIONS, Objective, UserPrior, fold_in
from caser.models.base import StateScorer
from caser.models.caser import Caser
from tests.runs import caser_run

HISTORY = np.array([1, 2, 3, 5, 2], dtype=np.int32)
PRIOR = UserPrior(np.array([0.5, -0.5, 0.0]), precision=2.0)


def a_scorer(**settings: Any) -> StateScorer:
    scorer = caser_run(**settings).scorer
    assert isinstance(scorer, StateScorer)
    return scorer


points = st.lists(st.floats(-3, 3), min_size=3, max_size=3).map(np.array)


@given(points)
def test_gradient_and_hessian_are_the_finite_differences_of_the_value(vector_E: np.ndarray) -> None:
    objective = Objective.of(a_scorer(), HISTORY, PRIOR)
    _, gradient_E, hessian_EE = objective(vector_E)
    for axis, step_E in enumerate(1e-5 * np.eye(3)):
        (above, gradient_above, _), (below, gradient_below, _) = (
            objective(vector_E + step_E),
            objective(vector_E - step_E),
        )
        np.testing.assert_allclose(gradient_E[axis], (above - below) / 2e-5, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(hessian_EE[axis], (gradient_above - gradient_below) / 2e-5, rtol=1e-4, atol=1e-4)


@given(points, points)
def test_the_objective_is_convex(first_E: np.ndarray, second_E: np.ndarray) -> None:
    objective = Objective.of(a_scorer(), HISTORY, PRIOR)
    ends = (objective(first_E)[0] + objective(second_E)[0]) / 2
    assert objective((first_E + second_E) / 2)[0] <= ends + 1e-9
    assert np.linalg.eigvalsh(objective(first_E)[2]).min() >= PRIOR.precision - 1e-9


@pytest.mark.parametrize("settings", [{}, {"n_v": 0, "n_h": 0}, {"phi_c": "tanh", "L": 4}])
def test_the_gradient_vanishes_at_what_is_found(settings: dict[str, Any]) -> None:
    scorer = a_scorer(**settings)
    found_E = fold_in(scorer, HISTORY, PRIOR)
    assert np.abs(Objective.of(scorer, HISTORY, PRIOR)(found_E)[1]).max() < 1e-2


def test_the_value_by_hand_for_two_items_and_one_position() -> None:
    arrays = {"V": np.array([[0.0], [1.0], [-1.0]]), "c": np.zeros(3), "P": np.zeros((2, 1))}
    config = Caser(d=1, n_v=0, n_h=0)
    scorer = config.scorer({name: array.astype(np.float32) for name, array in arrays.items()}, 1, 2)
    value, gradient_E, _ = Objective.of(scorer, np.array([1], dtype=np.int32), UserPrior(np.zeros(1), 0.5))(
        np.array([2.0])
    )
    assert value == pytest.approx(np.log(1 + np.exp(-4)) + 0.5 / 2 * 4)
    assert gradient_E[0] == pytest.approx(-2 / (1 + np.exp(4)) + 0.5 * 2)


def test_an_empty_history_gives_the_mean_and_a_sure_prior_stays_there() -> None:
    scorer = a_scorer()
    np.testing.assert_array_equal(fold_in(scorer, HISTORY[:0], PRIOR), PRIOR.mean)
    np.testing.assert_allclose(fold_in(scorer, HISTORY, UserPrior(PRIOR.mean, 1e9)), PRIOR.mean, atol=1e-6)


def test_only_the_last_positions_count_and_a_long_history_is_no_trouble() -> None:
    scorer = a_scorer()
    recent = np.tile(HISTORY, 100)
    assert len(Objective.of(scorer, recent, PRIOR).targets_P) == MOST_POSITIONS
    assert np.isfinite(fold_in(scorer, recent, PRIOR)).all()


def test_a_folded_in_user_is_ranked_by_their_taste_where_the_mean_user_is_not() -> None:
    random = np.random.default_rng(0)
    num_items, width, num_users = 60, 4, 200
    vectors_ID = random.normal(size=(num_items + 1, width))
    vectors_UE = random.normal(size=(num_users + 1, width))
    arrays = {"V": vectors_ID, "c": np.zeros(num_items + 1), "P": vectors_UE}
    config = Caser(d=width, n_v=0, n_h=0)
    scorer = config.scorer({name: array.astype(np.float32) for name, array in arrays.items()}, num_users, num_items)
    prior = UserPrior.of(vectors_UE, np.arange(num_users + 1))
    gains = []
    for _ in range(20):
        taste_E = random.normal(size=width)
        scores_I = vectors_ID[1:] @ taste_E
        shares_I = np.exp(scores_I) / np.exp(scores_I).sum()
        history = random.choice(np.arange(1, num_items + 1), size=20, p=shares_I).astype(np.int32)
        found_E = fold_in(scorer, history, prior)
        expected = [float(shares_I @ (vectors_ID[1:] @ vector_E)) for vector_E in (found_E, prior.mean)]
        gains.append(expected[0] - expected[1])
        assert np.linalg.norm(found_E - taste_E) < np.linalg.norm(prior.mean - taste_E)
    assert min(gains) > 0


def test_the_prior_is_of_the_users_that_were_trained() -> None:
    prior = UserPrior.of(np.array([[50.0], [1.0], [5.0], [70.0]]), np.array([0, 3, 1, 0]))
    assert prior.mean.tolist() == [3.0]
    assert prior.precision == pytest.approx(1 / 4)
    assert np.isfinite(UserPrior.of(np.ones((3, 2)), np.array([0, 1, 1])).precision)


def test_what_cannot_be_folded_in_is_refused() -> None:
    with pytest.raises(ConfigError, match="user vectors"):
        fold_in(a_scorer(user_vector=False), HISTORY, PRIOR)
    with pytest.raises(ConfigError, match="at least one user"):
        UserPrior.of(np.ones((2, 2)), np.array([0, 0]))
