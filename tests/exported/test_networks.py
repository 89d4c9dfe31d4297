"""The exported graph, the torch network and the NumPy scorer give the same scores and the same best items."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from caser.arrays.ragged import pad_left
from caser.exported.networks import NETWORKS
from caser.exported.scorer import session
from caser.models import MODELS, model_class
from caser.models.base import Scorer
from caser.models.neural import NeuralScorer
from caser.models.settings import NetworkSettings
from tests.exported.networks import NUM_ITEMS, NUM_USERS, SMALL, UNTRAINED, exported, made, of_biases, running

every_network = pytest.mark.parametrize("name", SMALL)
histories = st.lists(
    st.tuples(st.integers(0, NUM_USERS), st.lists(st.integers(0, NUM_ITEMS), max_size=12)), min_size=1, max_size=4
)
"""Users with histories; a place inside a history may be padding, as when an explanation removes an item."""


def ask(name: str, users: Any, rows: Any, **more: Any) -> dict[str, NDArray[Any]]:
    """All outputs of the exported graph."""
    feed = {"users": np.array(users, dtype=np.int32), "histories": rows, "excluded": np.zeros((len(rows), 1), np.int32)}
    names = [output.name for output in running(name).get_outputs()]
    return dict(zip(names, running(name).run(names, {**feed, **more}), strict=True))


def trained_form(name: str) -> Scorer:
    artefact = made(name)
    assert isinstance(artefact.config, NetworkSettings)
    network = artefact.config.build(NUM_USERS, NUM_ITEMS, seed=0)
    network.load_state_dict({letter: torch.from_numpy(v) for letter, v in artefact.scorer.arrays().items()})
    return NeuralScorer(network)


def test_every_network_of_the_library_can_be_exported() -> None:
    assert set(NETWORKS) == {name for name in MODELS if issubclass(model_class(name), NetworkSettings)}
    assert {model for model, _ in SMALL.values()} == set(NETWORKS)


@every_network
@given(asked=histories)
@settings(max_examples=25)
def test_scores_and_the_best_ten_equal_those_of_torch_and_numpy(name: str, asked: list[tuple[int, list[int]]]) -> None:
    users, rows = [user for user, _ in asked], pad_left([history for _, history in asked])
    found = ask(name, users, rows)
    for scorer in (trained_form(name), made(name).scorer):
        expected = np.array(scorer.scores(np.array(users, dtype=np.int32), rows))
        size = np.abs(expected).max()  # rounding: random parameters make large scores
        np.testing.assert_allclose(found["all_scores"], expected, rtol=1e-5, atol=3e-5 * size)
        expected[:, [0, UNTRAINED]] = -np.inf
        best = -np.sort(-expected, axis=1)[:, :10]  # by score, so that two equal ones may change places
        np.testing.assert_allclose(np.take_along_axis(expected, found["items"], axis=1), best, atol=5e-5 * size)
        np.testing.assert_allclose(found["scores"], best, atol=5e-5 * size)


@every_network
def test_a_score_is_state_times_vector_plus_bias(name: str) -> None:
    vectors_ID, bias_I = made(name).scorer.item_vectors()  # type: ignore[attr-defined]
    found = ask(name, [1, 0], pad_left([[5, 1, 2], [3]]))
    np.testing.assert_allclose(found["states"] @ vectors_ID.T + bias_I, found["all_scores"], rtol=1e-4, atol=1e-4)


@every_network
@pytest.mark.parametrize("width", [1, 2, 30])
def test_padding_on_the_left_changes_nothing(name: str, width: int) -> None:
    rows = pad_left([[5, 1, 2]])
    found, padded = (ask(name, [1], given)["all_scores"] for given in (rows, np.pad(rows, ((0, 0), (width, 0)))))
    np.testing.assert_allclose(padded, found, rtol=1e-5, atol=1e-5)


@every_network
def test_a_history_may_have_width_zero(name: str) -> None:
    found = ask(name, [1], np.zeros((1, 0), dtype=np.int32))["all_scores"]
    np.testing.assert_array_equal(found, ask(name, [1], np.zeros((1, 3), dtype=np.int32))["all_scores"])


# The best items


def test_excluded_and_untrained_items_are_not_among_the_best() -> None:
    first = ask("caser", [1, 2], pad_left([[5, 1, 2], [3]]))["items"]
    excluded = first[:, :2].astype(np.int32)
    again = ask("caser", [1, 2], pad_left([[5, 1, 2], [3]]), excluded=excluded)["items"]
    np.testing.assert_array_equal(again[:, :8], first[:, 2:])
    everything = ask("caser", [1, 2], pad_left([[5, 1, 2], [3]]), k=np.array([NUM_ITEMS - 1]))["items"]
    wanted = set(range(1, NUM_ITEMS + 1)) - {UNTRAINED}
    assert [set(row) for row in everything.tolist()] == [wanted, wanted]


def test_only_candidates_are_among_the_best_and_item_0_fills_up_a_short_row() -> None:
    candidates = np.zeros(NUM_ITEMS + 1, dtype=np.bool_)
    candidates[[0, 3, 9, UNTRAINED]] = True
    found = ask("caser", [1], pad_left([[5, 1, 2]]), candidates=candidates, k=np.array([4]))
    assert set(found["items"][0, :2].tolist()) == {3, 9}
    assert found["items"][0, 2:].tolist() == [0, 0]
    assert found["scores"][0, 2:].tolist() == [-np.inf, -np.inf]


@pytest.mark.parametrize(("k", "length"), [(1, 1), (3, 3), (1000, NUM_ITEMS + 1)])
def test_an_answer_has_k_items_or_the_whole_catalogue_if_k_is_larger(k: int, length: int) -> None:
    assert ask("caser", [1], pad_left([[5]]), k=np.array([k]))["items"].shape == (1, length)


@given(st.lists(st.integers(0, 2), min_size=NUM_ITEMS, max_size=NUM_ITEMS))
@settings(max_examples=25)
def test_equal_scores_go_to_the_lowest_index(levels: list[int]) -> None:
    runtime = session(exported(of_biases([0, *levels])), "tied")
    nobody = {"users": np.zeros(1, np.int32), "histories": np.zeros((1, 1), np.int32)}
    found = runtime.run(["items"], {**nobody, "excluded": np.zeros((1, 1), np.int32), "k": np.array([5])})[0][0]
    assert found.tolist() == sorted(range(1, NUM_ITEMS + 1), key=lambda item: -levels[item - 1])[:5]
