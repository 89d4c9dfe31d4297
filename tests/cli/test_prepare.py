"""`caser data prepare`, and every command that takes the prepared log in place of a log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import caser as library
from caser.artefact.folder import load
from caser.cli import data
from caser.data.prepared.prepare import prepare_log
from caser.data.synthetic import chain_world
from tests.cli.terminal import caser, document, refusal


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `log.csv`, and `prepared`, the same log."""
    folder = tmp_path_factory.mktemp("logs")
    log = chain_world(num_users=40, num_items=12, length=12, seed=0).log
    users, items = log.user_vocabulary.raw(log.users), log.item_vocabulary.raw(log.items)
    pl.DataFrame({"user": users, "item": items, "time": log.times // 10**6}).write_csv(folder / "log.csv")
    said = document("data", "prepare", folder / "log.csv", "--out", folder / "prepared", "--shards", 3)
    assert {name: said[name] for name in ("interactions", "users", "items", "shards")} == {
        "interactions": 480, "users": 40, "items": 12, "shards": 3,
    }  # fmt: skip
    return folder


def test_a_prepared_log_is_described_as_the_log(folder: Path) -> None:
    before, found = (document("data", "describe", folder / name) for name in ("log.csv", "prepared"))
    assert {**found, "source": None} == {**before, "source": None}
    assert document("data", "describe", folder / "prepared", "--verify") == found
    assert (
        "--verify has an effect only on a prepared log"
        in refusal("data", "describe", folder / "log.csv", "--verify")[1]
    )


@pytest.mark.parametrize("model", ["markov", "caser"])
def test_a_run_that_is_trained_on_a_prepared_log_is_the_same_bit_for_bit(
    model: str, folder: Path, tmp_path: Path
) -> None:
    more = [] if model == "markov" else ["--epochs", 2, "--no-choose", "--d", 4]
    for name in ("log.csv", "prepared"):
        outcome = caser("train", folder / name, "--model", model, "--out", tmp_path / name, *more)
        assert outcome.code == 0, outcome.err
    one, other = load(tmp_path / "log.csv"), load(tmp_path / "prepared")
    arrays = one.scorer.arrays()
    assert arrays.keys() == other.scorer.arrays().keys()
    for name, array in other.scorer.arrays().items():
        np.testing.assert_array_equal(array, arrays[name])
    assert one.manifest["fingerprint"] == other.manifest["fingerprint"]
    for name in ("weights.safetensors", "vocabulary.parquet", "histories.parquet"):
        if (tmp_path / "log.csv" / name).exists():
            assert (tmp_path / "log.csv" / name).read_bytes() == (tmp_path / "prepared" / name).read_bytes()


def test_a_run_is_evaluated_and_answers_from_either_form_of_its_log(folder: Path, tmp_path: Path) -> None:
    assert caser("train", folder / "prepared", "--model", "popularity", "--out", tmp_path / "run").code == 0
    own = document("evaluate", tmp_path / "run")
    for name in ("log.csv", "prepared"):
        assert document("evaluate", tmp_path / "run", "--log", folder / name)["models"] == own["models"]
    assert caser("recommend", tmp_path / "run", "--all", "--out", tmp_path / "all.csv").code == 0
    assert pl.read_csv(tmp_path / "all.csv")["user_id"].n_unique() == 40


def test_a_log_that_was_filtered_when_it_was_prepared_is_found_again(tmp_path: Path) -> None:
    rows = [f"{user},{(user + place) % 8},{place},{1 + place % 5}" for user in range(9) for place in range(20)]
    (tmp_path / "log.csv").write_text("\n".join(["user,item,time,rating", *rows, ""]))
    words = ("--min-rating", 3)
    document("data", "prepare", tmp_path / "log.csv", "--out", tmp_path / "prepared", *words)
    for name, options in (("log.csv", words), ("prepared", ())):
        outcome = caser("train", tmp_path / name, "--model", "popularity", "--out", tmp_path / f"run-{name}", *options)
        assert outcome.code == 0, outcome.err
        for log in ("log.csv", "prepared"):
            assert caser("evaluate", tmp_path / f"run-{name}", "--log", tmp_path / log).code == 0
    assert (
        "a prepared log is read already; got min_rating"
        in refusal("data", "describe", tmp_path / "prepared", *words)[1]
    )


FLAGS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    (("--shards", 4), {"num_shards": 4}),
    (("--memory-mb", 77), {"memory_mb": 77}),
    (("--min-rating", 2), {"filters": library.LogFilters(min_rating=2)}),
    (("--event-types", "buy", "--event-types", "view"), {"filters": library.LogFilters(event_types=("buy", "view"))}),
    (("--user", "who"), {"reading": library.Reading(user="who")}),
    (("--sql", "select 1", "--connection", "sqlite:///a.db"), {"sql": "select 1", "connection": "sqlite:///a.db"}),
]


@pytest.mark.parametrize(("words", "expected"), FLAGS)
def test_every_flag_reaches_the_library(
    words: tuple[Any, ...], expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []

    def record(source: Any, out: Path, reading: Any, **options: Any) -> Any:
        calls.append({"source": source, "out": out, "reading": reading, **options})
        raise library.DataError("stop")

    monkeypatch.setattr(data, "prepare_log", record)
    caser("data", "prepare", "a.csv", "b.csv", "--out", "there", *words)
    [call] = calls
    assert call["source"] == ("a.csv", "b.csv")
    assert call["out"] == Path("there")
    assert {name: call[name] for name in expected} == expected


def test_what_was_done_is_said(folder: Path, tmp_path: Path) -> None:
    said = caser("data", "prepare", folder / "log.csv", "--out", tmp_path / "prepared").err
    assert "read 480 rows" in said
    assert "read times as seconds since 1970" in said
    assert f"wrote {tmp_path / 'prepared'}: 480 interactions, 40 users, 12 items, 1 shards" in said
    assert "is prepared from this source already" in caser("data", "prepare", folder / "log.csv", "--out",
                                                           tmp_path / "prepared").err  # fmt: skip


def test_a_prepared_log_takes_less_memory_than_it_has_interactions(folder: Path) -> None:
    log = prepare_log(folder / "log.csv", folder / "again").log
    assert all(isinstance(array.base, np.memmap) for array in (log.users, log.items, log.times, log.rows))


def test_a_log_is_not_prepared_on_a_cluster(tmp_path: Path) -> None:
    code, line = refusal("data", "prepare", tmp_path / "log.csv", "--out", tmp_path / "prepared", "--engine", "ray")
    assert code == 2
    assert line.startswith("a log is prepared on one machine")
    assert not list(tmp_path.iterdir())
