"""`caser data`: simulate, describe and fetch."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from caser.cli.data import LABELS
from caser.data.datasets import DATASETS
from caser.data.readers import read_log
from caser.data.user_sessions import user_sessions
from caser.errors import StoreError
from caser.service.events.schema import _APPLICATION_ID, FORMAT_VERSION
from tests.cli.terminal import caser, document, refusal

LOG = {"user_id": ["ann", "bob", "ann"], "item_id": [7, 7, 8], "timestamp": [30, 20, 10]}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("CASER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


@pytest.mark.parametrize("world", ["chain", "union", "skip", "noise"])
def test_every_world_can_be_written_with_its_best_possible_hit_rate(world: str, tmp_path: Path) -> None:
    out = tmp_path / "world.csv"
    said = document("data", "simulate", world, "--out", out, "--num-users", 5, "--num-items", 4, "--length", 6)
    assert said["interactions"] == 30
    assert said["best_hit@1"] == pytest.approx(0.25 if world == "noise" else 0.925)
    assert pl.read_csv(out).columns == ["user_id", "item_id", "timestamp"]


def test_a_world_is_the_same_as_csv_and_as_parquet_and_for_the_same_seed(tmp_path: Path) -> None:
    for name, seed in (("one.csv", 3), ("two.parquet", 3), ("other.csv", 4)):
        document("data", "simulate", "chain", "--out", tmp_path / name, "--num-users", 5, "--seed", seed)
    one = pl.read_csv(tmp_path / "one.csv")
    assert one.equals(pl.read_parquet(tmp_path / "two.parquet"))
    assert not one.equals(pl.read_csv(tmp_path / "other.csv"))


def test_a_world_goes_into_csv_or_parquet_only(tmp_path: Path) -> None:
    code, line = refusal("data", "simulate", "chain", "--out", tmp_path / "world.txt")
    assert code == 2
    assert line.endswith("got 'world.txt'.")


def test_a_world_goes_into_a_folder_that_is_made_for_it_and_says_so_when_it_cannot(tmp_path: Path) -> None:
    out = tmp_path / "new" / "world.csv"
    assert str(out) in caser("data", "simulate", "chain", "--out", out, "--num-users", 2).err
    assert out.is_file()
    code, line = refusal("data", "simulate", "chain", "--out", out / "world.csv", "--num-users", 2)
    assert code == 7
    assert "must be writable" in line


def test_a_world_with_sessions_can_be_split_into_them(tmp_path: Path) -> None:
    out = tmp_path / "visits.csv"
    document("data", "simulate", "skip", "--out", out, "--num-users", 5, "--length", 12, "--session-length", 3)
    split = user_sessions(read_log(out))
    assert split.notes[0].startswith("a pause of more than 1,800 s begins a new session: 20 sessions of 5 users")
    code, line = refusal("data", "simulate", "skip", "--out", out, "--session-length", 0)
    assert code == 2
    assert "at least 1 interaction; got 0" in line


def test_a_world_without_interactions_is_refused(tmp_path: Path) -> None:
    code, line = refusal("data", "simulate", "chain", "--out", tmp_path / "world.csv", "--length", 0)
    assert code == 2
    assert "at least 1" in line


def test_a_log_is_described_on_stdout_and_its_guesses_on_stderr(log: Path) -> None:
    outcome = caser("data", "describe", log)
    assert outcome.code == 0
    assert "interactions" in outcome.out
    assert "400" in outcome.out
    assert "read user_id as user; override with user= (--user)" in outcome.err


def test_a_description_counts_interactions_users_and_items(tmp_path: Path) -> None:
    pl.DataFrame(LOG).write_parquet(tmp_path / "log.parquet")
    facts = document("data", "describe", tmp_path / "log.parquet")
    assert (facts["interactions"], facts["users"], facts["items"]) == (3, 2, 2)


def test_columns_and_filters_can_be_named(tmp_path: Path) -> None:
    frame = pl.DataFrame({"who": [1, 1, 2], "what": [5, 6, 6], "stars": [5, 1, 4]})
    frame.write_csv(tmp_path / "log.csv", separator="|")
    words = ["--user", "who", "--item", "what", "--rating", "stars", "--separator", "|", "--min-rating", 4]
    assert document("data", "describe", tmp_path / "log.csv", *words)["interactions"] == 2


def test_words_for_missing_and_the_form_of_times_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user,item,time\n1,5,3/4/2020\n?,6,4/4/2020\n-1,7,5/4/2020\n2,8,6/4/2020\n")
    words = ["--missing", "?", "--missing=user=-1", "--time-format", "%d/%m/%Y", "--bad-rows", "skip"]
    outcome = caser("data", "describe", path, *words)
    assert "skipped 2 rows without a user; the first is at 3: 1 '-1', 1 '?'" in outcome.err
    assert "first row: user 1, item 5, time 2020-04-03 00:00:00 UTC" in outcome.err
    assert document("data", "describe", path, *words)["users"] == 2


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (["2020-04-03", "2020-04-05"], "calendar dates"),
        (["1586000000", "1586000060"], "seconds since 1970"),
        (None, None),
    ],
)
def test_a_description_is_in_words_and_leaves_out_what_the_log_has_not(
    times: list[str] | None, words: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "log.csv"
    columns = {"user_id": ["ann", "ann"], "item_id": [7, 7], **({"timestamp": times} if times else {})}
    pl.DataFrame(columns).write_csv(path)
    facts = document("data", "describe", path)
    assert {*LABELS, "source"} == {name for name, value in facts.items() if not isinstance(value, dict | list)}
    assert max(map(len, LABELS.values())) <= 40
    shown = caser("data", "describe", path).out
    assert f"read from {path}" in shown
    assert ("times were read as" in shown) == (words is not None)
    assert words is None or f"times were read as   {words}" in re.sub(" {3,}", "   ", shown)
    assert re.search(r"^repeats: the user had the item before +50\.0 % *$", shown, re.MULTILINE)


def test_doubts_are_on_stderr_and_in_the_document(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user,item,time\n" + "".join(f"{row},{row % 3},{row}\n" for row in range(12)))
    doubt = "doubt: every user has exactly one event: is the column of the user the number of the row?"
    assert doubt in caser("data", "describe", path).err
    assert doubt in document("data", "describe", path)["notes"]


def test_a_simulated_log_raises_no_doubt(tmp_path: Path) -> None:
    caser("data", "simulate", "chain", "--out", tmp_path / "world.csv", "--num-users", 30)
    assert "doubt" not in caser("data", "describe", tmp_path / "world.csv").err


def test_bad_rows_are_refused_with_the_first_of_them_or_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id\n1,5\n,6\n2,6\n")
    code, line = refusal("data", "describe", path)
    assert code == 3
    assert "1 without a user (first at line 3)" in line
    outcome = caser("data", "describe", path, "--bad-rows", "skip")
    assert outcome.code == 0
    assert "skipped 1 rows without a user; the first is at 3" in outcome.err


def test_fetching_a_cached_data_set_needs_no_network(cache: Path) -> None:
    pl.DataFrame(LOG).write_parquet(cache / "amazon-beauty.parquet")
    found = document("data", "fetch", "amazon-beauty")
    assert found == {"name": "amazon-beauty", "path": str(cache / "amazon-beauty.parquet")}
    assert str(cache) in caser("data", "fetch", "amazon-beauty").err


def test_a_data_set_is_described_by_its_name(cache: Path) -> None:
    pl.DataFrame(LOG).write_parquet(cache / "amazon-beauty.parquet")
    outcome = caser("data", "describe", "amazon-beauty")
    assert outcome.code == 0
    assert "this copy of amazon-beauty holds 3 interactions" in outcome.err


def test_the_help_of_fetch_names_the_sets_that_have_a_source() -> None:
    shown = caser("data", "fetch", "--help").out
    assert all((name in shown) == bool(dataset.sources) for name, dataset in DATASETS.items())


def test_a_data_set_without_a_source_says_where_to_put_it(cache: Path) -> None:
    code, line = refusal("data", "fetch", "yoochoose-clicks")
    assert code == 4
    assert f"put yoochoose-clicks.parquet into the cache, {cache}" in line


@pytest.mark.parametrize("has_marks", [True, False])
def test_a_store_without_tables_has_the_exit_code_of_a_store(has_marks: bool, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID if has_marks else 7}")
        connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        connection.commit()
    code, line = refusal("data", "events", tmp_path / "store.db", "--out", tmp_path / "log.csv")
    assert code == StoreError.exit_code
    assert "must be the store of a service" in line
