"""A log in shards trains, is judged and answers as it does in one piece."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caser.answering.recommender import Recommender, load
from caser.config import Training
from caser.data.shards import ShardedLog
from caser.data.split import Split, leave_one_out
from caser.evaluation.report import Report
from caser.fitting.evaluate import evaluate
from caser.fitting.fit import choose, fit
from caser.models import counting_settings, network_settings
from caser.models.settings import ModelSettings
from caser.training import shard_batches
from tests.data.test_shard_parts import LOG, mapped

TRAINING = Training(epochs=2, batch_size=64, device="cpu", seed=3)
MODELS: dict[str, ModelSettings] = {
    "caser": network_settings("caser", {"L": 3, "T": 2, "d": 4, "n_v": 1, "n_h": 2}),
    "gru4rec": network_settings("gru4rec", {"d": 4, "max_length": 6}),
    "popularity": counting_settings("popularity"),
    "recent-popularity": counting_settings("recent-popularity"),
    "markov": counting_settings("markov"),
    "count-knn": counting_settings("count-knn", {"gap_decay": 0.5}),
    "ease": counting_settings("ease"),
}


def split_into(num_shards: int) -> Split:
    return leave_one_out(ShardedLog.of(LOG, num_shards))


def fitted(name: str, split: Split, **options: Any) -> Recommender:
    is_network = name in ("caser", "gru4rec")
    return fit(MODELS[name], split, TRAINING if is_network else None, **options)


WHOLE: dict[str, tuple[Recommender, Report]] = {}


def in_one_piece(name: str) -> tuple[Recommender, Report]:
    """The model fitted on the log in one piece, and its report; made once."""
    if name not in WHOLE:
        recommender = fitted(name, leave_one_out(LOG))
        WHOLE[name] = recommender, evaluate(recommender, leave_one_out(LOG))
    return WHOLE[name]


@pytest.mark.parametrize("num_shards", [1, 2, 5])
@pytest.mark.parametrize("name", MODELS)
def test_shards_give_the_weights_numbers_and_answers_of_one_piece(name: str, num_shards: int) -> None:
    expected, report = in_one_piece(name)
    split = split_into(num_shards)
    recommender = fitted(name, split)
    again = evaluate(recommender, split)
    for array, values in expected.artefact.scorer.arrays().items():
        assert np.array_equal(recommender.artefact.scorer.arrays()[array], values), array
    assert again.facts == report.facts
    for model, metrics in report.values.items():
        for metric, values_SQ in metrics.items():
            assert np.array_equal(again.values[model][metric], values_SQ), (model, metric)
    assert again.to_dict() == report.to_dict()
    users = LOG.user_vocabulary.ids.to_list()
    assert recommender.recommend(users=users).to_dicts() == expected.recommend(users=users).to_dicts()
    assert recommender.artefact.manifest["environment"].get("shards", 1) == num_shards
    changing = {"environment", "trained_at", "history"}
    facts = {key: value for key, value in recommender.artefact.manifest.items() if key not in changing}
    assert facts == {key: value for key, value in expected.artefact.manifest.items() if key not in changing}


@pytest.mark.parametrize("train_on", ["fit", "final", "all"])
def test_a_run_of_mapped_shards_is_saved_as_one_of_a_log_in_memory(train_on: Any, tmp_path: Path) -> None:
    split = leave_one_out(ShardedLog.of(mapped(LOG, tmp_path), 4))
    expected = fitted("gru4rec", leave_one_out(LOG), epochs=1, train_on=train_on)
    recommender = fitted("gru4rec", split, epochs=1, train_on=train_on)
    expected.save(tmp_path / "one")
    recommender.save(tmp_path / "shards")
    for file in ("weights.safetensors", "histories.parquet", "vocabulary.parquet"):
        assert (tmp_path / "shards" / file).read_bytes() == (tmp_path / "one" / file).read_bytes()
    again, whole = (load(tmp_path / folder).recommend(users=[1, 2, 3]).to_dicts() for folder in ("shards", "one"))
    assert again == whole


@pytest.mark.parametrize("name", ["caser", "gru4rec"])
def test_pools_of_few_shards_train_every_state_once_per_epoch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_batches, "AT_ONCE", 2)
    split = split_into(5)
    told: list[Any] = []
    expected = choose(MODELS[name], leave_one_out(LOG), TRAINING).history
    found = choose(MODELS[name], split, TRAINING, tell=told.append).history
    assert [epoch["num_states"] for epoch in found] == [epoch["num_states"] for epoch in expected]
    assert found[0]["loss"] != expected[0]["loss"]
    assert found[-1]["loss"] == pytest.approx(expected[-1]["loss"], rel=0.1)
    of_batches = [progress.batches for progress in told if progress.batches]
    assert len(set(of_batches)) == 1
    assert len(of_batches) == len(found) * of_batches[0]


def test_a_user_who_is_seen_by_negatives_is_found_in_its_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_batches, "AT_ONCE", 2)
    training = TRAINING.replace(loss="bce", unseen_negatives=True, num_negatives=2, patience=1)
    assert choose(MODELS["caser"], split_into(5), training).history
