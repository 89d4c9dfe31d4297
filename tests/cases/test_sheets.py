"""What sheets and servers leave in text: formulas around ids, merged cells, quoted lines, a line of names."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from caser.data.prepared.prepare import prepare_log
from caser.data.readers import read_log
from caser.errors import DataError
from tests.cases.logs import read

ROWS = [(f"{user:05d}", f"{item:06d}", f"2024-01-{user + 1:02d}") for user in range(5) for item in range(6)]


def text_of(rows: list[tuple[str, str, str]], header: str = "user,item,time") -> str:
    return "\n".join([header, *map(",".join, rows)]) + "\n"


def advised(folder: Path, text: str, pattern: str, command: str) -> Path:
    """Refuse `text` with a sentence that holds a line to type, type it, and return the file that it makes."""
    (folder / "log.txt").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=pattern) as refused:
        read_log(folder / "log.txt")
    found = re.search(command, str(refused.value))
    assert found
    line = found[0].replace("FILE", "log.txt")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(line, shell=True, cwd=folder, env={**os.environ, "PATH": path}, check=True, timeout=60)
    return folder / "log.csv"


@pytest.mark.parametrize("is_prepared", [False, True])
def test_ids_that_a_spreadsheet_keeps_as_formulas_are_the_texts_in_them(tmp_path: Path, is_prepared: bool) -> None:
    path = tmp_path / "log.csv"
    path.write_text(text_of([(f'="{user}"', f'="{item}"', time) for user, item, time in ROWS]), encoding="utf-8")
    if is_prepared:
        prepare_log([path], tmp_path / "tape")
    log = read_log(tmp_path / "tape" if is_prepared else path)
    assert sorted(log.user_vocabulary.ids) == ["00000", "00001", "00002", "00003", "00004"]
    assert sorted(log.item_vocabulary.ids)[:2] == ["000000", "000001"]
    note = 'user holds texts as formulas of a spreadsheet: ="00000" is read as the id 00000'
    assert log.provenance["notes"].count(note) == 1


def test_an_empty_formula_is_a_missing_id(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 without a user"):
        read(tmp_path, text_of([*ROWS, ('=""', "000001", "2024-01-01")]))


def test_other_texts_with_an_equals_sign_stay_as_they_are(tmp_path: Path) -> None:
    log = read(tmp_path, text_of([(f"=u{user}", f'a="{item}"', time) for user, item, time in ROWS]))
    assert (log.user_vocabulary.ids[0], log.item_vocabulary.ids[0]) == ("=u00000", 'a="000000"')


def test_merged_cells_are_refused_with_a_line_that_fills_them(tmp_path: Path) -> None:
    merged = [(user if item == "000000" else "", item, time) for user, item, time in ROWS]
    made = advised(tmp_path, text_of(merged), "25 without a user .* merges cells", r'python -c ".*?"(?=;)')
    assert len(read_log(made)) == len(ROWS)


def test_users_who_are_missing_from_the_first_row_on_were_not_merged(tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        read(tmp_path, text_of([("" if item != "000003" else user, item, time) for user, item, time in ROWS]))
    assert "merges cells" not in str(refused.value)


def test_lines_that_are_one_quoted_field_are_refused_with_a_line_that_bares_them(tmp_path: Path) -> None:
    lines = [f'"{user},""the {item}"",{time}"' for user, item, time in ROWS]
    made = advised(
        tmp_path,
        "\n".join(['"user,item,time"', *lines]) + "\n",
        "each line seems to be one quoted field",
        "sed .*log.csv",
    )
    assert read_log(made).item_vocabulary.ids[0] == "the 000000"


@pytest.mark.parametrize("indent", [None, 1])
def test_an_object_of_lists_by_user_is_refused_with_a_way_on(tmp_path: Path, indent: int | None) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps({f"u{user}": ["tea", "milk"] for user in range(5)}, indent=indent), encoding="utf-8")
    with pytest.raises(DataError, match=r"a user with a list of items.*jq -c 'to_entries\[\]"):
        read_log(path)


@pytest.mark.parametrize("month", ["März", "févr.", "de octubre de"])
def test_months_in_other_languages_are_named(tmp_path: Path, month: str) -> None:
    rows = [(user, item, f"{int(user) + 1} {month} 2024") for user, item, _ in ROWS]
    with pytest.raises(DataError, match="is no English month: write months as numbers or in English"):
        read(tmp_path, text_of(rows))


def test_the_fields_of_a_web_servers_log_name_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    head = "#Software: Server 10.0\n#Version: 1.0\n#Fields: date time cs-username cs-uri-stem sc-status\n"
    rows = [
        f"2024-01-{place % 28 + 1:02d} 10:00:{place % 60:02d} {user} /{item} 200\n"
        for place, (user, item, _) in enumerate(ROWS)
    ]
    path.write_text(head + "".join(rows), encoding="utf-8")
    log = read_log(path, user="cs-username", item="cs-uri-stem")
    assert (len(log), log.num_users, log.num_items, log.has_times) == (len(ROWS), 5, 6, True)
    with pytest.raises(DataError, match="its values may be those of --user cs-username"):
        read_log(path)
