"""Trackers get every epoch and the facts of a run; one that fails stops no training. The packages are the real ones."""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from caser.config import Training
from caser.data.split import Split, leave_one_out
from caser.data.synthetic import chain_world
from caser.errors import ConfigError
from caser.fitting import tracking as module
from caser.fitting.checks import for_given_epochs
from caser.fitting.fit import fit
from caser.fitting.tracking import parse_place, tracking
from caser.models.caser.caser import Caser
from caser.study.best import best
from tests.architecture.source import source_files
from tests.cli.terminal import caser, refusal
from tests.skips import NEEDS_EXTRAS

MODEL = Caser(L=2, T=1, d=4, n_v=1, n_h=2, reach=4)
TRAINING = Training(epochs=2, patience=0, device="cpu", seed=3)
FIXED = for_given_epochs(TRAINING)


@pytest.fixture(scope="module")
def split() -> Split:
    return leave_one_out(chain_world(num_users=20, num_items=6, length=8, seed=0).log)


@dataclass
class Kept:
    """A sink that keeps what it gets in memory, and fails at a step if it is told to."""

    fails_at: int | None = None
    numbers: list[tuple[int, Mapping[str, float]]] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    ended: list[bool] = field(default_factory=list)

    def log(self, values: Mapping[str, float], step: int) -> None:
        if step == self.fails_at:
            raise OSError("the disk is full")
        self.numbers.append((step, values))

    def describe(self, facts: Mapping[str, str]) -> None:
        self.facts.update(facts)

    def close(self, *, failed: bool) -> None:
        self.ended.append(failed)


def kept(monkeypatch: pytest.MonkeyPatch, **options: Any) -> Kept:
    """A sink that `tensorboard:` makes in place of the real one."""
    sink = Kept(**options)
    monkeypatch.setattr(module, "SINKS", {"tensorboard": lambda place, name: sink})
    return sink


def test_a_tracker_gets_each_epoch_of_both_stages_once_and_the_facts_of_the_run(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = kept(monkeypatch)
    told: list[Any] = []
    with tracking("tensorboard:x", "mine") as tracker:
        recommender = fit(MODEL, split, TRAINING, tell=tracker.beside(told.append))
        tracker.finish(recommender)
    history = recommender.artefact.manifest["history"]
    choosing = [(step, values) for step, values in sink.numbers if "choosing/loss" in values]
    assert [(step, values["choosing/loss"], values["choosing/ndcg@10"]) for step, values in choosing] == [
        (entry["number"], entry["loss"], entry["validation"]) for entry in history
    ]
    refitting = [step for step, values in sink.numbers if set(values) == {
        "refitting/loss", "refitting/seconds", "refitting/positions per second"}]  # fmt: skip
    assert refitting == list(range(1, recommender.artefact.manifest["epochs"] + 1))
    assert len(sink.numbers) == len(choosing) + len(refitting)
    assert (sink.facts["model.d"], sink.facts["training.seed"], sink.facts["protocol"]) == ("4", "3", "leave-one-out")
    assert sink.facts["log.digest"] == split.log.digest
    assert sink.ended == [False]
    assert len([one for one in told if one.done]) == len(sink.numbers)  # the other listener hears the same


def test_several_models_and_trials_have_names_of_their_own(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna", reason=NEEDS_EXTRAS)
    sink = kept(monkeypatch)
    with tracking("tensorboard:x", "mine") as tracker:
        best(split, MODEL, TRAINING, budget=1.0, store=tmp_path, tell=tracker)
    keys = Counter((step, name) for step, values in sink.numbers for name in values)
    assert (1, "caser/trial 1/choosing/loss") in keys
    assert set(keys.values()) == {1}


def test_a_tracker_that_fails_is_left_alone_and_the_training_goes_on(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = kept(monkeypatch, fails_at=2)
    with tracking("tensorboard:x", "mine") as tracker:
        with pytest.warns(UserWarning, match=r"--track tensorboard:x no longer takes .*the disk is full") as said:
            tracked = fit(MODEL, split, FIXED, epochs=2, tell=tracker)
        tracker.finish(tracked)
    assert len(said) == 1
    assert (len(sink.numbers), sink.facts, sink.ended) == (1, {}, [])
    alone = fit(MODEL, split, FIXED, epochs=2)
    arrays, others = tracked.artefact.scorer.arrays(), alone.artefact.scorer.arrays()
    assert all((arrays[name] == others[name]).all() for name in others)


def test_a_training_that_fails_ends_the_run_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = kept(monkeypatch)
    with pytest.raises(KeyboardInterrupt), tracking("tensorboard:x", "mine"):
        raise KeyboardInterrupt
    assert sink.ended == [True]


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("tensorbord:x", "did you mean tensorboard?"),
        ("runs/board", "--track must be tensorboard:FOLDER or mlflow:ADDRESS; got 'runs/board'"),
        ("mlflow:", "a place is missing"),
        ("mlflow:http://me:secret@host", "must not hold a password"),
        ("mlflow:postgresql://me:secret@host/db", "must not hold a password"),
    ],
)
def test_a_wrong_place_is_refused_before_the_log_is_read(place: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match="--track"):
        parse_place(place)
    code, line = refusal("train", "no-such-log", "--model", "caser", "--out", "no-such-run", "--track", place)
    assert code == 2
    assert sentence in line
    assert "secret" not in line


@pytest.mark.parametrize("model", ["markov", "auto"])
def test_a_model_without_epochs_of_its_own_refuses_a_tracker(model: str) -> None:
    words = ("train", "no-such-log", "--model", model, "--out", "no-such-run", "--track", "tensorboard:x")
    assert "--track has no effect" in refusal(*words)[1]


def test_only_this_file_knows_trackers() -> None:
    names = re.compile(r"^\s*(import|from) (tensorboardX|mlflow)", re.MULTILINE)
    knowing = [file.path.name for file in source_files() if names.search(file.path.read_text(encoding="utf-8"))]
    assert knowing == ["tracking.py"]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tracked") / "chain.csv"
    assert (
        caser("data", "simulate", "chain", "--out", path, "--num-users", 20, "--num-items", 6, "--length", 8).code == 0
    )
    return path


def train(log: Path, out: Path, track: str) -> None:
    """Train two epochs of Caser without a choice, then train the run again on everything."""
    words = ("--model", "caser", "--d", 4, "--n-h", 2, "--epochs", 2, "--no-choose", "--device", "cpu")
    outcome = caser("train", log, "--out", out, *words, "--track", track)
    assert outcome.code == 0, outcome.err
    again = caser("refit", out, "--out", out.with_name("again"), "--track", track)
    assert again.code == 0, again.err


def test_tensorboard_reads_what_was_tracked(log: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason=NEEDS_EXTRAS)
    train(log, tmp_path / "mine", f"tensorboard:{tmp_path / 'board'}")
    for run in ("mine", "again"):
        points, texts = events_of(tmp_path / "board" / run)
        assert sorted(step for name, step in points if name == "refitting/loss") == [1, 2]
        assert all(0 < value < 10 for (name, _), value in points.items() if name.endswith("loss"))
        assert "| model.d | 4 |" in texts


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of its packages
def test_mlflow_reads_what_was_tracked(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason=NEEDS_EXTRAS)
    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    train(log, tmp_path / "mine", f"mlflow:{address}")
    from mlflow import MlflowClient

    client: Any = MlflowClient(tracking_uri=address)
    runs = client.search_runs([client.get_experiment_by_name("caser").experiment_id])
    assert sorted((run.info.run_name, run.info.status) for run in runs) == [("again", "FINISHED"), ("mine", "FINISHED")]
    for run in runs:
        assert [point.step for point in client.get_metric_history(run.info.run_id, "refitting/loss")] == [1, 2]
        assert (run.data.params["model.d"], run.data.params["model"]) == ("4", "caser")
    code, line = refusal(
        "train", log, "--out", tmp_path / "new", "--model", "caser", "--track", "mlflow:http://127.0.0.1:9"
    )
    assert code == 2
    assert "--track mlflow must name a server or database that answers; got http://127.0.0.1:9" in line
    assert not (tmp_path / "new").exists()


def events_of(folder: Path) -> tuple[dict[tuple[str, int], float], str]:
    """The points and the texts in a folder of TensorBoard: records of a length, a checksum, an event and a checksum."""
    from tensorboardX.proto.event_pb2 import Event

    points: dict[tuple[str, int], float] = {}
    texts = ""
    for file in folder.iterdir():
        content, place = file.read_bytes(), 0
        while place < len(content):
            (length,) = struct.unpack_from("<Q", content, place)
            event = Event.FromString(content[place + 12 : place + 12 + length])
            place += 12 + length + 4
            for value in event.summary.value:
                if value.HasField("tensor"):
                    texts += value.tensor.string_val[0].decode()
                else:
                    points[value.tag, event.step] = value.simple_value
    return points, texts
