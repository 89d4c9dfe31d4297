"""A prepared log is the log that is read in memory, however small the pieces are that it is read in."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caser.data.filters import LogFilters
from caser.data.prepared.folder import MANIFEST, read_manifest
from caser.data.prepared.prepare import prepare_log
from caser.data.readers import read_log
from caser.errors import ArtefactError, CaserError, ConfigError, DataError
from tests.data.prepared.sources import (
    CASES,
    CSV,
    FRAME,
    KINDS_OF_EVENTS,
    Case,
    case,
    facts_of,
    in_memory,
    with_bad_rows,
)

WHOLE = ("csv", "bad rows", "titles", "lists", "zip", "json array", "a damaged character", "gbk", "parts of csv")
NOT_IN_PIECES = {
    "zip": "a file that is not read in pieces must fit into the memory that is allowed",
    "json array": "a file that is not read in pieces must fit into the memory that is allowed",
    "gbk": r"must be UTF-8, and encoding \(--encoding\) left out; got gbk; convert it: iconv -f gbk -t UTF-8",
    "a damaged character": "a text file that is read in pieces must be UTF-8 .* after line",
}
"""What is refused if it is not read at once, and how."""


SHORT = ("order of rows", "old and one moment")
"""Logs that are so short that they may be one piece."""


def small_pieces(monkeypatch: pytest.MonkeyPatch, rows: int = 6) -> None:
    """Pieces of about some rows; ids are numbered and events are ordered a few at a time."""
    monkeypatch.setattr("caser.data.prepared.origins.PIECE_SHARE", 1e-5 * rows)
    monkeypatch.setattr("caser.data.prepared.numbering.ID_BYTES", 25e6 / 3)
    monkeypatch.setattr("caser.data.prepared.arrange.EVENT_BYTES", 25e6 / 8)


def prepared(one: Case, path: Path, out: Path, **options: Any) -> Any:
    return prepare_log(path, out, filters=one.filters, memory_mb=50, **{**one.options, **options})


@pytest.mark.parametrize("name", WHOLE)
def test_a_log_in_one_piece_is_that_of_read_log(name: str, tmp_path: Path) -> None:
    path = CASES[name].write(tmp_path)
    assert facts_of(prepared(CASES[name], path, tmp_path / "out").log) == facts_of(in_memory(CASES[name], path))


@pytest.mark.parametrize("name", [name for name in CASES if name not in NOT_IN_PIECES])
def test_a_log_in_many_pieces_is_that_of_read_log(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_pieces(monkeypatch)
    path = CASES[name].write(tmp_path)
    messages: list[str] = []
    found = prepared(CASES[name], path, tmp_path / "out", on_message=messages.append)
    assert facts_of(found.log) == facts_of(in_memory(CASES[name], path))
    assert sum(message.startswith("read ") for message in messages) >= (1 if name in SHORT else 2)


@pytest.mark.parametrize("name", NOT_IN_PIECES)
def test_what_the_whole_file_decides_is_refused_in_pieces(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pieces(monkeypatch)
    with pytest.raises(DataError, match=NOT_IN_PIECES[name]):
        prepared(CASES[name], CASES[name].write(tmp_path), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith((".", "out"))) == []


IDS = st.sampled_from(["a", "b", "é", "7", "07", "a,b", 'say "x"', "two\nlines"])
EVENTS = st.lists(st.tuples(IDS, IDS, st.integers(1_600_000_000, 1_600_000_005)), min_size=2, max_size=30)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(events=EVENTS, rows=st.integers(1, 9), ending=st.sampled_from(["csv", "jsonl", "parquet"]))
def test_any_log_in_pieces_of_any_size_is_that_of_read_log(
    events: list[tuple[str, str, int]], rows: int, ending: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    frame = pl.DataFrame(events, schema=["user", "item", "time"], orient="row")
    texts = {"csv": frame.write_csv().encode(), "jsonl": frame.write_ndjson().encode()}
    content: bytes | pl.DataFrame = texts.get(ending, frame)
    one = case(f"log.{ending}", content)
    path = one.write(folder)
    with pytest.MonkeyPatch.context() as monkeypatch:
        small_pieces(monkeypatch, rows)
        found = result_of(lambda: facts_of(prepared(one, path, folder / "out").log))
    # A log that is not read in pieces is refused, with what to do, and never read in another way.
    assert "--memory-mb" in str(found) or found == result_of(lambda: facts_of(in_memory(one, path)))


def result_of(work: Callable[[], Any]) -> Any:
    """What some work returns, or the sentence of the error that it raises."""
    try:
        return work()
    except DataError as error:
        return str(error)


REFUSED: dict[str, Case] = {
    "bad rows": case("log.csv", with_bad_rows()),
    "no column": case("log.csv", b"a,b\n" + b"1,2\n" * 20),
    "unknown kinds": case("log.csv", CSV.replace(b"rating", b"event"), filters=LogFilters(event_types=("buy",))),
    "unknown targets": case("log.csv", CSV.replace(b"rating", b"event"), target_events=("buy=2",)),
    "no target left": case("log.csv", KINDS_OF_EVENTS, target_events=("kind1",), filters=LogFilters(min_rating=4)),
    "months": case("log.csv", b"user,item,time\n" + b"".join(b"a,b,2020%02d\n" % (1 + row % 12) for row in range(60))),
    "no rows": case("log.csv", b"user,item,time\n"),
    "a long id": case("log.csv", CSV + b"u" * 1001 + b",3,1600000000,1\n"),
    "nothing left": case("log.csv", CSV, filters=LogFilters(min_rating=9)),
    "cut off": case("log.parquet", b"PAR1" + b"x" * 100),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_in_memory_is_refused_in_the_same_words(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = REFUSED[name].write(tmp_path)
    with pytest.raises(CaserError) as expected:
        in_memory(REFUSED[name], path)
    small_pieces(monkeypatch, 20)
    with pytest.raises(type(expected.value)) as found:
        prepared(REFUSED[name], path, tmp_path / "out")
    assert str(found.value) == str(expected.value)


def test_times_in_two_units_are_refused_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = [f"u{row},3,{17 + row}" for row in range(40)]
    milliseconds = [f"u{row},3,{10**12 + row}" for row in range(40)]  # a moment in 2001
    (tmp_path / "log.csv").write_text("\n".join(["user,item,time", *seconds, *milliseconds, ""]))
    small_pieces(monkeypatch, 1)
    sentence = (
        "the times must be read alike in each piece of a log; got seconds in the first pieces, and milliseconds in"
    )
    with pytest.raises(DataError, match=f"{sentence} a later one.*--time-format"):
        prepare_log(tmp_path / "log.csv", tmp_path / "out", memory_mb=50)
    found = prepare_log(tmp_path / "log.csv", tmp_path / "out", memory_mb=50, time_format="seconds")
    assert facts_of(found.log) == facts_of(read_log(tmp_path / "log.csv", time_format="seconds"))


ALIKE = "the ids of items must be read alike in each piece of a log"
LATER: dict[str, tuple[str, str]] = {
    "a new time": ('"item": 3, "time": {}', "the fields that may be the user, the item or the time must be there"),
    "another kind of ids": ('"item": "x{}"', ALIKE),
    "floats": ('"item": {}.0', ALIKE),
}


@pytest.mark.parametrize("name", LATER)
def test_objects_that_change_in_the_middle_are_refused_in_pieces(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form, message = LATER[name]
    fields = [f'"item": {row}' for row in range(40)] + [form.format(row) for row in range(40)]
    (tmp_path / "log.jsonl").write_text("\n".join([f'{{"user": "u", {field}}}' for field in fields]) + "\n")
    small_pieces(monkeypatch, 1)
    with pytest.raises(DataError, match=message):
        prepare_log(tmp_path / "log.jsonl", tmp_path / "out", memory_mb=50)


def test_the_same_bytes_are_written_whatever_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = CASES["titles"].write(tmp_path)
    prepare_log(path, tmp_path / "one", num_shards=3)
    small_pieces(monkeypatch, 7)
    prepare_log(path, tmp_path / "many", num_shards=3, memory_mb=50)
    one, many = (read_manifest(tmp_path / name) for name in ("one", "many"))
    assert one.files == many.files
    assert one.replace(asked={}) == many.replace(asked={})


def test_the_shards_are_those_that_a_log_in_memory_is_cut_into(tmp_path: Path) -> None:
    from caser.data.shards import ShardedLog

    path = CASES["csv"].write(tmp_path)
    for number in (1, 2, 5, 9):
        found = prepare_log(path, tmp_path / "out", num_shards=number)
        assert found.first_user.tolist() == ShardedLog.of(read_log(path), number).first_user.tolist()
    assert found.user_ids(3).to_list() == read_log(path).user_vocabulary.raw([4])


def test_several_sources_are_one_log(tmp_path: Path) -> None:
    for name, part in (("b.csv", FRAME[:20]), ("a.csv", FRAME[20:])):
        part.write_csv(tmp_path / name)
    found = prepare_log([tmp_path / "b.csv", tmp_path / "a.csv"], tmp_path / "out").log
    assert facts_of(found)["digest"] == read_log(FRAME).digest
    assert found.provenance["notes"][0].startswith("read 2 parts, with their rows: b.csv (20), a.csv (20)")


def test_a_prepared_log_is_not_prepared_again_unless_its_source_changes(tmp_path: Path) -> None:
    path, messages = CASES["csv"].write(tmp_path), list[str]()
    prepare_log(path, tmp_path / "out")
    before = (tmp_path / "out" / MANIFEST).stat().st_mtime_ns
    prepare_log(path, tmp_path / "out", on_message=messages.append)
    assert messages == [f"{tmp_path / 'out'} is prepared from this source already"]
    assert (tmp_path / "out" / MANIFEST).stat().st_mtime_ns == before
    path.write_bytes(CSV + b"new,3,1600000000,1\n")
    assert len(prepare_log(path, tmp_path / "out").log) == len(FRAME) + 1


def test_what_is_not_ours_is_not_replaced(tmp_path: Path) -> None:
    path = CASES["csv"].write(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "diary.txt").write_text("dear diary")
    with pytest.raises(ArtefactError, match="must be a new folder, or a prepared log; it is neither"):
        prepare_log(path, tmp_path / "out")
    (tmp_path / ".new.caser-prepare.partial").mkdir()
    (tmp_path / ".new.caser-prepare.partial" / "diary.txt").write_text("dear diary")
    with pytest.raises(ArtefactError, match="must be absent, or the work of a command that was killed"):
        prepare_log(path, tmp_path / "new")
    assert (tmp_path / "out" / "diary.txt").exists()
    assert (tmp_path / ".new.caser-prepare.partial" / "diary.txt").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory_mb": 10}, r"memory_mb \(--memory-mb\) must be at least 50; got 10"),
        ({"num_shards": 10}, r"must lie in 1\.\.9, the number of users; got 10"),
        ({"filters": LogFilters(k_core=2)}, "prepared with the filters min_rating and event_types only; got k_core"),
        ({"sql": "select 1"}, "--sql has an effect only with --connection"),
        ({"sql": "select 1", "connection": "sqlite:///a.db"}, "a query is a source of its own"),
    ],
)
def test_settings_that_cannot_be_are_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = CASES["csv"].write(tmp_path)
    with pytest.raises(ConfigError, match=message):
        prepare_log(path, tmp_path / "out", **options)


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="must be in files; got a pipe; write it to a file first"):
        prepare_log(tmp_path / "pipe", tmp_path / "out")


def test_a_store_of_objects_is_read_by_polars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FRAME.write_parquet(tmp_path / "log.parquet")
    asked: list[str] = []
    scan = pl.scan_parquet

    def scan_parquet(address: Any, **options: Any) -> pl.LazyFrame:
        if not str(address).startswith("s3://"):
            return scan(address, **options)
        asked.append(address)
        assert not options  # polars finds the credentials in the environment
        return scan(tmp_path / "log.parquet")

    monkeypatch.setattr(pl, "scan_parquet", scan_parquet)
    small_pieces(monkeypatch)
    found = facts_of(prepare_log("s3://bucket/log.parquet", tmp_path / "out", memory_mb=50).log)
    assert asked == ["s3://bucket/log.parquet"]
    assert found["digest"] == read_log(FRAME).digest
    with pytest.raises(ConfigError, match=r"separator \(--separator\) has no effect here: a store of objects is read"):
        prepare_log("s3://bucket/log.parquet", tmp_path / "out", separator=";")


def test_a_store_that_cannot_be_reached_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> pl.LazyFrame:
        raise OSError("no credentials")

    monkeypatch.setattr(pl, "scan_parquet", refuse)
    with pytest.raises(DataError, match="must be Parquet files that polars can read with the credentials in the env"):
        prepare_log("gs://bucket/log/*.parquet", tmp_path / "out")


def test_a_compressed_file_that_breaks_off_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(CSV)[:-30])
    small_pieces(monkeypatch)
    with pytest.raises(DataError, match="a file compressed with gzip must be whole"):
        prepare_log(tmp_path / "log.csv.gz", tmp_path / "out", memory_mb=50)
