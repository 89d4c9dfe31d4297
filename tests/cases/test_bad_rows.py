"""Bad rows: what is left out is counted, few or many, and a row with an id that is too long is one of them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from caser.data.log import InteractionLog
from caser.data.readers import read_log
from caser.errors import DataError
from tests.cases.logs import doubts_of, item, read, rows_of, seconds, user
from tests.cli.terminal import caser

LONG = "x" * 1001


def with_bad(bad: int, total: int) -> str:
    return "user,item,time\n" + "".join(
        f"{'' if row < bad else row % 7},{row % 5},{1_600_000_000 + row}\n" for row in range(total)
    )


def left_out(log: InteractionLog) -> list[str]:
    return [doubt for doubt in doubts_of(log) if "left out" in doubt]


@pytest.mark.parametrize(("bad", "total"), [(1, 2), (1, 3), (1, 20), (2, 40), (5, 100)])
def test_one_bad_row_in_twenty_or_a_single_one_is_advised_to_be_skipped(tmp_path: Path, bad: int, total: int) -> None:
    text = with_bad(bad, total)
    with pytest.raises(DataError, match=f"got rows: {bad} without a user .*--bad-rows skip"):
        read(tmp_path, text)
    log = read(tmp_path, text, bad_rows="skip")
    assert len(log) == total - bad
    assert not left_out(log)


@pytest.mark.parametrize(("bad", "total", "share"), [(2, 3, "67%"), (2, 39, "5%"), (6, 100, "6%"), (99, 100, "99%")])
def test_more_bad_rows_are_not_advised_to_be_skipped_and_doubted_if_they_are(
    tmp_path: Path, bad: int, total: int, share: str
) -> None:
    text = with_bad(bad, total)
    with pytest.raises(DataError, match=f"{share} of the rows are bad: check the columns") as refused:
        read(tmp_path, text)
    assert "--bad-rows skip" not in str(refused.value)
    log = read(tmp_path, text, bad_rows="skip")
    assert len(log) == total - bad
    [doubt] = left_out(log)
    assert doubt.startswith(f"doubt: {bad} of {total} rows ({share}) are bad and left out")


def test_rows_that_are_all_bad_are_refused_also_where_bad_rows_are_skipped(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="got rows: 3 without a user"):
        read(tmp_path, with_bad(3, 3), bad_rows="skip")


def test_the_command_prints_how_many_rows_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(with_bad(40, 100))
    said = caser("data", "describe", path, "--bad-rows", "skip").err
    assert "doubt: 40 of 100 rows (40%) are bad and left out" in said
    assert "skipped 40 rows without a user" in said


@pytest.mark.parametrize("role", ["user", "item"])
@pytest.mark.parametrize("kind", ["csv", "quoted", "parquet", "jsonl"])
def test_an_id_that_is_too_long_is_one_bad_row(tmp_path: Path, role: str, kind: str) -> None:
    text = "user,item,time\n" + rows_of(user, item, seconds) + ("{},1,1" if role == "user" else "1,{},1").format(LONG)
    path = tmp_path / "log"
    path.write_text(text.replace(LONG, f'"{LONG}"') if kind == "quoted" else text)
    if kind in ("parquet", "jsonl"):
        frame = pl.read_csv(path, infer_schema=False)
        frame.write_parquet(path) if kind == "parquet" else frame.write_ndjson(path)
    why = f"with the id of {'a user' if role == 'user' else 'an item'} of more than 1,000 characters"
    with pytest.raises(DataError, match=rf"got rows: 1 {why} .*'x+\.\.\..*--bad-rows skip") as refused:
        read_log(path)
    assert len(str(refused.value)) < 600
    log = read_log(path, bad_rows="skip")
    assert len(log) == 180
    assert log.provenance["bad_rows"][why]["count"] == 1


def test_letters_are_counted_and_not_bytes(tmp_path: Path) -> None:
    assert len(read(tmp_path, f"user,item\na,{'é' * 1000}\n")) == 1
    with pytest.raises(DataError, match="more than 1,000 characters"):
        read(tmp_path, f"user,item\na,{'é' * 1001}\n")
