"""The parts of an explanation add up to the score, and an effect is the change of the score without the item."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from caser.answering.explain import MOST_EFFECTS, explain
from caser.answering.recommender import Recommender
from caser.artefact.folder import Artefact
from caser.data.tape import Tape
from caser.errors import ConfigError, UnknownIdError
from caser.models.counting.ease import EASE
from tests.runs import ITEMS, SEQUENCES, USERS, caser_run, popularity_run


def score_of(artefact: Artefact, user: int, history: list[int], item: int) -> float:
    return float(artefact.scorer.scores(np.array([user], dtype=np.int32), np.array([history], dtype=np.int32))[0, item])


@pytest.mark.parametrize("settings", [{}, {"user_vector": False}, {"n_h": 0, "n_v": 0}])
@pytest.mark.parametrize("question", [{"user": "ann"}, {"history": [20, 50]}, {"user": "bob", "history": [10]}])
def test_the_parts_add_up_to_the_score(settings: dict[str, int], question: dict[str, Any]) -> None:
    found = explain(Recommender(caser_run(**settings)), item=30, **question)
    assert sum(found.parts.values()) == pytest.approx(found.score, abs=1e-5)
    has_users = settings.get("user_vector", True)
    assert list(found.parts) == ["short-term", *(["lasting taste"] if has_users else []), "bias"]


def test_each_part_is_what_its_name_says() -> None:
    artefact = caser_run()
    arrays = artefact.scorer.arrays()
    found = explain(Recommender(artefact), item=50, user="bob")
    assert found.parts["lasting taste"] == pytest.approx(float(arrays["P"][2] @ arrays["V"][5, 3:]), abs=1e-5)
    assert found.parts["bias"] == pytest.approx(float(arrays["c"][5]))
    assert found.score == pytest.approx(score_of(artefact, 2, [2, 3], 5), abs=1e-6)
    assert (found.item_id, found.title, found.user_id, found.source) == (50, "Fifty", "bob", "known user")


def test_an_effect_is_what_the_score_loses_without_the_item() -> None:
    artefact = caser_run()
    found = explain(Recommender(artefact), item=10, user="ann", history=[50, 20, 30])
    score = score_of(artefact, 1, [2, 3], 1)
    assert [effect.item_id for effect in found.history] == [20, 30]
    assert [effect.title for effect in found.history] == ["Twenty", None]
    expected = [score - score_of(artefact, 1, history, 1) for history in ([0, 3], [2, 0])]
    assert [effect.effect for effect in found.history] == pytest.approx(expected, abs=1e-6)


def test_a_model_without_states_has_effects_but_no_parts() -> None:
    found = explain(Recommender(popularity_run()), item=20, user="ann")
    assert found.parts == {"score": 4.0}
    assert [effect.effect for effect in found.history] == [0.0]
    assert (found.effects_of, found.rest) == ("score", 4.0)


def test_of_a_long_history_the_last_items_have_effects_and_the_others_are_in_the_rest() -> None:
    tape = Tape.from_sequences(SEQUENCES, len(ITEMS))
    scorer = EASE().build(len(USERS), len(ITEMS))
    scorer.fit(tape)
    artefact = replace(popularity_run(), config=EASE(), scorer=scorer)
    history = [[20, 30, 50, 10][place % 4] for place in range(MOST_EFFECTS + 70)]
    found = explain(Recommender(artefact), item=10, history=history)
    assert [effect.item_id for effect in found.history] == history[-MOST_EFFECTS:]
    assert sum(effect.effect for effect in found.history) + found.rest == pytest.approx(found.score)
    indices = artefact.items.indices(history).tolist()
    for place in (-1, -MOST_EFFECTS):
        without = [0 if number == len(indices) + place else index for number, index in enumerate(indices)]
        expected = found.score - score_of(artefact, 0, without, 1)
        assert found.history[place].effect == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("settings", [{}, {"user_vector": False}])
@pytest.mark.parametrize("question", [{"user": "ann"}, {"history": [20, 50]}, {"user": "bob", "history": [10]}])
def test_the_effects_and_the_rest_add_up_to_the_part_that_the_history_decides(
    settings: dict[str, Any], question: dict[str, Any]
) -> None:
    found = explain(Recommender(caser_run(**settings)), item=30, **question)
    assert found.effects_of == "short-term"
    effects = sum(effect.effect for effect in found.history)
    assert effects + found.rest == pytest.approx(found.parts["short-term"], abs=1e-6)


def test_an_unknown_user_without_history_is_explained_by_popularity() -> None:
    found = explain(Recommender(caser_run()), item=20, user="nobody")
    assert (found.source, found.parts, found.history) == ("popularity", {"score": 4.0}, [])


def test_an_explanation_is_json() -> None:
    found = explain(Recommender(caser_run()), item=20, history=[10])
    assert json.loads(json.dumps(found.to_dict()))["history"][0]["item_id"] == 10


@pytest.mark.parametrize("item", [40, 99])
def test_an_item_that_was_not_trained_on_has_no_score_to_explain(item: int) -> None:
    with pytest.raises(UnknownIdError, match=str(item)):
        explain(Recommender(caser_run()), item=item, user="ann")


def test_a_misspelt_unknown_users_is_refused_for_a_known_user_too() -> None:
    with pytest.raises(ConfigError, match="did you mean mean"):
        explain(Recommender(caser_run()), item=20, user="ann", unknown_users="meann")  # type: ignore[arg-type]


def test_a_user_and_an_item_cannot_be_swapped_unseen() -> None:
    explain_positionally: Any = explain
    with pytest.raises(TypeError, match="positional"):
        explain_positionally(Recommender(caser_run()), "ann", 20)
