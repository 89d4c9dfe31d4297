"""SIGKILL in the middle of `caser compare`: run again, it ends with the numbers of a run that nobody broke."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.terminal import document
from tests.skips import on_another_system

ROOT = Path(__file__).resolve().parents[2]
MOST_SECONDS = 120

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path("/proc/self/status").exists(), reason=on_another_system("looks for processes in /proc")
    ),
]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "chain.csv"
    document("data", "simulate", "chain", "--out", path, "--num-users", 60, "--num-items", 8, "--length", 10)
    return path


@pytest.fixture(scope="module")
def unbroken(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("unbroken")
    subprocess.run(command(log, folder, jobs=1), cwd=ROOT, capture_output=True, check=True)
    return numbers(folder)


def command(log: Path, folder: Path, jobs: int) -> list[str]:
    options = ["--models", "caser", "fpmc", "--seeds", "3", "--epochs", "4", "--jobs", str(jobs)]
    places = ["--store", str(folder / "store"), "--out", str(folder / "out")]
    return [sys.executable, "-m", "caser", "compare", str(log), *options, *places]


def numbers(folder: Path) -> Any:
    """What a study found; when, where, in what time, and in how many openings is another matter."""
    found = json.loads((folder / "out" / "study.json").read_text(encoding="utf-8"))
    for key in ("command", "date", "test_openings", "network", "machine"):
        found.pop(key, None)
    for row in found["rows"]:
        for key in ("seconds", "peak_memory_mb", "run"):
            row.pop(key)
        for epoch in row["history"]:
            epoch.pop("seconds")
            epoch.pop("validation_seconds")
    return found


def is_killed(chance: random.Random, log: Path, folder: Path, jobs: int) -> bool:
    """Start the study, and kill it some steps and a part of a training later; whether that was before it ended."""
    steps = chance.randint(1, 5)
    process = subprocess.Popen(command(log, folder, jobs), cwd=ROOT, stderr=subprocess.PIPE, text=True, bufsize=1)
    assert process.stderr is not None
    told = 0
    for line in process.stderr:
        told += any(word in line for word in ("  chosen ", "  fitted "))
        if told >= steps:
            break
    time.sleep(chance.random() / 4)
    process.send_signal(signal.SIGKILL)
    process.stderr.close()
    return process.wait(MOST_SECONDS) == -signal.SIGKILL


def processes_about(folder: Path) -> list[int]:
    """Processes, this one apart, that were started by a study in a folder or by its workers' machinery."""
    mark = str(folder).encode()
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and int(path.name) != os.getpid():
            try:
                if mark in (path / "environ").read_bytes():
                    found.append(int(path.name))
            except OSError:
                continue
    return found


@pytest.mark.parametrize(("jobs", "seed"), [(1, 0), (1, 1), (2, 2)])
def test_a_study_that_was_killed_ends_like_one_that_was_not(
    jobs: int, seed: int, log: Path, unbroken: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASER_TEST_MARK", str(tmp_path))
    chance = random.Random(seed)
    assert sum(is_killed(chance, log, tmp_path, jobs) for _ in range(2))
    until = time.monotonic() + 20
    while processes_about(tmp_path) and time.monotonic() < until:
        time.sleep(0.1)
    assert not processes_about(tmp_path)  # no worker outlives the study that started it
    done = subprocess.run(command(log, tmp_path, jobs), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert numbers(tmp_path) == unbroken
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".partial", ".checkpoint")]
