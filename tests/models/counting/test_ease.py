"""EASE gives a matrix computed by hand, and the results of one ridge regression per item."""

from __future__ import annotations

import numpy as np
import pytest

from caser.data.synthetic import noise_world
from caser.data.tape import Tape
from caser.errors import ArtefactError, ConfigError
from caser.models.counting.ease import EASE, EASEScorer
from caser.system import memory

NOBODY = np.array([0], dtype=np.int32)


def fitted(tape: Tape, penalty: float) -> EASEScorer:
    scorer = EASE(penalty=penalty).build(tape.num_users, tape.num_items)
    scorer.fit(tape)
    return scorer


def test_two_items_that_three_users_share_predict_each_other() -> None:
    """X'X + penalty = ((4, 3), (3, 5)) with item 2 taken once more; its inverse is ((5, -3), (-3, 4)) / 11."""
    scorer = fitted(Tape.from_sequences([[1, 2], [2, 1], [1, 2], [2]], num_items=2), penalty=1)
    np.testing.assert_allclose(scorer.arrays()["B"], np.array([[0, 0, 0], [0, 0, 3 / 4], [0, 3 / 5, 0]]), rtol=1e-6)


def test_every_column_is_the_ridge_regression_of_an_item_on_all_others() -> None:
    tape = Tape.from_log(noise_world(num_users=40, num_items=8, length=4, seed=3).log)
    taken_UI = np.zeros((tape.num_users + 1, tape.num_items + 1))
    taken_UI[tape.users, tape.items] = 1
    weights_II = fitted(tape, penalty=2.5).arrays()["B"]
    for item in range(1, tape.num_items + 1):
        others = np.array([other for other in range(1, tape.num_items + 1) if other != item])
        X, y = taken_UI[:, others], taken_UI[:, item]
        expected = np.linalg.solve(X.T @ X + 2.5 * np.eye(len(others)), X.T @ y)
        np.testing.assert_allclose(weights_II[others, item], expected, rtol=1e-5, atol=1e-7)
        assert weights_II[item, item] == 0
    assert not weights_II[0].any()
    assert not weights_II[:, 0].any()


def test_a_history_is_a_set_without_order_or_repeats() -> None:
    scorer = fitted(Tape.from_sequences([[1, 2, 3], [2, 3], [4, 1]], num_items=4), penalty=1)
    once = scorer.scores(NOBODY, np.array([[1, 2]], dtype=np.int32))
    again = scorer.scores(NOBODY, np.array([[0, 2, 1, 1, 2]], dtype=np.int32))
    np.testing.assert_array_equal(once, again)


def test_an_item_without_interactions_predicts_nothing_and_is_not_predicted() -> None:
    scorer = fitted(Tape.from_sequences([[1, 2], [1, 2]], num_items=3), penalty=1)
    assert scorer.scores(NOBODY, np.array([[3]], dtype=np.int32)).tolist() == [[0, 0, 0, 0]]
    assert scorer.scores(NOBODY, np.array([[1, 2]], dtype=np.int32))[0, 3] == 0


def test_a_catalogue_too_large_for_the_memory_is_refused_with_both_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 1e9)
    EASE().build(num_users=5, num_items=9_000)
    with pytest.raises(ConfigError, match=r"training ease must fit in memory; it needs at least 1\.2 GB"):
        EASE().build(num_users=5, num_items=10_000)


def test_a_penalty_of_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="penalty must be above 0"):
        EASE(penalty=0)


def test_weights_of_another_catalogue_are_refused() -> None:
    arrays = fitted(Tape.from_sequences([[1, 2]], num_items=2), penalty=1).arrays()
    with pytest.raises(ArtefactError, match=r"parameter B must be float32 \(4, 4\); got float32 \(3, 3\)"):
        EASE().scorer(arrays, num_users=1, num_items=3)
