"""Statements, hits and annotated tables: users and items are fields of objects, and the way on that is said runs."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from caser.data.readers import read_log
from caser.errors import DataError
from tests.cases.logs import START, doubts_of

Record = dict[str, Any]

EVENTS = [
    (f"u{user}", f"i{(3 * user + step) % 12}", START + 60 * step + user) for user in range(9) for step in range(5)
]


def iso(seconds: int) -> str:
    return f"2020-09-13T12:{26 + (seconds - START + 40) // 60:02}:{(seconds - START + 40) % 60:02}Z"


def hit(user: str, item: str, seconds: int) -> Record:
    return {
        "_index": "a",
        "_id": f"{user}{seconds}",
        "_source": {"user_id": user, "sku": item, "@timestamp": iso(seconds)},
    }


def deep_hit(user: str, item: str, seconds: int) -> Record:
    return {"_id": f"{seconds}", "_source": {"user": {"id": user}, "product": {"id": item}, "@timestamp": iso(seconds)}}


def statement(user: str, item: str, seconds: int) -> Record:
    actor = {"objectType": "Agent", "mbox": f"mailto:{user}@x.io"}
    return {
        "actor": actor,
        "verb": {"id": "x:seen"},
        "object": {"id": f"http://x.io/{item}"},
        "timestamp": iso(seconds),
    }


def statement_of_account(user: str, item: str, seconds: int) -> Record:
    return statement(user, item, seconds) | {"actor": {"account": {"homePage": "http://x.io", "name": user}}}


def document_of_firestore(user: str, item: str, seconds: int) -> Record:
    fields = {"userId": {"stringValue": user}, "itemId": {"stringValue": item}, "at": {"timestampValue": iso(seconds)}}
    return {"name": f"projects/a/{user}{seconds}", "fields": fields, "createTime": "2024-01-05T10:00:00Z"}


def change(user: str, item: str, seconds: int) -> Record:
    row = {"user_id": user, "item_id": item, "created_at": iso(seconds)}
    return {"before": row | {"item_id": "none"}, "after": row, "op": "u", "ts_ms": 1000 * seconds}


def flags_in(sentence: str) -> dict[str, Any]:
    found = re.search(r"pass (--.*) if they are these", sentence)
    assert found is not None
    words = shlex.split(found[1])
    return {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}


@pytest.mark.parametrize("record", [hit, deep_hit, statement, statement_of_account, document_of_firestore, change])
@pytest.mark.parametrize("wrapped", ["", "hits", "statements"])
def test_fields_of_objects_are_named_with_flags_that_read_them(
    tmp_path: Path, record: Callable[[str, str, int], Record], wrapped: str
) -> None:
    records = [record(*event) for event in EVENTS]
    path = tmp_path / "log.jsonl"
    if wrapped:
        (tmp_path / "all.json").write_text(json.dumps({"took": 3, wrapped: records}))
        with pytest.raises(DataError, match=rf"jq -c '.\"{wrapped}\"\[\]' FILE > log.jsonl") as refused:
            read_log(tmp_path / "all.json")
        command = str(refused.value).partition("per line: ")[2].partition(" > ")[0].replace("FILE", "all.json")
        path.write_text("\n".join(map(json.dumps, records)))
        if shutil.which("jq") is not None:
            done = subprocess.run(shlex.split(command), cwd=tmp_path, check=True, capture_output=True)
            assert list(map(json.loads, done.stdout.splitlines())) == records
    else:
        path.write_text("\n".join(map(json.dumps, records)))
    with pytest.raises(DataError, match="fields of objects are columns too") as refused:
        read_log(path)
    log = read_log(path, **flags_in(str(refused.value)))
    assert (log.num_users, log.num_items, log.has_times, doubts_of(log)) == (9, 12, True, [])


def test_fields_whose_values_are_lists_are_taken_out_by_the_line_that_is_said(tmp_path: Path) -> None:
    records = [
        {"_id": str(t), "fields": {"user_id": [user], "item_id": [item], "time": [t]}} for user, item, t in EVENTS
    ]
    (tmp_path / "all.jsonl").write_text("\n".join(map(json.dumps, records)))
    with pytest.raises(DataError, match=r"jq -c '.\"fields\" \| map_values\(first\)' FILE > log.jsonl") as refused:
        read_log(tmp_path / "all.jsonl")
    if shutil.which("jq") is not None:
        command = str(refused.value).partition("of each list: ")[2].partition(" > ")[0].replace("FILE", "all.jsonl")
        done = subprocess.run(shlex.split(command), cwd=tmp_path, check=True, capture_output=True)
        (tmp_path / "log.jsonl").write_bytes(done.stdout)
        assert read_log(tmp_path / "log.jsonl").num_users == 9


ANNOTATED = """#group,false,false,true,false,true
#datatype,string,long,string,dateTime:RFC3339,string
#default,_result,,,,
,result,table,user_id,_time,_value
"""


def test_lines_of_annotations_as_wide_as_the_table_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "influx.csv"
    path.write_text(ANNOTATED + "".join(f",,0,{user},{iso(seconds)},{item}\n" for user, item, seconds in EVENTS))
    with pytest.raises(DataError, match="its values may be those of --item _value"):
        read_log(path)
    log = read_log(path, item="_value")
    assert (log.num_users, log.num_items, log.has_times) == (9, 12, True)
    assert any("passed over 3 comments at the beginning" in note for note in log.provenance["notes"])


def test_a_comment_that_names_the_columns_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("#user_id,item_id,timestamp\n" + "".join(f"{u},{i},{t}\n" for u, i, t in EVENTS))
    assert len(read_log(path)) == len(EVENTS)
