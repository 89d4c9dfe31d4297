"""`caser recommend --all --engine ray`: the tasks of a cluster write exactly the rows of one machine."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest

from caser.answering.every_user import EveryUser
from caser.answering.on_ray import Part, _parts
from caser.answering.recommender import load
from tests.cli.conftest import TrainedRun
from tests.cli.terminal import document, refusal
from tests.cli.test_workers import CASER, finished
from tests.ray_cluster import shared_cluster
from tests.skips import NEEDS_EXTRAS


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    """The variables by which commands find a cluster."""
    if find_spec("ray") is None:
        pytest.skip(NEEDS_EXTRAS)
    with shared_cluster() as variables:
        yield variables


@pytest.mark.slow
def test_the_files_of_a_cluster_hold_the_rows_of_one_machine(
    cluster: dict[str, str], trained: TrainedRun, tmp_path: Path
) -> None:
    run = trained("caser")
    document("recommend", run, "--all", "--out", tmp_path / "alone.parquet", "--k", 3, "--exclude", 5)
    document("recommend", run, "--all", "--out", tmp_path / "alone.csv.gz", "--k", 3, "--exclude", 5)
    for name in ("parts", "one.parquet", "one.csv.gz"):
        words = (*CASER, "recommend", run, "--all", "--k", 3, "--exclude", 5, "--engine", "ray")
        done = finished(*words, "--out", tmp_path / name, **cluster)
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith("wrote up to 3 items for each of 40 users to ")
    alone = pl.read_parquet(tmp_path / "alone.parquet")
    assert len(alone) == 120
    assert pl.read_parquet(tmp_path / "one.parquet").equals(alone)
    assert pl.read_csv(tmp_path / "one.csv.gz").equals(pl.read_csv(tmp_path / "alone.csv.gz"))
    assert pl.read_parquet(sorted((tmp_path / "parts").iterdir())).equals(alone)
    assert {path.name for path in tmp_path.iterdir()} == {
        "alone.parquet",
        "alone.csv.gz",
        "parts",
        "one.parquet",
        "one.csv.gz",
    }


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
