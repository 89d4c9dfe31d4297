"""Auto: which model wins, when a blend is chosen, and that the test part stays closed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caser.answering.recommender import load
from caser.data.synthetic import noise_world
from caser.errors import ConfigError
from caser.evaluation import protocols
from caser.evaluation.statistics import Difference
from caser.fitting.fit import fit
from caser.models.blend import Blend
from caser.models.counting.count_knn import CountKNN
from caser.models.counting.markov import Markov
from caser.study import auto as trying
from caser.study.auto import auto
from caser.study.blending import WEIGHTS, blend_weight
from caser.study.compare import recipes_for
from tests.skips import NEEDS_EXTRAS
from tests.study.small import forbid_training, small_plan, small_split, watch_parts

SPLIT = small_split(num_users=80)
ONCE = {"epochs": 1, "device": "cpu"}
HISTORIES = [[1, 2, 3], [4], [6, 5]]


def blend_of(monkeypatch: pytest.MonkeyPatch, weight: float | None) -> None:
    monkeypatch.setattr(trying, "blend_weight", lambda *_: (weight, "a blend was tried"))


def test_the_best_on_validation_wins_and_says_why(tmp_path: Path) -> None:
    winner = auto(SPLIT, small_plan(tmp_path), ["markov"])
    assert next(iter(winner.tried)) == "markov"
    assert list(winner.tried.values()) == sorted(winner.tried.values(), reverse=True)
    assert winner.why[0] == f"markov is best on validation: ndcg@10 {winner.tried['markov']:.4f}"
    assert len(winner.why) == 3
    manifest = winner.recommender.artefact.manifest
    assert manifest["why"] == list(winner.why)
    assert (manifest["train_on"], manifest["test_openings"]) == ("final", 0)


def test_the_test_part_stays_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = watch_parts(monkeypatch)
    auto(SPLIT, small_plan(tmp_path), ["markov"])
    assert set(parts) == {"validation"}
    assert len(parts) == 2 + 1 + len(WEIGHTS) + 1
    assert not (tmp_path / "openings.json").exists()


def test_a_blend_that_is_no_better_on_validation_is_not_chosen(tmp_path: Path) -> None:
    noise = protocols.apply("leave-one-out", noise_world(num_users=80, num_items=6, length=9, seed=0).log)
    winner = auto(noise, small_plan(tmp_path), ["markov"])
    assert winner.recommender.artefact.config.name == next(iter(winner.tried))
    assert "no difference" in winner.why[2] or "loses" in winner.why[2]


@pytest.mark.parametrize(("low", "high", "ships"), [(0.01, 0.03, True), (-0.01, 0.05, False), (-0.03, -0.01, False)])
def test_a_blend_is_chosen_only_if_it_is_shown_to_be_better(
    low: float, high: float, ships: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    difference = Difference((low + high) / 2, low, high, 0.1)
    found = dict.fromkeys(map(str, WEIGHTS), difference)
    monkeypatch.setattr("caser.evaluation.report.Report.differences", lambda *_, **__: found)
    name = auto(SPLIT, small_plan(tmp_path), ["markov"]).recommender.artefact.config.name
    assert (name == "blend") is ships


def test_the_best_blend_is_compared_once_so_that_its_gain_is_not_corrected_for_the_weights() -> None:
    """The gain is judged by its own interval: the weights are too much alike for a correction."""
    fitted = [fit(model, SPLIT, train_on="fit") for model in (CountKNN(), Markov())]
    weight, sentence = blend_weight(SPLIT, *fitted)
    assert "the best of 5 weights" in sentence
    assert "Holm" not in sentence
    low = float(re.findall(r"interval ([+-][.0-9]+)", sentence)[0])
    assert (weight is not None) is (low > 0)


@pytest.mark.parametrize("second", ["count-knn", "caser"])
def test_a_saved_blend_gives_the_same_answers_when_it_is_loaded(
    second: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blend_of(monkeypatch, 0.65)

    def only(split: Any, models: Any, **options: Any) -> Any:
        recipes, notes = recipes_for(split, models, **options)
        return {name: recipes[name] for name in ("markov", second)}, notes

    monkeypatch.setattr(trying, "recipes_for", only)
    winner = auto(SPLIT, small_plan(tmp_path / "store"), [second], training=ONCE if second == "caser" else None)
    config = winner.recommender.artefact.config
    assert isinstance(config, Blend)
    assert {config.first, config.second} == {"markov", second}
    assert config.weight == 0.65
    winner.recommender.save(tmp_path / "run")
    again = load(tmp_path / "run")
    assert again.artefact.config == config
    assert again.artefact.manifest["why"] == list(winner.why)
    one, other = (rec.recommend(histories=HISTORIES, k=3).to_dicts() for rec in (winner.recommender, again))
    assert [[item["item_id"] for item in answer["items"]] for answer in one] == [
        [item["item_id"] for item in answer["items"]] for answer in other
    ]
    scores = [  # one in torch, one in NumPy
        rec.artefact.scorer.scores(np.ones(1, np.int32), np.array([[1, 2, 3]], np.int32))
              for rec in (winner.recommender, again)]  # fmt: skip
    np.testing.assert_allclose(scores[0][:, 1:], scores[1][:, 1:], rtol=1e-5, atol=1e-6)


def test_a_second_call_trains_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = auto(SPLIT, small_plan(tmp_path), ["markov"])
    blend_of(monkeypatch, None)
    forbid_training(monkeypatch)
    assert auto(SPLIT, small_plan(tmp_path), ["markov"]).tried == first.tried


def test_a_network_is_cut_when_its_share_is_spent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna", reason=NEEDS_EXTRAS)
    blend_of(monkeypatch, None)
    auto(SPLIT, small_plan(tmp_path, budget=0.001), ["caser"], training={"epochs": 50, "device": "cpu"})
    (choices,) = [
        text for path in (tmp_path / "choices").glob("*.json") if '"model": "caser"' in (text := path.read_text())
    ]
    assert '"epochs": 1,' in choices


def test_a_model_that_the_protocol_does_not_allow_is_named(tmp_path: Path) -> None:
    winner = auto(small_split("sessions"), small_plan(tmp_path), ["bpr-mf"])
    assert [sentence for sentence in winner.why if sentence.startswith("bpr-mf is left out")]


def test_an_unknown_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean"):
        auto(SPLIT, small_plan(tmp_path), ["markof"])
