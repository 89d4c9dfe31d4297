"""A process that is killed while it prepares a log loses nothing: the same command goes on, to the same bytes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from caser.data.prepared import prepare as preparing
from caser.data.prepared.finish import finish
from caser.data.prepared.prepare import prepare_log
from tests.data.prepared.sources import CASES, CSV
from tests.data.prepared.test_prepare import small_pieces

WORK = ".out.caser-prepare.partial"


class KilledError(BaseException):
    """Stands for a signal that ends the process."""


def content_of(folder: Path) -> dict[str, bytes]:
    """The names and bytes of the files of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def undisturbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The files of the prepared log that no one disturbed, and its source, `log.csv`."""
    small_pieces(monkeypatch, 9)
    path = CASES["titles"].write(tmp_path)
    prepare_log(path, tmp_path / "out", memory_mb=50)
    content = content_of(tmp_path / "out")
    for file in (tmp_path / "out").iterdir():
        file.unlink()
    (tmp_path / "out").rmdir()
    return content


def test_work_that_ends_at_any_moment_goes_on_to_the_same_bytes(
    undisturbed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, steps, total = os.fsync, 0, 0
    going_on: list[str] = []

    def fsync_until_killed(descriptor: int) -> None:
        nonlocal steps, total
        steps, total = steps - 1, total + 1
        if steps == 0:
            raise KilledError
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync_until_killed)
    prepare_log(tmp_path / "log.csv", tmp_path / "other", memory_mb=50)
    whole = total
    assert whole > 40
    for share in (0.1, 0.3, 0.02, 0.2, 0.2, 0.1):
        steps = max(1, int(share * whole))
        with pytest.raises(KilledError):
            prepare_log(tmp_path / "log.csv", tmp_path / "out", memory_mb=50, on_message=going_on.append)
    steps = 0
    prepare_log(tmp_path / "log.csv", tmp_path / "out", memory_mb=50, on_message=going_on.append)
    assert content_of(tmp_path / "out") == undisturbed
    assert sum("going on with what is in" in message for message in going_on) >= 5
    # No row is read twice: a piece that is complete is kept.
    rows_read = [message for message in going_on if message.startswith("read ")]
    assert len(rows_read) == len(set(rows_read))
    assert not (tmp_path / WORK).exists()


def test_another_command_or_another_source_begins_again(
    undisturbed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*_: object, **__: object) -> None:
        raise KilledError

    messages: list[str] = []
    monkeypatch.setattr(preparing, "finish", kill)
    with pytest.raises(KilledError):
        prepare_log(tmp_path / "log.csv", tmp_path / "out", memory_mb=50)
    monkeypatch.setattr(preparing, "finish", finish)
    assert (tmp_path / WORK).exists()
    prepare_log(tmp_path / "log.csv", tmp_path / "out", memory_mb=60, on_message=messages.append)
    assert messages[0] == "beginning again: the source or the settings are others than before"
    monkeypatch.setattr(preparing, "finish", kill)
    with pytest.raises(KilledError):
        prepare_log(tmp_path / "log.csv", tmp_path / "out", memory_mb=50)
    monkeypatch.setattr(preparing, "finish", finish)
    # What was there stays until the new log is complete.
    assert len(content_of(tmp_path / "out")) == len(undisturbed)
    (tmp_path / "log.csv").write_bytes(CSV)
    found = prepare_log(tmp_path / "log.csv", tmp_path / "out", memory_mb=50, on_message=messages.append)
    assert messages.count(messages[0]) == 2
    assert found.log.titles is None


COMMAND = """
import sys
from caser.data.prepared import arrange, numbering, origins
from caser.data.prepared.prepare import prepare_log

origins.PIECE_SHARE, numbering.ID_BYTES, arrange.EVENT_BYTES = 1e-4, 25e6 / 3, 25e6 / 8
prepare_log(sys.argv[1], sys.argv[2], memory_mb=50)
"""


@pytest.mark.slow
def test_kills_at_random_moments_change_no_byte(tmp_path: Path) -> None:
    path = CASES["titles"].write(tmp_path)
    command = [sys.executable, "-c", COMMAND, str(path)]
    began = time.monotonic()
    subprocess.run([*command, str(tmp_path / "expected")], check=True)
    duration = time.monotonic() - began
    draws, kills = random.Random(0), 0
    for number in range(6):
        out = tmp_path / f"out{number}"
        while True:
            process = subprocess.Popen([*command, str(out)])
            try:
                assert process.wait(timeout=draws.uniform(0.2, 1.3) * duration) == 0
                break
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
        assert content_of(out) == content_of(tmp_path / "expected")
    assert kills >= 2
