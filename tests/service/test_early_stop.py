"""A service that starts: who stops it on a signal, and who leaves that to others. See also tests/cases/service."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest

from caser.service import early_stop


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The exit codes with which the process would have ended."""
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    monkeypatch.setattr(early_stop, "_is_stopping", threading.Lock())
    return codes


def heard(*numbers: int) -> socket.socket:
    """A socket on which the numbers of signals have arrived."""
    ours, theirs = socket.socketpair()
    theirs.sendall(bytes(numbers))
    theirs.close()
    return ours


def test_the_thread_stops_the_process_once_with_one_line(
    ended: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.signal(signal.SIGTERM, early_stop._stop)
    try:
        with (tmp_path / "log").open("w") as log:
            monkeypatch.setattr(sys, "stderr", log)
            early_stop._wait(heard(signal.SIGTERM, signal.SIGTERM))
            early_stop._stop(signal.SIGTERM, None)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended == [0]
    [line] = (tmp_path / "log").read_text().splitlines()
    assert json.loads(line)["message"] == "stopped by SIGTERM; no request was in progress"


def test_a_signal_with_another_handler_is_not_ours(ended: list[int]) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        early_stop._wait(heard(signal.SIGINT, signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended == []
