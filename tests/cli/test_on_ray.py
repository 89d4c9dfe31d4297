"""Work on a Ray cluster: its tasks answer with exactly the rows of one machine, and what it cannot do is refused."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from caser.answering.every_user import EveryUser
from caser.answering.on_ray import Part, _answer, _Asked, _frames, _parts
from caser.answering.recommender import load
from caser.artefact.folder import model_version
from caser.errors import ArtefactError, ConfigError, DataError, WorkerError
from caser.fitting.ray_workers import _Worker
from caser.fitting.workers import in_workers
from tests.cli.conftest import TrainedRun
from tests.cli.terminal import document, refusal
from tests.ray_cluster import shared_cluster
from tests.skips import NEEDS_EXTRAS


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """The commands of this process find a cluster, and Ray is imported with its secret."""
    if find_spec("ray") is None:
        pytest.skip(NEEDS_EXTRAS)
    with shared_cluster() as variables, pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_the_files_of_a_cluster_hold_the_rows_of_one_machine(trained: TrainedRun, tmp_path: Path) -> None:
    asked = ("recommend", trained("caser"), "--all", "--k", 3, "--exclude", 5)
    facts = document(*asked, "--out", tmp_path / "alone.parquet")
    document(*asked, "--out", tmp_path / "alone.csv.gz")
    for name in ("parts", "parts", "one.parquet", "one.csv.gz"):
        said = document(*asked, "--engine", "ray", "--out", tmp_path / name)
        assert said == {**facts, "out": str(tmp_path / name)}
    alone = pl.read_parquet(tmp_path / "alone.parquet")
    assert len(alone) == 120
    assert pl.read_parquet(tmp_path / "one.parquet").equals(alone)
    assert pl.read_csv(tmp_path / "one.csv.gz").equals(pl.read_csv(tmp_path / "alone.csv.gz"))
    assert pl.read_parquet(sorted((tmp_path / "parts").iterdir())).equals(alone)
    files = {"alone.parquet", "alone.csv.gz", "parts", "one.parquet", "one.csv.gz"}
    assert {path.name for path in tmp_path.iterdir()} == files


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_workers_of_a_cluster_meet_and_raise_what_their_task_raises(capsys: pytest.CaptureFixture[str]) -> None:
    assert in_workers(told, 2, engine="ray") == [0, 1]
    assert sorted(capsys.readouterr().err.splitlines()) == ["worker 0 of 2", "worker 1 of 2"]
    with pytest.raises(DataError, match="worker 1 has no log"):
        in_workers(refused, 2, engine="ray")
    with pytest.raises(WorkerError, match=r"worker 1 ended \(.+\) after 0 restarts"):
        in_workers(lost, 2, engine="ray", max_restarts=0)
    with pytest.raises(ConfigError, match="got 3 workers, and the cluster"):
        in_workers(told, 3, engine="ray")


def told(exchange: Any) -> list[int]:
    sys.stderr.write(f"worker {exchange.rank} of {exchange.size}\n")
    ranks: list[int] = exchange.from_all(exchange.rank)
    return ranks


def refused(exchange: Any) -> None:
    if exchange.rank == 1:
        raise DataError("worker 1 has no log")
    exchange.from_all(None)


def lost(exchange: Any) -> None:
    if exchange.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    exchange.from_all(None)


def test_what_a_process_of_the_cluster_does(trained: TrainedRun, tmp_path: Path) -> None:
    run = trained("caser")
    asked = _Asked(run, None, model_version(run), "", {"k": 3, "rules": {"diversity": 0.7}})
    assert _answer(asked, Part(0, 40, tmp_path / "part.parquet")) == (0, None)
    load(run).recommend_all(tmp_path / "alone.parquet", k=3, rules={"diversity": 0.7})
    assert pl.read_parquet(tmp_path / "part.parquet").equals(pl.read_parquet(tmp_path / "alone.parquet"))
    assert [len(frame) for frame in _frames([Part(0, 40, tmp_path / "part.parquet")])] == [120]
    _, other = _answer(asked._replace(version="another"), Part(0, 40, tmp_path / "part.parquet"))
    assert isinstance(other, ArtefactError)
    assert "another run took its place" in str(other)
    _, full = _answer(asked, Part(0, 40, tmp_path / "nowhere" / "part.parquet"))
    assert isinstance(full, ArtefactError)


def test_what_a_worker_of_the_cluster_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")
    monkeypatch.chdir(tmp_path)
    worker = _Worker(0, 1, 0)
    worker._store = "nobody else looks into it"
    assert worker.run(told, "host", 1, str(tmp_path), ["caser", "train"]) == ([0], None)
    assert sys.argv == ["caser", "train"]
    assert (worker.said(), worker.said()) == ("worker 0 of 1\n", "")
    _, error = worker.run(told, "host", 1, str(tmp_path / "nowhere"), [])
    assert isinstance(error, ConfigError)
    assert "every host of the cluster must have the folder" in str(error)


def test_the_parts_are_whole_blocks_of_all_users(trained: TrainedRun, tmp_path: Path) -> None:
    every = EveryUser(load(trained("caser")), tmp_path / "all.parquet", k=3)
    whole = pl.concat(every.frames())
    every.block_size = 7
    parts = _parts(every, 1, tmp_path)
    assert [part[:2] for part in parts] == [(0, 7), (7, 21), (21, 28), (28, 40)]
    assert all(isinstance(part, Part) for part in parts)
    assert pl.concat([frame for part in parts for frame in every.frames(*part[:2])]).equals(whole)
    assert [part[:2] for part in _parts(every, 100, tmp_path)][-1] == (35, 40)


# Refused before a cluster is asked for


def test_a_folder_with_other_files_is_not_replaced(trained: TrainedRun, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    words = ("recommend", trained("caser"), "--all", "--engine", "ray")
    if find_spec("ray") is None:
        pytest.skip(NEEDS_EXTRAS)
    code, line = refusal(*words, "--out", tmp_path / "mine")
    assert code == 7
    assert "must be a new folder, or one with answers" in line
    assert refusal(*words, "--out", tmp_path / "all.xlsx")[0] == 2
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"


def test_a_folder_is_for_ray_only(trained: TrainedRun, tmp_path: Path) -> None:
    code, line = refusal("recommend", trained("caser"), "--all", "--out", tmp_path / "folder")
    assert code == 2
    assert line.startswith("the file of a table must end in .parquet")


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("127.0.0.1:1", "127.0.0.1:1 did not (Connection refused)"),
        ("ray://127.0.0.1:1", "must be the address of a Ray cluster as HOST:PORT; got 'ray://127.0.0.1:1'"),
        ("nonsense", "must be the address of a Ray cluster as HOST:PORT; got 'nonsense'"),
    ],
)
def test_an_address_without_a_cluster_is_named(
    address: str, sentence: str, trained: TrainedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_spec("ray") is None:
        pytest.skip(NEEDS_EXTRAS)
    monkeypatch.setenv("RAY_ADDRESS", address)
    code, line = refusal("recommend", trained("caser"), "--all", "--engine", "ray", "--out", tmp_path / "all.parquet")
    assert code == 2
    assert sentence in line
    assert not list(tmp_path.iterdir())


def test_more_workers_than_cpus_are_refused_at_once(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec("ray") is None:
        pytest.skip(NEEDS_EXTRAS)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    words = ("train", log, "--model", "gru4rec", "--workers", 999, "--engine", "ray", "--out", tmp_path / "run")
    code, line = refusal(*words)
    assert code == 2
    assert "each worker must have a CPU of its own; got 999 workers, and this machine has" in line
