"""Only what carries our mark is ours: what a person keeps under the name of a checkpoint stays, and is named."""

from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path

import pytest

from caser.artefact.folder import load, update_manifest
from caser.cli import evaluate, show
from caser.cli.app import INTERRUPTED
from caser.fitting.evaluate import evaluate as evaluate_run
from caser.system.locks import locked
from tests.cli.conftest import TINY, TrainedRun
from tests.cli.terminal import caser, document, refusal
from tests.cli.test_train import interrupted_when

FORK = multiprocessing.get_context("fork")
MINE = b"my own notes"


def test_a_file_of_ones_own_with_the_name_of_a_checkpoint_stays(log: Path, tmp_path: Path) -> None:
    mine = tmp_path / "run.checkpoint"
    mine.write_bytes(MINE)
    document("train", log, "--model", "markov", "--out", tmp_path / "run")
    assert mine.read_bytes() == MINE
    for words in (("train", log, "--model", "caser", *TINY), ("demo",)):
        code, line = refusal(*words, "--out", tmp_path / "run")
        assert code == 7
        assert str(mine) in line
    assert mine.read_bytes() == MINE


def test_a_training_that_needs_no_checkpoint_leaves_that_of_an_interrupted_one(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("train", log, "--model", "caser", *TINY, "--out", tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(show, "fit_progress", interrupted_when(lambda progress: progress.done is not None))
        assert caser(*words).code == INTERRUPTED
    kept = (tmp_path / "run.checkpoint").read_bytes()
    document("train", log, "--model", "popularity", "--out", tmp_path / "run")
    assert (tmp_path / "run.checkpoint").read_bytes() == kept
    told = caser(*words).err
    assert "choosing epoch 1/" not in told  # it goes on where it was
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


@pytest.mark.parametrize("name", ["caser-chosen.checkpoint", "caser-fitted.checkpoint", "caser-chosen.kept"])
def test_a_search_says_before_it_begins_that_a_name_is_taken(name: str, log: Path, tmp_path: Path) -> None:
    mine = tmp_path / "run.checkpoints" / name
    mine.parent.mkdir()
    mine.write_bytes(MINE)
    code, line = refusal("train", log, "--out", tmp_path / "run", "--epochs", 1, "--device", "cpu")
    assert code == 7
    assert str(mine) in line
    assert mine.read_bytes() == MINE


def test_a_search_removes_what_it_kept_and_nothing_else(log: Path, tmp_path: Path) -> None:
    parts = tmp_path / "run.checkpoints"
    parts.mkdir()
    (parts / "notes.txt").write_bytes(MINE)
    document("train", log, "--out", tmp_path / "run", "--epochs", 1, "--device", "cpu")
    assert [path.name for path in parts.iterdir()] == ["notes.txt"]


def test_a_folder_with_the_name_of_a_previous_run_is_neither_removed_nor_put_back(log: Path, tmp_path: Path) -> None:
    mine = tmp_path / ".run.caser-previous"
    mine.mkdir()
    (mine / "notes.txt").write_bytes(MINE)
    code, line = refusal("train", log, "--model", "markov", "--out", tmp_path / "run")
    assert code == 7
    assert f"{mine} must be absent" in line
    assert refusal("recommend", tmp_path / "run", "--user", 1)[0] == 7
    assert (mine / "notes.txt").read_bytes() == MINE
    assert not (tmp_path / "run").exists()


def test_a_run_that_a_killed_writer_left_is_put_back(log: Path, tmp_path: Path, trained: TrainedRun) -> None:
    shutil.copytree(trained("markov"), tmp_path / ".run.caser-previous")
    assert document("recommend", tmp_path / "run", "--user", 1)["answers"]
    document("train", log, "--model", "markov", "--out", tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


# Two at the same time


def hold(path: Path, is_held: object, is_over: object) -> None:
    with locked(path):
        is_held.set()  # type: ignore[attr-defined]
        is_over.wait(60)  # type: ignore[attr-defined]


def test_the_second_training_to_one_place_is_refused_at_once(log: Path, tmp_path: Path, trained: TrainedRun) -> None:
    is_held, is_over = FORK.Event(), FORK.Event()
    process = FORK.Process(target=hold, args=(tmp_path / "run", is_held, is_over))
    process.start()
    assert is_held.wait(30)
    (tmp_path / "link").symlink_to(tmp_path / "run")
    try:
        for words in (
            ("train", log, "--model", "markov"),
            ("train", log, "--model", "auto", "--budget", "1s"),
            ("refit", trained("markov")),
            ("demo",),
        ):
            for out in ("run", "link"):
                code, line = refusal(*words, "--out", tmp_path / out)
                assert code == 7
                assert f"written by another process (number {process.pid})" in line
    finally:
        is_over.set()
        process.join(30)
    document("train", log, "--model", "markov", "--out", tmp_path / "run")


def test_an_evaluation_that_ends_meanwhile_is_counted_too(own_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = evaluate_run

    def judged_twice(*arguments: object, **further: object) -> object:
        report = judge(*arguments, **further)  # type: ignore[call-overload, arg-type, unused-ignore]
        update_manifest(own_run, opened=1)
        return report

    monkeypatch.setattr(evaluate, "judge_run", judged_twice)
    assert document("evaluate", own_run)["test_openings"] == 2
    assert load(own_run).manifest["test_openings"] == 2


def test_an_index_keeps_what_was_counted_meanwhile(own_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from caser.answering.recommender import Recommender

    new_index = Recommender.new_index

    def judged_meanwhile(recommender: Recommender, recall: float) -> object:
        update_manifest(own_run, opened=1)
        return new_index(recommender, recall)

    monkeypatch.setattr(Recommender, "new_index", judged_meanwhile)
    document("index", own_run)
    assert load(own_run).manifest["test_openings"] == 1
