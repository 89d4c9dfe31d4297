"""Lines of names and values are refused with a line to type, which works; tables and other ids are not refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from caser.data.named_values import advice_on_named_values
from caser.data.readers import read_log
from caser.errors import DataError
from tests.cases.logs import Cell, item, read, rows_of, seconds, user


def line(form: str) -> Cell:
    return lambda user, item, seconds: form.format(user=user, item=item, seconds=seconds)


FORMS = [
    'user=u{user} msg="took {item}, of all things" item={item} time={seconds}',
    "user=u{user};item={item};time={seconds}",
    "user=u{user}&item={item}&time={seconds}",
    "user=u{user},item={item},time={seconds}",
    "user=u{user} | item={item} | time={seconds}",
    "user:u{user} item:{item} time:{seconds}",
    "time:{seconds}\titem:{item}\tuser:u{user}\tagent:a b",
    "2024-01-05 10:00:00 web1 user=u{user} item={item} time={seconds}",
    "views,user=u{user},host=a item={item}i {seconds}",
    'views,host=a user="u{user}",item={item} {seconds}',
]


@pytest.mark.parametrize("form", FORMS)
def test_named_values_are_refused_with_a_line_that_makes_a_table(tmp_path: Path, form: str) -> None:
    with pytest.raises(DataError, match=r"a log must be text.*; got lines (of names|in the protocol)") as refused:
        read(tmp_path, rows_of(line(form)))
    [code] = re.findall(r'python -c "(.*)"; in', str(refused.value))
    assert "$" not in code  # a shell changes nothing in it
    code = code.replace("FILE", "events.csv")
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env=dict(os.environ))
    log = read_log(tmp_path / "log.csv", time="time")
    expected = read_log(_table(tmp_path))
    assert log.times.tolist() == expected.times.tolist()
    assert log.user_vocabulary.raw(log.users) == expected.user_vocabulary.raw(expected.users)
    assert log.item_vocabulary.raw(log.items) == expected.item_vocabulary.raw(expected.items)


def _table(folder: Path) -> Path:
    path = folder / "table.csv"
    path.write_text("user,item,time\n" + rows_of(line("u{user}"), item, seconds))
    return path


@pytest.mark.parametrize(
    "text",
    [
        "user:7\titem:9\nuser:8\titem:9\n",
        "http://x.io/a,http://x.io/b\nhttp://x.io/c,http://x.io/d\n",
        "spotify:user:a,spotify:track:b,1600000000\nspotify:user:c,spotify:track:d,1600000060\n",
        "user_id:token\titem_id:token\ttimestamp:float\n1\t2\t3\n",
        "user,item,options\n7,3,a=1;b=2\n8,3,a=2;b=3\n",
        "5 1:1 7:1\n4 2:1 9:1\n",
        '{"a": 1, "b": 2}\n{"a": 1, "b": 2}\n',
    ],
)
def test_other_text_is_not_taken_for_named_values(text: str) -> None:
    assert advice_on_named_values(text.encode()) is None


def test_a_table_with_named_values_in_a_column_is_read(tmp_path: Path) -> None:
    log = read(tmp_path, "user,item,time,tags\n" + rows_of(user, item, seconds, line("a={user};b={item}")))
    assert len(log) == 180
