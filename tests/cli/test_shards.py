"""A prepared log trains, is judged and answers by command, shard by shard, as the same log in memory does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from caser.cli import train
from caser.data.shard_parts import cut_for
from caser.data.shards import ShardedLog
from caser.data.synthetic import chain_world
from caser.errors import ConfigError
from tests.cli.terminal import caser

LOG = chain_world(num_users=40, num_items=9, length=8, seed=4).log


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a log in a file, and prepared in three shards."""
    monkeypatch.chdir(tmp_path)
    frame = pl.DataFrame({"user": LOG.users, "item": LOG.items, "time": LOG.times // 1_000_000})
    frame.write_csv("log.csv")
    assert caser("data", "prepare", "log.csv", "--out", "prepared", "--shards", "3").code == 0
    return tmp_path


def facts_of(run: str, *words: Any) -> dict[str, Any]:
    """The document of a command, without what differs between two runs."""
    outcome = caser(*words, "--json")
    assert outcome.code == 0, outcome.err
    changing = {"run", "history", "seconds"}
    return {key: value for key, value in json.loads(outcome.out).items() if key not in changing}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("model", ["caser", "count-knn"])
def test_a_prepared_log_trains_is_judged_and_answers_as_the_file(model: str) -> None:
    settings = ["--epochs", 2, "--batch-size", 64] if model == "caser" else ["--gap-decay", 0.5]
    found = {}
    for log in ("log.csv", "prepared"):
        run = f"run-of-{log}"
        trained = facts_of(run, "train", log, "--out", run, "--model", model, *settings)
        judged = facts_of(run, "evaluate", run)
        assert caser("recommend", run, "--all", "--out", f"{run}.parquet").code == 0
        found[log] = trained, judged, pl.read_parquet(f"{run}.parquet")
    (trained, judged, answers), (trained_again, judged_again, answers_again) = found.values()
    assert trained == trained_again
    assert judged == judged_again
    assert answers.equals(answers_again)


@pytest.mark.usefixtures("folder")
def test_a_run_of_a_prepared_log_is_refitted_on_all_of_it() -> None:
    assert caser("train", "prepared", "--out", "run", "--model", "popularity").code == 0
    outcome = caser("refit", "run", "--out", "all", "--json")
    assert json.loads(outcome.out)["interactions"] == len(LOG)
    assert json.loads(outcome.out)["train_on"] == "all"


@pytest.mark.usefixtures("folder")
def test_memory_decides_the_number_of_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caser.data.shard_parts._BYTES_IN_SHARD", 10**5)
    shards: list[int] = []

    def record(*arguments: Any, **_: Any) -> Any:
        shards.append(len(arguments[1].fit.sizes))
        raise ConfigError("that is all.")

    monkeypatch.setattr(train, "fit", record)
    for words in ((), ("--memory-mb", 2), ("--memory-mb", 4)):
        caser("train", "prepared", "--out", "run", "--model", "popularity", *words)
    assert shards == [3, 16, 8]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("log.csv", "--memory-mb", 9), "only on a prepared log that is not filtered again; got log.csv"),
        (("prepared", "--memory-mb", 9, "--k-core", 2), "only on a prepared log that is not filtered again"),
        (("prepared", "--memory-mb", 0), "memory_mb (--memory-mb) must be at least 1; got 0"),
    ],
)
def test_memory_is_refused_where_it_has_no_effect(words: tuple[Any, ...], sentence: str) -> None:
    outcome = caser("train", *words, "--out", "run", "--model", "popularity")
    assert outcome.code != 0
    assert sentence in outcome.err


def test_a_log_gets_no_fewer_shards_than_it_has_and_no_more_than_users() -> None:
    shards = ShardedLog.of(LOG, 5)
    assert cut_for(shards, 1000) is shards
    many = chain_world(num_users=3, num_items=9, length=1000, seed=4).log
    assert cut_for(ShardedLog.of(many), 1).num_shards == 3
