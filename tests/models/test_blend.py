"""The blend gives the results of its formula, computed by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caser.arrays.ragged import pad_left
from caser.arrays.types import Scores
from caser.data.tape import Tape
from caser.errors import ArtefactError, ConfigError
from caser.models import counting_settings
from caser.models.blend import Blend, BlendScorer

TAPE = Tape.from_sequences([[1, 2, 3, 1, 2], [3, 4, 2], [5, 1, 2, 3]], num_items=5)
HISTORIES = pad_left([[1, 2], [3], [2, 3, 4]])
ANYBODY = np.zeros(3, dtype=np.int32)


class Fixed:
    """A scorer with fixed scores."""

    history_length: int | None = 1

    def __init__(self, row: list[float]) -> None:
        self.row = row

    def scores(self, users_B: Any, _: Any) -> Scores:
        return np.array([[-7.0, *self.row]] * len(users_B))

    def arrays(self) -> dict[str, Any]:
        return {}


def fitted(**settings: Any) -> BlendScorer:
    scorer = Blend(**settings).build(3, 5)
    scorer.fit(TAPE)
    return scorer


def part(name: str) -> Scores:
    scorer = counting_settings(name).build(3, 5)
    scorer.fit(TAPE)
    scores: Scores = scorer.scores(ANYBODY, HISTORIES)
    return scores


def standardised(scores: Scores) -> Scores:
    """The formula, one query at a time."""
    return np.array([(row[1:] - np.mean(row[1:])) / np.std(row[1:]) for row in np.asarray(scores, dtype=float)])


def test_a_blend_by_hand() -> None:
    scorer = BlendScorer(Blend(weight=0.25), Fixed([1, 2, 3]), Fixed([30, 10, 20]))
    unit = np.sqrt(1.5)
    expected = [0.25 * -unit + 0.75 * unit, 0.75 * -unit, 0.25 * unit]
    np.testing.assert_allclose(scorer.scores(np.zeros(1, dtype=np.int32), np.ones((1, 1), dtype=np.int32))[0, 1:],
                               expected)  # fmt: skip


@given(st.floats(0, 1))
def test_a_blend_is_the_weighted_sum_of_standardised_scores(weight: float) -> None:
    scores = fitted(first="count-knn", second="popularity", weight=weight).scores(ANYBODY, HISTORIES)
    expected = weight * standardised(part("count-knn")) + (1 - weight) * standardised(part("popularity"))
    np.testing.assert_allclose(scores[:, 1:], expected, atol=1e-9)


@pytest.mark.parametrize(("weight", "name"), [(1.0, "count-knn"), (0.0, "popularity")])
def test_a_blend_with_all_the_weight_on_one_model_ranks_as_that_model(weight: float, name: str) -> None:
    scores = fitted(first="count-knn", second="popularity", weight=weight).scores(ANYBODY, HISTORIES)
    np.testing.assert_allclose(scores[:, 1:], standardised(part(name)), atol=1e-9)


def test_equal_scores_add_exactly_zero_in_spite_of_rounding() -> None:
    same = [0.1] * 7  # whose standard deviation is not 0 in floating point
    assert np.std(same) > 0
    scorer = BlendScorer(Blend(weight=0.5), Fixed(same), Fixed([1, 2, 3, 4, 5, 6, 7]))
    scores = scorer.scores(np.zeros(1, dtype=np.int32), np.ones((1, 1), dtype=np.int32))[0, 1:]
    np.testing.assert_allclose(scores, 0.5 * (np.arange(7) - 3) / 2)


def test_a_blend_reads_as_much_of_a_history_as_either_part() -> None:
    assert fitted(first="count-knn", second="markov").history_length == 20
    assert fitted(first="ease", second="markov").history_length is None


def test_each_part_of_a_blend_reads_as_much_as_it_reads_alone() -> None:
    blend = fitted(first="count-knn", second="markov", weight=0)
    np.testing.assert_allclose(blend.scores(ANYBODY, HISTORIES)[:, 1:], standardised(part("markov")), atol=1e-9)


def test_a_blend_made_from_its_parameters_gives_the_same_scores() -> None:
    blend = fitted(first="session-knn", second="markov", weight=0.3)
    again = blend.config.scorer(blend.arrays(), 3, 5)
    np.testing.assert_array_equal(again.scores(ANYBODY, HISTORIES), blend.scores(ANYBODY, HISTORIES))


def test_foreign_parameters_are_refused() -> None:
    blend = fitted()
    with pytest.raises(ArtefactError, match="third/x"):
        blend.config.scorer({**blend.arrays(), "third/x": np.zeros(1)}, 3, 5)


@pytest.mark.parametrize("side", ["first", "second"])
def test_a_blend_of_blends_and_of_unknown_models_is_refused(side: str) -> None:
    with pytest.raises(ConfigError, match="not blends"):
        Blend(**{side: "blend"})
    with pytest.raises(ConfigError, match="did you mean markov"):
        Blend(**{side: "markof"})


def test_a_blend_that_is_fitted_in_one_pass_refuses_a_part_that_trains() -> None:
    with pytest.raises(ConfigError, match="got caser, which trains"):
        Blend(first="caser").build(3, 5)


def test_a_blend_of_one_model_with_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match="must combine two different models; got markov twice"):
        Blend(first="markov", second="markov")
    assert Blend(first="count-knn", first_settings={"reach": 3}, second="count-knn").second == "count-knn"


def test_a_model_of_weight_0_has_no_effect() -> None:
    assert "second" not in Blend(first="markov", weight=1).used()
    assert {"first", "second", "weight"} <= set(Blend(first="markov", weight=0.5).used())
