"""Workers from Python: what a task returns and raises, what a lost worker means, and which calls are refused."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from caser.errors import ConfigError, DataError, WorkerError
from caser.fitting.workers import in_workers, is_first_worker


def ranks(exchange: Any) -> list[int]:
    found: list[int] = exchange.from_all(exchange.rank)
    return found


def refused(exchange: Any) -> None:
    if exchange.rank == 1:
        raise DataError("worker 1 has no log; got nothing. Put it back.")
    exchange.from_all(exchange.rank)


def lost(exchange: Any) -> None:
    if exchange.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    exchange.from_all(exchange.rank)


@pytest.mark.slow
def test_workers_of_this_machine_meet_and_raise_what_their_task_raises() -> None:
    before, handler = dict(os.environ), signal.getsignal(signal.SIGTERM)
    assert in_workers(ranks, 2) == [0, 1]
    with pytest.raises(DataError, match="worker 1 has no log"):
        in_workers(refused, 2)
    with pytest.raises(WorkerError, match=r"worker 1 ended \(SIGKILL\) after 0 restarts"):
        in_workers(lost, 2, max_restarts=0)
    assert dict(os.environ) == before
    assert signal.getsignal(signal.SIGTERM) is handler


def test_one_worker_is_this_process() -> None:
    assert in_workers(lambda exchange: (exchange, os.getpid())) == (None, os.getpid())
    assert is_first_worker()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((5,), "a task must be a function"),
        ((ranks, 0), "at least 1 worker and 0 restarts; got 0 and 3"),
        ((ranks, "two"), "number must be a number of workers"),
    ],
)
def test_a_wrong_argument_is_refused(arguments: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        in_workers(*arguments)


def test_an_unknown_engine_gets_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="did you mean torchrun"):
        in_workers(ranks, 2, engine="torchrum")  # type: ignore[arg-type]


def test_what_torchrun_has_started_must_be_what_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "3", "RANK": "2"}.items():
        monkeypatch.setenv(name, value)
    assert not is_first_worker()
    with pytest.raises(ConfigError, match="it started 3, and the training has 2"):
        in_workers(ranks, 2)
    with pytest.raises(ConfigError, match="the engine must be torchrun; got ray"):
        in_workers(ranks, 3, engine="ray")
