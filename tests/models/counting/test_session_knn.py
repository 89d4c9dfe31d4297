"""Session kNN gives votes counted by hand, and the results of its formula, one sequence at a time."""

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
from caser.models.counting import session_knn
from caser.models.counting.session_knn import SessionKNN, SessionKNNScorer
from tests.skips import NEEDS_EXTRAS

SEQUENCES = [[1, 2, 3], [2, 4], [3, 3, 5], [1, 4], [], [2, 3, 6], [6]]
NUM_ITEMS = 7
sequences = st.lists(st.integers(1, NUM_ITEMS), max_size=6)


def fitted(config: SessionKNN, tape: list[list[int]] = SEQUENCES) -> SessionKNNScorer:
    scorer = config.build(len(tape), NUM_ITEMS)
    scorer.fit(Tape.from_sequences(tape, NUM_ITEMS))
    return scorer


def scores(config: SessionKNN, *histories: list[int], tape: list[list[int]] = SEQUENCES) -> Scores:
    return fitted(config, tape).scores(np.zeros(len(histories), dtype=np.int32), pad_left(histories))


def slow_scores(config: SessionKNN, tape: list[list[int]], history: list[int]) -> Scores:
    """The formula, one sequence at a time."""
    read = history[-config.history_length :]

    def weight(item: int) -> float:
        steps = read[::-1].index(item)
        weights = {"linear": 1 - steps / len(read), "harmonic": 1 / (steps + 1), "quadratic": 1 / (steps + 1) ** 2}
        return weights[config.decay]

    sharing = [number for number, sequence in enumerate(tape) if set(sequence) & set(read)]
    latest = sharing[-config.sample_size :]
    similarity = {number: sum(map(weight, sorted(set(tape[number]) & set(read)))) for number in latest}
    neighbours = sorted(latest, key=lambda number: (-round(similarity[number], 9), -number))[: config.k]
    found = np.zeros(NUM_ITEMS + 1)
    for number in neighbours:
        last = max(weight(item) for item in set(tape[number]) & set(read))
        found[list(set(tape[number]))] += similarity[number] * last
    return found


def test_votes_by_hand() -> None:
    """After 2, then 3: sequence 1 has both (1/2 + 1, votes fully), 2 only item 2 (1/2, a step back: a quarter), 3 only
    item 3 (1), 6 both (3/2)."""
    assert scores(SessionKNN(), [2, 3]).tolist() == [[0, 1.5, 3.25, 4, 0.25, 1, 1.5, 0]]


@pytest.mark.parametrize(
    ("decay", "one_step_back"), [("linear", 2 / 3), ("harmonic", 1 / 2), ("quadratic", 1 / 4)], ids=str
)
def test_the_weight_of_an_item_one_step_before_the_last_of_three(decay: Any, one_step_back: float) -> None:
    found = scores(SessionKNN(decay=decay), [7, 5, 7])[0]
    assert found[3] == pytest.approx(one_step_back**2)  # sequence 3, the only one with item 5: similarity and vote


def test_only_the_most_similar_sequences_vote_and_later_ones_win_ties() -> None:
    tape = [[1, 2], [1, 3], [1, 4]]
    assert scores(SessionKNN(k=2), [1], tape=tape).tolist() == [[0, 2, 0, 1, 1, 0, 0, 0]]
    assert scores(SessionKNN(k=1), [2, 1], tape=tape).tolist() == [[0, 1.5, 1.5, 0, 0, 0, 0, 0]]


def test_only_the_latest_sequences_that_share_an_item_can_be_neighbours() -> None:
    tape = [[2, 1, 5], [1, 3], [7], [7]]
    assert scores(SessionKNN(sample_size=1), [2, 1], tape=tape).tolist() == [[0, 1, 0, 1, 0, 0, 0, 0]]


def test_the_weight_of_an_item_depends_on_its_last_place() -> None:
    tape = [[2, 1]]
    assert scores(SessionKNN(), [2, 3, 2], tape=tape)[0, 1] == 1


def test_a_history_without_a_shared_item_scores_zero() -> None:
    assert not scores(SessionKNN(), [7], []).any()


@given(
    st.lists(sequences, min_size=1, max_size=8),
    st.lists(sequences, min_size=1, max_size=3),
    st.builds(
        SessionKNN,
        k=st.integers(1, 4),
        sample_size=st.integers(1, 5),
        decay=st.sampled_from(["linear", "harmonic", "quadratic"]),
        history_length=st.integers(1, 7),
    ),
)
def test_it_equals_its_formula(tape: list[list[int]], histories: list[list[int]], config: SessionKNN) -> None:
    expected = np.stack([slow_scores(config, tape, history) for history in histories])
    np.testing.assert_allclose(scores(config, *histories, tape=tape), expected, rtol=1e-9)


@given(
    st.lists(sequences, min_size=1, max_size=12),
    st.lists(sequences, min_size=1, max_size=3),
    st.builds(
        SessionKNN,
        k=st.integers(1, 4),
        sample_size=st.integers(1, 5),
        decay=st.sampled_from(["linear", "harmonic", "quadratic"]),
    ),
)
def test_the_compiled_loop_gives_the_same_bits(
    tape: list[list[int]], histories: list[list[int]], config: SessionKNN
) -> None:
    pytest.importorskip("numba", reason=NEEDS_EXTRAS)
    scorer, histories_BH = fitted(config, tape), pad_left([*histories, [1, 2, 3]])
    users_B = np.zeros(len(histories_BH), dtype=np.int32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session_knn, "loop_pays", lambda *sizes: False)
        plain, _ = scorer.factors(users_B, histories_BH)
        patch.setattr(session_knn, "loop_pays", lambda *sizes: True)
        looped, _ = scorer.factors(users_B, histories_BH)
    np.testing.assert_array_equal(looped.toarray(), plain.toarray())
    assert looped.has_sorted_indices


def test_blocks_of_queries_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    histories = [[2, 3], [1], [5, 4, 2], [], [6]]
    together = scores(SessionKNN(), *histories)
    monkeypatch.setattr(session_knn, "_CELLS_PER_BLOCK", 1)
    np.testing.assert_array_equal(scores(SessionKNN(), *histories), together)


def test_sequences_of_another_catalogue_are_refused() -> None:
    arrays = fitted(SessionKNN()).arrays()
    for num_users, num_items in ((len(SEQUENCES), NUM_ITEMS + 1), (2, NUM_ITEMS)):
        with pytest.raises(ArtefactError, match="must be a sparse matrix of"):
            SessionKNN().scorer(arrays, num_users, num_items)


def test_no_neighbours_are_refused() -> None:
    with pytest.raises(ConfigError, match="k must be at least 1"):
        SessionKNN(k=0)
