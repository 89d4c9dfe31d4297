"""`caser update`: from files to a run that can be judged, shipped and updated again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from caser.artefact.folder import load, model_version
from caser.data.synthetic import chain_world
from caser.errors import ArtefactError, ConfigError, DataError
from tests.cli.terminal import caser, document, refusal


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log, the same log in two parts by time, and a run that is served."""
    folder = tmp_path_factory.mktemp("update")
    log = chain_world(num_users=60, num_items=30, length=9, seed=0).log
    columns = {
        "who": log.user_vocabulary.raw(log.users),
        "what": log.item_vocabulary.raw(log.items),
        "time": log.times // 1_000_000,
    }
    frame = pl.DataFrame(columns)
    cut = int(frame["time"].sort()[405])
    frame.write_csv(folder / "all.csv")
    frame.filter(pl.col("time") < cut).write_csv(folder / "old.csv")
    frame.filter(pl.col("time") >= cut).write_csv(folder / "new.csv")
    words = ("--user", "who", "--item", "what", "--model", "gru4rec", "--d", 4, "--epochs", 1, "--no-choose", "--all")
    assert caser("train", folder / "old.csv", *words, "--out", folder / "live").code == 0
    return folder


def test_an_update_reads_new_events_as_the_log_was_read_and_leaves_the_run_alone(folder: Path) -> None:
    before = model_version(folder / "live")
    found = document("update", folder / "live", folder / "new.csv", "--out", folder / "tonight")
    assert (found["train_on"], found["updates"], found["parent"]) == ("final", 1, before)
    assert (found["repeated"], found["interactions"], found["users"]) == (0, 540, 60)
    assert model_version(folder / "live") == before
    assert not (folder / "tonight.checkpoint").exists()


def test_the_night_goes_on_without_the_old_log(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "live", tmp_path / "live")
    assert caser("update", tmp_path / "live", folder / "all.csv", "--out", tmp_path / "tonight").code == 0
    words = (
        "--over",
        tmp_path / "live",
        "--margin",
        0.99,
        "--most-time",
        1000,
        "--least-shown",
        0,
        "--most-popular",
        1,
    )
    promoted = caser("promote", tmp_path / "tonight", *words)
    assert promoted.code == 0, promoted.err
    advice = f"caser update {tmp_path / 'tonight'} --all --out {tmp_path / 'live'}"
    assert advice in promoted.err
    assert caser("update", tmp_path / "tonight", "--all", "--out", tmp_path / "live").code == 0
    manifest = load(tmp_path / "live").manifest
    assert (manifest["train_on"], manifest["left_out"], manifest["updated"]["updates"]) == ("all", None, 2)
    again = refusal("update", tmp_path / "live", folder / "all.csv", "--out", tmp_path / "tonight")
    assert again[0] == DataError.exit_code
    assert "the run holds all 540 of this log" in again[1]
    refitted = caser("refit", tmp_path / "live", "--out", tmp_path / "full")
    assert refitted.code == 0, refitted.err
    assert load(tmp_path / "full").manifest["epochs"] == 1, "the recipe of the last full training"
    assert load(tmp_path / "full").manifest["updated"] is None


def test_full_trains_the_recipe_on_old_and_new(folder: Path, tmp_path: Path) -> None:
    full = document("update", folder / "live", folder / "new.csv", "--full", "--all", "--out", tmp_path / "full")
    assert (full["train_on"], full["updates"], full["interactions"]) == ("all", None, 540)


def test_what_stops_an_update_is_one_line(folder: Path, tmp_path: Path) -> None:
    code, line = refusal("update", folder / "live", folder / "new.csv", "--out", folder / "live")
    assert (code, "must be another folder than the run" in line) == (ConfigError.exit_code, True)
    code, line = refusal("update", folder / "live", folder / "old.csv", "--out", tmp_path / "run")
    assert (code, "an update needs new events" in line) == (DataError.exit_code, True)
    shutil.copytree(folder / "live", tmp_path / "damaged")
    weights = tmp_path / "damaged" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    code, line = refusal("update", tmp_path / "damaged", folder / "new.csv", "--out", tmp_path / "run")
    assert (code, "does not match its checksum" in line) == (ArtefactError.exit_code, True)
    assert not (tmp_path / "run").exists()


def test_a_run_that_was_not_updated_says_nothing_of_updates(folder: Path) -> None:
    assert "updated" not in json.loads((folder / "live" / "manifest.json").read_text())
