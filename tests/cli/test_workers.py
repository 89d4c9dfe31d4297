"""`caser train --workers`: torchrun's engine or Ray starts the workers, and starts them again if one is killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TypeAlias

import pytest

from caser.fitting.workers import ENGINES
from tests.cli.conftest import SMALL
from tests.cli.terminal import refusal
from tests.ray_cluster import shared_cluster
from tests.skips import NEEDS_EXTRAS

Variables: TypeAlias = dict[str, str]
"""Those by which a command finds its cluster; none for torchrun."""

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
CASER = (sys.executable, "-m", "caser")
FLAGS = (*SMALL, "--epochs", "3", "--lanes", "2", "--json")


def weights(run: Path) -> bytes:
    return (run / "weights.safetensors").read_bytes()


def finished(*words: object, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = ENVIRONMENT | variables
    return subprocess.run(list(map(str, words)), env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def alone(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that one process trains on two lanes."""
    run = tmp_path_factory.mktemp("alone") / "run"
    done = finished(*CASER, "train", log, "--out", run, *FLAGS)
    assert done.returncode == 0, done.stderr
    return run


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Variables]:
    """The variables of each engine, in turn; a Ray cluster runs meanwhile."""
    if request.param == "torchrun":
        yield {}
    elif find_spec("ray") is None:
        pytest.skip(NEEDS_EXTRAS)
    else:
        with shared_cluster() as variables:
            yield variables


def two_workers(engine: Variables) -> tuple[object, ...]:
    return ("--workers", 2, "--engine", "ray" if engine else "torchrun")


@pytest.mark.slow
def test_two_workers_write_the_run_of_one_and_speak_once(
    engine: Variables, alone: Path, log: Path, tmp_path: Path
) -> None:
    words = (*CASER, "train", log, "--out", tmp_path / "run", *FLAGS, *two_workers(engine))
    done = finished(*words, **engine)
    assert done.returncode == 0, done.stderr
    assert weights(tmp_path / "run") == weights(alone)
    assert json.loads(done.stdout)["epochs"] > 0
    assert done.stderr.count("choosing epoch 1/3") == 1
    assert done.stderr.count("first row") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.slow
def test_a_process_of_torchrun_is_a_worker(alone: Path, log: Path, tmp_path: Path) -> None:
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--")
    done = finished(*torchrun, "caser", "train", log, "--out", tmp_path / "run", *FLAGS, "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert weights(tmp_path / "run") == weights(alone)
    assert json.loads(done.stdout)["epochs"] > 0
    other = finished(*torchrun, "caser", "train", log, "--out", tmp_path / "other", *FLAGS)
    assert "it started 2, and the training has 1" in other.stderr


@contextmanager
def training(*words: object, folder: Path, **variables: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """Within, a command runs in a folder; yields it and its stderr."""
    process = subprocess.Popen(
        list(map(str, words)), env=ENVIRONMENT | variables, cwd=folder, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    try:
        yield process, process.stderr
        process.wait(300)
    finally:
        process.kill()
        process.stderr.close()
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_worker_that_is_killed_does_not_lose_the_run(
    rank: int, engine: Variables, alone: Path, log: Path, tmp_path: Path
) -> None:
    words = (*CASER, "train", log, "--out", "run", *FLAGS, *two_workers(engine))
    with training(*words, folder=tmp_path, **engine) as (process, stderr):
        told = read_until("epoch 1/3", stderr)
        os.kill(workers_in(tmp_path)[rank], signal.SIGKILL)
        told += stderr.read()
    assert process.returncode == 0, told
    assert told.count("  a worker was lost") == 1
    assert weights(tmp_path / "run") == weights(alone)


@pytest.mark.slow
def test_a_run_whose_workers_are_lost_continues_with_one(alone: Path, log: Path, tmp_path: Path) -> None:
    words = [*CASER, "train", log, "--out", tmp_path / "run", *FLAGS]
    with training(*words, "--workers", 2, "--max-restarts", 0, folder=tmp_path) as (process, stderr):
        read_until("epoch 1/3", stderr)
        os.kill(workers_in(tmp_path)[1], signal.SIGKILL)
        assert re.search(r"worker [01] ended \(.+\) after 0 restarts", stderr.read())
    assert process.returncode == 10
    assert (tmp_path / "run.checkpoint").exists()
    assert finished(*words).returncode == 0
    assert weights(tmp_path / "run") == weights(alone)


def read_until(word: str, stream: IO[str]) -> str:
    told = ""
    while word not in told:
        line = stream.readline()
        assert line, told
        told += line
    return told


def workers_in(folder: Path) -> list[int]:
    """The processes of the workers that work in a folder, in the order in which they were started."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
            if (b"spawn_main" in words or b"ray::" in words) and (process / "cwd").samefile(folder):
                found.append(int(process.name))
        except OSError:
            continue
    return sorted(found)


@pytest.mark.slow
def test_what_a_worker_refuses_is_said_once_and_in_one_line(log: Path, tmp_path: Path) -> None:
    words = (*CASER, "train", tmp_path / "none.csv", "--out", tmp_path / "run", *FLAGS, "--workers", 2)
    done = finished(*words)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("caser: LOG must be a file")
    assert done.stderr.count("\n") == 1


# Refused before anything starts


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--model", "markov", "--workers", 2), "--workers has no effect on markov"),
        (("--workers", 2), "Name the model with --model"),
        (("--model", "gru4rec", "--budget", "9m", "--workers", 2), "leave --budget out"),
        (("--model", "gru4rec", "--lanes", 2, "--workers", 3), "--workers must be at most --lanes"),
        (("--model", "gru4rec", "--workers", 0), "there must be at least 1 worker"),
        (("--model", "gru4rec", "--max-restarts", 2), "--max-restarts has an effect only with --workers"),
        (("--model", "gru4rec", "--engine", "ray"), "--engine has an effect only with --workers"),
        (("--model", "auto", "--workers", 2), "--workers has no effect with --model auto"),
    ],
)
def test_workers_are_refused_where_they_make_no_sense(
    words: tuple[object, ...], sentence: str, log: Path, tmp_path: Path
) -> None:
    code, line = refusal("train", log, "--out", tmp_path / "run", *words)
    assert code == 2
    assert sentence in line


def test_a_stream_is_not_read_by_several_workers(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for stream in ("-", tmp_path / "pipe"):
        _, line = refusal("train", stream, "--model", "gru4rec", "--workers", 2, "--out", tmp_path / "run")
        assert "with --workers, LOG must be a file or folder that each worker can read" in line
