"""A small log, and a run of every model on it, made once by the commands themselves."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from caser.models import MODELS, model_class
from caser.models.settings import NetworkSettings
from tests.cli.terminal import document

SMALL = ("--d", "8", "--n-h", "2", "--user-vector", "--device", "cpu")
TINY = (*SMALL, "--epochs", "2")
"""Flags that make Caser train in a moment."""


def quick(model: str) -> tuple[str, ...]:
    """Flags that make any model train in a moment."""
    if model == "caser":
        return TINY
    return ("--d", "8", "--epochs", "2", "--device", "cpu") if issubclass(model_class(model), NetworkSettings) else ()


TrainedRun = Callable[[str], Path]


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chain of 8 items (1..8), 40 users (1..40), 10 interactions each."""
    path = tmp_path_factory.mktemp("log") / "chain.csv"
    document("data", "simulate", "chain", "--out", path, "--num-users", 40, "--num-items", 8, "--length", 10)
    return path


@pytest.fixture(scope="session")
def trained(log: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """The run of a model, to be read and not to be changed."""
    folder = tmp_path_factory.mktemp("runs")

    @cache
    def train(model: str) -> Path:
        document("train", log, "--model", model, "--out", folder / model, *quick(model))
        return folder / model

    return train


@pytest.fixture(params=MODELS)
def run(request: pytest.FixtureRequest, trained: TrainedRun) -> Path:
    """A run of each model in turn, to be read and not to be changed."""
    return trained(request.param)


@pytest.fixture
def own_run(trained: TrainedRun, tmp_path: Path) -> Path:
    """A copy of the run of Caser, for tests that change it."""
    return Path(shutil.copytree(trained("caser"), tmp_path / "own-run"))
