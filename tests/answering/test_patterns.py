"""The answers of Caser's filters to a history, compared with answers computed by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from caser.answering.patterns import PointPattern, UnionPattern, filters_fired
from caser.answering.recommender import Recommender
from caser.artefact.folder import Artefact
from caser.errors import ConfigError
from tests.runs import ITEMS, USERS, caser_run, popularity_run


def by_hand(**settings: Any) -> Artefact:
    """Item vectors of width 1: 10 -> 1, 20 -> 2, 30 -> -3, 40 -> 4 and so on; two filters of each height, 1 and 2."""
    artefact = caser_run(L=3, d=1, n_h=2, n_v=1, heights=(1, 2), **settings)
    arrays = {
        **artefact.scorer.arrays(),
        "Q": np.array([[0], [1], [2], [-3], [4], [5], [6]], dtype=np.float32),
        "F1": np.array([[[1, -1]]], dtype=np.float32),
        "F2": np.array([[[1, 0.5]], [[1, -1]]], dtype=np.float32),
        "bF": np.array([[0, 0.25], [0, 0]], dtype=np.float32),
        "G": np.array([[0.5, -1, 2]], dtype=np.float32),
    }
    return replace(artefact, scorer=artefact.config.scorer(arrays, len(USERS), len(ITEMS)))


def test_each_filter_is_shown_with_the_items_that_gave_its_answer() -> None:
    # Window 10, 30, 20 is 1, -3, 2. Height 1: max(1, -3, 2) = 2 on 20, and max(-1, 3, -2) + .25 = 3.25 on 30.
    # Height 2: max(1 - 3, -3 + 2) = -1, which relu cuts off, and max(.5 + 3, -1.5 - 2) = 3.5 on 10 and 30.
    found = filters_fired(Recommender(by_hand()), [60, 10, 30, 20])
    assert found.union == [
        UnionPattern(1, 1, 3.25, [30], [None]),
        UnionPattern(1, 0, 2.0, [20], ["Twenty"]),
        UnionPattern(2, 1, 3.5, [10, 30], ["Ten", None]),
    ]
    assert found.point == [PointPattern(0, [0.5, -1.0, 2.0])]
    assert (found.window, found.titles) == ([10, 30, 20], ["Ten", None, "Twenty"])


def test_with_an_activation_below_zero_every_filter_is_shown() -> None:
    found = filters_fired(Recommender(by_hand(phi_c="identity")), [10, 30, 20])
    assert [(one.height, one.filter, one.answer) for one in found.union] == [
        (1, 1, 3.25),
        (1, 0, 2.0),
        (2, 1, 3.5),
        (2, 0, -1.0),
    ]


def test_only_the_strongest_are_shown() -> None:
    found = filters_fired(Recommender(by_hand()), [10, 30, 20], most=1)
    assert [(one.height, one.filter) for one in found.union] == [(1, 1), (2, 1)]


def test_padding_has_no_id_and_among_equal_answers_the_earlier_place_is_shown() -> None:
    # Window 0, 0, 10 is 0, 0, 1. The second filter of height 2 answers 0 on the first pair, .5 * 0 - 1 on the second.
    found = filters_fired(Recommender(by_hand(phi_c="identity")), [10])
    assert found.window == [None, None, 10]
    assert [(one.filter, one.answer, one.items) for one in found.union if one.height == 2] == [
        (0, 1.0, [None, 10]),
        (1, 0.0, [None, None]),
    ]


def test_the_answers_are_the_ones_that_enter_the_state() -> None:
    artefact = caser_run(L=4, n_h=3, n_v=0, phi_c="tanh", phi_a="identity", user_vector=False)
    arrays = artefact.scorer.arrays()
    fired = {
        (one.height, one.filter): one.answer for one in filters_fired(Recommender(artefact), [10, 50, 20, 20]).union
    }
    features = np.array([fired[height, filter] for height in (1, 2, 3, 4) for filter in range(3)])
    window = np.array([[1, 5, 2, 2]], dtype=np.int32)
    state = artefact.scorer.states(np.zeros(1, np.int32), window)[0]  # type: ignore[attr-defined]
    np.testing.assert_allclose(features @ arrays["W"] + arrays["b"], state, rtol=1e-5, atol=1e-5)


def test_unknown_items_are_left_out() -> None:
    assert filters_fired(Recommender(by_hand()), [10, 999, 20]).window == [None, 10, 20]


@pytest.mark.parametrize("settings", [{"n_h": 0}, {"n_v": 0}, {"n_h": 0, "n_v": 0}])
def test_a_branch_that_is_left_out_has_no_patterns(settings: dict[str, int]) -> None:
    found = filters_fired(Recommender(caser_run(phi_c="identity", **settings)), [10, 20])
    assert bool(found.union) == ("n_h" not in settings)
    assert bool(found.point) == ("n_v" not in settings)


def test_patterns_are_json() -> None:
    said = json.loads(json.dumps(filters_fired(Recommender(by_hand()), [10, 30, 20]).to_dict()))
    assert said["union"][0] == {"height": 1, "filter": 1, "answer": 3.25, "items": [30], "titles": [None]}


def test_a_model_without_filters_is_refused() -> None:
    with pytest.raises(ConfigError, match="this run is a popularity"):
        filters_fired(Recommender(popularity_run()), [10])
