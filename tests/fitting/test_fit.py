"""Fitting: choose on validation, refit on the given part, continue after a crash, and refuse foreign checkpoints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caser.config import Training
from caser.data.split import Split, global_time, leave_one_out, sessions
from caser.data.synthetic import chain_world
from caser.errors import ArtefactError, ConfigError, DataError
from caser.fitting.checks import for_given_epochs
from caser.fitting.fit import Progress, fit
from caser.models.caser.caser import Caser
from caser.models.counting.markov import Markov
from caser.models.neural import NeuralScorer
from caser.training import precision
from caser.training.loop import start
from tests.architecture.source import ROOT
from tests.data.logs import Row, log_of
from tests.runs import fitted
from tests.skips import on_another_system
from tests.training.runs import train_on

MODEL = Caser(L=2, T=1, d=4, n_v=1, n_h=2, dropout=0, user_vector=True)
SUITED = MODEL.replace(item_dropout=0.4, reach=16)
"""The same, with what the recipe chooses for `split`."""
TRAINING = Training(epochs=6, patience=2, batch_size=64, learning_rate=0.02, device="cpu")
FIXED = for_given_epochs(TRAINING)


@pytest.fixture(scope="module")
def split() -> Split:
    """Return a split that a few quick epochs can learn from."""
    return leave_one_out(chain_world(num_users=40, num_items=8, length=10, seed=0).log)


class Stopped(Exception):  # noqa: N818
    """Raised by a test to interrupt a fit."""


def stop_after(epochs: int) -> Any:
    """Return a `tell` that interrupts a fit after this many epochs of choosing."""

    def tell(progress: Progress) -> None:
        if progress.done and progress.done.number == epochs:
            raise Stopped

    return tell


def same_arrays(first: Any, second: Any) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


def test_the_epochs_that_validate_best_are_refitted_from_fresh_parameters_on_the_final_part(split: Split) -> None:
    rec = fit(MODEL, split, TRAINING)
    facts = rec.artefact.manifest
    values = [entry["validation"] for entry in facts["history"]]
    assert facts["epochs"] == 1 + int(np.argmax(values))

    state = start(SUITED.build(split.log.num_users, split.log.num_items, TRAINING.seed), TRAINING)
    for _ in train_on(state, split.final, TRAINING, num_targets=MODEL.T, until=facts["epochs"]):
        pass
    expected = dict(NeuralScorer(state.finish()).arrays())
    expected["P"][0] = expected["P"][1:].mean(axis=0)
    assert rec.artefact.scorer.arrays().keys() == expected.keys()
    for name, array in rec.artefact.scorer.arrays().items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("patience", [0, 1, 3])
def test_choosing_stops_when_validation_has_not_risen_for_as_many_epochs_as_patience(
    split: Split, patience: int
) -> None:
    training = TRAINING.replace(learning_rate=1e-9, patience=patience)  # nothing is learnt, so nothing rises
    history = fit(MODEL, split, training).artefact.manifest["history"]
    assert len(history) == (patience + 1 if patience else training.epochs)


def test_without_choosing_all_epochs_train(split: Split) -> None:
    told: list[Progress] = []
    rec = fit(MODEL, split, FIXED, epochs=TRAINING.epochs, tell=told.append)
    assert rec.artefact.manifest["epochs"] == 6
    assert rec.artefact.manifest["history"] == []
    assert {progress.stage for progress in told} == {"refitting"}
    assert [progress.done.number for progress in told if progress.done] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("train_on", ["fit", "final", "all"])
def test_the_model_answers_from_the_part_it_was_trained_on(split: Split, train_on: Any) -> None:
    part = {"fit": split.fit, "final": split.final, "all": split.everything}[train_on]
    for model in (MODEL, Markov()):
        artefact = fitted(model, split, TRAINING.replace(epochs=1), train_on=train_on).artefact
        assert artefact.manifest["train_on"] == train_on
        assert np.array_equal(artefact.trained.items, part.items)
        assert np.array_equal(artefact.histories.items, split.everything.items)
        left_out = artefact.manifest["left_out"]
        missing = len(split.everything) - len(part)
        assert (left_out and (left_out["interactions"], left_out["users"])) == ((missing, 40) if missing else None)


def test_unknown_users_get_the_mean_vector_or_a_learned_one(split: Split) -> None:
    for user_dropout, kind in ((0.0, "mean"), (0.5, "learned")):
        artefact = fit(MODEL, split, TRAINING.replace(epochs=1, user_dropout=user_dropout)).artefact
        vectors = artefact.scorer.arrays()["P"]
        assert artefact.manifest["anonymous_user"] == kind
        assert np.allclose(vectors[0], vectors[1:].mean(axis=0), atol=1e-6) == (kind == "mean")
    assert (
        fit(MODEL.replace(user_vector=False), split, TRAINING.replace(epochs=1)).artefact.manifest["anonymous_user"]
        is None
    )


def test_users_that_training_never_saw_do_not_count_in_the_mean() -> None:
    rows: list[Row] = [("ann" if time % 2 else "ben", time % 5, time) for time in range(30)]
    split = global_time(log_of([*rows, ("late", 1, 98), ("ann", 2, 99)]))
    artefact = fit(MODEL, split, TRAINING.replace(epochs=1)).artefact
    vectors = artefact.scorer.arrays()["P"]
    assert np.allclose(vectors[0], vectors[1:3].mean(axis=0), atol=1e-6)


def test_an_interrupted_fit_continues_where_it_stopped(split: Split, tmp_path: Path) -> None:
    unbroken = fit(MODEL, split, TRAINING).artefact
    for epochs in (1, 2):
        with pytest.raises(Stopped):
            fit(MODEL, split, TRAINING, checkpoint=tmp_path / "checkpoint", tell=stop_after(epochs))
    told: list[Progress] = []
    continued = fit(MODEL, split, TRAINING, checkpoint=tmp_path / "checkpoint", tell=told.append).artefact
    assert told[0].epoch == 3
    assert same_arrays(unbroken.scorer.arrays(), continued.scorer.arrays())


@pytest.mark.parametrize(
    ("model", "training", "options"),
    [
        (MODEL.replace(d=5), TRAINING, {}),
        (MODEL, TRAINING.replace(seed=1), {}),
        (MODEL, FIXED, {"epochs": TRAINING.epochs}),
        (MODEL, TRAINING, {"train_on": "all"}),
    ],
    ids=["another model", "another seed", "another way to choose", "another part"],
)
def test_a_checkpoint_of_another_run_is_refused(
    split: Split, tmp_path: Path, model: Caser, training: Training, options: dict[str, Any]
) -> None:
    with pytest.raises(Stopped):
        fit(MODEL, split, TRAINING, checkpoint=tmp_path / "checkpoint", tell=stop_after(1))
    with pytest.raises(ArtefactError, match="must be a checkpoint of this very run"):
        fit(model, split, training, checkpoint=tmp_path / "checkpoint", **options)


def test_a_checkpoint_of_another_log_is_refused(split: Split, tmp_path: Path) -> None:
    other = leave_one_out(chain_world(num_users=40, num_items=8, length=10, seed=1).log)
    with pytest.raises(Stopped):
        fit(MODEL, split, TRAINING, checkpoint=tmp_path / "checkpoint", tell=stop_after(1))
    with pytest.raises(ArtefactError, match="must be a checkpoint of this very run"):
        fit(MODEL, other, TRAINING, checkpoint=tmp_path / "checkpoint")


def test_a_damaged_checkpoint_is_refused_and_kept(split: Split, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    with pytest.raises(Stopped):
        fit(MODEL, split, TRAINING, checkpoint=path, tell=stop_after(1))
    content = path.read_bytes()
    damaged = content[:-1] + bytes([content[-1] ^ 1])
    path.write_bytes(damaged)
    with pytest.raises(ArtefactError, match=str(path)):
        fit(MODEL, split, TRAINING, checkpoint=path)
    assert path.read_bytes() == damaged


def test_user_vectors_are_refused_under_the_sessions_protocol() -> None:
    split = sessions(chain_world(num_users=40, num_items=8, length=6, seed=0).log)
    with pytest.raises(ConfigError, match="user_vector=False"):
        fit(MODEL, split, TRAINING)
    assert (
        fit(MODEL.replace(user_vector=False), split, TRAINING.replace(epochs=1)).artefact.manifest["protocol"]
        == "sessions"
    )


def test_choosing_without_validation_queries_is_refused_in_one_sentence() -> None:
    rows: list[Row] = [("ann", time, time) for time in range(16)]
    split = global_time(log_of([*rows, ("new", 16, 16), ("new", 17, 17), ("ann", 18, 18), ("ann", 19, 19)]))
    with pytest.raises(DataError, match="at least one query; got none"):
        fit(MODEL, split, TRAINING)
    assert fit(MODEL, split, FIXED, epochs=TRAINING.epochs).artefact.manifest["epochs"] == 6


@pytest.mark.skipif(os.name != "posix", reason=on_another_system("needs SIGKILL and fork"))
@pytest.mark.parametrize("rounds", [1, pytest.param(13, marks=pytest.mark.slow)])
def test_fits_killed_twice_in_a_row_end_with_the_same_bits_as_an_uninterrupted_fit(tmp_path: Path, rounds: int) -> None:
    command = [sys.executable, "-m", "tests.training.killing", str(tmp_path), "0", str(rounds)]
    told = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    assert told["killed"] == 2 * rounds
    for broken in told["broken"]:
        assert broken["weights"] == told["unbroken"]["weights"]
        assert broken["history"] == told["unbroken"]["history"]  # no epoch twice, none missing
    assert told["strays"] == []


def test_continuing_with_another_number_of_threads_warns(split: Split, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    with pytest.raises(Stopped):
        fit(MODEL, split, TRAINING, checkpoint=path, tell=stop_after(1))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)
        with pytest.warns(UserWarning, match="threads"):
            fit(MODEL, split, TRAINING, checkpoint=path)
    finally:
        torch.set_num_threads(before)


# The number type of products


@pytest.fixture
def speeds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Forge what is measured: the next number of the list, which is then removed; a test fills it."""
    forged: list[float] = []
    monkeypatch.setattr(precision, "SMALL_TABLE", 1)
    monkeypatch.setattr(precision, "speed_of_bfloat16", lambda *sizes: forged.pop())
    return forged


@pytest.mark.parametrize(("speed", "chosen"), [(9.0, "bfloat16"), (0.1, "float32")])
def test_the_number_type_is_measured_once_and_recorded_in_the_manifest(
    split: Split, speeds: list[float], speed: float, chosen: Any
) -> None:
    speeds.append(speed)  # a second measurement would find the list empty
    artefact = fit(MODEL, split, TRAINING).artefact
    assert artefact.manifest["training"]["precision"] == chosen
    again = fit(MODEL, split, Training(**artefact.manifest["training"])).artefact
    assert same_arrays(artefact.scorer.arrays(), again.scorer.arrays())


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_fit_continues_with_the_number_type_that_it_began_with(
    split: Split, speeds: list[float], tmp_path: Path, epochs: int
) -> None:
    reduced = fit(MODEL, split, TRAINING.replace(precision="bfloat16")).artefact
    speeds.append(9.0)
    with pytest.raises(Stopped):
        fit(MODEL, split, TRAINING, checkpoint=tmp_path / "checkpoint", tell=stop_after(epochs))
    speeds.append(0.1)  # if it were measured again, it would be float32
    continued = fit(MODEL, split, TRAINING, checkpoint=tmp_path / "checkpoint").artefact
    assert speeds == [0.1]
    assert continued.manifest["training"]["precision"] == "bfloat16"
    assert same_arrays(reduced.scorer.arrays(), continued.scorer.arrays())


def test_user_dropout_without_user_vectors_is_refused(split: Split) -> None:
    with pytest.raises(ConfigError, match="user_dropout must be 0"):
        fit(MODEL.replace(user_vector=False), split, TRAINING.replace(user_dropout=0.5))


def test_an_unknown_train_on_is_refused(split: Split) -> None:
    with pytest.raises(ConfigError, match="train_on must be a part that trains"):
        fit(Markov(), split, train_on="everything")  # type: ignore[arg-type]
