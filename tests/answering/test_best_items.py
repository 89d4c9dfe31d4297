"""How many questions are answered at once, and how the best items are found: exactly, or with an index."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from caser.answering.best_items import best_items, most_similar, questions_at_once
from caser.answering.questions import scores_of, states_of
from caser.answering.recommender import Recommender
from caser.data.split import leave_one_out
from caser.data.synthetic import chain_world
from caser.errors import ConfigError
from caser.fitting.fit import fit
from caser.models.counting.count_knn import CountKNN
from caser.models.counting.session_knn import SessionKNN
from caser.search.exact import Candidates
from tests.runs import ITEMS, USERS, caser_run, popularity_run
from tests.skips import NEEDS_EXTRAS

BYTES_PER_SCORE = 24


@pytest.mark.parametrize("memory_mb", [1, 2, 16])
def test_without_item_vectors_the_scores_of_all_items_fit_into_the_memory(memory_mb: int) -> None:
    num_items = len(ITEMS) + 1
    size = questions_at_once(popularity_run(), memory_mb)
    assert size * num_items * BYTES_PER_SCORE <= memory_mb * 2**20 < (size + 1) * num_items * BYTES_PER_SCORE


def test_with_item_vectors_at_most_512_questions_are_answered_at_once() -> None:
    assert questions_at_once(caser_run(), 16) == questions_at_once(caser_run(), 1) == 512


def test_a_question_is_answered_even_if_its_scores_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caser.answering.best_items._BYTES_PER_SCORE", 2**30)
    assert [questions_at_once(run, 1) for run in (popularity_run(), caser_run())] == [1, 1]


@pytest.mark.parametrize("memory_mb", [0, -1])
def test_less_than_a_megabyte_is_refused(memory_mb: int) -> None:
    with pytest.raises(ConfigError, match=f"at least 1 megabyte; got {memory_mb}"):
        questions_at_once(popularity_run(), memory_mb)
    with pytest.raises(ConfigError, match="at least 1 megabyte"):
        best_items(
            popularity_run(),
            [Recommender(popularity_run()).question("ann")],
            Candidates(np.array([0])),
            1,
            0,
            exclude_seen=False,
        )


def test_an_item_whose_vector_is_zero_is_similar_to_nothing_and_nothing_to_it() -> None:
    artefact = caser_run()
    artefact.scorer.arrays()["V"][3] = 0
    top, source = most_similar(artefact, 3, Candidates(np.array([0, 3])), 9)
    assert source == "similar vectors"
    assert (top.scores.tolist(), top.items.tolist()) == ([0.0] * 5, [1, 2, 4, 5, 6])
    others, _ = most_similar(artefact, 1, Candidates(np.array([0, 1])), 9)
    assert others.scores[others.items.tolist().index(3)] == 0


@pytest.mark.parametrize("k", [1, 2, 4])
def test_an_index_that_finds_fewer_than_k_is_completed_for_those_questions_only(k: int) -> None:
    pytest.importorskip("faiss", reason=NEEDS_EXTRAS)
    recommender = Recommender(caser_run())
    indexed = recommender.indexed(recall=0.5)
    found, exact = (each.recommend([*USERS, "new"], k=k, exclude_seen=False) for each in (indexed, recommender))
    for one, other in zip(found, exact, strict=True):
        assert len(one.items) == len(other.items)
        assert one.scores == sorted(one.scores, reverse=True)
    assert found[3].items == exact[3].items  # popularity is never taken from the index
    only = indexed.recommend(USERS, only=[10, 50], exclude_seen=False)
    assert [answer.items for answer in only] == [
        answer.items for answer in recommender.recommend(USERS, only=[10, 50], exclude_seen=False)
    ]


def test_a_recommender_without_an_index_answers_exactly() -> None:
    artefact = replace(caser_run(), index=None)
    questions = [Recommender(artefact).question(user) for user in USERS[:3]]
    top = best_items(artefact, questions, Candidates(np.array([0, 4, 6])), 2, exclude_seen=False)
    assert np.bincount(top.rows).tolist() == [2, 2, 2]


@pytest.mark.parametrize(("most", "asked"), [(1000, [1, 2, 3]), (2, [1, 3]), (1, [1])])
def test_an_index_is_tuned_on_users_from_the_first_to_the_last_with_a_history(
    most: int, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    recommender = Recommender(caser_run())
    given: list[Any] = []
    monkeypatch.setattr("caser.answering.recommender._MAX_INDEX_QUERIES", most)
    monkeypatch.setattr("caser.answering.recommender.build_index", lambda *arguments: given.extend(arguments))
    recommender.new_index(0.9)
    vectors_ID, bias_I, is_trained_I, states_BD, recall = given
    scorer = recommender.artefact.state_scorer
    assert scorer is not None
    questions = [recommender.question(user) for user in USERS]
    np.testing.assert_array_equal(states_BD, states_of(scorer, [questions[user - 1] for user in asked]))
    np.testing.assert_array_equal(vectors_ID, scorer.item_vectors()[0])
    np.testing.assert_array_equal(bias_I, scorer.item_vectors()[1])
    assert is_trained_I.tolist() == [False, True, True, True, False, True, False]
    assert recall == 0.9


@pytest.mark.parametrize("model", [CountKNN(), SessionKNN(k=3, sample_size=5)], ids=lambda model: model.name)
@pytest.mark.parametrize(
    "asked", [{}, {"exclude_seen": False}, {"exclude": [2]}, {"only": [1, 2, 3]}, {"k": 100}], ids=str
)
def test_many_questions_to_a_sparse_model_are_answered_like_single_ones(
    model: CountKNN | SessionKNN, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba", reason=NEEDS_EXTRAS)
    monkeypatch.setattr("caser.search.products.FEWEST_SCORES", 1)
    recommender = fit(model, leave_one_out(chain_world(num_users=60, num_items=15, length=4, seed=3).log))
    users = [*recommender.artefact.users.ids, "new"]
    singly = [recommender.recommend([user], **asked)[0] for user in users]
    at_once = recommender.recommend(users, **asked)
    assert [(one.items, one.scores, one.source) for one in at_once] == [
        (one.items, one.scores, one.source) for one in singly
    ]
    monkeypatch.setattr("caser.search.products.has_numba", lambda: False)
    without_numba = recommender.recommend(users, **asked)
    assert [(one.items, one.scores) for one in without_numba] == [(one.items, one.scores) for one in singly]
    monkeypatch.setattr("caser.answering.best_items._BYTES_PER_SCORE", 2**20)  # the scores of one question fit
    assert [one.items for one in recommender.recommend(users, **asked)] == [one.items for one in singly]


def test_questions_that_a_sparse_model_cannot_fill_are_searched_in_all_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba", reason=NEEDS_EXTRAS)
    monkeypatch.setattr("caser.search.products.FEWEST_SCORES", 1)
    recommender = fit(CountKNN(), leave_one_out(chain_world(num_users=60, num_items=15, length=4, seed=3).log))
    searched: list[int] = []
    exactly = scores_of

    def spy(artefact: Any, questions: Any) -> Any:
        searched.append(len(questions))
        return exactly(artefact, questions)

    monkeypatch.setattr("caser.answering.best_items.scores_of", spy)
    answers = recommender.recommend([*recommender.artefact.users.ids, "new"], k=1)
    unfilled = [answer for answer in answers if answer.source == "popularity" or answer.scores[0] == 0]
    assert 1 <= len(unfilled) < len(answers) / 2
    assert searched == [len(unfilled)]


def test_boosts_reach_all_items_of_a_sparse_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caser.search.products.FEWEST_SCORES", 1)
    recommender = fit(CountKNN(), leave_one_out(chain_world(num_users=60, num_items=15, length=4, seed=3).log))
    questions = [recommender.question(user) for user in recommender.artefact.users.ids]
    boosts_I = np.zeros(16)
    boosts_I[7] = 1000.0
    boosts = [boosts_I if place % 2 else None for place in range(len(questions))]
    top = best_items(recommender.artefact, questions, Candidates(np.array([0])), 1, exclude_seen=False, boosts=boosts)
    assert (top.items[1::2] == 7).all()
    assert not (top.items[::2] == 7).all()
