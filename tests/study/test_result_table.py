"""The table of a report as a file: every form has the same numbers, and no name in a cell is obeyed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from caser.errors import ConfigError
from caser.study.result_table import ResultTable, check_table_file, latex, table_of_report, write_table

NASTY = "=cmd|' /C calc'!A0 & 50% \\input{x} _a_ <b>\n$x$ `y` #1 ~^"


def estimate(value: float | None, half: float | None = None) -> dict[str, float | None]:
    if value is None or half is None:
        return {"value": value, "low": None, "high": None}
    return {"value": value, "low": value - half, "high": value + half}


TABLE = ResultTable(
    "leave-one-out · test",
    ["hit@10", "auc_x"],
    {"markov": {"hit@10": estimate(0.5, 0.25), "auc_x": estimate(0.75)},
     NASTY: {"hit@10": estimate(0.625, 0.125), "auc_x": estimate(None)}},
)  # fmt: skip


def test_latex_has_the_numbers_and_marks_the_best() -> None:
    lines = TABLE.to_latex().splitlines()
    assert lines[0] == "% leave-one-out · test"
    assert lines[3] == r"model & hit@10 & auc\_x \\"
    assert lines[5] == r"markov & 0.5000 $\pm$ 0.2500 & \textbf{0.7500} \\"
    assert lines[6].endswith(r"& \textbf{0.6250 $\pm$ 0.1250} &  \\")


def test_nothing_in_a_cell_of_latex_is_obeyed() -> None:
    left = latex(NASTY)
    for written in (
        r"\textbackslash{}",
        r"\textasciitilde{}",
        r"\textasciicircum{}",
        r"\textless{}",
        r"\textgreater{}",
    ):
        left = left.replace(written, "")
    for letter in "{}$&#_%":
        left = left.replace(f"\\{letter}", "")
    assert not set(left) & set("\\{}$&#_%~^<>\n")
    # A row has as many cells as the head.
    assert {line.replace(r"\&", "").count("&") for line in TABLE.to_latex().splitlines()[3:7:2]} == {2}


def test_a_table_of_markdown_has_as_many_cells_in_each_row() -> None:
    lines = TABLE.to_markdown().splitlines()[2:]
    assert {line.replace("\\|", "").count("|") for line in lines} == {4}
    assert lines[2] == "| markov | 0.5000 ± 0.2500 | 0.7500 |"
    assert "<b>" not in lines[3]


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet"])
def test_a_file_for_programs_has_every_number_in_full(ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"table{ending}"
    write_table(file, TABLE)
    read: Any = {".csv": pl.read_csv, ".parquet": pl.read_parquet, ".tsv": lambda one: pl.read_csv(one, separator="\t")}
    found = read[ending](file)
    assert found.columns == ["model", "metric", "value", "low", "high"]
    assert found.rows()[0] == ("markov", "hit@10", 0.5, 0.25, 0.75)
    name = found["model"][2]
    assert name == (NASTY if ending == ".parquet" else f"'{NASTY}")


def test_a_table_is_written_for_each_ending(tmp_path: Path) -> None:
    for ending, beginning in {".tex": "% leave-one-out", ".MD": "leave-one-out"}.items():
        file = tmp_path / "new" / f"table{ending}"
        write_table(file, TABLE)
        assert file.read_text(encoding="utf-8").startswith(beginning)


def test_another_ending_is_refused_with_all_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must end in \.tex, \.md, \.parquet, .*got 'table.xls'"):
        check_table_file(tmp_path / "table.xls")
    folder = tmp_path / "folder.tex"
    folder.mkdir()
    with pytest.raises(ConfigError, match="must not be a folder"):
        check_table_file(folder)


def test_sessions_are_counted_as_sessions() -> None:
    judged = {
        "protocol": "sessions",
        "part": "test",
        "num_sessions": 1234,
        "fingerprint": "ab",
        "models": {"markov": {}},
    }
    assert table_of_report(judged).title == "sessions · test · 1,234 sessions · fingerprint ab"
