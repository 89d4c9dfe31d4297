"""Chances from scores: the formula by hand, what is learned from what came next, and what cannot be learned."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from caser.arrays.types import Floats, Mask
from caser.evaluation.calibration import DEPTH, LEAST_FOUND, LEAST_TARGETS, Calibration, learn

KNOWN = Calibration(2.0, 1.0, (0.5, 0.7, 0.3, 1.1), (0.4, -0.6, 0.2), targets=500, found=300)
"""A calibration with numbers of our own."""


def by_hand(calibration: Calibration, scores: list[float]) -> list[float]:
    """The formula at the top of the module, item by item."""
    a, b = calibration.inside, calibration.outside
    gaps = [(scores[0] - score) / calibration.scale for score in scores]
    utilities = [
        -a[0] * gap - a[1] * math.log(1 + gap) - a[2] * math.log(rank) + a[3] * (rank == 1)
        for rank, gap in enumerate(gaps, start=1)
    ]
    level = math.tanh((scores[0] - calibration.level) / (3 * calibration.scale))
    none = b[0] + b[1] * level + b[2] * math.log(1 + gaps[-1])
    total = math.exp(none) + sum(map(math.exp, utilities))
    return [math.exp(utility) / total for utility in utilities]


def drawn(scores_QN: Floats, calibration: Calibration, seed: int = 0) -> Mask:
    """What comes next in each list if the calibration is the truth."""
    sums_QN = np.cumsum(calibration.chances(scores_QN), axis=1)
    places_Q = (sums_QN < np.random.default_rng(seed).random((len(scores_QN), 1))).sum(axis=1)
    found: Mask = places_Q[:, None] == np.arange(scores_QN.shape[1])
    return found


def random_lists(num_lists: int, length: int, seed: int = 0) -> Floats:
    """Scores of ranked lists, best first."""
    random = np.random.default_rng(seed)
    return -np.sort(-random.normal(1.0, 2.0, (num_lists, length)), axis=1) + random.normal(0, 1, (num_lists, 1))


def test_the_chances_are_those_of_the_formula_for_lists_of_any_length() -> None:
    whole, short = [4.0, 2.5, 2.5, -1.0], [0.5, 0.25]
    told = KNOWN.chances(np.array([whole, [*short, np.nan, np.nan]]))
    assert told[0].tolist() == pytest.approx(by_hand(KNOWN, whole))
    assert told[1, :2].tolist() == pytest.approx(by_hand(KNOWN, short))
    assert np.isnan(told[1, 2:]).all()


scores = arrays.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 12)), elements=st.floats(-1e6, 1e6))
weights = st.floats(0, 5)


@given(scores, st.tuples(weights, weights, weights, weights), st.tuples(*[st.floats(-5, 5)] * 3))
def test_chances_fall_with_the_rank_and_leave_something_for_everything_else(
    values: Floats, inside: tuple[float, ...], outside: tuple[float, ...]
) -> None:
    told = Calibration(1.0, 0.0, inside, outside, 100, 100).chances(-np.sort(-values, axis=1))
    assert ((told >= 0) & (told <= 1)).all()
    assert (told.sum(axis=1) <= 1 + 1e-12).all()
    assert (np.diff(told, axis=1) <= 1e-12).all()


def test_what_is_learned_from_many_lists_is_close_to_the_truth() -> None:
    scores_QN = random_lists(5_000, 20)
    learned = learn(scores_QN, drawn(scores_QN, KNOWN))
    assert learned is not None
    told, true = learned.chances(scores_QN), KNOWN.chances(scores_QN)
    assert np.abs(told - true).mean() < 0.004
    assert np.abs(told[:, 0] - true[:, 0]).mean() < 0.02


def test_the_chances_add_up_to_the_hits_that_they_were_learned_from() -> None:
    scores_QN = random_lists(2_000, 15, seed=3)
    hits = drawn(scores_QN, KNOWN, seed=5)
    learned = learn(scores_QN, hits)
    assert learned is not None
    told = learned.chances(scores_QN)
    assert told.sum() == pytest.approx(hits.sum(), rel=0.01)
    assert told[:, 0].sum() == pytest.approx(hits[:, 0].sum(), rel=0.02)


@pytest.mark.parametrize("factor", [1e-6, 7.0, 1e9])
def test_the_unit_of_the_scores_does_not_matter(factor: float) -> None:
    scores_QN = random_lists(400, 12)
    hits = drawn(scores_QN, KNOWN)
    one, other = learn(scores_QN, hits), learn(factor * scores_QN + 3 * factor, hits)
    assert one is not None
    assert other is not None
    assert one.chances(scores_QN) == pytest.approx(other.chances(factor * scores_QN + 3 * factor), abs=1e-6)


def test_scores_that_are_all_equal_give_every_item_the_same_chance_within_its_rank() -> None:
    hits = np.arange(300)[:, None] % 10 == np.arange(5)  # each of five places in a tenth of the lists
    learned = learn(np.zeros((300, 5)), hits)
    assert learned is not None
    assert learned.scale == 1.0
    assert learned.chances(np.zeros((1, 5)))[0] == pytest.approx([0.1] * 5, abs=0.01)


def test_an_order_that_is_wrong_is_not_made_right() -> None:
    """The last item comes next in half of the lists: no chance may rise with the rank, so all are equal."""
    hits = np.tile([False, False, False, True], (400, 1)) & (np.arange(400) % 2 == 0)[:, None]
    learned = learn(random_lists(400, 4), hits)
    assert learned is not None
    assert learned.inside == (0.0, 0.0, 0.0, 0.0)
    assert learned.chances(random_lists(1, 4))[0] == pytest.approx([0.125] * 4, abs=0.03)


def test_too_few_targets_teach_nothing() -> None:
    scores_QN = random_lists(LEAST_TARGETS, 6)
    found = np.zeros(scores_QN.shape, dtype=bool)
    found[:LEAST_FOUND, 2] = True
    assert learn(scores_QN, found) is not None
    assert learn(scores_QN[:-1], found[:-1]) is None
    found[0] = False
    assert learn(scores_QN, found) is None


def test_lists_without_any_candidate_have_no_chances_and_do_no_harm() -> None:
    scores_QN = random_lists(300, DEPTH)
    scores_QN[7] = np.nan
    hits = drawn(np.nan_to_num(scores_QN), KNOWN)
    hits[7] = False
    learned = learn(scores_QN, hits)
    assert learned is not None
    told = learned.chances(scores_QN)
    assert np.isnan(told[7]).all()
    assert np.isfinite(np.delete(told, 7, axis=0)).all()


def test_a_calibration_comes_back_from_json() -> None:
    assert Calibration.of(KNOWN.to_dict()) == KNOWN
