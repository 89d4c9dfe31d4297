"""Tables written one frame at a time: complete or absent, and refused in words when they cannot be written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from caser.errors import ArtefactError, ConfigError
from caser.system.frames import write_frames

SCHEMA = pl.Schema({"item": pl.Int64, "title": pl.String})


def frame(*items: int) -> pl.DataFrame:
    return pl.DataFrame({"item": items, "title": [f"title {item}" for item in items]}, SCHEMA)


def read(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, schema=SCHEMA) if path.suffix == ".csv" else pl.read_parquet(path)


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_frames_are_written_in_order_into_a_folder_that_is_made(name: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / name
    write_frames(path, iter([frame(3, 1), frame(), frame(4)]), SCHEMA)
    assert read(path).equals(frame(3, 1, 4))
    assert [entry.name for entry in path.parent.iterdir()] == [name]


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_a_table_without_frames_has_columns_and_no_rows(name: str, tmp_path: Path) -> None:
    write_frames(tmp_path / name, [], SCHEMA)
    assert read(tmp_path / name).equals(frame())


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
@pytest.mark.parametrize("error", [ConfigError("from the frames"), ValueError("from the frames")])
def test_an_error_in_the_frames_keeps_the_old_table_and_is_raised_as_it_is(
    name: str, error: Exception, tmp_path: Path
) -> None:
    def frames() -> Iterator[pl.DataFrame]:
        yield frame(1)
        raise error

    path = tmp_path / name
    write_frames(path, [frame(7)], SCHEMA)
    with pytest.raises(type(error), match="from the frames"):
        write_frames(path, frames(), SCHEMA)
    assert read(path).equals(frame(7))
    write_frames(path, [frame(8)], SCHEMA)  # removes what the threads of polars may have left of the file that failed
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_the_leftover_of_a_killed_writer_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".table.csv.caser-01234567.partial").write_text("item")
    write_frames(tmp_path / "table.csv", [frame(7)], SCHEMA)
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must end in .parquet, .csv, .*; got 'table.xlsx'"):
        write_frames(tmp_path / "table.xlsx", [frame(7)], SCHEMA)


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ArtefactError, match="must be writable; got: "):
        write_frames(tmp_path / "file" / "table.csv", [frame(7)], SCHEMA)
