"""Whether chances hold: by hand, right chances are passed and wrong ones are not, and a dull forecast gains nothing."""

from __future__ import annotations

import numpy as np
import pytest

from caser.arrays.types import Floats, Mask
from caser.evaluation.reliability import Reliability, measure

FACTS = {"model": "markov"}


def outcomes(chances_QK: Floats, seed: int) -> Mask:
    """What comes next if the chances are right."""
    places_Q = (np.cumsum(chances_QK, axis=1) < np.random.default_rng(seed).random((len(chances_QK), 1))).sum(axis=1)
    came: Mask = places_Q[:, None] == np.arange(chances_QK.shape[1])
    return came


def judged(chances_QK: Floats, came_QK: Mask) -> Reliability:
    return measure(chances_QK, came_QK, np.arange(len(chances_QK), dtype=np.int32), "user", FACTS)


def some_chances(num: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).dirichlet([3.0, 2.0, 1.0, 0.5, 0.5, 4.0], num)[:, :5]


def test_the_numbers_of_two_kinds_of_answers_are_those_by_hand() -> None:
    chances = np.array([[0.6], [0.2]]).repeat([10, 30], axis=0)
    came = np.array([k < 5 for k in range(10)] + [k < 9 for k in range(30)])[:, None]
    told = judged(chances, came)
    assert [(one.pairs, one.hits.value) for one in told.bins] == [(30, 0.3), (10, 0.5)]
    assert [one.chance for one in told.bins] == pytest.approx([0.2, 0.6])
    assert told.error.value == pytest.approx((30 * 0.1 + 10 * 0.1) / 40)
    assert told.excess.value == pytest.approx((12 - 14) / 40)
    brier = (5 * 0.16 + 5 * 0.36 + 9 * 0.64 + 21 * 0.04) / 40
    assert told.brier.value == pytest.approx(brier)
    assert told.brier_gain.value == pytest.approx(0.35 * 0.65 - brier)
    loss = -(5 * np.log(0.6) + 5 * np.log(0.4) + 9 * np.log(0.2) + 21 * np.log(0.8)) / 40
    assert told.log_loss.value == pytest.approx(loss)
    assert told.log_loss_gain.value == pytest.approx(-0.35 * np.log(0.35) - 0.65 * np.log(0.65) - loss)


def test_right_chances_are_passed_in_most_cases_and_wrong_ones_are_not() -> None:
    passed = wrong = 0
    for seed in range(20):
        chances = some_chances(400, seed)
        came = outcomes(chances, seed + 1000)
        told = judged(chances, came)
        passed += told.error.value <= told.by_luck[1]
        sharper = chances**2 / (chances**2).sum(axis=1, keepdims=True) * chances.sum(axis=1, keepdims=True)
        other = judged(sharper, came)
        wrong += other.error.value <= other.by_luck[1]
    assert passed >= 16  # 19 expected
    assert wrong == 0


def test_the_interval_of_the_error_holds_the_error_of_other_users() -> None:
    chances = some_chances(600)
    told = judged(0.6 * chances, outcomes(chances, 1))
    fresh = [judged(0.6 * some_chances(600, seed), outcomes(some_chances(600, seed), seed)) for seed in range(5, 25)]
    inside = sum(told.error.low <= one.error.value <= told.error.high for one in fresh)
    assert inside >= 14
    assert told.error.low > told.by_luck[1]


def test_the_same_chance_for_everything_gains_nothing_and_has_one_bin() -> None:
    came = np.arange(400)[:, None] % 5 == np.array([[0, 1]])
    told = judged(np.full((400, 2), 0.2), came)
    assert len(told.bins) == 1
    assert len(told.ranks) == 2
    assert told.log_loss_gain.value == pytest.approx(0, abs=1e-12)
    assert not told.log_loss_gain.is_shown
    assert any("no difference that 400 users can show" in sentence for sentence in told.verdicts)


def test_places_without_an_item_are_no_pairs() -> None:
    chances = some_chances(200)
    chances[::2, 3:] = np.nan
    came = outcomes(np.nan_to_num(chances), 2)
    told = judged(chances, came)
    assert sum(one.pairs for one in told.bins) == 100 * 5 + 100 * 3
    assert [one.pairs for one in told.ranks] == [200, 200, 200, 100, 100]


def test_answers_of_one_user_count_as_one_observation() -> None:
    chances = some_chances(400)
    came = outcomes(chances, 4)
    alone = judged(chances, came)
    twice = measure(
        np.concatenate([chances, chances]),
        np.concatenate([came, came]),
        np.tile(np.arange(400, dtype=np.int32), 2),
        "session",
        FACTS,
    )
    assert twice.num_owners == 400
    assert twice.brier.high - twice.brier.low == pytest.approx(alone.brier.high - alone.brier.low)
    assert "400 sessions" in twice.verdicts[0]


def test_one_user_has_no_interval() -> None:
    told = measure(some_chances(5), outcomes(some_chances(5), 1), np.zeros(5, dtype=np.int32), "user", FACTS)
    assert told.to_dict()["expected_calibration_error"]["low"] is None
