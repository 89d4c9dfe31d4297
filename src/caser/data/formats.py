"""From the bytes of a file to a table of columns, before anybody asks which column is the user.

A reader is a function `(data, layout) -> RawTable` and a row in READERS. The format is told from the content, not from
the name. Text stays text here: what is a number or a date is decided where it is known what a column is for. A file is
held in memory as a whole. Whatever the bytes are, nothing but DataError is raised.
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
"""What a JSON value looks like that polars takes into a column of floats, or of text, though it is another kind."""


Reader = Callable[[bytes, Layout], RawTable]


def read_json_lines(data: bytes, layout: Layout) -> RawTable:
    r"""Read one JSON object per line; nested values are not looked at.

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
    """Read a Parquet file."""
    try:
        return RawTable.from_frame(pl.scan_parquet(data))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"a Parquet file must be whole; got {first_line(error)}") from None


READERS: dict[str, Reader] = {"delimited": read_delimited, "jsonl": read_json_lines, "parquet": read_parquet}


def read_table(data: bytes, layout: Layout, name: str | None = None) -> tuple[str, RawTable]:
    """Read the bytes of a file, gzipped or not, in the format called `name`, or the one its content shows.

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
    """Whether a column of floats has whole numbers too, or one of text has numbers: read all at once, 1.0 becomes 1."""
    return any(
        re.search(re.escape(json.dumps(name, ensure_ascii=False).encode()) + rb"\s*:\s*" + OTHER_KIND[kind], text)
        for name, kind in frame.schema.items()
        if kind in OTHER_KIND
    )


def _json_line_by_line(lines: pl.Series) -> tuple[pl.DataFrame, pl.Series]:
    """Read each line by itself, so that one bad line does not hide the others."""
    rows = [_json_object(line) for line in lines]
    faults = [NOT_JSON if row is None else None for row in rows]
    names = dict.fromkeys(name for row in rows if row for name in row)
    columns = [_scalar_column(name, [None if row is None else row.get(name) for row in rows]) for name in names]
    return pl.DataFrame(columns), pl.Series(faults, dtype=pl.String)


def _json_object(line: str) -> dict[str, str | int | float] | None:
    """The text and numbers in a JSON object; None if the line is not one."""
    try:
        found = json.loads(line)
        json.dumps(found, ensure_ascii=False).encode()  # refuses halves of surrogate pairs
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    return {name: value for name, value in found.items() if isinstance(value, str | int | float)}


def _scalar_column(name: str, values: list[str | int | float | None]) -> pl.Series:
    """A column of one kind: where kinds are mixed, all become text, so that 1, 1.0 and true stay three ids."""
    if len({type(value) for value in values if value is not None}) > 1:
        values = [
            None if value is None else json.dumps(value) if isinstance(value, bool) else str(value) for value in values
        ]
    return pl.Series(name, values, strict=False)
