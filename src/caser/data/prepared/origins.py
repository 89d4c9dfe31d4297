"""Origins: where a log that is prepared comes from: files, Parquet files in a store of objects, or a query.

Files are found as those of a log in memory. A store is read by polars, with the credentials that it finds in the
environment. A query is sent through ADBC, whose drivers hand over Arrow batches: SQLite, PostgreSQL and DuckDB.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from caser.data.names import SYNONYMS
from caser.data.prepared.pieces import BEGINNING, TABLE_COPIES, FilePieces, Piece, Pieces, Place
from caser.data.readers import Reading
from caser.data.sources import Source, exists, find_source
from caser.data.tables import Layout, RawTable, first_line, no_faults, numbered, with_dotted_columns
from caser.errors import CaserError, ConfigError, DataError
from caser.system.database import Database

STORE = re.compile(r"(s3a?|gs|gcs|az|abfss?|adl)://", re.IGNORECASE)
"""How the address of a store of objects begins, which polars reads."""

PIECE_SHARE = 0.5
"""The share of the memory that a piece may take."""

CELL_BYTES = 24
"""About how many bytes a value takes that is neither text nor list."""

_BATCH_ROWS = 1 << 16


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a log comes from.

    name       for sentences and the provenance        pieces  how it is read
    is_stable  whether its rows and their order are the same when it is read again
    """

    name: str
    pieces: Pieces
    is_stable: bool = True


def origin_of(
    sources: Sequence[str | Path], reading: Reading, memory: float, *, sql: str | None, connection: str | None
) -> Origin:
    """Return where a log comes from.

    sources  files, folders, patterns, or the address of Parquet files in a store; none with `sql`
    reading  how to read them        memory  bytes that may be used
    sql, connection  a query, and the address of its database

    Raises DataError if there is nothing that can be read in pieces, ConfigError for settings that do not go together.
    """
    if sql is not None or connection is not None:
        _check_query(sources, sql, connection, reading)
        return Origin(f"the query {sql}", QueryPieces(str(sql), str(connection), PIECE_SHARE * memory), is_stable=False)
    if not sources:
        raise ConfigError("prepare needs a source: a file, a folder or a pattern, or --sql with --connection.")
    stores = [str(one) for one in sources if STORE.match(str(one))]
    if stores:
        if len(sources) > 1:
            raise ConfigError(f"the address of a store must be the only source; got {len(sources)}. Use a pattern.")
        _refuse_of_files(reading, "a store of objects is read as Parquet")
        return Origin(stores[0], StorePieces(stores[0], PIECE_SHARE * memory))
    if missing := [str(one) for one in sources if not exists(str(one))]:
        raise DataError(f"a source must be a file, a folder or a pattern; got {missing[0]!r}, which is none of them.")
    named = [getattr(reading, role) for role in SYNONYMS]
    layout = Layout(reading.separator, reading.header, reading.quotes, tuple(filter(None, named)), reading.encoding)
    source = _joined([find_source(one) for one in sources])
    return Origin(source.name, FilePieces(source, layout, reading.format, PIECE_SHARE * memory))


def _joined(sources: Sequence[Source]) -> Source:
    """Return several sources as one. Raises DataError for a pipe, which cannot be read a second time."""
    for source in sources:
        if source.pipe:
            raise DataError("a log that is prepared must be in files; got a pipe; write it to a file first")
    if len(sources) == 1:
        return sources[0]
    parts = tuple(dict.fromkeys(part for source in sources for part in source.parts))
    base = Path(os.path.commonpath([source.base for source in sources]))
    return Source(", ".join(source.name for source in sources), parts, base=base)


def _check_query(sources: Sequence[str | Path], sql: str | None, connection: str | None, reading: Reading) -> None:
    if sql is None or connection is None:
        there, absent = ("--sql", "--connection") if connection is None else ("--connection", "--sql")
        raise ConfigError(f"{there} has an effect only with {absent}. Add {absent}, or leave {there} out.")
    if sources:
        raise ConfigError(f"a query is a source of its own; got {str(sources[0])!r} beside it. Leave one of them out.")
    _refuse_of_files(reading, "a query has columns with types")


def _refuse_of_files(reading: Reading, why: str) -> None:
    for name in ("separator", "header", "format", "quotes", "encoding"):
        value = getattr(reading, name)
        if value != Reading.model_fields[name].default and (name, value) != ("format", "parquet"):
            raise ConfigError(f"{name} (--{name}) has no effect here: {why}. Leave it out.")


@dataclass(frozen=True, eq=False)
class StorePieces:
    """The pieces of Parquet files in a store of objects, such as "s3://bucket/log/*.parquet".

    address  of a file, a folder or a pattern        most  bytes of memory for one piece
    """

    address: str
    most: float

    @property
    def names(self) -> list[str]:
        """The address, which stands for all files."""
        return [self.address]

    @cached_property
    def _frame(self) -> pl.LazyFrame:
        with _reaching(self.address):
            return with_dotted_columns(pl.scan_parquet(self.address))

    @cached_property
    def _num_rows(self) -> int:
        with _reaching(self.address):
            return int(self._frame.select(pl.len()).collect().item())

    def facts(self) -> dict[str, Any]:
        """Return the format. The bytes are not hashed, as that would fetch all of them."""
        return {"format": "parquet"}

    def stamp(self) -> Any:
        """Return the address and the number of rows."""
        return [self.address, self._num_rows]

    def pieces(self, begin: Place = BEGINNING, columns: Sequence[str] | None = None) -> Iterator[Piece]:
        """Yield the pieces from a place on.

        begin  where a piece ended before        columns  which columns they have; None for all of them
        """
        frame = self._frame if columns is None else self._frame.select(columns)
        num_columns = len(frame.collect_schema())
        at_once = max(1, int(self.most / (TABLE_COPIES * CELL_BYTES * num_columns)))
        for first in range(begin.row, self._num_rows, at_once):
            count = min(at_once, self._num_rows - first)
            end = first + count
            table = RawTable(frame.slice(first, count), numbered("row", first + 1, count), no_faults(count))
            place = Place(1, 0, 0, end) if end == self._num_rows else Place(0, end, 0, end)
            yield Piece(table, place, {0: ()}, {0: count})


@dataclass(frozen=True, eq=False)
class QueryPieces:
    """The pieces of the result of a query.

    sql  the query        connection  the address of the database        most  bytes of memory for one piece

    A database need not give the rows in the same order again, so `Origin.is_stable` is False.
    """

    sql: str
    connection: str
    most: float

    @property
    def names(self) -> list[str]:
        """The query, which stands for its rows."""
        return [self.sql]

    def facts(self) -> dict[str, Any]:
        """Return the format."""
        return {"format": "sql"}

    def stamp(self) -> Any:
        """Return the query and the kind of database; the address may hold a password."""
        return [self.sql, self.connection.partition("://")[0]]

    def pieces(self, begin: Place = BEGINNING, columns: Sequence[str] | None = None) -> Iterator[Piece]:
        """Yield the pieces of the result.

        begin  how many rows are passed over        columns  which columns they have; None for all of them
        """
        waiting: list[pl.DataFrame] = []
        row, passed = begin.row, begin.row
        for batch in self._batches():
            frame, passed = batch.slice(passed), max(0, passed - len(batch))
            waiting.append(frame)
            size = TABLE_COPIES * sum(one.estimated_size() + CELL_BYTES * one.height for one in waiting)
            if size >= self.most:
                yield self._piece(waiting, row, columns, is_last=False)
                row, waiting = row + sum(map(len, waiting)), []
        if waiting or row == 0:
            yield self._piece(waiting, row, columns, is_last=True)

    def _piece(self, frames: list[pl.DataFrame], row: int, columns: Sequence[str] | None, *, is_last: bool) -> Piece:
        if not frames:
            raise DataError("a log must hold at least one interaction; got a query without a row")
        frame = pl.concat(frames).lazy()
        num_rows = sum(map(len, frames))
        frame = with_dotted_columns(frame)
        chosen = frame if columns is None else frame.select(columns)
        table = RawTable(chosen, numbered("row", row + 1, num_rows), no_faults(num_rows))
        end = Place(1 if is_last else 0, row + num_rows, 0, row + num_rows)
        return Piece(table, end, {0: ()}, {0: num_rows})

    def _batches(self) -> Iterator[pl.DataFrame]:
        """Yield the rows of the result, some at a time."""
        database = Database.of(self.connection)
        try:
            with database.connected() as connection, closing(connection.cursor()) as cursor:
                yield from pl.read_database(self.sql, cursor, iter_batches=True, batch_size=_BATCH_ROWS)
        except CaserError:
            raise
        except Exception as error:  # the driver's own errors, which have no class in common
            raise DataError(f"the query must give rows; got {database.reason(error)}") from None


@contextmanager
def _reaching(address: str) -> Iterator[None]:
    """Within, turn an error about a store of objects into a DataError."""
    try:
        yield
    except (pl.exceptions.PolarsError, OSError, ImportError) as error:
        raise DataError(
            f"{address} must be Parquet files that polars can read with the credentials in the environment (such as "
            f"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY); got {first_line(error)[:200]}; or copy them here"
        ) from None
