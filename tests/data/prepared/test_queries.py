"""The rows of a query are a log, read in batches from SQLite, DuckDB or PostgreSQL."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from caser.data.prepared.prepare import prepare_log
from caser.data.readers import read_log
from caser.errors import CaserError, ConfigError, DataError, MissingDependencyError
from tests.data.prepared.sources import FRAME, facts_of
from tests.data.prepared.test_prepare import small_pieces
from tests.skips import NEEDS_EXTRAS

SQL = "select * from events order by rowid"


def sqlite_log(folder: Path) -> str:
    with closing(sqlite3.connect(folder / "log.db")) as connection:
        connection.execute("create table events (user_id text, item_id integer, timestamp integer, rating integer)")
        connection.executemany("insert into events values (?, ?, ?, ?)", FRAME.rows())
        connection.commit()
    return f"sqlite:///{folder}/log.db"


def duckdb_log(folder: Path) -> str:
    duckdb = pytest.importorskip("duckdb", reason=NEEDS_EXTRAS)
    with duckdb.connect(str(folder / "log.duckdb")) as connection:
        connection.execute("create table events (user_id text, item_id bigint, timestamp bigint, rating bigint)")
        connection.executemany("insert into events values (?, ?, ?, ?)", FRAME.rows())
    return f"duckdb:///{folder}/log.duckdb"


@pytest.mark.parametrize("written", [sqlite_log, duckdb_log])
@pytest.mark.parametrize("rows", [5, 10**6])
def test_the_rows_of_a_query_are_a_log(
    written: Any, rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("adbc_driver_sqlite", reason=NEEDS_EXTRAS)
    monkeypatch.setattr("caser.data.prepared.origins._BATCH_ROWS", 7)
    small_pieces(monkeypatch, rows)
    found = prepare_log([], tmp_path / "out", sql=SQL, connection=written(tmp_path), memory_mb=50)
    assert facts_of(found.log) == facts_of(read_log(FRAME))
    assert found.log.provenance["prepared_from"] == {"source": f"the query {SQL}", "format": "sql"}


REFUSED: dict[str, tuple[str, str, type[CaserError], str]] = {
    "no table": ("select nonsense", "sqlite:///{}/log.db", DataError, "the query must give rows; got .*nonsense"),
    "no rows": ("select * from events where 0", "sqlite:///{}/log.db", DataError, "a query without a row"),
    "no file": (SQL, "sqlite:///{}/other.db", DataError, "must name a database that exists; there is no file"),
    "another kind": (SQL, "oracle://host", ConfigError, "--connection must begin with one of sqlite://, postgresql://"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_query_that_gives_no_log_is_refused(name: str, tmp_path: Path) -> None:
    pytest.importorskip("adbc_driver_sqlite", reason=NEEDS_EXTRAS)
    sqlite_log(tmp_path)
    sql, connection, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        prepare_log([], tmp_path / "out", sql=sql, connection=connection.format(tmp_path))


def test_without_the_driver_the_line_that_installs_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caser.system.extras.find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=r"reading from a database needs adbc_driver_sqlite.*\[sql\]"):
        prepare_log([], tmp_path / "out", sql=SQL, connection=sqlite_log(tmp_path))
