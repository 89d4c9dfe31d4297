"""A matrix with a row for each user and a column for each item is refused with a line, and the line makes a log."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import polars as pl
import pytest

from caser.data.readers import read_log
from caser.errors import DataError

CELLS = [[5, 0, 3, 0], [0, 4, 0, 0], [1, 0, 0, 2]]
EVENTS = {("ann", 0), ("ann", 2), ("bob", 1), ("eve", 0), ("eve", 3)}
USERS = ["ann", "bob", "eve"]


def matrix(names: list[str], first: str = "user_id", empty: str = "0", separator: str = ",") -> str:
    rows = [[user, *(str(cell) if cell else empty for cell in row)] for user, row in zip(USERS, CELLS, strict=True)]
    return "".join(separator.join(row) + "\n" for row in ([first, *names], *rows))


TITLES = ["tea", "milk", "Heat (1995)", "soap"]
NUMBERS = ["101", "102", "2571", "4"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param(matrix(TITLES), TITLES, id="titles"),
        pytest.param(matrix(TITLES, empty="", separator=";"), TITLES, id="empty cells and semicolons"),
        pytest.param(matrix(TITLES, empty="0.0", separator="\t", first="customer"), TITLES, id="floats and tabs"),
        pytest.param(matrix(TITLES, first="who"), TITLES, id="another name"),
        pytest.param(matrix(NUMBERS, first="userId", empty="NaN"), NUMBERS, id="numbers"),
        pytest.param(matrix(NUMBERS, first=""), NUMBERS, id="numbers beside an index without a name"),
    ],
)
def test_a_matrix_is_refused_with_the_line_that_makes_rows_of_it(tmp_path: Path, text: str, names: list[str]) -> None:
    (tmp_path / "ratings").write_text(text)
    with pytest.raises(DataError, match=r"; if each column but '.*' is an item, ") as refused:
        read_log(tmp_path / "ratings")
    typed = re.search(r'python -c "(.*)"', str(refused.value))
    assert typed is not None
    subprocess.run([sys.executable, "-c", typed[1].replace("FILE", "ratings")], cwd=tmp_path, check=True)
    log = read_log(tmp_path / "log.csv")
    pairs = zip(log.user_vocabulary.raw(log.users), log.item_vocabulary.raw(log.items), strict=True)
    assert {(user, names.index(str(item))) for user, item in pairs} == EVENTS


@pytest.mark.parametrize("form", ["parquet", "ndjson", "ipc", "avro", "frame"])
def test_a_matrix_with_types_is_refused_with_a_line_too(tmp_path: Path, form: str) -> None:
    frame = pl.read_csv(io.StringIO(matrix(TITLES, first="user", empty="")))
    source: Path | pl.DataFrame = frame if form == "frame" else tmp_path / "FILE"
    if isinstance(source, Path):
        getattr(frame, f"write_{form}")(source)
    with pytest.raises(DataError) as refused:
        read_log(source)
    line = str(refused.value).split("write one row per interaction: ")[1].rsplit("; in ", 1)[0]
    line = line.removeprefix('python -c "import polars; ').removesuffix('"')
    with chdir(tmp_path):
        eval(line, {"polars": pl, "frame": frame})
    assert len(read_log(tmp_path / "log.csv")) == len(EVENTS)


def test_a_matrix_of_items_by_users_gives_users_as_columns(tmp_path: Path) -> None:
    (tmp_path / "ratings").write_text(matrix(TITLES, first="item_id"))
    with pytest.raises(DataError, match=r"each column but 'item_id' is a user, .*variable_name='user'"):
        read_log(tmp_path / "ratings")


@pytest.mark.parametrize(
    "text",
    ["user,colour,size,shop\nann,red,5,north\n", "user,income,height,age\nann,50000,180,40\n", "user,words\nann,3\n"],
    ids=["words", "large numbers", "two columns"],
)
def test_another_table_without_items_is_no_matrix(tmp_path: Path, text: str) -> None:
    (tmp_path / "table").write_text(text)
    with pytest.raises(DataError, match="a column must hold the item") as refused:
        read_log(tmp_path / "table")
    assert "unpivot" not in str(refused.value)


def test_three_columns_of_a_name_and_small_numbers_are_a_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("ann,5,3\nbob,7,4\neve,5,1\n")
    assert len(read_log(tmp_path / "log")) == 3
