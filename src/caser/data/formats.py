"""From the bytes of a file to a table of columns, before anybody asks which column is the user.

A reader is a function `(data, layout) -> RawTable` and a row in READERS. The format is told from the content, not from
the name. Text stays text here: what is a number or a date is decided where it is known what a column is for. A file is
held in memory as a whole. Whatever the bytes are, nothing but DataError is raised.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from caser.errors import DataError, did_you_mean

WRONG_COUNT = "with a wrong column count"
NOT_JSON = "that are no JSON object"

SEPARATORS = {"::": "'::'", "\t": "a tab", ",": "a comma", ";": "a semicolon", "|": "a bar", " ": "a space"}
"""What may stand between fields, in the order in which the first line is searched."""

LIKE_DATA = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*|\s*\d{4}-\d\d-\d\d.*")
"""A number or a date: a first line with such a field is data, not a header."""

OTHER_KIND: Mapping[pl.DataType, bytes] = {pl.Float64(): rb"-?\d+\s*[,}]", pl.String(): rb"[-\d]"}
"""What a JSON value looks like that polars takes into a column of floats, or of text, though it is another kind."""

RECORDS_AT_ONCE = 100_000


@dataclass(frozen=True)
class Layout:
    """What the caller says about a text file; None leaves it to the first line."""

    separator: str | None = None
    header: bool | None = None


@dataclass(frozen=True, eq=False)
class RawTable:
    """The rows of a source, in its order.

    frame       one column per field
    places      (N,) where each row stands in the source, from 1: lines of a text file, else rows
    faults      (N,) text: why a row cannot be taken apart, null where it can
    is_text     every column is text, so numbers are yet to be recognised
    has_header  False: the columns are called "1", "2", ... and only their positions say what they are
    """

    frame: pl.DataFrame
    places: pl.Series
    faults: pl.Series
    is_text: bool = False
    has_header: bool = True
    notes: tuple[str, ...] = ()

    @property
    def place_name(self) -> str:
        """What `places` counts."""
        return str(self.places.name)

    @classmethod
    def from_frame(cls, frame: pl.DataFrame) -> RawTable:
        """Take a typed frame as it is.

        >>> RawTable.from_frame(pl.DataFrame({"user": [7, 8]})).places.to_list()
        [1, 2]
        """
        places = pl.Series("row", range(1, len(frame) + 1), dtype=pl.Int64)
        return cls(frame, places, pl.Series([None] * len(frame), dtype=pl.String))


Reader = Callable[[bytes, Layout], RawTable]


def read_delimited(data: bytes, layout: Layout) -> RawTable:
    r"""Read CSV, TSV, `.inter`, `u.data`, `ratings.dat` or space-separated triplets. Blank lines are passed over.

    >>> table = read_delimited(b"user,item\nann,007\nbob\n", Layout())
    >>> table.frame["user"].to_list(), table.places.to_list(), table.faults.to_list()
    (['ann', 'bob'], [2, 3], [None, 'with a wrong column count'])
    """
    text, notes = _utf8(data)
    lines = _lines(text)
    if lines.is_empty():
        raise DataError("a log must hold at least one interaction; got an empty file")
    first = str(lines["text"][0])
    if any(character < "\t" for character in first):
        raise DataError("a log must be text, JSON lines or Parquet; got a binary file")
    separator = layout.separator or next((one for one in SEPARATORS if one in first), ",")
    if b'"' in text and len(separator) == 1:
        names, records = _quoted_records(text, separator)
    else:
        names, records = _plain_records(lines, separator)
    has_header = layout.header if layout.header is not None else not any(map(LIKE_DATA.fullmatch, names))
    records = records[1:] if has_header else records
    columns = _column_names(names) if has_header else [str(position + 1) for position in range(len(names))]
    if layout.separator is None:
        notes = (*notes, f"fields are separated by {SEPARATORS.get(separator, repr(separator))}")
    frame = records.select(pl.col("fields").struct.unnest())
    frame.columns = columns
    return RawTable(frame, records["line"], records["fault"], is_text=True, has_header=has_header, notes=notes)


def read_json_lines(data: bytes, layout: Layout) -> RawTable:
    r"""Read one JSON object per line; nested values are not looked at.

    >>> table = read_json_lines(b'{"user": 1, "item": "a"}\n', Layout())
    >>> table.frame.rows()
    [(1, 'a')]
    """
    text, notes = _utf8(data)
    lines = _lines(text)
    try:
        frame = pl.read_ndjson(io.BytesIO(text), infer_schema_length=None)
    except pl.exceptions.PolarsError:
        frame = pl.DataFrame()
    faults = pl.Series([None] * len(lines), dtype=pl.String)
    if len(frame) != len(lines) or _merges_kinds(frame, text):
        frame, faults = _json_line_by_line(lines["text"])
    if frame.width == 0:
        raise DataError(f"JSON lines must be objects with a user and an item; got {len(lines):,} lines without a value")
    return RawTable(frame, lines["line"], faults, notes=notes)


def read_parquet(data: bytes, layout: Layout) -> RawTable:
    """Read a Parquet file."""
    try:
        return RawTable.from_frame(pl.read_parquet(io.BytesIO(data)))
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


def first_line(error: BaseException) -> str:
    """The first line of an error's message, for use in a sentence."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _unzipped(data: bytes) -> bytes:
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"a gzip file must be whole; got {first_line(error)}") from None


def _utf8(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Return the text as UTF-8 without a byte order mark; what is not UTF-8 is taken as latin-1."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1").encode(), ("the text is not UTF-8: read as latin-1",)
    return data, ()


def _lines(text: bytes) -> pl.DataFrame:
    """The lines that are not blank, without their ends, and their numbers from 1: columns `line`, `text`."""
    lines = pl.DataFrame({"text": pl.Series([text.decode()]).str.split("\n").explode()})
    lines = lines.with_columns(pl.col("text").str.strip_suffix("\r")).with_row_index("line", offset=1)
    return lines.filter(pl.col("text") != "").with_columns(pl.col("line").cast(pl.Int64))


def _plain_records(lines: pl.DataFrame, separator: str) -> tuple[list[str], pl.DataFrame]:
    """Cut lines at every separator: the fields of the first line, and columns `line`, `fields`, `fault`."""
    names = str(lines["text"][0]).split(separator)
    count = pl.col("text").str.count_matches(separator, literal=True) + 1
    fields = pl.col("text").str.split_exact(separator, len(names) - 1)
    fault = pl.when(count != len(names)).then(pl.lit(WRONG_COUNT))
    return names, lines.select("line", fields=fields, fault=fault)


def _quoted_records(text: bytes, separator: str) -> tuple[list[str], pl.DataFrame]:
    """Take records apart whose fields may be quoted, and then hold separators, quotes and ends of lines."""
    records = _csv_records(text, separator)
    line, names = next(records)
    width = len(names)
    schema = [f"field_{position}" for position in range(width)]
    frames = []
    records = itertools.chain([(line, names)], records)
    while batch := list(itertools.islice(records, RECORDS_AT_ONCE)):
        fields = pl.DataFrame([[*row[:width], *[None] * (width - len(row))] for _, row in batch], schema, orient="row")
        faults = [None if len(row) == width else WRONG_COUNT for _, row in batch]
        columns = {"line": [line for line, _ in batch], "fields": fields.to_struct(), "fault": faults}
        frames.append(pl.DataFrame(columns, schema_overrides={"fault": pl.String, "line": pl.Int64}))
    return names, pl.concat(frames)


def _csv_records(text: bytes, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line at which the record begins, fields) of every record that is not blank."""
    reader = csv.reader(io.StringIO(text.decode(), newline=""), delimiter=separator, strict=True)
    line = 1
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"quotes must be closed and fields below 128 KiB; got {error} at line {line}") from None
        if fields:
            yield line, fields
        line = reader.line_num + 1


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


def _column_names(fields: list[str]) -> list[str]:
    """Header fields without RecBole's `:type`, told apart where two are equal."""
    names = [field.split(":")[0] if re.fullmatch(r".*:(token|float)(_seq)?", field) else field for field in fields]
    taken: dict[str, None] = {}
    for name in names:
        while name in taken:
            name += "#"
        taken[name] = None
    return list(taken)
