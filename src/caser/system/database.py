"""Databases that are read and written through ADBC: SQLite, PostgreSQL and DuckDB.

The address of a database may hold a password, so no sentence shows it: `Database.name` has neither user nor password,
and `Database.reason` removes both from what a driver says.

`write_table` writes a whole table in one transaction. A reader sees the rows from before or all the new ones, and what
fails leaves the table as it was.
"""

from __future__ import annotations

import importlib
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import polars as pl

from caser.errors import ArtefactError, CaserError, ConfigError, DataError
from caser.system.extras import require

CONNECT_SECONDS = 10
"""How long a PostgreSQL server may take to accept a connection, unless the address says `connect_timeout`."""

LOCK_SECONDS = 10
"""How long a table is waited for that another program is writing."""

_ROWS_AT_ONCE = 1 << 16

_URL = re.compile(r"[a-z]+://([^/?#@]*@)?[^/?#@]*([/?][^@]*)?", re.IGNORECASE)
"""An address in which no special character of a password is left as it is: the rest of the password would be shown."""

_STATEMENT = re.compile(r"\n\s*(?:LINE \d+:|[Qq]uery(?: was)?:)")
"""Where a driver begins to repeat the statement."""

_TABLE = re.compile(r"([a-z_][a-z0-9_]{0,62}\.)?[a-z_][a-z0-9_]{0,62}")
"""A name that means the same with and without quotes, in every database."""


class Driver(NamedTuple):
    """An ADBC driver.

    module    of the extra `sql`, with a function `connect`
    address   what it takes as the address: the part of the connection behind "://", or all of it
    columns   a query for the names and types of the columns of a table, in order; {schema} and {table} are its name
    """

    module: str
    address: str
    columns: str


_CATALOGUE = (
    "select column_name, data_type from information_schema.columns "
    "where table_schema = {schema} and table_name = '{table}' order by column_name"
)
_TABLE_INFO = "select name, type from pragma_table_info('{table}') order by name"
_POSTGRES = Driver("adbc_driver_postgresql.dbapi", "all", _CATALOGUE)

DRIVERS: Mapping[str, Driver] = {
    "sqlite": Driver("adbc_driver_sqlite.dbapi", "path", _TABLE_INFO),
    "postgresql": _POSTGRES,
    "postgres": _POSTGRES,
    "duckdb": Driver("adbc_driver_duckdb.dbapi", "path", _CATALOGUE),
}
"""The driver of each kind of connection, by what is before "://"."""


@dataclass(frozen=True)
class Database:
    """A database, by its address.

    kind     a key of DRIVERS        name  the address without user, password and parameters, for sentences
    address  what a person typed, such as sqlite:///FILE or postgresql://user@host/name
    """

    kind: str
    name: str
    address: str = field(repr=False)

    @classmethod
    def of(cls, address: str) -> Self:
        """Read an address.

        address  such as sqlite:///FILE or postgresql://user@host/name

        Raises ConfigError, without the address, if it cannot be read, or if its kind has no driver.

        >>> Database.of("postgresql://ann:secret@db.example:5433/shop").name
        'postgresql://db.example:5433/shop'
        """
        kind = address.partition("://")[0].lower()
        if kind not in DRIVERS:
            known = ", ".join(f"{name}://" for name in DRIVERS)
            shown = kind[:40] if "://" in address else "no kind"
            raise ConfigError(f"--connection must begin with one of {known}; got {shown!r}.")
        if DRIVERS[kind].address == "path":
            return cls(kind, address, address)
        if not _URL.fullmatch(address):
            raise ConfigError(
                "--connection must be an address such as postgresql://user@host:5432/name; this one cannot be read (it "
                "is not shown, because it may hold a password). Write special characters of its parts with percent "
                "signs."
            )
        parts = urlsplit(address)
        return cls(kind, f"{kind}://{parts.netloc.rpartition('@')[2]}{parts.path}", address)

    @contextmanager
    def connected(self, *, may_create: bool = False) -> Iterator[Any]:
        """A connection, in which every change waits for a commit.

        may_create  whether a file that does not exist is made

        Raises MissingDependencyError without the driver, DataError for a file that does not exist, ConfigError for one
        in no folder, and the driver's own errors.
        """
        driver = DRIVERS[self.kind]
        purpose = "writing into a database" if may_create else "reading from a database"
        require("sql", purpose, module=driver.module.partition(".")[0])
        connect = importlib.import_module(driver.module).connect
        with closing(connect(self._target(may_create=may_create))) as connection:
            yield connection

    def reason(self, error: BaseException) -> str:
        """Return what a driver said, in one line, without user and password.

        error  what it raised
        """
        text = " ".join(_STATEMENT.split(str(error))[0].split()).rstrip(" .") or type(error).__name__
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text[:300]

    @property
    def file(self) -> Path | None:
        """The file of the database; None for a server. sqlite:///a.db is a file here, sqlite:////tmp/a.db elsewhere."""
        if DRIVERS[self.kind].address == "all":
            return None
        path = self.address.partition("://")[2]
        found = next((one for one in (path.removeprefix("/"), path) if Path(one).is_file()), path.removeprefix("/"))
        return Path(found)

    def _target(self, *, may_create: bool) -> str:
        """What the driver takes as the address."""
        file = self.file
        if file is None:
            parts = urlsplit(self.address)
            given = any(name == "connect_timeout" for name, _ in parse_qsl(parts.query))
            limit = "" if given else f"{'&' if parts.query else '?'}connect_timeout={CONNECT_SECONDS}"
            return f"{self.kind}://{self.address.partition('://')[2]}{limit}"
        if not may_create and not file.is_file():
            raise DataError(f"--connection must name a database that exists; there is no file {file}")
        if not file.name or not file.parent.is_dir():
            raise ConfigError(f"--connection must name a file in a folder that exists; got {self.address}.")
        return str(file)

    @property
    def _secrets(self) -> set[str]:
        if DRIVERS[self.kind].address == "path":
            return set()
        parts = urlsplit(self.address)
        user, _, password = parts.netloc.rpartition("@")[0].partition(":")
        hidden = [password, *(value for name, value in parse_qsl(parts.query) if name in ("password", "passfile"))]
        found = {self.address, f"{user}:{password}", *hidden, *map(unquote, hidden)}
        return {one for one in found if len(one) > 1}


def write_table(
    database: Database, table: str, frames: Iterable[pl.DataFrame], schema: pl.Schema, *, replace: bool = False
) -> None:
    """Write frames one after another to a table of a database, in one transaction.

    database  where it is; a file that does not exist is made
    table     its name, in small letters, in PostgreSQL and DuckDB also with a schema, such as "shop.answers"
    frames    the rows in order; some are held in memory
    schema    names and types of the columns, which all frames have
    replace   whether the rows of a table that exists are replaced; it must have these columns, and keeps its rights,
              indexes and views

    Until the end, other programs read the rows from before, and another writer of the table waits. Raises ConfigError
    for a name that is none, and for a table that exists, unless it is replaced, or that has other columns;
    ArtefactError if the database cannot be reached or refuses; MissingDependencyError without the driver. What `frames`
    raises is passed on. In all cases the table stays as it was.

    >>> import tempfile
    >>> frame = pl.DataFrame({"item": [7, 8]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     there = Database.of(f"sqlite:///{folder}/shop.db")
    ...     write_table(there, "items", [frame, frame], frame.schema)
    ...     with there.connected() as connection, closing(connection.cursor()) as cursor:
    ...         pl.read_database("select * from items", cursor)["item"].to_list()
    [7, 8, 7, 8]
    """
    place, file = _Place.of(database, table), database.file
    is_new = file is not None and not file.exists()
    try:
        with _refusing(place), database.connected(may_create=True) as connection:
            with closing(connection.cursor()) as cursor:
                mode = place.prepare(cursor, schema, replace=replace)
                for rows in _gathered(frames, schema):
                    place.ingest(cursor, rows, mode)
                    mode = "append"
            connection.commit()
    except BaseException:
        # A new file with anything in it may be that of another writer.
        if file is not None and is_new and file.is_file() and not file.stat().st_size:
            file.unlink()
        raise


@dataclass(frozen=True)
class _Place:
    """A table of a database.

    schema  the part of its name before the dot; None for that of the connection
    """

    database: Database
    schema: str | None
    table: str

    @classmethod
    def of(cls, database: Database, name: str) -> Self:
        """Read the name of a table. Raises ConfigError for a name that is none."""
        if not _TABLE.fullmatch(name):
            raise ConfigError(
                "the name of a table must have small letters, digits and _ only, at most 63, perhaps after the name of "
                f"a schema and a dot; got {name[:80]!r}."
            )
        schema, _, table = name.rpartition(".")
        if schema and database.kind == "sqlite":
            raise ConfigError(f"a table of SQLite has no schema; got {name!r}. Leave {schema}. out.")
        return cls(database, schema or None, table)

    def __str__(self) -> str:
        return f"the table {self._name} of {self.database.name}"

    @property
    def _name(self) -> str:
        return f"{self.schema}.{self.table}" if self.schema else self.table

    def prepare(self, cursor: Any, schema: pl.Schema, *, replace: bool) -> str:
        """Empty the table if it exists and may be replaced. Returns how the first rows are written: create or append.

        Raises ConfigError for a table that exists, unless it is replaced, or that has other columns.
        """
        found = self._columns(cursor, self.table)
        if not found:
            return "create"
        if not replace:
            raise ConfigError(f"{self} must be new; it exists. Choose another one, or replace its rows (--replace).")
        # What the driver makes of these columns says which ones the table must have.
        like = f"caser_{secrets.token_hex(8)}"
        cursor.adbc_ingest(like, pl.DataFrame(schema=schema), mode="create", temporary=True)
        wanted = self._columns(cursor, like)
        cursor.execute(f"drop table {like}")
        if found != wanted:
            raise ConfigError(
                f"{self} must have the columns of the answers, {_in_words(wanted)}; it has {_in_words(found)}. Choose "
                "another one, or drop it first."
            )
        if self.database.kind.startswith("postgres"):
            # Another writer waits, or is waited for; readers do neither.
            cursor.execute(f"set local lock_timeout = '{LOCK_SECONDS}s'")
            cursor.execute(f"lock table {self._name} in exclusive mode")
        cursor.execute(f"delete from {self._name}")  # noqa: S608 (the name is checked)
        return "append"

    def ingest(self, cursor: Any, rows: pl.DataFrame, mode: str) -> None:
        """Write some rows."""
        own = {} if self.schema is None else {"db_schema_name": self.schema}
        cursor.adbc_ingest(self.table, rows, mode=mode, **own)

    def _columns(self, cursor: Any, table: str) -> list[tuple[str, str]]:
        """The names and types of the columns of a table, by name; none if it does not exist."""
        of_table = table == self.table
        schema = f"'{self.schema}'" if self.schema else "current_schema()"
        query = DRIVERS[self.database.kind].columns.format(schema=schema if of_table else "table_schema", table=table)
        found: list[tuple[str, str]] = pl.read_database(query, cursor).rows()
        return found


def _in_words(columns: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {kind}".strip() for name, kind in columns)


def _gathered(frames: Iterable[pl.DataFrame], schema: pl.Schema) -> Iterator[pl.DataFrame]:
    """Join small frames; without any, one without rows, so that the table is made."""
    waiting = [pl.DataFrame(schema=schema)]
    for frame in frames:
        waiting.append(frame)
        if sum(map(len, waiting)) >= _ROWS_AT_ONCE:
            yield pl.concat(waiting)
            waiting = []
    if waiting:
        yield pl.concat(waiting)


@contextmanager
def _refusing(place: _Place) -> Iterator[None]:
    """Within, turn what the driver raises into an ArtefactError."""
    try:
        yield
    except CaserError:
        raise
    except Exception as error:
        if not type(error).__module__.startswith("adbc_driver") and not isinstance(error, pl.exceptions.PolarsError):
            raise
        raise ArtefactError(f"{place} must be writable; got: {place.database.reason(error)}.") from None
