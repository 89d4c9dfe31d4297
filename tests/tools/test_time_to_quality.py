"""The benchmark time_to_quality, tried out on a small log: its table, its files, how it resumes, and its rival."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import _rectools, time_to_quality
from benchmarks._curves import Curve
from benchmarks.speed._rounds import Bar
from caser.data.split import leave_one_out
from caser.data.synthetic import chain_world

RIVAL = "rectools-sasrec"

STAND_IN = """
import json, sys
from pathlib import Path
import numpy as np
folder, settings = Path(sys.argv[1]), json.loads(sys.argv[2])
log = np.load(folder / "log.npz")
users, items = np.unique(log["users"]), np.unique(log["items"])[1:]  # it does not know the first item
print("a remark of a library")
print("ready", json.dumps({"loss": settings["loss"]}), flush=True)
number = 0
for line in sys.stdin:
    number += 1
    if number == 4:
        sys.exit(1)
    states, vectors = np.eye(len(users), len(items)), np.eye(len(items))
    np.savez(folder / "states.npz", users=users, states=states, items=items, vectors=vectors)
    print("epoch", number, 2.5, 0.5, flush=True)
"""
"""A process that answers as RecTools' does, for three epochs: user u likes the item after item u best."""


def measured(store: Path, *words: str, epochs: int = 2) -> dict[str, Any]:
    """Run the benchmark on the small log, and return the JSON that it wrote."""
    time_to_quality.main(["--quick", "--threads", "1", "--epochs", str(epochs), "--store", str(store), *words])
    result: dict[str, Any] = json.loads((store / "quick" / "time_to_quality.json").read_text(encoding="utf-8"))
    return result


def rows_of(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return dict(zip(time_to_quality.CONTENDERS, result["rows"], strict=True))


def curve(folder: Path, *epochs: tuple[float, float]) -> Curve:
    found = Curve(folder, {})
    found.epochs = [{"seconds": seconds, "validation": value} for seconds, value in epochs]
    return found


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let another program stand in for RecTools, and our Python for that of its environment."""
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN, encoding="utf-8")
    monkeypatch.setattr(_rectools, "SCRIPT", script)
    monkeypatch.setattr(_rectools, "environment", lambda name, packages: Path(sys.executable))


def test_seconds_to_a_quality_are_those_of_training_until_the_first_epoch_that_has_it(tmp_path: Path) -> None:
    found = curve(tmp_path, (10, 0.14), (5, 0.17), (5, 0.16), (5, 0.18))
    assert [found.seconds_to(value) for value in (0.1, 0.15, 0.17, 0.18, 0.19)] == [10, 15, 15, 25, None]


@pytest.mark.parametrize(("values", "is_over"), [((0.1, 0.2, 0.2), False), ((0.2, 0.2, 0.1), True), ((0.1,) * 5, True)])
def test_training_is_over_when_the_last_epochs_brought_no_better_value(
    values: Sequence[float], is_over: bool, tmp_path: Path
) -> None:
    assert curve(tmp_path, *((1, value) for value in values)).is_over(patience=2, most=10) == is_over


def test_training_is_over_after_the_largest_number_of_epochs(tmp_path: Path) -> None:
    assert curve(tmp_path, (1, 0.1), (1, 0.2)).is_over(patience=5, most=2)


def test_a_bar_that_was_never_reached_is_missed() -> None:
    assert Bar("training", None, "min", 4, 1.5, "lower").verdict == "missed"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The store and the result of a benchmark of all our models."""
    store = tmp_path_factory.mktemp("store")
    return store, measured(store, "--models", "caser", "sasrec", "esasrec", "gru4rec")


def test_a_row_agrees_with_the_curve_of_its_model(ours: tuple[Path, dict[str, Any]]) -> None:
    rows, curves = rows_of(ours[1]), ours[1]["curves"]
    for name in ("caser", "sasrec", "esasrec", "gru4rec"):
        seconds = [epoch["seconds"] for epoch in curves[name]["epochs"]]
        values = [epoch["validation"] for epoch in curves[name]["epochs"]]
        assert (len(values), rows[name]["epochs"], rows[name]["remark"]) == (2, 2, "")
        assert rows[name]["best NDCG@10"] == round(max(values), 4)
        assert rows[name]["seconds to it"] == pytest.approx(sum(seconds[: values.index(max(values)) + 1]))
        assert all(epoch["validation_seconds"] > 0 for epoch in curves[name]["epochs"])
        assert curves[name]["facts"]["threads"] == 1


def test_the_row_of_a_model_that_was_not_measured_says_so(ours: tuple[Path, dict[str, Any]]) -> None:
    row = rows_of(ours[1])[RIVAL]
    assert (row["seconds to .15"], row["best NDCG@10"], row["remark"]) == (None, None, "left out by --models")


def test_the_files_of_a_try_stay_in_the_store(ours: tuple[Path, dict[str, Any]]) -> None:
    folder = ours[0] / "quick"
    assert {path.name for path in folder.iterdir() if path.is_file()} == {"time_to_quality.json", "time_to_quality.png"}
    assert {path.name for curve in folder.glob("*-*") for path in curve.iterdir()} == {"curve.json"}


def test_a_second_call_trains_nothing_and_prints_the_table_as_markdown(
    ours: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(time_to_quality, "choose", lambda *_, **__: pytest.fail("a finished training was repeated"))
    again = measured(ours[0], "--models", "caser", "sasrec")
    assert (again["rows"], again["curves"]) == (ours[1]["rows"], ours[1]["curves"])
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert table[0] == f"| {' | '.join(again['rows'][0])} |"
    assert len(table) == 1 + len(time_to_quality.CONTENDERS)
    assert table[-1].startswith("| RecTools SASRec, d=64 | - | - | - | - |")


def test_an_interrupted_training_goes_on_after_its_last_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(label: str, curve: Curve) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(time_to_quality, "_say", interrupt)
        with pytest.raises(KeyboardInterrupt):
            measured(tmp_path, "--models", "gru4rec")
    [path] = tmp_path.glob("quick/gru4rec-*/curve.json")
    [first] = json.loads(path.read_text(encoding="utf-8"))["epochs"]
    epochs = measured(tmp_path, "--models", "gru4rec")["curves"]["gru4rec"]["epochs"]
    assert epochs[0] == first
    assert [epoch["number"] for epoch in epochs] == [1, 2]


@pytest.mark.usefixtures("stand_in")
def test_a_rival_is_ranked_by_our_judge_and_stops_when_it_no_longer_improves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        time_to_quality.CONTENDERS, RIVAL, time_to_quality.RecTools("rival", {"loss": "none"}, patience=1)
    )
    result = measured(tmp_path, "--models", RIVAL, epochs=9)
    row, found = rows_of(result)[RIVAL], result["curves"][RIVAL]
    assert (row["epochs"], row["seconds to it"], row["remark"]) == (2, 2.5, "")
    assert found["facts"]["versions"] == {"loss": "none"}
    assert found["epochs"][0]["validation_seconds"] > 0.5
    assert 0 < row["best NDCG@10"] < 1


@pytest.mark.usefixtures("stand_in")
def test_a_rival_scores_the_items_that_it_knows(tmp_path: Path) -> None:
    split = leave_one_out(chain_world(num_users=20, num_items=4, length=9, seed=0).log)
    with _rectools.training(split, {"loss": "none"}, tmp_path, threads=1) as training:
        scorer = training.train().scorer
    unknown = -np.inf  # item 1; column 0 is padding
    expected = [[unknown, unknown, 1, 0, 0], [unknown, unknown, 0, 0, 1]]
    np.testing.assert_array_equal(scorer.scores(np.array([1, 3], np.int32), np.zeros((2, 1), np.int32)), expected)


@pytest.mark.usefixtures("stand_in")
def test_a_rival_whose_process_ends_keeps_its_epochs_and_says_why(tmp_path: Path) -> None:
    row = rows_of(measured(tmp_path, "--models", RIVAL, epochs=9))[RIVAL]
    assert (row["epochs"], row["remark"]) == (3, "absent: its process ended by itself, see stderr")


def test_a_rival_that_cannot_be_installed_is_absent_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_network(name: str, packages: Sequence[str]) -> Path:
        raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(_rectools, "environment", no_network)
    row = rows_of(measured(tmp_path, "--models", RIVAL))[RIVAL]
    why = "rectools[torch]==0.19.0 could not be installed; a command ended with status 1, see stderr"
    assert (row["epochs"], row["remark"]) == (0, f"absent: {why}")
    assert f"| absent: {why} |" in capsys.readouterr().out
