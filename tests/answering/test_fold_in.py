"""Fold-in: the gradient and the convexity of the objective, its minimum, and the ranking for a folded-in user."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caser.answering.fold_in import MOST_POSITIONS, FoldInObjective, UserPrior, fold_in
from caser.arrays.ragged import pad_left
from caser.errors import ConfigError, NumericalError
from caser.models.base import StateScorer
from caser.models.caser.caser import Caser
from tests.runs import caser_run

HISTORY = np.array([1, 2, 3, 5, 2], dtype=np.int32)
PRIOR = UserPrior(np.array([0.5, -0.5, 0.0]), precision=2.0)


def a_scorer(**settings: Any) -> StateScorer:
    scorer = caser_run(**settings).scorer
    assert isinstance(scorer, StateScorer)
    return scorer


points = st.lists(st.floats(-3, 3), min_size=3, max_size=3).map(np.array)


def an_objective(**settings: Any) -> FoldInObjective:
    """The scorer in double precision, so that differences of close values are exact enough."""
    exact = FoldInObjective.of(a_scorer(**settings), HISTORY, PRIOR)
    return replace(exact, share_PI=exact.share_PI.astype(float), user_part_IE=exact.user_part_IE.astype(float))


@given(points)
def test_the_gradient_is_the_finite_difference_of_the_value(away_E: np.ndarray) -> None:
    objective = an_objective()
    gradient_E = objective.gradient(away_E, objective.gains(away_E))
    for axis, step_E in enumerate(1e-5 * np.eye(3)):
        difference = (objective.value(away_E + step_E) - objective.value(away_E - step_E)) / 2e-5
        np.testing.assert_allclose(gradient_E[axis], difference, rtol=1e-4, atol=1e-4)


@given(points)
def test_the_value_equals_the_formula(away_E: np.ndarray) -> None:
    scorer = a_scorer()

    def value(vector_E: np.ndarray) -> float:
        vectors_ID, bias_I = scorer.item_vectors()
        total = PRIOR.precision / 2 * float((vector_E - PRIOR.mean) @ (vector_E - PRIOR.mean))
        for place, target in enumerate(HISTORY.tolist()):
            before_1H = pad_left([HISTORY[:place]], 2)
            scores_I = (scorer.states(vector_E[None, :], before_1H) @ vectors_ID.T + bias_I)[0, 1:].astype(float)
            total += float(np.log(np.exp(scores_I).sum()) - scores_I[target - 1])
        return total

    expected = value(PRIOR.mean + away_E) - value(PRIOR.mean)
    assert an_objective().value(away_E) == pytest.approx(expected, rel=1e-3, abs=1e-3)


@given(points, points)
def test_the_objective_is_convex(first_E: np.ndarray, second_E: np.ndarray) -> None:
    objective = an_objective()
    apart_E = first_E - second_E
    ends = (objective.value(first_E) + objective.value(second_E)) / 2
    assert objective.value((first_E + second_E) / 2) <= ends - PRIOR.precision / 8 * apart_E @ apart_E + 1e-9


@pytest.mark.parametrize("settings", [{}, {"n_v": 0, "n_h": 0}, {"phi_c": "tanh", "L": 4}])
def test_the_gradient_vanishes_at_the_folded_in_vector(settings: dict[str, Any]) -> None:
    scorer = a_scorer(**settings)
    found_E = fold_in(scorer, HISTORY, PRIOR)
    objective, away_E = FoldInObjective.of(scorer, HISTORY, PRIOR), found_E - PRIOR.mean
    assert np.abs(objective.gradient(away_E, objective.gains(away_E))).max() < 1e-2


def test_the_value_by_hand_for_two_items_and_one_position() -> None:
    arrays = {"V": np.array([[0.0], [1.0], [-1.0]]), "c": np.zeros(3), "P": np.zeros((2, 1))}
    config = Caser(d=1, n_v=0, n_h=0)
    scorer = config.scorer({name: array.astype(np.float32) for name, array in arrays.items()}, 1, 2)
    objective = FoldInObjective.of(scorer, np.array([1], dtype=np.int32), UserPrior(np.zeros(1), 0.5))
    at_mean = np.log(2)  # both items alike
    assert objective.value(np.array([2.0])) == pytest.approx(np.log(1 + np.exp(-4)) + 0.5 / 2 * 4 - at_mean)
    gradient_E = objective.gradient(np.array([2.0]), objective.gains(np.array([2.0])))
    assert gradient_E[0] == pytest.approx(-2 / (1 + np.exp(4)) + 0.5 * 2)


@pytest.mark.parametrize("precision", [0.01, 1.0, 100.0])
def test_it_ends_at_the_minimum_with_a_weak_prior_and_large_item_vectors(precision: float) -> None:
    artefact = caser_run()
    artefact.scorer.arrays()["V"][:] *= 5
    scorer, prior = artefact.state_scorer, UserPrior(PRIOR.mean, precision)
    assert scorer is not None
    away_E = fold_in(scorer, HISTORY, prior) - prior.mean
    objective = FoldInObjective.of(scorer, HISTORY, prior)
    for step_E in 0.1 * np.vstack([np.eye(3), -np.eye(3)]):
        assert objective.value(away_E + step_E) > objective.value(away_E) - 1e-6


def test_an_empty_history_or_a_very_precise_prior_gives_the_mean() -> None:
    scorer = a_scorer()
    np.testing.assert_array_equal(fold_in(scorer, HISTORY[:0], PRIOR), PRIOR.mean)
    np.testing.assert_allclose(fold_in(scorer, HISTORY, UserPrior(PRIOR.mean, 1e9)), PRIOR.mean, atol=1e-6)


def test_only_the_last_positions_of_a_long_history_count() -> None:
    scorer = a_scorer()
    recent = np.tile(HISTORY, 100)
    assert len(FoldInObjective.of(scorer, recent, PRIOR).targets_P) == MOST_POSITIONS
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


def test_the_prior_is_estimated_from_users_with_interactions() -> None:
    prior = UserPrior.of(np.array([[50.0], [1.0], [5.0], [70.0]]), np.array([0, 3, 1, 0]))
    assert prior.mean.tolist() == [3.0]
    assert prior.precision == pytest.approx(1 / 4)
    assert np.isfinite(UserPrior.of(np.ones((3, 2)), np.array([0, 1, 1])).precision)


def test_a_model_without_user_vectors_cannot_fold_in() -> None:
    with pytest.raises(ConfigError, match="user vectors"):
        fold_in(a_scorer(user_vector=False), HISTORY, PRIOR)
    with pytest.raises(ConfigError, match="at least one user"):
        UserPrior.of(np.ones((2, 2)), np.array([0, 0]))


@pytest.mark.parametrize("name", ["V", "Q", "P", "b"])
@pytest.mark.parametrize("size", [1e6, 1e9, 1e20, 3e38])
@pytest.mark.parametrize("which", ["one", "all"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_search_ends_whatever_the_parameters_are(name: str, size: float, which: str) -> None:
    run = caser_run()
    arrays = {key: array.copy() for key, array in run.scorer.arrays().items()}
    arrays[name].reshape(-1)[slice(1) if which == "one" else slice(None)] = size
    scorer = run.config.scorer(arrays, 4, 6)
    assert isinstance(scorer, StateScorer)
    with suppress(NumericalError):
        assert np.isfinite(fold_in(scorer, HISTORY, PRIOR)).all()
