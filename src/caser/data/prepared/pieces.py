"""Pieces of a source: tables that fit into the memory that is allowed, in the order of the rows.

A file that is small enough is read as a whole, exactly as a log in memory is; several small ones make one piece. A
large file is read in spans: text as whole lines (`text_spans.py`), Parquet and Arrow as ranges of rows. Other formats
must fit. A piece says where it ends, so that reading can go on there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import polars as pl

from caser.data.column_words import candidates
from caser.data.content import read_parts
from caser.data.formats import ARROW_FILE, OPENERS, check_encoding, read_table
from caser.data.names import by_name
from caser.data.prepared.text_spans import MORE_MEMORY, TEXT_COPIES, open_text, text_spans
from caser.data.sources import Source, check_alike, partitions_of, with_partition
from caser.data.tables import Layout, RawTable, first_line, no_faults, numbered, with_dotted_columns
from caser.errors import DataError
from caser.system.parquet_footer import footer_of_file
from caser.system.sealed import sha256_of

TABLE_COPIES = 4
"""The same for a table whose columns have types, of what its own summary says."""


class Place(NamedTuple):
    """Where a piece begins or ends.

    part    the number of the file        offset  the bytes of text, or the rows, of that file that are before it
    line    the lines of the file that are before it        row  the rows of all files that are before it
    """

    part: int = 0
    offset: int = 0
    line: int = 0
    row: int = 0


BEGINNING = Place()


class Span(NamedTuple):
    """The rows of a part of a file.

    table  the rows        part  the number of the file        weight  about how many bytes they take in memory
    offset, line  where the span ends in the file, as in `Place`; None if the file ends with it
    is_later      whether an earlier span of the same file is before it
    """

    table: RawTable
    part: int
    weight: float
    offset: int | None = None
    line: int = 0
    is_later: bool = False


@dataclass(frozen=True, eq=False)
class Piece:
    """Some rows of a source.

    table  the rows, with their places in the whole source        end  where the next piece begins
    notes  sentences on each file that the piece has rows of, by its number
    rows   how many rows of each of these files it has
    """

    table: RawTable
    end: Place
    notes: dict[int, tuple[str, ...]]
    rows: dict[int, int]


class Pieces(Protocol):
    """A source that is read piece by piece."""

    @property
    def names(self) -> list[str]:
        """The names of its parts, for sentences."""

    def facts(self) -> dict[str, Any]:
        """Return the beginning of the provenance of a log: JSON values."""

    def stamp(self) -> Any:
        """Return a JSON value that is another one if the source was changed."""

    def pieces(self, begin: Place = BEGINNING, columns: Sequence[str] | None = None) -> Iterator[Piece]:
        """Yield the pieces from a place on, with some of the columns, or all of them."""


@dataclass(frozen=True, eq=False)
class FilePieces:
    """The pieces of files.

    source  the files        layout  what the caller says about text files
    format  a key of `formats.READERS`; None: the content decides        most  bytes of memory for one piece

    Raises DataError, in all of its methods, for a file that cannot be read, or not in pieces.
    """

    source: Source
    layout: Layout
    format: str | None
    most: float

    @cached_property
    def parts(self) -> list[Path]:
        """The files; of several, those that are not empty."""
        paths = list(self.source.parts)
        try:
            full = [path for path in paths if path.stat().st_size]
        except OSError as error:
            raise DataError(f"a log must be files that can be read; got {error.strerror}") from None
        if not full and len(paths) > 1:
            raise DataError("a log must hold at least one interaction; got only empty parts")
        return full if len(paths) > 1 else paths

    @cached_property
    def names(self) -> list[str]:
        """The names of the files, below the folder of the source."""
        return [os.path.relpath(part, self.source.base) for part in self.parts]

    def facts(self) -> dict[str, Any]:
        """Return the SHA-256 of the bytes of all files, and the format."""
        num_parts = len(self.source.parts)
        facts = {"sha256": sha256_of(self.source.parts), "format": self._first.format}
        return {**facts, "parts": num_parts} if num_parts > 1 else facts

    def stamp(self) -> Any:
        """Return the name, size and time of change of each file."""
        found = [path.stat() for path in self.source.parts]
        return [[str(path), one.st_size, one.st_mtime_ns] for path, one in zip(self.source.parts, found, strict=True)]

    def pieces(self, begin: Place = BEGINNING, columns: Sequence[str] | None = None) -> Iterator[Piece]:
        """Yield the pieces from a place on.

        begin    where a piece ended before; the beginning by default
        columns  which columns they have; None for all of them
        """
        waiting: list[Span] = []
        row = begin.row
        for part in range(begin.part, len(self.parts)):
            offset, line = (begin.offset, begin.line) if part == begin.part else (0, 0)
            for span in self._spans(part, offset, line):
                waiting.append(self._checked(span))
                if sum(one.weight for one in waiting) >= self.most:
                    piece = self._piece(waiting, row, columns)
                    row, waiting = piece.end.row, []
                    yield piece
        if waiting:
            yield self._piece(waiting, row, columns)

    @cached_property
    def _first(self) -> _Opened:
        """The first span, with which all others are compared."""
        return self._opened(0)

    @cached_property
    def _first_table(self) -> RawTable:
        return next(self._spans(0, 0, 0)).table

    def _checked(self, span: Span) -> Span:
        """Compare a span with the first one of the source."""
        if span.is_later:
            _refuse_new_roles(self._first_table.columns, span.table.columns)
        if span.part:
            kind, first = self._opened(span.part).format, self._first.format
            if kind != first:
                raise DataError(
                    f"the parts of a table must have one format; got {first} and {kind}, in {self.names[span.part]}"
                )
            if not span.is_later:
                check_alike(self.names[0], self._first_table, self.names[span.part], span.table)
        return span

    def _piece(self, spans: list[Span], row: int, columns: Sequence[str] | None) -> Piece:
        """Put spans together, with the places of their rows in the whole source."""
        first, last = self._first_table, spans[-1]
        counts: dict[int, int] = {}
        notes: dict[int, tuple[str, ...]] = {}
        for span in spans:
            counts[span.part] = counts.get(span.part, 0) + len(span.table.places)
            notes[span.part] = (*notes.get(span.part, ()), *span.table.notes)
        num_rows = sum(counts.values())
        end = Place(last.part + 1, 0, 0, row + num_rows)
        if last.offset is not None:
            end = Place(last.part, last.offset, last.line, row + num_rows)
        tables = [_with_columns(span.table, columns or first.columns) for span in spans]
        places = [table.places for table in tables]
        if len(self.parts) > 1:
            places = [numbered("row", row + 1, num_rows)]
        whole = replace(tables[0], places=pl.concat(places))
        if len(tables) > 1:
            frame = pl.concat([table.frame for table in tables], how="vertical_relaxed")
            faults = pl.concat([table.faults.alias("fault") for table in tables])
            whole = replace(whole, frame=frame, faults=faults, sizes={}, parts={})
        return Piece(whole, end, notes, counts)

    def _spans(self, part: int, offset: int, line: int) -> Iterator[Span]:
        """Yield the spans of a file from a place on."""
        partition = partitions_of(self.names)[part]
        try:
            for span in self._opened(part).spans(offset, line):
                yield span._replace(table=with_partition(span.table, partition))
        except DataError as error:
            if len(self.parts) == 1:
                raise
            raise DataError(f"{str(error).rstrip('.')}; in the part {self.names[part]}") from None

    def _opened(self, part: int) -> _Opened:
        return _Opened(self.parts[part], part, self.layout, self.format, self.most)


@dataclass(frozen=True, eq=False)
class _Opened:
    """One file of a source."""

    path: Path
    part: int
    layout: Layout
    asked_format: str | None
    most: float

    @cached_property
    def _start(self) -> bytes:
        with self.path.open("rb") as file:
            return file.read(8)

    @cached_property
    def _text(self) -> Any:
        """How the text of this file is opened, or None if it is no text, or not known to be."""
        return open_text(self.path, self.asked_format, self.layout.encoding)

    @cached_property
    def _whole(self) -> tuple[str, RawTable]:
        return read_table(read_parts([self.path])[0], self.layout, self.asked_format)

    @property
    def format(self) -> str:
        """The name of the format."""
        if self._start.startswith(b"PAR1"):
            return "parquet"
        if self._start.startswith(ARROW_FILE[:6]):
            return "arrow"
        text = self._text
        return text.format if text is not None and text.weight(self.most) > self.most else self._whole[0]

    def spans(self, offset: int, line: int) -> Iterator[Span]:
        """Yield the rows of the file from a place on: as a whole if it is small, else in spans."""
        if self._start.startswith((b"PAR1", ARROW_FILE[:6])) and self.asked_format in (None, "parquet", "arrow"):
            check_encoding(self.layout.encoding, self.format)
            weight, num_rows = self._typed_size()
            if offset or weight > self.most:
                yield from self._ranges(weight, num_rows, offset)
                return
        elif (text := self._text) is not None:
            weight = text.weight(self.most)
            if offset or weight > self.most:
                for one in text_spans(text, self.layout, int(self.most / TEXT_COPIES), offset, line):
                    weight = TEXT_COPIES * one.num_bytes
                    yield Span(one.table, self.part, weight, one.offset, one.line, is_later=one.is_later)
                return
        else:
            weight = TEXT_COPIES * self.path.stat().st_size
            if weight > self.most:
                raise DataError(
                    f"a file that is not read in pieces must fit into the memory that is allowed; got one of "
                    f"{self.path.stat().st_size / 1e6:,.0f} MB, which needs about {weight / 1e6:,.0f} MB; pass a "
                    "larger --memory-mb, or write it as Parquet, CSV, or JSON lines, which are read in pieces"
                )
        yield Span(self._whole[1], self.part, weight)

    def _typed_size(self) -> tuple[float, int]:
        """Return about how many bytes a table with typed columns takes in memory, and how many rows it has."""
        if self._start.startswith(b"PAR1"):
            try:
                footer = footer_of_file(self.path)
            except ValueError as error:
                raise DataError(f"a Parquet file must be whole; got {error}") from None
            return float(TABLE_COPIES * sum(footer.columns.values())), footer.rows
        num_rows = int(_collected(pl.scan_ipc(self.path).select(pl.len())).item())
        return float(2 * TABLE_COPIES * self.path.stat().st_size), num_rows

    def _ranges(self, weight: float, num_rows: int, begin: int) -> Iterator[Span]:
        """Yield a Parquet or Arrow file as ranges of rows."""
        scan = pl.scan_parquet if self._start.startswith(b"PAR1") else pl.scan_ipc
        at_once = max(1, int(num_rows * self.most / weight))
        for first in range(begin, num_rows, at_once):
            count = min(at_once, num_rows - first)
            frame = with_dotted_columns(scan(self.path).slice(first, count))
            places, opened_by = numbered("row", first + 1, count), OPENERS[self.format]
            table = RawTable(frame, places, no_faults(count), opened_by=opened_by)
            end = None if first + count == num_rows else first + count
            yield Span(table, self.part, weight * count / num_rows, end, 0, is_later=first > 0)


def _refuse_new_roles(columns: Sequence[str], later: Sequence[str]) -> None:
    """Raise DataError if objects of JSON get a field, after the first span, that by its name may be the time, say."""
    new = [column for column in later if column not in columns]
    if new and _by_names([*columns, *new]) != _by_names(columns):
        raise DataError(
            "the fields that may be the user, the item or the time must be there from the beginning of a file that is "
            f"read in pieces; got {', '.join(new[:5])} only later; give the first object all of them, or {MORE_MEMORY}"
        )


def _by_names(columns: Sequence[str]) -> tuple[Any, ...]:
    """Return what the choice of columns makes of their names."""
    return by_name(columns), candidates(columns, "user"), candidates(columns, "item")


def _with_columns(table: RawTable, columns: Sequence[str]) -> RawTable:
    """Return a table with some columns only; those that it has not, as objects without a field, are null."""
    there = set(table.columns)
    return replace(
        table,
        frame=table.frame.select(pl.col(one) if one in there else pl.lit(None).alias(one) for one in columns),
    )


def _collected(frame: pl.LazyFrame) -> pl.DataFrame:
    try:
        return frame.collect()
    except (pl.exceptions.PolarsError, OSError, pl.exceptions.PanicException) as error:
        raise DataError(f"a file must be whole; got {first_line(error)}") from None
