"""Evaluating: only with the split of the training, counted each time, and never after training on everything."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from caser.arrays.types import Int64
from caser.artefact import folder as artefact
from caser.data.split import Split, global_time, leave_one_out
from caser.data.synthetic import noise_world
from caser.errors import ArtefactError, ConfigError
from caser.evaluation.metrics import Values, register_metric
from caser.fitting.evaluate import evaluate
from caser.fitting.fit import fit
from caser.models.counting.markov import Markov


@pytest.fixture(scope="module")
def split() -> Split:
    """Return a split of pure noise."""
    return leave_one_out(noise_world(num_users=60, num_items=9, length=12, seed=0).log)


def test_each_opening_of_the_test_part_is_counted_and_saved_with_the_run(split: Split, tmp_path: Path) -> None:
    rec = fit(Markov(), split)
    evaluate(rec, split)
    evaluate(rec, split)
    rec.save(tmp_path / "run")
    facts = artefact.load(tmp_path / "run").manifest
    assert facts["test_openings"] == 2
    assert facts["metrics"].keys() == evaluate(rec, split).values["markov"].keys()
    assert artefact.test_openings(tmp_path / "run", facts["fingerprint"]) == 2
    assert artefact.test_openings(tmp_path / "run", "another") == 0
    assert artefact.test_openings(tmp_path / "nothing", facts["fingerprint"]) == 0


def test_the_validation_part_is_judged_without_counting(split: Split) -> None:
    rec = fit(Markov(), split, train_on="fit")
    assert evaluate(rec, split).part == "validation"
    assert rec.artefact.manifest["test_openings"] == 0


def test_a_split_with_other_fractions_is_refused_because_its_test_part_may_have_trained() -> None:
    log = noise_world(num_users=60, num_items=9, length=12, seed=0).log
    rec = fit(Markov(), global_time(log, test=0.02, validation=0.02))
    with pytest.raises(ArtefactError, match=r"must be judged under global-time test=0.02 .*; got global-time and"):
        evaluate(rec, global_time(log))


def test_a_model_that_was_trained_on_everything_is_not_judged(split: Split) -> None:
    with pytest.raises(ArtefactError, match="trained on everything"):
        evaluate(fit(Markov(), split, train_on="all"), split)


def test_another_log_is_refused(split: Split) -> None:
    other = leave_one_out(noise_world(num_users=60, num_items=9, length=12, seed=1).log)
    with pytest.raises(ArtefactError, match="digest"):
        evaluate(fit(Markov(), split), other)


def test_further_metrics_are_reported_for_every_model_and_kept_in_the_manifest(split: Split, tmp_path: Path) -> None:
    def first_place(ranks_UT: Values, num_targets_U: Int64, num_candidates_U: Int64, k: float) -> Values:
        return np.where((ranks_UT == 1).any(axis=1), 1.0, 0.0)

    register_metric("first-place", first_place)
    rec = fit(Markov(), split)
    report = evaluate(rec, split, metrics=["first-place@5", "ndcg@10"])
    assert report.estimate("popularity", "first-place@5").low <= report.estimate("popularity", "first-place@5").value
    assert list(report.values["markov"]) == ["hit@10", "ndcg@10", "mrr@10", "hit@50", "first-place@5"]
    assert report.fingerprint == evaluate(rec, split).fingerprint
    evaluate(rec, split, metrics=["first-place@5"])
    rec.save(tmp_path / "run")
    assert "first-place@5" in artefact.load(tmp_path / "run").manifest["metrics"]


def test_an_unknown_metric_is_refused_before_the_test_part_is_opened(split: Split) -> None:
    rec = fit(Markov(), split)
    with pytest.raises(ConfigError, match=r"did you mean ndcg\?"):
        evaluate(rec, split, metrics=["ndgc@5"])
    assert rec.artefact.manifest["test_openings"] == 0


def test_the_verdict_compares_a_counting_model_with_the_best_of_the_others(split: Split) -> None:
    (verdict,) = evaluate(fit(Markov(), split), split).verdicts()
    assert re.match(r"ndcg@10: markov (against|beats|loses to) (popularity|count-knn)", verdict)
    (alone,) = evaluate(fit(Markov(), split), split, baselines=False).verdicts()
    assert alone.startswith("ndcg@10: markov is the only model of this report (")
