"""A lock belongs to one process at a time, ends with it, and leaves no file."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from pathlib import Path

import pytest

from caser.errors import ArtefactError
from caser.system.locks import locked

FORK = multiprocessing.get_context("fork")


def count(path: Path, times: int) -> None:
    for _ in range(times):
        with locked(path):
            path.write_text(str(int(path.read_text()) + 1))


def hold(path: Path, is_held: object) -> None:
    with locked(path):
        is_held.set()  # type: ignore[attr-defined]
        signal.pause()


def test_what_several_processes_count_is_the_sum(tmp_path: Path) -> None:
    path = tmp_path / "count"
    path.write_text("0")
    processes = [FORK.Process(target=count, args=(path, 50)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert path.read_text() == "200"
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_that_is_held_is_refused_with_the_number_of_its_process(tmp_path: Path) -> None:
    is_held = FORK.Event()
    process = FORK.Process(target=hold, args=(tmp_path / "run", is_held))
    process.start()
    assert is_held.wait(30)
    refused = pytest.raises(ArtefactError, match=rf"written by another process \(number {process.pid}\)")
    with refused, locked(tmp_path / "run", wait=False):
        pass
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)  # the lock ends with its process
    process.join(30)
    with locked(tmp_path / "run", wait=False):
        pass
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ArtefactError, match="must be writable"), locked(tmp_path / "file" / "run"):
        pass
    (tmp_path / ".run.caser-lock").symlink_to(tmp_path / "file")
    with pytest.raises(ArtefactError, match="must be writable"), locked(tmp_path / "run"):
        pass


def test_a_thread_that_holds_a_lock_takes_it_again_and_another_thread_does_not(tmp_path: Path) -> None:
    path, refusals = tmp_path / "run", []

    def other() -> None:
        try:
            with locked(path, wait=False):
                pass
        except ArtefactError as error:
            refusals.append(str(error))

    with locked(path):
        with locked(path, wait=False):
            pass
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(30)
        assert (tmp_path / ".run.caser-lock").exists()  # the inner block has not given it back
    assert len(refusals) == 1
    assert not list(tmp_path.iterdir())
