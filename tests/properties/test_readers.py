"""Any file gives a log with consistent counts or one sentence; the order of rows with distinct times has no effect."""

from __future__ import annotations

import gzip
import io
import json
import re
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caser.data import delimited
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


written = st.one_of(
    st.text('ab\r\x1f\ufeff"\u00e9 :', max_size=3),
    st.sampled_from(["", "7", '"a"', '""', '"', '"a,b"', '"a""b"', '"a\nb"']),
)
grids = st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(written, min_size=width, max_size=width), min_size=1))
plain = st.lists(st.lists(st.text("ab7 \u00e9", max_size=12), min_size=3, max_size=3), min_size=1)


def split_into_fields(text: bytes, separator: str | None, block_bytes: int) -> Any:
    """Return the fields, places and faults of a text file, or the sentence that refuses it."""
    with mock.patch.object(delimited, "BLOCK_BYTES", block_bytes):
        try:
            table = delimited.read_delimited(text, Layout(separator, header=None))
        except DataError as error:
            return str(error)
    # An empty field may be null: both are missing values. What a bad row holds is not read.
    faults = table.faults.to_list()
    fields = zip(table.select(table.columns).rows(), faults, strict=True)
    rows = [tuple(field or "" for field in row) if fault is None else () for row, fault in fields]
    # Notes also count blanks in bad rows, where the two ways may differ.
    notes = [re.sub(r"\d[\d,]*", "N", note) for note in table.notes]
    return table.columns, rows, table.places.to_list(), faults, table.has_header, notes


def split_without_polars(text: bytes, separator: str | None) -> Any:
    """Return the same facts as `split_into_fields`, found line by line or with the module `csv`."""
    with (
        mock.patch.object(delimited, "_regular", return_value=None),
        mock.patch.object(delimited, "_quotes_only_wrap", return_value=False),
    ):
        return split_into_fields(text, separator, block_bytes=1 << 20)


@given(
    table=st.one_of(grids, plain, rows),
    separator=st.sampled_from([",", "\t", "::", "\u00a7"]),
    end=st.sampled_from(["\n", "\r\n", "\n\n"]),
    wrap=st.booleans(),
    block_bytes=st.sampled_from([1, 16, 100, 1 << 20]),
)
@settings(max_examples=400)
def test_parsing_blocks_by_polars_gives_what_splitting_line_by_line_gives(
    table: list[list[str]], separator: str, end: str, wrap: bool, block_bytes: int
) -> None:
    lines = [separator.join(f'"{field}"' if wrap else field for field in row) for row in table]
    text = end.join(lines).encode("utf-8", "surrogatepass")
    given_separator = separator if separator == "\u00a7" else None
    assert split_into_fields(text, given_separator, block_bytes) == split_without_polars(text, given_separator)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a,b\n\ufeffc,d\n", id="a byte order mark within"),
        pytest.param("a::b\nc\x1fd\n", id="the byte that stands in for a separator"),
        pytest.param("a,b\nc\nd,e,f\n", id="lines too short and too long that make up for each other"),
        pytest.param('a,b\n",x"y\n', id="quotes that make up for each other"),
        pytest.param('a,b\n""\nc,d\n', id="a line that is blank without its quotes"),
        pytest.param('"a","b"\n"c","' + "x" * 200_000 + '"\n', id="a quoted field that is too long"),
        pytest.param("\n\na,b\n\nc,d", id="blank lines and no last end"),
        pytest.param("user,item\n\n1,2\n", id="a header, then a blank line"),
        pytest.param("a::\u00a0b\nc::d\n", id="a wide blank beside a separator of two characters"),
    ],
)
def test_irregular_text_is_split_as_without_polars(text: str) -> None:
    for block_bytes in (4, 1 << 20):
        assert split_into_fields(text.encode(), None, block_bytes) == split_without_polars(text.encode(), None)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(("separator", "wrap"), [(",", ""), (",", '"'), ("::", "")], ids=["bare", "quoted", "'::'"])
def test_a_regular_file_is_parsed_by_polars_and_keeps_its_order(separator: str, wrap: str, end: str) -> None:
    text = "".join(f"{wrap}{row}{wrap}{separator}{wrap}x y{wrap}{end}" for row in range(100_000))
    with (
        mock.patch.object(delimited, "_line_by_line", side_effect=AssertionError),
        mock.patch.object(delimited, "split_quoted", side_effect=AssertionError),
        mock.patch.object(delimited, "BLOCK_BYTES", 1 << 16),
    ):
        table = delimited.read_delimited(text.encode(), Layout(separator))
    assert table.select(["1"]).to_series().cast(pl.Int64).to_list() == list(range(100_000))
    assert table.places.to_list() == list(range(1, 100_001))


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
def test_parts_of_a_log_concatenated_in_any_order_make_the_same_log(
    pairs: list[tuple[int, int]], data: st.DataObject
) -> None:
    frame = frame_of(pairs)
    cut = data.draw(st.integers(0, len(pairs)))
    assert read_log(pl.concat([frame[cut:], frame[:cut]])).digest == read_log(frame).digest


@given(pairs=events, seed=st.integers(0, 100))
def test_renaming_ids_changes_no_index_and_no_split(pairs: list[tuple[int, int]], seed: int) -> None:
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
def test_every_reader_splits_any_bytes_into_rows_or_gives_one_sentence(path: Path, name: str, content: bytes) -> None:
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
