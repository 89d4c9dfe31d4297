"""Formats: turn the bytes of a file into a table of columns.

A reader is a function `(data, layout) -> RawTable` and a row in READERS. The format is recognised from the content, not
from the file name. Text stays text here; `columns.py` decides what is a number or a date, because it knows the role of
each column. A file is held in memory as a whole. For any bytes, the only error raised is DataError.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Mapping

import polars as pl

from caser.data.delimited import lines_of, read_delimited, utf8
from caser.data.tables import Layout, RawTable, first_line, no_faults
from caser.errors import DataError, did_you_mean

NOT_JSON = "that are no JSON object"

OTHER_KIND: Mapping[pl.DataType, bytes] = {pl.Float64(): rb"-?\d+\s*[,}]", pl.String(): rb"[-\d]"}
"""Patterns of JSON values that polars silently converts: integers in a column of floats, numbers in one of text."""

Reader = Callable[[bytes, Layout], RawTable]


def read_json_lines(data: bytes, layout: Layout) -> RawTable:
    r"""Read one JSON object per line; lists and objects inside it are ignored.

    data  the bytes of the file        layout  not used: JSON names its fields

    Raises DataError if no line holds a value.

    >>> table = read_json_lines(b'{"user": 1, "item": "a"}\n', Layout())
    >>> table.select(["user", "item"]).rows()
    [(1, 'a')]
    """
    text, notes = utf8(data)
    lines = lines_of(text)
    try:
        frame = pl.read_ndjson(io.BytesIO(text), infer_schema_length=None)
    except pl.exceptions.PolarsError:
        frame = pl.DataFrame()
    faults = no_faults(len(lines))
    if len(frame) != len(lines) or _merges_kinds(frame, text):
        frame, faults = _json_line_by_line(lines["text"])
    if frame.width == 0:
        raise DataError(f"JSON lines must be objects with a user and an item; got {len(lines):,} lines without a value")
    return RawTable(frame.lazy(), lines["line"], faults, notes=notes)


def read_parquet(data: bytes, layout: Layout) -> RawTable:
    """Read a Parquet file.

    data  the bytes of the file        layout  not used: Parquet has its own

    Raises DataError if the file is damaged.
    """
    try:
        return RawTable.from_frame(pl.scan_parquet(data))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"a Parquet file must be whole; got {first_line(error)}") from None


READERS: dict[str, Reader] = {"delimited": read_delimited, "jsonl": read_json_lines, "parquet": read_parquet}


def read_table(data: bytes, layout: Layout, name: str | None = None) -> tuple[str, RawTable]:
    """Read the bytes of a file, which may be gzipped; return the name of its format and the table.

    data    the bytes of the file        layout  what the caller says about a text file
    name    a key of READERS; None: the content decides

    Raises DataError for an unknown format, and if the data cannot be read in its format.

    >>> read_table(b"1 32 1", Layout())[0]
    'delimited'
    """
    data = _unzipped(data)
    if name is None:
        start = data[:1000].removeprefix(b"\xef\xbb\xbf").lstrip()
        name = "parquet" if start.startswith(b"PAR1") else "jsonl" if start.startswith(b"{") else "delimited"
    if name not in READERS:
        raise DataError(f"there is no format {name!r}: {did_you_mean(name, READERS)}")
    return name, READERS[name](data, layout)


def _unzipped(data: bytes) -> bytes:
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"a gzip file must be whole; got {first_line(error)}") from None


def _merges_kinds(frame: pl.DataFrame, text: bytes) -> bool:
    """Return whether polars has merged values of different kinds in one column, for example the ids 1 and 1.0."""
    return any(
        re.search(re.escape(json.dumps(name, ensure_ascii=False).encode()) + rb"\s*:\s*" + OTHER_KIND[kind], text)
        for name, kind in frame.schema.items()
        if kind in OTHER_KIND
    )


def _json_line_by_line(lines: pl.Series) -> tuple[pl.DataFrame, pl.Series]:
    """Read each line separately, so that a bad line is a fault of one row and values keep their kinds."""
    rows = [_json_object(line) for line in lines]
    faults = [NOT_JSON if row is None else None for row in rows]
    names = dict.fromkeys(name for row in rows if row for name in row)
    columns = [_scalar_column(name, [None if row is None else row.get(name) for row in rows]) for name in names]
    return pl.DataFrame(columns), pl.Series(faults, dtype=pl.String)


def _json_object(line: str) -> dict[str, str | int | float] | None:
    """Return the text and numbers of a JSON object by name; None if the line is not a JSON object."""
    try:
        value = json.loads(line)
        json.dumps(value, ensure_ascii=False).encode()  # raises an error for half of a surrogate pair
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    return {name: field for name, field in value.items() if isinstance(field, str | int | float)}


def _scalar_column(name: str, values: list[str | int | float | None]) -> pl.Series:
    """Return values as a column. If their kinds differ, all become text, so that 1, 1.0 and true stay three ids."""
    if len({type(value) for value in values if value is not None}) > 1:
        values = [
            None if value is None else json.dumps(value) if isinstance(value, bool) else str(value) for value in values
        ]
    return pl.Series(name, values, strict=False)
