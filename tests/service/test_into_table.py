"""Answers in a table of a database: the rows of a file, all or nothing, and no password in any sentence."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from caser.answering.answers import id_column
from caser.answering.into_table import recommend_into_table
from caser.answering.recommender import Recommender
from caser.artefact.folder import save
from caser.errors import ArtefactError, CaserError, ConfigError, MissingDependencyError, NumericalError
from caser.system import database
from caser.system.database import Database, write_table
from tests.architecture.source import ROOT
from tests.cli.terminal import caser, document, refusal
from tests.runs import USERS, popularity_run
from tests.service.postgres_cluster import PASSWORD, Cluster
from tests.skips import NEEDS_EXTRAS

pytest.importorskip("adbc_driver_postgresql", reason=NEEDS_EXTRAS)
pytest.importorskip("duckdb", reason=NEEDS_EXTRAS)

FRAME = pl.DataFrame(
    {"user_id": ["ann", "007"], "score": [0.5, 0.25], "rank": [1, 2]}, schema_overrides={"rank": pl.Int32}
)
OTHER = FRAME.with_columns(user_id=pl.lit("new"))


@pytest.fixture(params=["sqlite", "duckdb", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind."""
    if request.param != "postgresql":
        return f"{request.param}:///{tmp_path}/shop.db"
    cluster: Cluster = request.getfixturevalue("cluster")
    return cluster.url(cluster.database())


def rows_of(address: str, query: str = "select * from answers") -> pl.DataFrame:
    """The rows of a query, read by a connection of its own."""
    with Database.of(address).connected() as connection, closing(connection.cursor()) as cursor:
        return pl.read_database(query, cursor)


def write(address: str, *frames: pl.DataFrame, table: str = "answers", replace: bool = False) -> None:
    write_table(Database.of(address), table, frames, FRAME.schema, replace=replace)


def test_the_table_has_the_rows_of_a_file(address: str, tmp_path: Path) -> None:
    run = Recommender(popularity_run())
    written = recommend_into_table(run, address, "answers", k=3, exclude_seen=False)
    assert written == run.recommend_all(tmp_path / "all.parquet", k=3, exclude_seen=False)
    found, wanted = rows_of(address), pl.read_parquet(tmp_path / "all.parquet")
    assert set(found.columns) == set(wanted.columns)
    assert found.select(wanted.columns).sort("user_id", "rank").rows() == wanted.sort("user_id", "rank").rows()


def test_a_table_that_exists_is_kept_unless_it_is_replaced(address: str) -> None:
    write(address, FRAME, FRAME)
    with pytest.raises(ConfigError, match=r"the table answers of .* must be new; it exists"):
        write(address, OTHER)
    assert rows_of(address).height == 4
    write(address, OTHER, replace=True)
    assert rows_of(address)["user_id"].to_list() == ["new", "new"]


def test_without_rows_the_table_has_its_columns(address: str) -> None:
    write(address)
    assert rows_of(address).height == 0
    write(address, FRAME, replace=True)
    assert rows_of(address).height == 2


@pytest.mark.parametrize(
    "change", ["alter table answers add column more integer", "alter table answers drop column rank"]
)
def test_a_table_with_other_columns_is_refused_and_stays(change: str, address: str) -> None:
    write(address, FRAME)
    with Database.of(address).connected() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(change)
        connection.commit()
    with pytest.raises(ConfigError, match=r"must have the columns of the answers, rank .* user_id.*; it has "):
        write(address, OTHER, replace=True)
    assert rows_of(address)["user_id"].to_list() == ["ann", "007"]


def test_a_column_that_would_change_an_id_is_refused(tmp_path: Path) -> None:
    """SQLite would store the text 007 in a column of numbers as 7."""
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("create table answers (user_id integer, score real, rank integer)")
    with pytest.raises(ConfigError, match=r"user_id; it has .*user_id INTEGER"):
        write(f"sqlite:///{tmp_path}/shop.db", FRAME, replace=True)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_reader_sees_all_old_rows_until_it_sees_all_new_ones(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_ROWS_AT_ONCE", 1)
    cluster: Cluster | None = request.getfixturevalue("cluster") if kind == "postgresql" else None
    address = cluster.url(cluster.database()) if cluster else f"sqlite:///{tmp_path}/shop.db"
    seen: list[list[str]] = []

    def frames() -> Iterator[pl.DataFrame]:
        for _ in range(3):
            yield OTHER
            seen.append(rows_of(address)["user_id"].to_list())

    write(address, FRAME)
    write_table(Database.of(address), "answers", frames(), FRAME.schema, replace=True)
    assert seen == [["ann", "007"]] * 3
    assert rows_of(address)["user_id"].to_list() == ["new"] * 6


def test_what_fails_in_between_leaves_the_table_as_it_was(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_ROWS_AT_ONCE", 1)

    def failing() -> Iterator[pl.DataFrame]:
        yield OTHER
        raise NumericalError("scores must be numbers.")

    there = Database.of(address)
    with pytest.raises(NumericalError):
        write_table(there, "answers", failing(), FRAME.schema)
    if there.kind == "sqlite":
        assert there.file is not None
        assert not there.file.exists()
    write(address, FRAME)
    with pytest.raises(NumericalError):
        write_table(there, "answers", failing(), FRAME.schema, replace=True)
    assert rows_of(address)["user_id"].to_list() == ["ann", "007"]


_KILLED = """
import os, signal, sys
import polars as pl
from caser.system import database
frame = pl.DataFrame({"user_id": ["new"], "score": [1.0], "rank": pl.Series([1], dtype=pl.Int32)})
def frames():
    yield frame
    os.kill(os.getpid(), signal.SIGKILL)
database._ROWS_AT_ONCE = 1
database.write_table(database.Database.of(sys.argv[1]), "answers", frames(), frame.schema, replace=True)
"""


@pytest.mark.slow
def test_a_writer_that_is_killed_leaves_the_table_as_it_was(address: str) -> None:
    write(address, FRAME)
    killed = subprocess.run([sys.executable, "-c", _KILLED, address], cwd=ROOT, capture_output=True, timeout=300)
    assert killed.returncode == -9, killed.stderr
    assert rows_of(address)["user_id"].to_list() == ["ann", "007"]
    write(address, OTHER, replace=True)
    assert rows_of(address)["user_id"].to_list() == ["new", "new"]


def test_replacing_keeps_rights_indexes_and_views_of_postgresql(cluster: Cluster) -> None:
    name = cluster.database()
    write(cluster.url(name), FRAME)
    cluster.execute("create index by_user on answers (user_id)", name)
    cluster.execute("create view first_ones as select * from answers where rank = 1", name)
    cluster.execute("drop role if exists looking", name)
    cluster.execute("create role looking; grant select on answers to looking", name)
    write(cluster.url(name), OTHER, replace=True)
    assert cluster.execute("select user_id from first_ones", name) == [("new",)]
    assert cluster.execute("select indexname from pg_indexes where tablename = 'answers'", name) == [("by_user",)]
    assert cluster.execute("select has_table_privilege('looking', 'answers', 'select')", name) == [(True,)]
    assert cluster.execute("select count(*) from pg_tables where tablename like 'caser_%'", name) == [(0,)]
    cluster.execute("drop owned by looking; drop role looking", name)


def test_a_schema_goes_before_the_table(cluster: Cluster) -> None:
    name = cluster.database()
    cluster.execute("create schema shop", name)
    write(cluster.url(name), FRAME)
    write(cluster.url(name), OTHER, table="shop.answers")
    write(cluster.url(name), OTHER, OTHER, table="shop.answers", replace=True)
    assert cluster.execute("select count(*) from shop.answers", name) == [(4,)]
    assert cluster.execute("select count(*) from answers", name) == [(2,)]


def test_a_table_that_another_program_writes_is_waited_for_and_then_refused(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    monkeypatch.setattr(database, "LOCK_SECONDS", 0.1)
    name = cluster.database()
    write(cluster.url(name), FRAME)
    with psycopg.connect(cluster.url(name)) as other:
        other.execute("lock table answers in row exclusive mode")
        with pytest.raises(ArtefactError, match=r"the table answers of .* must be writable; got: .*lock timeout"):
            write(cluster.url(name), OTHER, replace=True)
    write(cluster.url(name), OTHER, replace=True)


@pytest.mark.parametrize("name", ["", "Answers", "a b", "a;drop table b", 'a"b', "1a", "a.b.c", ".a", "a.", "a" * 64])
def test_a_name_that_means_something_else_without_quotes_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the name of a table must have small letters, digits and _ only"):
        write(f"sqlite:///{tmp_path}/shop.db", FRAME, table=name)
    assert not list(tmp_path.iterdir())


UNREACHABLE: dict[str, tuple[Callable[[int, str], str], type[CaserError], str]] = {
    "wrong password": (
        lambda port, name: f"postgresql://postgres:se%63ret@127.0.0.1:{port}/{name}",
        ArtefactError,
        "password authentication failed",
    ),
    "no server": (lambda port, name: "postgresql://ann:secret@127.0.0.1:1/shop", ArtefactError, "refused"),
    "no database": (
        lambda port, name: f"postgresql://postgres:{PASSWORD}@127.0.0.1:{port}/secrets",
        ArtefactError,
        "database .* does not exist",
    ),
    "wrong parameter": (
        lambda port, name: f"postgresql://ann:secret@127.0.0.1:{port}/{name}?sslmode=secret",
        ArtefactError,
        "invalid sslmode",
    ),
    "broken password": (
        lambda port, name: "postgresql://ann:secret%zz@127.0.0.1/shop",
        ArtefactError,
        "percent-encoded",
    ),
    "password in the parameters": (
        lambda port, name: f"postgresql://postgres@127.0.0.1:{port}/{name}?password=secret",
        ArtefactError,
        "password authentication failed",
    ),
    "an @ in the password": (lambda port, name: "postgresql://ann:s@secret@127.0.0.1/shop", ConfigError, "not shown"),
    "a # in the password": (lambda port, name: "postgresql://ann:secret#1@127.0.0.1/shop", ConfigError, "not shown"),
    "another kind": (lambda port, name: "mysql://ann:secret@127.0.0.1/shop", ConfigError, "got 'mysql'"),
    "no address": (lambda port, name: "ann:secret", ConfigError, "got 'no kind'"),
}


@pytest.mark.parametrize("case", UNREACHABLE)
def test_a_database_that_does_not_answer_is_named_without_the_password(case: str, cluster: Cluster) -> None:
    make, kind, message = UNREACHABLE[case]
    address = make(cluster.port, cluster.database())
    with pytest.raises(kind, match=message) as caught:
        write(address, FRAME)
    said = str(caught.value).replace("/secrets", "").replace('"secrets"', "").replace('"secret"', "")
    assert not any(hidden in said for hidden in ("secret", "se%63ret", PASSWORD)), said


def test_the_name_of_a_database_has_neither_user_nor_password() -> None:
    there = Database.of(f"postgresql://ann:{PASSWORD}@db.example:5433/shop?sslmode=require")
    assert there.name == "postgresql://db.example:5433/shop"
    assert PASSWORD not in repr(there)
    assert "ann" not in repr(there)


def test_missing_rights_are_said(cluster: Cluster) -> None:
    name = cluster.database()
    write(cluster.url(name), FRAME)
    cluster.execute("drop role if exists reading", name)
    cluster.execute(f"create role reading login password '{PASSWORD}'; grant select on answers to reading", name)
    address = f"postgresql://reading:{PASSWORD}@127.0.0.1:{cluster.port}/{name}"
    with pytest.raises(ArtefactError, match=r"the table answers of .*permission denied for table answers"):
        write(address, OTHER, replace=True)
    with pytest.raises(ArtefactError, match=r"the table fresh of .*permission denied for schema public"):
        write(address, OTHER, table="fresh")
    cluster.execute("grant insert, delete on answers to reading", name)
    write(address, OTHER, replace=True)
    assert cluster.execute("select distinct user_id from answers", name) == [("new",)]
    cluster.execute("drop owned by reading; drop role reading", name)


def test_a_file_that_is_no_database_stays(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("not a database, but notes\n" * 50, encoding="utf-8")
    with pytest.raises(ArtefactError, match="file is not a database"):
        write(f"sqlite:///{tmp_path}/notes.db", FRAME)
    assert (tmp_path / "notes.db").read_text(encoding="utf-8").startswith("not a database")
    with pytest.raises(ConfigError, match="a file in a folder that exists"):
        write(f"sqlite:///{tmp_path}/none/shop.db", FRAME)
    with pytest.raises(ConfigError, match="has no schema"):
        write(f"sqlite:///{tmp_path}/shop.db", FRAME, table="shop.answers")


def test_ids_are_numbers_or_the_text_that_they_are_written_as() -> None:
    assert id_column(pl.Series([7], dtype=pl.UInt8), None).dtype == pl.Int64
    assert id_column(pl.Series([7, 2**63], dtype=pl.UInt64), None).to_list() == ["7", str(2**63)]
    assert id_column(pl.Series([True, False]), None).to_list() == ["true", "false"]
    assert id_column(pl.Series([7.5]), None).to_list() == [7.5]
    assert id_column(pl.Series(["007"]), None).to_list() == ["007"]


def test_without_the_driver_the_line_that_installs_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caser.system.extras.find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=r"writing into a database needs adbc_driver_sqlite.*\[sql\]"):
        write(f"sqlite:///{tmp_path}/shop.db", FRAME)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "run"
    save(popularity_run(), path)
    return path


def test_the_command_writes_the_table_and_says_where(saved: Path, cluster: Cluster) -> None:
    name = cluster.database()
    address = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{cluster.port}/{name}"
    words = ("recommend", saved, "--all", "--connection", address, "--out-table", "answers", "--no-exclude-seen")
    said = document(*words, "--k", 2)
    assert (said["out"], said["table"]) == (f"postgresql://127.0.0.1:{cluster.port}/{name}", "answers")
    assert said["users"] == len(USERS)
    assert refusal(*words)[0] == 2
    outcome = caser(*words, "--k", 3, "--replace")
    assert outcome.code == 0
    assert f"to the table answers of postgresql://127.0.0.1:{cluster.port}/{name}" in outcome.err
    assert PASSWORD not in outcome.err + outcome.out
    assert cluster.execute("select count(*) from answers", name) == [(3 * len(USERS),)]


ALONE: list[tuple[tuple[str, ...], str]] = [
    (("--all",), "add --out FILE, or --connection with --out-table"),
    (("--all", "--out-table", "a"), "--out-table has an effect only with --connection"),
    (("--all", "--connection", "sqlite:///a.db"), "--connection has an effect only with --out-table"),
    (
        ("--user", "ann", "--connection", "sqlite:///a.db", "--out-table", "a"),
        "--out-table has an effect only with --all",
    ),
    (("--all", "--out", "a.csv", "--replace"), "--replace has an effect only with --out-table"),
    (
        ("--all", "--out", "a.csv", "--connection", "sqlite:///a.db", "--out-table", "a"),
        "--out has no effect with --out-table",
    ),
    (
        ("--all", "--engine", "ray", "--connection", "sqlite:///a.db", "--out-table", "a"),
        "--engine has no effect with --out-table",
    ),
]


@pytest.mark.parametrize(("words", "sentence"), ALONE, ids=str)
def test_an_option_without_an_effect_is_refused(words: tuple[str, ...], sentence: str, saved: Path) -> None:
    code, said = refusal("recommend", saved, *words)
    assert code == 2
    assert sentence in said


def test_every_kind_of_connection_is_tried_here() -> None:
    tried = {"sqlite", "duckdb", "postgresql"}
    assert database.DRIVERS.keys() - {"postgres"} == tried
