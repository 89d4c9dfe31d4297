"""Any file gives a log whose counts add up, or one sentence; rows of distinct times give one log in any order."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caser.data.formats import READERS
from caser.data.log import InteractionLog
from caser.data.readers import read_log
from caser.data.split import leave_one_out
from caser.data.tables import Layout
from caser.errors import DataError

fields = st.one_of(
    st.sampled_from(["", " ", "0", "007", "nan", "null", "1e400", "inf", '"', '""', 'a"b', "\ufeff", "\r", "\x00"]),
    st.sampled_from(["1600000000", "1600000000000", "2020-01-01", "2020-01-01T00:00:00Z", "-1", "9" * 30]),
    st.integers().map(str),
    st.floats().map(str),
    st.text(max_size=8),
)
headers = st.sampled_from(["user,item,time", "user_id\titem_id\ttimestamp", "a;user;item", "user::item", "1,2,3", ""])
rows = st.lists(st.lists(fields, max_size=5), max_size=8)
values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.integers()))
objects = st.dictionaries(st.sampled_from(["user", "item", "time", "other"]), values)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs") / "events"


def loads_or_says_why(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for bad_rows in ("refuse", "skip"):
        log, sentence = read_or_sentence(path, bad_rows)
        if log is None:
            assert str(path) in sentence
            assert "\n" not in sentence
            continue
        bad = sum(reason["count"] for reason in log.provenance["bad_rows"].values())
        assert len(log) + bad == log.provenance["rows_read"]
        assert bad == 0 or bad_rows == "skip"
        assert json.loads(json.dumps(log.provenance)) == log.provenance


def read_or_sentence(path: Path, bad_rows: str, format: str | None = None) -> tuple[InteractionLog | None, str]:
    try:
        return read_log(path, bad_rows=bad_rows, format=format), ""
    except DataError as error:
        return None, str(error)


@given(content=st.binary(max_size=200), zipped=st.booleans())
def test_any_bytes_load_or_give_one_sentence(path: Path, content: bytes, zipped: bool) -> None:
    loads_or_says_why(path, gzip.compress(content) if zipped else content)


@given(content=st.text(max_size=200))
def test_any_text_loads_or_gives_one_sentence(path: Path, content: str) -> None:
    loads_or_says_why(path, content.encode("utf-8", "surrogatepass"))


@given(header=headers, rows=rows, separator=st.sampled_from([",", "\t", ";", "::", " "]))
@settings(max_examples=200)
def test_any_table_of_text_loads_or_gives_one_sentence(
    path: Path, header: str, rows: list[list[str]], separator: str
) -> None:
    text = "\n".join([header, *(separator.join(row) for row in rows)])
    loads_or_says_why(path, text.encode("utf-8", "surrogatepass"))


@given(lines=st.lists(st.one_of(objects.map(json.dumps), st.text(max_size=10)), min_size=1, max_size=6))
def test_any_lines_of_json_load_or_give_one_sentence(path: Path, lines: list[str]) -> None:
    loads_or_says_why(path, "\n".join(["{}", *lines]).encode("utf-8", "surrogatepass"))


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_damaged_parquet_file_loads_or_gives_one_sentence(path: Path, data: st.DataObject) -> None:
    pl.DataFrame({"user": [1, 2, 3], "item": ["a", "b", "a"], "time": [1, 2, 3]}).write_parquet(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    loads_or_says_why(path, bytes(content[: data.draw(st.integers(1, len(content)))]))


ids = st.one_of(st.integers(0, 5), st.sampled_from(["a", "b", "c", "d", "e"]).map(str))
events = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=30)


def frame_of(pairs: list[tuple[int, int]]) -> pl.DataFrame:
    """Events with distinct times, in time order."""
    users, items = zip(*pairs, strict=True)
    return pl.DataFrame({"user": users, "item": items, "time": range(len(pairs))})


def indices(log: InteractionLog) -> tuple[list[int], list[int]]:
    return log.users.tolist(), log.items.tolist()


@given(pairs=events, data=st.data())
def test_the_order_of_rows_with_distinct_times_changes_nothing(
    pairs: list[tuple[int, int]], data: st.DataObject
) -> None:
    frame = frame_of(pairs)
    order = data.draw(st.permutations(range(len(pairs))))
    assert read_log(frame[order]).digest == read_log(frame).digest


@given(pairs=events, data=st.data())
def test_parts_of_a_log_put_together_in_any_order_are_the_log(
    pairs: list[tuple[int, int]], data: st.DataObject
) -> None:
    frame = frame_of(pairs)
    cut = data.draw(st.integers(0, len(pairs)))
    assert read_log(pl.concat([frame[cut:], frame[:cut]])).digest == read_log(frame).digest


@given(pairs=events, seed=st.integers(0, 100))
def test_new_names_for_ids_change_no_index_and_no_split(pairs: list[tuple[int, int]], seed: int) -> None:
    frame = frame_of(pairs)
    names = [f"name {number}" for number in np.random.default_rng(seed).permutation(10)]
    renamed = frame.with_columns(pl.col("user", "item").map_elements(names.__getitem__, pl.String))
    log, other = read_log(frame), read_log(renamed)
    assert indices(log) == indices(other)
    if max(np.bincount(log.users)) >= 3:
        splits: list[Any] = [leave_one_out(log), leave_one_out(other)]
        assert splits[0].fit.items.tolist() == splits[1].fit.items.tolist()
        assert splits[0].test.targets.tolist() == splits[1].test.targets.tolist()


@given(pairs=st.lists(st.tuples(ids, ids), min_size=1, max_size=20))
def test_a_log_written_as_text_and_read_again_is_the_same(path: Path, pairs: list[tuple[Any, Any]]) -> None:
    frame = pl.DataFrame({"user": [str(user) for user, _ in pairs], "item": [str(item) for _, item in pairs]})
    frame.write_csv(path)
    assert read_log(path).digest == read_log(frame).digest


def parquet() -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame({"user": [1, 2], "item": ["a", "b"]}).write_parquet(buffer)
    return buffer.getvalue()


files = st.sampled_from([b"user,item\n1,a\n2\n", b'{"user": 1, "item": "a"}\n[]\n', parquet()])


@pytest.mark.parametrize("name", READERS)
@given(content=st.one_of(files, st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_every_reader_takes_any_bytes_apart_row_by_row_or_gives_one_sentence(
    path: Path, name: str, content: bytes
) -> None:
    try:
        table = READERS[name](content, Layout())
    except DataError:
        path.write_bytes(content)
        log, sentence = read_or_sentence(path, "skip", name)
        assert log is None
        assert str(path) in sentence
        assert "\n" not in sentence
    else:
        assert len(table.select(table.columns)) == len(table.places) == len(table.faults)
        assert table.places.is_sorted()
