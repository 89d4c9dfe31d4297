"""Text files with one record per line: CSV, TSV, `.inter`, `u.data`, `ratings.dat`, space-separated triplets.

There are three ways to split a file into fields, from fast to slow:

    block by block     a block of lines with the right number of fields each is parsed by polars
    line by line       a block with other lines is split here, so that the number of each bad line is known
    record by record   a file with quotes that hold separators, quotes or ends of lines goes through `csv`

Quotes that only wrap whole fields are removed first, so that most quoted files are read block by block.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from caser.data.tables import Layout, RawTable, no_faults, numbered
from caser.errors import DataError

WRONG_COUNT = "with a wrong column count"

SEPARATORS = {"::": "'::'", "\t": "a tab", ",": "a comma", ";": "a semicolon", "|": "a bar", " ": "a space"}
"""Separators that are recognised, in the order in which the first line is searched for them, and their names."""

LIKE_DATA = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*|\s*\d{4}-\d\d-\d\d.*")
"""A number or a date. A first line with such a field is data, not a header."""

NOT_BLANK = re.compile(rb"^(?!\r?$).+", re.MULTILINE)

BYTE_ORDER_MARK, QUOTE, END = b"\xef\xbb\xbf", b'"', b"\n"

UNIT = b"\x1f"
"""The ASCII character for separating fields. It replaces a separator of several bytes, which polars cannot parse."""

BLOCK_BYTES = 1 << 23

RECORDS_AT_ONCE = 100_000

Records = tuple[pl.LazyFrame, pl.Series, pl.Series]
"""The fields of each record, the line at which it begins, and its fault or null."""


def read_delimited(data: bytes, layout: Layout) -> RawTable:
    r"""Read CSV, TSV, `.inter`, `u.data`, `ratings.dat` or space-separated triplets. Blank lines are skipped.

    data  the bytes of the file        layout  what the caller says about the separator and the header

    A line with another number of fields than the first one is a fault of its row. Raises DataError for an empty or
    binary file, and for quotes that are not closed.

    >>> table = read_delimited(b"user,item\nann,007\nbob\n", Layout())
    >>> table.select(["user"]).rows(), table.places.to_list(), table.faults.to_list()
    ([('ann',), ('bob',)], [2, 3], [None, 'with a wrong column count'])
    """
    # Guess the separator.
    text, notes = utf8(data)
    first = _first_line(text)
    separator = layout.separator or next((one for one in SEPARATORS if one in first), ",")
    # Remove quotes that only wrap fields.
    is_quoted = QUOTE in text and len(separator) == 1
    if is_quoted and all(_quotes_only_wrap(block, separator.encode()) for block in _blocks(text)):
        text, is_quoted = text.replace(QUOTE, b""), False
    # Name the columns.
    names = next(_csv_records(text, separator))[1] if is_quoted else _first_line(text).split(separator)
    has_header = layout.header if layout.header is not None else not any(map(LIKE_DATA.fullmatch, names))
    columns = _column_names(names) if has_header else [str(position + 1) for position in range(len(names))]
    # Split the records.
    records = (_quoted_records if is_quoted else _plain_records)(text, separator, columns, has_header)
    if layout.separator is None:
        notes = (*notes, f"fields are separated by {SEPARATORS.get(separator, repr(separator))}")
    return RawTable(*records, is_text=True, has_header=has_header, notes=notes)


def utf8(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Return text as UTF-8 without a byte order mark, and sentences about the guess.

    data  the bytes of a file; if they are not UTF-8, they are read as latin-1
    """
    data = data.removeprefix(BYTE_ORDER_MARK)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        # In blocks, because a decoded file can take four times its memory.
        for start in range(0, 0 if data.isascii() else len(data), BLOCK_BYTES):
            decoder.decode(data[start : start + BLOCK_BYTES])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return data.decode("latin-1").encode(), ("the text is not UTF-8: read as latin-1",)
    return data, ()


def lines_of(text: bytes, first: int = 1) -> pl.DataFrame:
    """Return the lines that are not blank as a frame: column `line` has their numbers, column `text` their text.

    text  UTF-8        first  the number of the first line
    """
    lines = pl.DataFrame({"text": pl.Series([text.decode()]).str.split("\n").explode()})
    lines = lines.with_columns(pl.col("text").str.strip_suffix("\r")).with_row_index("line", offset=first)
    return lines.filter(pl.col("text") != "").with_columns(pl.col("line").cast(pl.Int64))


def _first_line(text: bytes) -> str:
    """Return the first line that is not blank, without its end. Raises DataError for an empty or binary file."""
    match = NOT_BLANK.search(text)
    if match is None:
        raise DataError("a log must hold at least one interaction; got an empty file")
    first = match[0].removesuffix(b"\r").decode()
    if any(character < "\t" for character in first):
        raise DataError("a log must be text, JSON lines or Parquet; got a binary file")
    return first


def _blocks(text: bytes, start: int = 0) -> Iterator[bytes]:
    """Yield the text from `start` on in blocks of whole lines; each block ends with an end of line."""
    while start < len(text):
        end = text.rfind(END, start, start + BLOCK_BYTES) + 1 or text.find(END, start) + 1 or len(text)
        block = text[start:end]
        yield block if block.endswith(END) else block + END
        start = end


def _plain_records(text: bytes, separator: str, columns: Sequence[str], has_header: bool) -> Records:
    """Split every line at every separator, block by block."""
    # Find the first line of data.
    match = NOT_BLANK.search(text)
    start = 0 if match is None else match.start()
    line = text.count(END, 0, start) + 1
    if has_header:
        start = text.find(END, start) + 1 or len(text)
        line += 1
    # Leave blocks without bad lines to polars.
    schema = dict.fromkeys(columns, pl.String)
    parts: list[Records] = [(pl.LazyFrame(schema=schema), numbered("line", line, 0), no_faults(0))]
    for block in _blocks(text, start):
        num_lines = block.count(END)
        regular = _regular(block, separator.encode(), len(columns))
        if regular is None:
            parts.append(_line_by_line(lines_of(block, line), separator, columns))
        else:
            parts.append((_scan(regular, separator, schema), numbered("line", line, num_lines), no_faults(num_lines)))
        line += num_lines
    frames, places, faults = zip(*parts, strict=True)
    return pl.concat(frames), pl.concat(places), pl.concat(faults)


def _scan(block: bytes, separator: str, schema: dict[str, type[pl.String]]) -> pl.LazyFrame:
    """Parse a regular block with polars."""
    one_byte = separator if len(separator.encode()) == 1 else UNIT.decode()
    return pl.scan_csv(
        block, has_header=False, schema=schema, separator=one_byte, quote_char=None, empty_string_is_null=False
    )


def _line_by_line(lines: pl.DataFrame, separator: str, columns: Sequence[str]) -> Records:
    """Split every line. Fields beyond the columns are dropped, missing fields are null; both are faults."""
    count = pl.col("text").str.count_matches(separator, literal=True) + 1
    fields = pl.col("text").str.split_exact(separator, len(columns) - 1).struct.rename_fields(list(columns))
    fault = pl.when(count != len(columns)).then(pl.lit(WRONG_COUNT))
    return (
        lines.lazy().select(fields.struct.unnest()),
        lines["line"],
        lines.select(fault=fault).to_series().cast(pl.String),
    )


def _regular(block: bytes, separator: bytes, width: int) -> bytes | None:
    """Return the block with separators and ends of lines of one byte, if every line has `width` fields; else None."""
    marked = _marks(block, separator)
    if marked is None:
        return None
    block, marks, is_end = marked
    # Every line has `width` fields if exactly every `width`-th mark is an end of line.
    is_grid = len(marks) % width == 0 and bool(is_end[width - 1 :: width].all())
    return block if width > 1 and is_grid and int(is_end.sum()) * width == len(marks) else None


def _quotes_only_wrap(block: bytes, separator: bytes) -> bool:
    """Return whether all quotes can be removed, because each is the first or last character of a field with both."""
    marked = _marks(block, separator)
    if marked is None:
        return False
    block, marks, is_end = marked
    codes = np.frombuffer(block, np.uint8)
    starts = np.append(0, marks[:-1] + 1)
    wrapped = (codes[starts] == QUOTE[0]) & (codes[marks - 1] == QUOTE[0]) & (marks - starts >= 2)
    is_whole_line = is_end & np.append(True, is_end[:-1])  # a line of one field could be blank without its quotes
    return (
        np.count_nonzero(codes == QUOTE[0]) == 2 * np.count_nonzero(wrapped)
        and not (is_whole_line & wrapped).any()
        and int((marks - starts).max()) <= csv.field_size_limit()
    )


def _marks(block: bytes, separator: bytes) -> tuple[bytes, NDArray[np.int64], NDArray[np.bool_]] | None:
    """Find the separators and ends of lines in a block, after replacing each by a single byte.

    Returns the block, the positions of these marks, and which of them are ends of lines. None if the block holds a
    character that polars treats in a special way, or the byte that replaces the separator.
    """
    if b"\r" in block:
        block = block.replace(b"\r\n", END)
    if b"\r" in block or BYTE_ORDER_MARK in block or (len(separator) > 1 and UNIT in block):
        return None
    if len(separator) > 1:
        block, separator = block.replace(separator, UNIT), UNIT
    codes = np.frombuffer(block, np.uint8)
    marks = np.flatnonzero((codes == separator[0]) | (codes == END[0]))
    return block, marks, codes[marks] == END[0]


def _quoted_records(text: bytes, separator: str, columns: Sequence[str], has_header: bool) -> Records:
    """Split records whose fields may be quoted; quoted fields can hold separators, quotes and ends of lines."""
    width, schema = len(columns), dict.fromkeys(columns, pl.String)
    frames = [pl.DataFrame(schema=schema)]
    lines: list[int] = []
    faults: list[str | None] = []
    records = itertools.islice(_csv_records(text, separator), int(has_header), None)
    while batch := list(itertools.islice(records, RECORDS_AT_ONCE)):
        fields = [[*row[:width], *[None] * (width - len(row))] for _, row in batch]
        frames.append(pl.DataFrame(fields, schema, orient="row"))
        lines.extend(line for line, _ in batch)
        faults.extend(None if len(row) == width else WRONG_COUNT for _, row in batch)
    return pl.concat(frames).lazy(), pl.Series("line", lines, pl.Int64), pl.Series("fault", faults, pl.String)


def _csv_records(text: bytes, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line at which each record begins, and its fields; blank records are skipped."""
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


def _column_names(fields: list[str]) -> list[str]:
    """Return header fields without RecBole's `:type`; equal names are made distinct by appending `#`."""
    names = [field.split(":")[0] if re.fullmatch(r".*:(token|float)(_seq)?", field) else field for field in fields]
    taken: dict[str, None] = {}
    for name in names:
        while name in taken:
            name += "#"
        taken[name] = None
    return list(taken)
