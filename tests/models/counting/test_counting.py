"""The counting models give the counts made by hand, and the results of a slow form of their formulas."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from caser.arrays.types import Scores
from caser.data.synthetic import chain_world, noise_world
from caser.data.tape import Tape
from caser.errors import ArtefactError, ConfigError
from caser.models.counting.count_knn import CountKNN
from caser.models.counting.markov import Markov
from caser.models.counting.popularity import Popularity, RecentPopularity

MODELS: tuple[Any, ...] = (Popularity, RecentPopularity, Markov, CountKNN)
TAPE = Tape.from_sequences([[3, 1, 4, 1, 5], [], [2], [1, 4, 4, 3]], num_items=6)
QUERIES = (np.array([1, 2, 0], dtype=np.int32), np.array([[1, 4, 3], [0, 0, 6], [0, 0, 0]], dtype=np.int32))


def fitted(model: Any, tape: Tape = TAPE) -> Any:
    scorer = model().build(tape.num_users, tape.num_items)
    scorer.fit(tape)
    return scorer


def slow_count_knn(config: CountKNN, tape: Tape, history: list[int]) -> Scores:
    """The formula of CountKNN, one term at a time."""
    popularity = Counter(tape.items.tolist())
    scores = np.zeros(tape.num_items + 1)
    for age, i in enumerate(reversed(history[-config.history_length :])):
        for user in range(1, tape.num_users + 1):
            sequence = tape.sequence(user).tolist()
            for start, first in enumerate(sequence):
                for gap, j in enumerate(sequence[start + 1 : start + 1 + config.reach], start=1):
                    divisor = (popularity[i] + config.shrinkage) ** config.history_exponent
                    divisor *= (popularity[j] + config.shrinkage) ** config.candidate_exponent
                    scores[j] += (first == i) * config.age_decay**age * config.gap_decay**gap / divisor
    return scores


def test_popularity_gives_every_user_the_number_of_interactions() -> None:
    scores = fitted(Popularity).scores(*QUERIES)
    assert scores.tolist() == [[0, 3, 1, 2, 3, 1, 0]] * 3


def test_recent_popularity_with_a_very_long_half_life_equals_popularity() -> None:
    endless = RecentPopularity(half_life=1e12).build(4, 6)
    endless.fit(TAPE)
    np.testing.assert_allclose(endless.scores(*QUERIES), fitted(Popularity).scores(*QUERIES), rtol=1e-9)


def test_recent_popularity_prefers_what_users_take_last() -> None:
    tape = Tape.from_sequences([[1, 1, 1, 2], [1, 1, 1, 2]], num_items=2)
    scorer = RecentPopularity(half_life=0.5).build(2, 2)
    scorer.fit(tape)
    scores = scorer.scores(np.array([1], dtype=np.int32), np.array([[2]], dtype=np.int32))[0]
    assert scores[2] > scores[1]


def test_markov_counts_direct_successors_and_breaks_ties_by_popularity() -> None:
    scores = fitted(Markov).scores(*QUERIES)
    assert np.floor(scores).tolist() == [[0, 1, 0, 0, 0, 0, 0], [0] * 7, [0] * 7]
    assert scores[1].argsort(kind="stable")[::-1][:2].tolist() == [4, 1]  # nothing ever followed item 6


def test_markov_never_joins_the_end_of_one_user_to_the_start_of_the_next() -> None:
    scorer = fitted(Markov)
    after_5 = scorer.scores(np.array([1], dtype=np.int32), np.array([[5]], dtype=np.int32))[0]
    assert after_5.max() < 1


@pytest.mark.parametrize("history", [[1, 4, 3], [4], [6, 6, 1], [1, 2, 3, 4, 5, 1, 2, 3]])
def test_count_knn_equals_its_formula(history: list[int]) -> None:
    config = CountKNN(reach=3, history_length=4, shrinkage=2)
    scorer = config.build(TAPE.num_users, TAPE.num_items)
    scorer.fit(TAPE)
    scores = scorer.scores(np.array([0], dtype=np.int32), np.array([history], dtype=np.int32))[0]
    np.testing.assert_allclose(scores, slow_count_knn(config, TAPE, history), rtol=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_padding_on_the_left_changes_nothing(model: Any) -> None:
    scorer = fitted(model)
    users, histories = QUERIES
    padded = np.pad(histories, ((0, 0), (4, 0)))
    np.testing.assert_array_equal(scorer.scores(users, histories), scorer.scores(users, padded))


@pytest.mark.parametrize("model", MODELS)
def test_scores_have_a_column_per_item_and_are_finite_even_without_a_history(model: Any) -> None:
    scores = fitted(model).scores(*QUERIES)
    assert scores.shape == (3, 7)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("model", MODELS)
def test_a_query_scores_the_same_alone_and_in_a_batch(model: Any) -> None:
    scorer = fitted(model)
    users, histories = QUERIES
    alone = [scorer.scores(users[row : row + 1], histories[row : row + 1])[0] for row in range(3)]
    np.testing.assert_array_equal(scorer.scores(users, histories), np.stack(alone))


@pytest.mark.parametrize("model", MODELS)
def test_a_model_restored_from_its_arrays_scores_the_same(model: Any) -> None:
    scorer = fitted(model)
    restored = type(scorer).from_arrays(model(), scorer.arrays(), TAPE.num_items)
    np.testing.assert_array_equal(scorer.scores(*QUERIES), restored.scores(*QUERIES))


@pytest.mark.parametrize("model", MODELS)
def test_arrays_of_another_catalogue_are_refused(model: Any) -> None:
    scorer = fitted(model)
    with pytest.raises(ArtefactError, match="Train again"):
        type(scorer).from_arrays(model(), scorer.arrays(), TAPE.num_items + 1)


@pytest.mark.parametrize("model", MODELS)
def test_missing_and_foreign_arrays_are_refused(model: Any) -> None:
    scorer = fitted(model)
    name = next(iter(scorer.arrays()))
    without = {key: array for key, array in scorer.arrays().items() if key != name}
    for arrays in (without, {**scorer.arrays(), "foreign": np.zeros(1)}):
        with pytest.raises(ArtefactError):
            type(scorer).from_arrays(model(), arrays, TAPE.num_items)


@pytest.mark.parametrize("part", ["indices", "indptr"])
def test_sparse_counts_that_point_outside_the_catalogue_are_refused(part: str) -> None:
    arrays = dict(fitted(Markov).arrays())
    arrays[part] = arrays[part] + 1000
    with pytest.raises(ArtefactError):
        type(fitted(Markov)).from_arrays(Markov(), arrays, TAPE.num_items)


@pytest.mark.parametrize("model", MODELS)
def test_a_model_fitted_on_no_interactions_scores_all_items_equally(model: Any) -> None:
    scores = fitted(model, Tape.from_sequences([[], []], num_items=6)).scores(*QUERIES)
    assert (scores == 0).all()


def test_markov_predicts_a_chain_and_not_noise() -> None:
    chain = Tape.from_log(chain_world(num_users=50, num_items=20, length=30, predictability=1.0, seed=1).log)
    noise = Tape.from_log(noise_world(num_users=50, num_items=20, length=30, seed=1).log)

    def share_right(train: Tape) -> float:
        histories = train.items[:-1, None]
        same = train.users[:-1] == train.users[1:]
        best = fitted(Markov, train).scores(train.users[:-1], histories)[:, 1:].argmax(axis=1) + 1
        return float(np.mean(best[same] == train.items[1:][same]))

    assert share_right(chain) == 1.0
    assert share_right(noise) < 0.2


def test_a_setting_out_of_range_is_refused_in_one_sentence() -> None:
    with pytest.raises(ConfigError, match="gap_decay must be"):
        CountKNN(gap_decay=1.5)
