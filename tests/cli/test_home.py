"""A leading ~ is the home folder in every path of the command line, joined to its flag or not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import get_args

import pytest

from caser.cli import app
from caser.cli.app import _commands
from tests.cli.conftest import TINY, TrainedRun
from tests.cli.terminal import caser, document


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder; the working directory is another empty folder."""
    (tmp_path / "work").mkdir()
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_everything_of_a_training_is_in_the_home_folder(home: Path, log: Path) -> None:
    shutil.copy(log, home / "log.csv")
    assert caser("train", "~/log.csv", "--out=~/run", *TINY).code == 0
    assert caser("refit", "~/run", "--out=~/all").code == 0
    assert caser("evaluate", "~/run", "--log=~/log.csv", "--per-user=~/values.csv", "--trec=~/trec").code == 0
    assert caser("recommend", "~/run", "--all", "--out=~/answers.csv").code == 0
    assert caser("data", "simulate", "chain", "--out=~/made.csv", "--num-users", 5).code == 0
    names = sorted(path.name for path in home.iterdir())
    assert names == ["all", "answers.csv", "log.csv", "made.csv", "run", "trec", "values.csv"]
    assert not list(Path.cwd().iterdir())


def test_an_id_keeps_its_tilde_and_a_folder_may_have_that_name(home: Path, trained: TrainedRun) -> None:
    shutil.copytree(trained("markov"), Path.cwd() / "~")
    answer = document("recommend", "./~", "--user", "~")["answers"][0]
    assert answer["user_id"] == "~"


def test_without_a_home_folder_a_path_stays_as_it_is(home: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert caser("train", log, "--model", "markov", "--out=~nobody-has-this-name/run").code == 0
    assert (Path.cwd() / "~nobody-has-this-name" / "run").is_dir()


def test_a_store_of_events_is_in_the_home_folder(home: Path) -> None:
    from caser.service.events.opening import open_store

    open_store("~/events.db").close()
    assert (home / "events.db").is_file()
    assert caser("data", "events", "~/events.db", "--out=~/events.csv").code == 0
    assert (home / "events.csv").is_file()


def test_the_rule_sees_every_path_of_every_command() -> None:
    built = app.build_app()
    paths = 0
    for name in _commands("caser"):
        for argument in built[name].assemble_argument_collection():
            kinds = {argument.hint, *get_args(argument.hint)}
            assert str not in kinds or Path not in kinds, argument.name
            paths += Path in kinds
    assert paths > 30
