"""The best model with no settings: which wins, what is said, and what an interruption leaves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caser.config import Training
from caser.data.synthetic import noise_world
from caser.errors import ConfigError, DataError
from caser.evaluation import judge, protocols
from caser.fitting.checks import for_given_epochs
from caser.fitting.fit import Progress, choose, fit
from caser.models.blend import Blend
from caser.models.caser.caser import Caser
from caser.models.counting.ease import EASE
from caser.study import best as trying
from caser.study.best import COUNTED, best
from tests.study.small import small_split, watch_parts

ONCE = Training(epochs=1, device="cpu")
SPLIT = small_split(num_users=80)


class Stopped(Exception):  # noqa: N818
    """Raised by a test to interrupt a training."""


def no_blend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trying, "blend_weight", lambda *_: (None, "a blend was tried"))


def test_the_best_on_validation_wins_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    no_blend(monkeypatch)
    winner = best(SPLIT, training=ONCE)
    assert set(winner.tried) == {"caser", "sasrec", *COUNTED}
    assert list(winner.tried.values()) == sorted(winner.tried.values(), reverse=True)
    name = next(iter(winner.tried))
    manifest = winner.recommender.artefact.manifest
    assert winner.recommender.artefact.config.name == name
    assert winner.why[0] == f"{name} is best on validation: ndcg@10 {winner.tried[name]:.4f}"
    assert (manifest["why"], manifest["train_on"], manifest["test_openings"]) == (list(winner.why), "final", 0)


def test_a_counting_model_is_shipped_where_it_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    no_blend(monkeypatch)
    winner = best(SPLIT, training=ONCE.replace(learning_rate=1e-9))  # the networks learn nothing
    assert winner.recommender.artefact.config.name == "markov"
    assert re.match("the best network is (caser|sasrec): ", winner.why[1])


def test_gru4rec_is_tried_where_users_are_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    no_blend(monkeypatch)
    assert set(best(small_split("sessions"), training=ONCE).tried) == {"caser", "sasrec", "gru4rec", *COUNTED}


def test_a_blend_wins_only_where_validation_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = protocols.apply("leave-one-out", noise_world(num_users=80, num_items=6, length=9, seed=0).log)
    assert not isinstance(best(noise, training=ONCE).recommender.artefact.config, Blend)
    monkeypatch.setattr(trying, "blend_weight", lambda *_: (0.65, "a blend is better"))
    config = best(SPLIT, training=ONCE).recommender.artefact.config
    assert isinstance(config, Blend)
    assert config.weight == 0.65
    assert {config.first, config.second} & {"caser", "sasrec"}


def test_the_test_part_stays_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = watch_parts(monkeypatch)
    best(SPLIT, training=ONCE)
    assert set(parts) == {"validation"}


def test_a_model_that_does_not_fit_the_machine_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise ConfigError("EASE needs more memory.")

    no_blend(monkeypatch)
    monkeypatch.setattr(EASE, "build", refuse)
    winner = best(SPLIT, training=ONCE)
    assert "ease" not in winner.tried
    assert "ease is left out: EASE needs more memory." in winner.why


@pytest.mark.parametrize("stage", ["choosing", "refitting"])
def test_an_interrupted_call_continues_to_the_same_model(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_blend(monkeypatch)
    monkeypatch.setattr(trying, "COUNTED", ("popularity",))
    training = Training(epochs=3, device="cpu", seed=4)

    stopped: list[Progress] = []

    def stop(progress: Progress) -> None:
        if progress.done and progress.stage == stage:
            stopped.append(progress)
            raise Stopped

    unbroken = best(SPLIT, training=training).recommender.artefact
    with pytest.raises(Stopped):
        best(SPLIT, training=training, checkpoints=tmp_path, tell=stop)
    told: list[Progress] = []
    continued = best(SPLIT, training=training, checkpoints=tmp_path, tell=told.append).recommender.artefact
    again = [one for one in told if one.stage == stage and one.model == stopped[0].model]
    assert 1 not in [one.done.number for one in again if one.done]
    assert continued.manifest["epochs"] == unbroken.manifest["epochs"]
    for name, array in unbroken.scorer.arrays().items():
        assert (continued.scorer.arrays()[name] == array).all()


def test_the_model_that_choosing_keeps_is_the_one_that_fit_would_train() -> None:
    training = Training(epochs=4, device="cpu", seed=2)
    choice = choose(Caser(d=8), SPLIT, training, keep=True)
    assert choice.kept is not None
    assert choice.epochs is not None
    again = fit(Caser(d=8), SPLIT, for_given_epochs(training), epochs=choice.epochs, train_on="fit").artefact
    assert choice.kept.artefact.manifest["train_on"] == "fit"
    for name, array in again.scorer.arrays().items():
        assert (choice.kept.artefact.scorer.arrays()[name] == array).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "popularity", "training": ONCE}, "training must be left out for popularity"),
        ({"model": "caser", "budget": 2.0}, "needs a store for its trials"),
        ({"budget": -1.0}, "a number of seconds from 0 on"),
        ({"model": "markov", "budget": 2.0, "store": Path("store")}, "markov, which has no settings to tune"),
    ],
    ids=str,
)
def test_an_argument_without_effect_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        best(SPLIT, **arguments)


def test_of_equal_models_the_one_that_counts_is_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    no_blend(monkeypatch)
    monkeypatch.setattr(judge, "value", lambda *_: 0.5)
    monkeypatch.setattr(judge, "values", lambda *_: np.array([0.5]))
    assert best(SPLIT, training=ONCE).recommender.artefact.config.name in COUNTED


def test_a_shipped_network_keeps_the_history_of_its_choice(tmp_path: Path) -> None:
    manifest = best(SPLIT, "caser", ONCE, checkpoints=tmp_path / "parts").recommender.artefact.manifest
    assert [entry["number"] for entry in manifest["history"]] == [1]


def test_a_failed_call_leaves_no_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise DataError("there is nothing to choose on.")

    monkeypatch.setattr(trying, "choose", fail)
    with pytest.raises(DataError):
        best(SPLIT, training=ONCE, checkpoints=tmp_path / "parts")
    assert not list(tmp_path.iterdir())
