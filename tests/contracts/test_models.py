"""What every row of MODELS keeps, fitted on one small split: as it was trained, and as an artefact brings it back.

A new model is tested by its row alone; settings that make it quick go into QUICK.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest

from caser.arrays.ragged import pad_left
from caser.arrays.types import Int32, Scores
from caser.config import Training
from caser.data.split import Split, leave_one_out
from caser.data.synthetic import chain_world
from caser.errors import ArtefactError, ConfigError
from caser.evaluation import judge
from caser.models import COUNTING_BASELINES, MODELS, model_class, model_settings
from caser.models.base import Arrays, Scorer, StateScorer
from caser.models.settings import CountingSettings, NetworkSettings
from caser.system.randomness import numpy_generator
from tests import runs

QUICK: dict[str, dict[str, Any]] = {
    "blend": {"first": "markov", "weight": 0.9},
    "caser": {"L": 3, "T": 1, "d": 16, "n_v": 1, "reach": 4, "n_h": 4, "dropout": 0.0, "item_dropout": 0.0},
    "count-knn": {"history_length": 4},
    "esasrec": {"d": 16, "num_blocks": 1, "expansion": 2, "max_length": 8, "dropout": 0.0},
    "gru4rec": {"d": 16, "max_length": 8, "dropout": 0.0},
    "nextitnet": {"d": 16, "dilations": (1,), "kernel": 2, "max_length": 8, "dropout": 0.0},
    "sasrec": {"d": 16, "num_blocks": 1, "max_length": 8, "dropout": 0.0},
    "session-knn": {"history_length": 4},
}
IGNORE_HISTORY = {"popularity", "recent-popularity"}  # and the user too
IGNORE_ORDER = {"bpr-mf", "ease", "session-knn"}  # they know what goes together, not what comes next
TRAINING = Training(epochs=12, batch_size=128, learning_rate=0.01, seed=1, device="cpu")
CHANCE = 0.1  # of the right item among ten
HISTORIES: list[list[int]] = [[4, 1, 9, 3, 3, 7, 2, 10], [5], [8, 8], [], [2, 6, 1]]
USERS = np.array([1, 2, 0, 0, 120], dtype=np.int32)

every_model = pytest.mark.parametrize("name", MODELS)


class Fitted(NamedTuple):
    """A model after training, and the same model restored from its parameters."""

    config: Any
    trained: Scorer
    restored: Scorer


@cache
def split() -> Split:
    return leave_one_out(chain_world(num_users=120, num_items=10, length=20, predictability=1.0, seed=1).log)


@cache
def fitted(name: str) -> Fitted:
    artefact = runs.fitted(settings_of(name), split(), TRAINING, TRAINING.epochs).artefact
    config, trained = artefact.config, artefact.scorer
    return Fitted(config, trained, restored(config, trained.arrays()))


def settings_of(name: str) -> Any:
    return model_settings(name, QUICK.get(name))


def restored(config: Any, arrays: Arrays, more_items: int = 0) -> Scorer:
    scorer: Scorer = config.scorer(arrays, split().log.num_users, split().log.num_items + more_items)
    return scorer


def both(name: str) -> list[Scorer]:
    return [fitted(name).trained, fitted(name).restored]


def scores(scorer: Scorer, histories_BH: Int32 | None = None) -> Scores:
    return scorer.scores(USERS, pad_left(HISTORIES) if histories_BH is None else histories_BH)


# Settings


@every_model
def test_its_settings_have_its_name_and_are_of_one_kind(name: str) -> None:
    config = model_class(name)
    assert config.name == name
    assert issubclass(config, CountingSettings) != issubclass(config, NetworkSettings)


@every_model
def test_its_docstring_says_when_it_is_useful(name: str) -> None:
    assert "useful when" in " ".join((model_class(name).__doc__ or "").lower().split())


@every_model
def test_each_setting_has_a_default_and_a_sentence_of_help(name: str) -> None:
    for setting, field in model_class(name).model_fields.items():
        assert not field.is_required(), setting
        assert field.description, setting


@every_model
def test_the_values_that_tuning_tries_are_valid_and_include_the_default(name: str) -> None:
    config = model_class(name)
    known = {**config().model_dump(), **(config.training.model_dump() if issubclass(config, NetworkSettings) else {})}
    for setting, values in config.space.items():
        assert known[setting] in values, setting
        for value in values:
            if setting in config.model_fields:
                config(**{setting: value})
            elif issubclass(config, NetworkSettings):
                config.training.replace(**{setting: value})


@every_model
def test_its_settings_survive_json(name: str) -> None:
    config = settings_of(name)
    assert model_settings(name, json.loads(json.dumps(config.model_dump(mode="json")))) == config


@every_model
def test_a_setting_it_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="has no setting 'colour'"):
        model_settings(name, {"colour": "red"})


def test_the_baselines_of_every_report_are_counting_models() -> None:
    assert all(issubclass(model_class(name), CountingSettings) for name in COUNTING_BASELINES)


# Scores


@every_model
def test_it_is_a_scorer(name: str) -> None:
    for scorer in both(name):
        assert isinstance(scorer, Scorer)
        assert isinstance(scorer.history_length, int | None)


@every_model
def test_scores_are_finite_even_without_a_user_or_a_history(name: str) -> None:
    for scorer in both(name):
        found = scores(scorer)
        assert found.shape == (len(USERS), split().log.num_items + 1)
        assert np.isfinite(found).all()


@every_model
def test_scoring_twice_gives_the_same_scores(name: str) -> None:
    for scorer in both(name):
        np.testing.assert_array_equal(scores(scorer), scores(scorer))


@every_model
def test_fitting_twice_gives_the_same_parameters(name: str) -> None:
    again = runs.fitted(fitted(name).config, split(), TRAINING, TRAINING.epochs).artefact.scorer.arrays()
    for parameter, values in fitted(name).trained.arrays().items():
        np.testing.assert_array_equal(again[parameter], values)


@every_model
def test_no_answer_depends_on_the_time_of_its_target(name: str) -> None:
    log = chain_world(num_users=20, num_items=8, length=8, seed=1).log
    is_target = np.diff(log.users, append=0) != 0
    random = numpy_generator(1, "times of targets")
    times = log.times.copy()
    times[is_target] = random.permutation(times[is_target]) + random.integers(0, 10**13, is_target.sum())
    tables = []
    for one in (leave_one_out(log), leave_one_out(replace(log, times=times))):
        scorer = runs.fitted(settings_of(name), one, TRAINING, epochs=1).artefact.scorer
        tables.append(judge.rank(scorer, one))
    np.testing.assert_array_equal(tables[0].ranks, tables[1].ranks)
    np.testing.assert_array_equal(tables[0].top_QK, tables[1].top_QK)


@every_model
def test_padding_on_the_left_changes_nothing(name: str) -> None:
    histories_BH = pad_left(HISTORIES)
    for scorer in both(name):
        padded = scores(scorer, np.pad(histories_BH, ((0, 0), (7, 0))))
        np.testing.assert_array_equal(padded, scores(scorer, histories_BH))


@every_model
def test_a_query_scores_the_same_alone_and_in_a_batch(name: str) -> None:
    histories_BH = pad_left(HISTORIES)
    for scorer in both(name):
        alone = [scorer.scores(USERS[[row]], histories_BH[[row]])[0] for row in range(len(USERS))]
        np.testing.assert_allclose(scores(scorer), np.stack(alone), rtol=1e-5, atol=1e-6)


@every_model
def test_it_reads_no_more_of_a_history_than_it_declares(name: str) -> None:
    histories_BH = pad_left(HISTORIES)
    for scorer in both(name):
        if (length := scorer.history_length) is None:
            continue
        longer = np.concatenate([np.full((len(USERS), 3), 9, dtype=np.int32), histories_BH[:, -length:]], axis=1)
        np.testing.assert_array_equal(scores(scorer, longer), scores(scorer, histories_BH))


@every_model
def test_a_model_that_reads_order_tells_two_orders_of_earlier_items_apart(name: str) -> None:
    one, other = (np.tile(np.array(history, dtype=np.int32), (len(USERS), 1)) for history in ([2, 7, 10], [7, 2, 10]))
    for scorer in both(name):
        differs = not np.allclose(scores(scorer, one), scores(scorer, other), rtol=1e-4)
        if fitted(name).config.reads_order:
            assert differs
        elif isinstance(fitted(name).config, NetworkSettings):  # a model that counts may weigh items by their age
            assert not differs


@every_model
def test_it_beats_chance_in_an_easy_world_unless_it_ignores_histories(name: str) -> None:
    queries = split().test
    scorer = fitted(name).trained
    best = scorer.scores(queries.users, queries.histories(slice(None), scorer.history_length))[:, 1:].argmax(axis=1) + 1
    hit_rate = float(np.mean(best == queries.targets))
    if name in IGNORE_HISTORY:
        assert len(set(best.tolist())) == 1
        assert hit_rate < 2 * CHANCE
    elif name in IGNORE_ORDER:  # items come in three circles here, and each user stays in one
        circles_QH = queries.histories(slice(None), None)
        assert np.mean((circles_QH == best[:, None]).any(axis=1)) > 0.9
    else:
        assert hit_rate > 0.9


@every_model
def test_a_score_is_state_times_vector_plus_bias_for_a_model_with_states(name: str) -> None:
    for scorer in both(name):
        if not isinstance(scorer, StateScorer):
            continue
        vectors_ID, bias_I = scorer.item_vectors()
        states_BD = scorer.states(USERS, pad_left(HISTORIES))
        np.testing.assert_allclose(states_BD @ vectors_ID.T + bias_I, scores(scorer), rtol=1e-5, atol=1e-5)


@every_model
def test_a_user_may_be_given_as_a_vector_in_a_model_with_user_vectors(name: str) -> None:
    for scorer in both(name):
        if not isinstance(scorer, StateScorer) or (vectors_UE := scorer.user_vectors()) is None:
            continue
        by_index, by_vector = (scorer.states(users, pad_left(HISTORIES)) for users in (USERS, vectors_UE[USERS]))
        np.testing.assert_array_equal(by_index, by_vector)
        np.testing.assert_array_equal(by_index[:, scorer.user_columns], vectors_UE[USERS])


# Parameters


@every_model
def test_a_model_restored_from_its_parameters_gives_the_same_scores(name: str) -> None:
    np.testing.assert_allclose(scores(fitted(name).restored), scores(fitted(name).trained), rtol=1e-5, atol=1e-5)


@every_model
def test_a_restored_model_has_the_parameters_that_it_was_made_from(name: str) -> None:
    arrays, again = (scorer.arrays() for scorer in both(name))
    assert set(again) == set(arrays)
    for parameter, values in arrays.items():
        np.testing.assert_array_equal(again[parameter], values)


@every_model
def test_a_missing_parameter_is_refused(name: str) -> None:
    config, scorer, _ = fitted(name)
    for missing in scorer.arrays():
        arrays = {parameter: values for parameter, values in scorer.arrays().items() if parameter != missing}
        with pytest.raises(ArtefactError):
            restored(config, arrays)


@every_model
def test_a_foreign_parameter_is_refused(name: str) -> None:
    config, scorer, _ = fitted(name)
    with pytest.raises(ArtefactError, match="foreign"):
        restored(config, {**scorer.arrays(), "foreign": np.zeros(1, dtype=np.float32)})


@every_model
def test_a_parameter_of_another_shape_is_refused(name: str) -> None:
    config, scorer, _ = fitted(name)
    for parameter, values in scorer.arrays().items():
        with pytest.raises(ArtefactError):
            restored(config, {**scorer.arrays(), parameter: values[:-1]})


@every_model
def test_parameters_of_another_catalogue_are_refused(name: str) -> None:
    config, scorer, _ = fitted(name)
    with pytest.raises(ArtefactError, match="Train again"):
        restored(config, scorer.arrays(), more_items=1)
