"""Text files with one record per line: CSV, TSV, `.inter`, `u.data`, `ratings.dat`, space-separated triplets.

There are three ways to split a file into fields, from fast to slow:

    block by block     a block of lines with the right number of fields each is parsed by polars
    line by line       a block with other lines is split here, so that the number of each bad line is known
    record by record   a file with quotes that hold separators, quotes or ends of lines goes through `quotes.py`

Quotes that only wrap whole fields are removed first, so that most quoted files are read block by block. Blanks around a
field, outside its quotes, are not part of its value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from caser.data.dialect import Dialect, dialect_of, names_of
from caser.data.headers import doubts_on_lines, with_name_of_rows, without_extra_lines, without_titles
from caser.data.quotes import BLANKS, split_quoted
from caser.data.ragged import refuse_ragged
from caser.data.tables import WRONG_COUNT, Layout, RawTable, no_faults, numbered, within_bounds
from caser.data.text import BYTE_ORDER_MARK, FORBIDDEN, lines_of, looks_binary, to_text
from caser.errors import DataError
from caser.system.bounds import MOST_TEXT_BYTES, check_table

QUOTE, END = b'"', b"\n"

NOT_BLANK = re.compile(rb"^(?![ \r]*$).+", re.MULTILINE)

UNIT = b"\x1f"
"""The ASCII character for separating fields. It replaces a separator of several bytes, which polars cannot parse."""

BLOCK_BYTES = 1 << 23

WIDE_BLANK = "\u00a0".encode()
"""The one of BLANKS that takes two bytes."""

Records = tuple[pl.LazyFrame, pl.Series, pl.Series]
"""The fields of each record, the line at which it begins, and its fault or null."""


def read_delimited(data: bytes, layout: Layout) -> RawTable:
    r"""Read CSV, TSV, `.inter`, `u.data`, `ratings.dat` or space-separated triplets. Blank lines are skipped.

    data  the bytes of the file        layout  what the caller says about the separator, the header and quotes

    A line with another number of fields than the first one, with a broken quote, or with a character that no text holds
    is a fault of its row. Raises DataError for an empty or binary file, and if most lines have another number of fields
    than the first one.

    >>> table = read_delimited(b"user, item\nann, 007\nbob\n", Layout())
    >>> table.select(["user", "item"]).rows(), table.places.to_list(), table.faults.to_list()
    ([('ann', '007'), ('bob', None)], [2, 3], [None, 'with a wrong column count'])
    """
    text, notes = to_text(data, layout.encoding)
    if looks_binary(text):
        raise DataError("a log must be text, JSON, Parquet, Arrow or Avro; got a binary file of an unknown kind")
    text, titles = without_titles(text, layout)
    dialect, text = dialect_of(text, layout, _first_line(text))
    _check_size(text, dialect)
    text, extra = without_extra_lines(text, dialect, layout, _first_line(text))
    text, rows = with_name_of_rows(text, dialect, layout, _first_line(text))
    notes = (*notes, *titles, *dialect.notes, *extra, *rows, *doubts_on_lines(text, dialect, layout, _first_line(text)))
    opened_by = f"polars.read_csv('FILE', infer_schema=False, separator={dialect.separator!r})"
    # Split the records: record by record only if quotes do more than wrap fields.
    if dialect.quote:
        split = _read_quoted(text, dialect, layout)
        if isinstance(split, RawTable):
            return replace(split, notes=(*notes, *split.notes), opened_by=opened_by)
        text, more = split
        notes = (*notes, *more)
    table = _read_plain(text, dialect.separator, layout, is_bare=not dialect.quote or bool(more))
    return replace(table, notes=(*notes, *table.notes), opened_by=opened_by)


def _check_size(text: bytes, dialect: Dialect) -> None:
    """Raise DataError for text whose records need more memory than is free, or with too many columns."""
    num_rows, num_columns = text.count(END) + 1, _first_line(text).count(dialect.separator) + 1
    at = 0
    while at + MOST_TEXT_BYTES < len(text):
        end = text.rfind(END, at, at + MOST_TEXT_BYTES)
        if end < at:
            raise DataError(f"a line must have at most {MOST_TEXT_BYTES:,} bytes; got a longer one")
        at = end + 1
    with within_bounds():
        check_table(0, num_columns)
        # Only columns in use are parsed, and of those a user, an item and a time at least.
        check_table(num_rows, min(num_columns, 3), len(text))


def _read_quoted(text: bytes, dialect: Dialect, layout: Layout) -> RawTable | tuple[bytes, tuple[str, ...]]:
    """Read text with quotes; or return text whose quotes need no care any more, and a note if they are plain."""
    separator, quote = dialect.separator.encode(), dialect.quote.encode()
    is_simple = layout.quotes != "backslash" and separator != b" " and WIDE_BLANK not in text
    if is_simple and all(_quotes_only_wrap(block, separator, quote) for block in _blocks(text)):
        return text.replace(quote, b""), ()
    splitter, note = split_quoted(text.decode(), dialect.separator, layout.quotes, dialect.quote)
    notes = () if note is None else (note,)
    if splitter is None:
        return text, notes
    names = [name or "" for name in splitter.rows[0]]
    columns, has_header = names_of(names, layout)
    if has_header:
        _refuse_faulty_header(splitter.faults[0])
    records = splitter.table(columns, skip=int(has_header))
    refuse_ragged(text, dialect.separator, len(columns), records[2])
    if splitter.num_blanks:
        notes = (*notes, _note_on_blanks(splitter.num_blanks, "fields"))
    return _table(records, has_header, layout, notes)


def _read_plain(text: bytes, separator: str, layout: Layout, is_bare: bool) -> RawTable:
    """Read text in which quotes are plain characters. If it had none, `is_bare`, blanks around fields are removed."""
    first = _first_line(text)
    names = [name.strip(BLANKS) if is_bare else name for name in first.split(separator)]
    columns, has_header = names_of(names, layout)
    notes: tuple[str, ...] = ()
    if has_header:
        _refuse_faulty_header(next((why for mark, why in FORBIDDEN.items() if mark in first), None))
    (frame, places, faults), num_edges = _plain_records(text, separator, columns, has_header)
    refuse_ragged(text, separator, len(columns), faults)
    if is_bare and num_edges:
        frame = frame.with_columns(pl.all().str.strip_chars(BLANKS.replace(separator, "")))
        notes = (*notes, _note_on_blanks(num_edges, "edges of fields"))
    return _table((frame, places, faults), has_header, layout, notes)


def _table(records: Records, has_header: bool, layout: Layout, notes: tuple[str, ...]) -> RawTable:
    is_guessed = has_header and layout.header is None
    return RawTable(*records, is_text=True, has_header=has_header, notes=notes, is_header_guessed=is_guessed)


def _note_on_blanks(count: int, what: str) -> str:
    return f"blanks around fields are not part of the values: removed at {count:,} {what}"


def _refuse_faulty_header(fault: str | None) -> None:
    if fault is not None and fault != WRONG_COUNT:
        raise DataError(f"the first line must name the columns; got one {fault}, at line 1; correct it")


def _first_line(text: bytes) -> str:
    """Return the first line that is not blank, without its end. Raises DataError for an empty file."""
    match = NOT_BLANK.search(text)
    if match is None:
        raise DataError("a log must hold at least one interaction; got an empty file")
    return match[0].decode()


def _blocks(text: bytes, start: int = 0) -> Iterator[bytes]:
    """Yield the text from `start` on in blocks of whole lines; each block ends with an end of line."""
    while start < len(text):
        end = text.rfind(END, start, start + BLOCK_BYTES) + 1 or text.find(END, start) + 1 or len(text)
        block = text[start:end]
        yield block if block.endswith(END) else block + END
        start = end


def _plain_records(text: bytes, separator: str, columns: Sequence[str], has_header: bool) -> tuple[Records, int]:
    """Split every line at every separator, block by block; return records, and how many edges of fields are blank."""
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
    forbidden = [mark.encode() for mark in FORBIDDEN if mark.encode() in text]
    num_edges = 0
    for block in _blocks(text, start):
        num_lines = block.count(END)
        is_faulty = any(mark in block for mark in forbidden)
        regular = None if is_faulty else _regular(block, separator.encode(), len(columns))
        if regular is None:
            parts.append(_line_by_line(lines_of(block, line), separator, columns))
            num_edges += sum(map((END + block).count, _blank_pairs(separator)))
        else:
            num_edges += regular[1]
            parts.append(
                (_scan(regular[0], separator, schema), numbered("line", line, num_lines), no_faults(num_lines))
            )
        line += num_lines
    frames, places, faults = zip(*parts, strict=True)
    return (pl.concat(frames), pl.concat(places), pl.concat(faults)), num_edges


def _scan(block: bytes, separator: str, schema: dict[str, type[pl.String]]) -> pl.LazyFrame:
    """Parse a regular block with polars."""
    one_byte = separator if len(separator.encode()) == 1 else UNIT.decode()
    return pl.scan_csv(
        block, has_header=False, schema=schema, separator=one_byte, quote_char=None, empty_string_is_null=False
    )


def _line_by_line(lines: pl.DataFrame, separator: str, columns: Sequence[str]) -> Records:
    """Split every line. Missing fields are null, and all fields of a line with more fields; both are faults."""
    count = pl.col("text").str.count_matches(separator, literal=True) + 1
    text = pl.when(count <= len(columns)).then("text")  # of two lines in one, no field is right for sure
    fields = text.str.split_exact(separator, len(columns) - 1).struct.rename_fields(list(columns))
    is_forbidden = [
        pl.when(pl.col("text").str.contains(mark, literal=True)).then(pl.lit(why)) for mark, why in FORBIDDEN.items()
    ]
    fault = pl.coalesce(*is_forbidden, pl.when(count != len(columns)).then(pl.lit(WRONG_COUNT)))
    return (
        lines.lazy().select(fields.struct.unnest()),
        lines["line"],
        lines.select(fault=fault).to_series().cast(pl.String),
    )


def _regular(block: bytes, separator: bytes, width: int) -> tuple[bytes, int] | None:
    """Return the block with separators of one byte, and its blank edges; None if a line has not `width` fields."""
    marked = _marks(block, separator)
    if marked is None:
        return None
    block, marks, is_end = marked
    # Every line has `width` fields if exactly every `width`-th mark is an end of line.
    is_grid = len(marks) % width == 0 and bool(is_end[width - 1 :: width].all())
    if width == 1 or not is_grid or int(is_end.sum()) * width != len(marks):
        return None
    return block, _num_blank_edges(block, marks, separator)


def _num_blank_edges(block: bytes, marks: NDArray[np.int64], separator: bytes) -> int:
    """Count the blanks beside separators and ends of lines, which are at `marks` in a block that `_marks` has made."""
    if WIDE_BLANK in block:
        one_byte = separator if len(separator) == 1 else UNIT
        return sum(map((END + block).count, _blank_pairs(one_byte.decode())))
    blanks = [blank for blank in BLANKS.encode("ascii", "ignore").replace(separator, b"") if bytes([blank]) in block]
    if not blanks:
        return 0
    codes, is_blank = np.frombuffer(block, np.uint8), np.zeros(256, np.bool_)
    is_blank[blanks] = True
    after = np.minimum(marks + 1, len(codes) - 1)
    # A first mark at 0 has nothing before it; the last character of the block is an end of line.
    edges = is_blank[codes[marks - 1]].sum() + is_blank[codes[after]].sum() + is_blank[codes[0]]
    return int(edges)


def _blank_pairs(separator: str) -> list[bytes]:
    """Return each blank before and after each separator and end of line."""
    marks = (separator, "\n")
    pairs = [[blank + mark, mark + blank] for blank in BLANKS.replace(separator, "") for mark in marks]
    return [pair.encode() for both in pairs for pair in both]


def _quotes_only_wrap(block: bytes, separator: bytes, quote: bytes = QUOTE) -> bool:
    """Return whether all quotes can be removed, because each is the first or last character of a field with both."""
    marked = _marks(block, separator)
    if marked is None:
        return False
    block, marks, is_end = marked
    codes = np.frombuffer(block, np.uint8)
    starts = np.append(0, marks[:-1] + 1)
    wrapped = (codes[starts] == quote[0]) & (codes[marks - 1] == quote[0]) & (marks - starts >= 2)
    is_whole_line = is_end & np.append(True, is_end[:-1])  # a line of one field could be blank without its quotes
    return (
        np.count_nonzero(codes == quote[0]) == 2 * np.count_nonzero(wrapped)
        and not (is_whole_line & wrapped).any()
        and not _num_blank_edges(block, marks, separator)
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
