"""JSON as tools write it: lines, arrays, documents, extended JSON of mongoexport, objects inside records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from caser.data.formats import read_table
from caser.data.tables import Layout
from caser.errors import DataError
from tests.cases.events import EVENTS, RECORDS, has_note, raw, read


def lines(records: list[Any] = RECORDS) -> str:
    return "\n".join(map(json.dumps, records))


SHAPES = {
    "lines": lines(),
    "lines with commas": ",\n".join(map(json.dumps, RECORDS)) + ",",
    "lines after record separators": "".join(f"\x1e{json.dumps(record)}\n" for record in RECORDS),
    "an array": json.dumps(RECORDS),
    "an array, one object per line": "[\n" + ",\n".join(map(json.dumps, RECORDS)) + "\n]",
    "a printed array": json.dumps(RECORDS, indent=2),
    "printed objects": "\n".join(json.dumps(record, indent=2) for record in RECORDS),
    "a printed document": json.dumps({"count": 60, "events": RECORDS}, indent=2),
    "a document": json.dumps({"meta": {"count": 60}, "events": RECORDS}),
}


@pytest.mark.parametrize("content", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_shape_of_json_gives_the_same_log(tmp_path: Path, content: str, encoding: str) -> None:
    assert raw(read(tmp_path, content.encode(encoding))) == EVENTS


MONGO = {
    "canonical": lambda r: {
        "_id": {"$oid": "5f" * 12},
        "user_id": {"$numberLong": str(r["user_id"])},
        "item_id": {"$numberInt": str(r["item_id"])},
        "timestamp": {"$date": {"$numberLong": str(r["timestamp"] * 1000)}},
    },
    "old": lambda r: {**r, "timestamp": {"$date": r["timestamp"] * 1000}},
    "relaxed": lambda r: {**r, "timestamp": {"$date": f"2020-09-13T12:26:{r['timestamp'] % 60:02}Z"}},
}


@pytest.mark.parametrize("write", MONGO.values(), ids=MONGO)
@pytest.mark.parametrize("as_array", [False, True])
def test_the_extended_json_of_mongoexport_is_unwrapped(tmp_path: Path, write: Any, as_array: bool) -> None:
    records = [write(record) for record in RECORDS]
    log = read(tmp_path, json.dumps(records) if as_array else lines(records))
    assert [row[:2] for row in sorted(raw(log))] == [row[:2] for row in sorted(EVENTS)]
    assert has_note(log, "mongoexport")
    assert log.provenance["time_unit"] == "dates"


def test_object_ids_are_texts(tmp_path: Path) -> None:
    log = read(tmp_path, lines([{"user": {"$oid": "5e01"}, "item": 1}, {"user": {"$oid": "0012"}, "item": 1}]))
    assert log.user_vocabulary.ids.to_list() == ["5e01", "0012"]


REFUSED = {
    "Python dictionaries": ("\n".join(map(str, RECORDS)), "Python dictionaries.*ast.literal_eval"),
    "of Python 2": ("{u'user': u'7', u'text': u\"it's ok\"}\n", "Python dictionaries"),
    "a list of them": (str(RECORDS), "Python dictionaries"),
    "a Mongo shell": ('{ "user" : ObjectId("5e"), "item" : 1 }\n' * 3, "Mongo shell"),
    "a cut array": (json.dumps(RECORDS)[:-30], "a JSON array must be whole; got .* at line 1"),
    "a cut document": (json.dumps({"events": RECORDS}, indent=1)[:-30], "a JSON document must be whole"),
    "lists": (json.dumps([[1, 2], [3, 4]]), "must hold objects with a user and an item; got lists"),
    "two lists": (json.dumps({"a": RECORDS, "b": RECORDS}), "one JSON document.*'a', 'b'"),
    "an object as the user": (lines([{"user": {"id": 7}, "item": 1}]), "column 'user'.*--user user.id"),
    "objects of several forms": (lines([{"user": {"id": 7}, "item": 1}, {"user": {"id": "x"}, "item": 1}]), "'user'"),
}


@pytest.mark.parametrize(("content", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_list_of_records_is_refused_with_a_way_on(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(DataError, match=words) as refused:
        read(tmp_path, content)
    assert "\n" not in str(refused.value)
    assert "--bad-rows skip" not in str(refused.value)


@pytest.mark.parametrize("ids", [[7, 8], ["a", "b"], [7, "a"]])
def test_a_field_of_an_object_is_a_column_with_a_dot(tmp_path: Path, ids: list[Any]) -> None:
    log = read(tmp_path, lines([{"user": {"id": one, "name": "x"}, "item": 1} for one in ids]), user="user.id")
    assert log.user_vocabulary.ids.to_list() == (ids if len(set(map(type, ids))) == 1 else [str(one) for one in ids])


@pytest.mark.parametrize(
    ("values", "expected", "kind"),
    [
        ([[1, 2], [3]], [[1, 2], [3]], pl.List(pl.Int64)),
        ([["a"], None], [["a"], None], pl.List(pl.String)),
        ([[1, "a"], [2]], [["1", "a"], ["2"]], pl.List(pl.String)),
        ([[1, 1.0], [2]], [["1", "1.0"], ["2"]], pl.List(pl.String)),
    ],
)
@pytest.mark.parametrize("as_array", [False, True])
def test_lists_stay_lists_and_keep_the_kinds_of_their_values(
    values: list[Any], expected: list[Any], kind: pl.DataType, as_array: bool
) -> None:
    records = [{"user": 1, "items": one} for one in values]
    content = json.dumps(records) if as_array else lines(records)
    items = read_table(content.encode(), Layout())[1].select(["items"]).to_series()
    assert items.dtype == kind
    assert items.to_list() == expected


def test_sessions_of_objects_are_columns_of_lists(tmp_path: Path) -> None:
    sessions = [
        {
            "session": user,
            "events": [{"aid": r["item_id"], "ts": r["timestamp"]} for r in RECORDS if r["user_id"] == user],
        }
        for user in range(10)
    ]
    assert raw(read(tmp_path, lines(sessions), user="session", item="events.aid", time="events.ts")) == EVENTS


def test_nan_is_a_missing_value(tmp_path: Path) -> None:
    content = lines() + '\n{"user_id": NaN, "item_id": 1, "timestamp": 1600000000}'
    assert raw(read(tmp_path, content, bad_rows="skip")) == EVENTS
