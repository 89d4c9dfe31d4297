"""The nightly job of deploy/, from the first night on: what is served afterwards, and with which exit code it ends."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from caser.artefact.folder import load, model_version
from caser.data.synthetic import chain_world
from caser.errors import DataError, HeldBackError
from caser.service.events.sqlite import SqliteEvents
from caser.service.events.store import Event

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "nightly.sh"
START = 1.7e9


def night(*words: object, **environment: str) -> int:
    """Run the job with this environment's `caser`, and return its exit code."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [str(SCRIPT), *map(str, words)]
    return subprocess.run(command, env={**os.environ, "PATH": path, **environment}, timeout=300, check=False).returncode


def write_log(path: Path) -> list[tuple[str, str, float]]:
    """Write a log without the last interaction of each user, and return what is left."""
    log = chain_world(num_users=60, num_items=30, length=9, seed=0).log
    users, items = log.user_vocabulary.raw(log.users), log.item_vocabulary.raw(log.items)
    rows = [
        (f"u{user}", f"i{item}", START + place) for place, (user, item) in enumerate(zip(users, items, strict=True))
    ]
    is_last = [place + 1 == len(rows) or rows[place + 1][0] != row[0] for place, row in enumerate(rows)]
    early = [row for row, last in zip(rows, is_last, strict=True) if not last]
    pl.DataFrame(early, schema=["user_id", "item_id", "timestamp"], orient="row").write_csv(path)
    return [row for row, last in zip(rows, is_last, strict=True) if last]


async def keep(path: Path, rows: list[tuple[str, str, float]]) -> None:
    """Store events as a service does."""
    store = SqliteEvents(path)
    await store.append([Event(f"event {user} {time}", user, item, time) for user, item, time in rows])
    store.close()


@pytest.mark.slow
def test_three_nights(tmp_path: Path) -> None:
    log, runs, store = tmp_path / "log.csv", tmp_path / "runs", tmp_path / "events.db"
    later = write_log(log)

    assert night(log, runs, TRAIN="--model markov") == 0, "nothing is served before the first night"
    first = model_version(runs / "live")

    same_log = night(log, runs, TRAIN="--model markov")
    assert same_log == DataError.exit_code, "without new events, there is nothing to judge the new run by"

    asyncio.run(keep(store, later))
    assert night(log, runs, store, TRAIN="--model popularity") == HeldBackError.exit_code
    assert model_version(runs / "live") == first, "a worse model is not served"
    assert not (runs / "previous").exists()

    assert night(log, runs, store, TRAIN="--model markov", MARGIN="0.9") == 0
    assert model_version(runs / "live") != first
    assert model_version(runs / "previous") == first, "it is there to go back to"
    manifest = load(runs / "live").manifest
    assert (manifest["train_on"], manifest["log"]["interactions"]) == ("all", 60 * 9)


@pytest.mark.slow
def test_nights_that_update_the_served_run(tmp_path: Path) -> None:
    log, runs, store = tmp_path / "log.csv", tmp_path / "runs", tmp_path / "events.db"
    later = write_log(log)
    train = "--model markov"

    assert night(log, runs, TRAIN=train, UPDATE="1") == 0, "without a run to update, the first night trains one"
    first = model_version(runs / "live")
    assert load(runs / "live").manifest["updated"] is None

    assert night(log, runs, TRAIN=train, UPDATE="1") == DataError.exit_code, "there is nothing new to learn"
    assert model_version(runs / "live") == first

    others = [*later[1:], later[0]]
    again = [(user, item, START + 1e4) for (user, _, _), (_, item, _) in zip(later, others, strict=True)]
    asyncio.run(keep(store, [*later, *again]))
    assert night(log, runs, store, TRAIN=train, UPDATE="1", MARGIN="0.9") == 0
    manifest = load(runs / "live").manifest
    assert (manifest["train_on"], manifest["left_out"], manifest["log"]["interactions"]) == ("all", None, 60 * 10)
    made = manifest["updated"]
    assert (made["full"], made["parent"], made["updates"]) == (first, model_version(runs / "tonight"), 2)
    assert load(runs / "tonight").manifest["updated"]["parent"] == first


@pytest.mark.parametrize("words", [(), ("log.csv",)])
def test_a_job_without_a_log_or_a_folder_says_what_to_type(words: tuple[str, ...]) -> None:
    ended = subprocess.run([str(SCRIPT), *words], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "type nightly.sh LOG RUNS [STORE [URL]]" in ended.stderr
