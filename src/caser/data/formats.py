"""Formats: turn the bytes of a file into a table of columns.

A reader is a function `(data, layout) -> RawTable` and a row in READERS. Compression and format are recognised from the
content, not from the file name. Text stays text here; `interpret.py` decides what is a number or a date, for it knows
the role of each column. A file is held in memory as a whole. For any bytes, the only error raised is DataError.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace

import polars as pl

from caser.data.compression import most_unpacked_bytes, unpack
from caser.data.delimited import read_delimited
from caser.data.foreign import refuse_foreign
from caser.data.json_text import read_json_array, read_json_lines
from caser.data.tables import Layout, RawTable, first_line, within_bounds
from caser.data.text import SAMPLE_BYTES, to_text
from caser.errors import DataError, did_you_mean
from caser.system.arrow_messages import announced_bytes
from caser.system.avro_blocks import read_blocks
from caser.system.bounds import check_memory, check_table
from caser.system.parquet_footer import read_footer, without_categories

Reader = Callable[[bytes, Layout], RawTable]


def read_parquet(data: bytes, layout: Layout) -> RawTable:
    """Read a Parquet file.

    data  the bytes of the file        layout  not used: Parquet has its own

    Raises DataError if the file is damaged.
    """
    try:
        footer = read_footer(data)
    except ValueError as error:
        raise DataError(f"a Parquet file must be whole; got {error}") from None
    with within_bounds():
        check_table(footer.rows, 2)
    data = without_categories(data) if footer.has_long_texts else data
    try:
        return replace(RawTable.from_frame(pl.scan_parquet(data)), sizes=footer.columns, parts=footer.parts)
    except (pl.exceptions.PolarsError, OSError, pl.exceptions.PanicException) as error:
        raise DataError(f"a Parquet file must be whole; got {first_line(error)}") from None


def read_arrow(data: bytes, layout: Layout) -> RawTable:
    """Read a file or a stream in Arrow's own format, such as a Feather file of version 2.

    data  the bytes of the file        layout  not used: Arrow has its own

    Raises DataError if the file is damaged.
    """
    read = pl.read_ipc if data.startswith(ARROW_FILE) else pl.read_ipc_stream
    try:
        num_bytes = announced_bytes(data)
    except ValueError as error:
        raise DataError(f"an Arrow file must be whole; got {error}") from None
    with within_bounds():
        check_memory(2 * num_bytes, f"arrays of {num_bytes / 1e9:,.1f} GB")
    try:
        return RawTable.from_frame(read(io.BytesIO(data)))
    except (pl.exceptions.PolarsError, OSError, pl.exceptions.PanicException) as error:
        raise DataError(f"an Arrow file must be whole; got {first_line(error)}") from None


def read_avro(data: bytes, layout: Layout) -> RawTable:
    """Read an Avro file.

    data  the bytes of the file        layout  not used: Avro has its own

    Raises DataError if the file is damaged.
    """
    try:
        blocks = read_blocks(data, most_unpacked_bytes(len(data)))
    except ValueError as error:
        raise DataError(f"an Avro file must be whole; got {error}") from None
    with within_bounds():
        check_table(blocks.rows, blocks.columns, blocks.unpacked)
    try:
        return RawTable.from_frame(pl.read_avro(io.BytesIO(data)))
    except (pl.exceptions.PolarsError, OSError, pl.exceptions.PanicException) as error:
        raise DataError(f"an Avro file must be whole; got {first_line(error)}") from None


ARROW_FILE, ARROW_STREAM = b"ARROW1\0\0", b"\xff\xff\xff\xff"

READERS: dict[str, Reader] = {
    "delimited": read_delimited,
    "jsonl": read_json_lines,
    "json": read_json_array,
    "parquet": read_parquet,
    "arrow": read_arrow,
    "avro": read_avro,
}


OPENERS = {
    "jsonl": "polars.read_ndjson('FILE')",
    "json": "polars.read_json('FILE')",
    "parquet": "polars.read_parquet('FILE')",
    "arrow": "polars.read_ipc('FILE')",
    "avro": "polars.read_avro('FILE')",
}
"""How a program opens a file of each format with polars. Delimited text also has a separator."""

TEXTS = ("delimited", "jsonl", "json")
"""Formats that are text, and can have an encoding."""


def read_table(data: bytes, layout: Layout, name: str | None = None) -> tuple[str, RawTable]:
    """Read the bytes of a file, which may be compressed; return the name of its format and the table.

    data    the bytes of the file        layout  what the caller says about a text file
    name    a key of READERS; None: the content decides

    Raises DataError for an unknown format, for a file of a kind that is no log, and if the data cannot be read in its
    format.

    >>> read_table(b"1 32 1", Layout())[0]
    'delimited'
    """
    if name is not None and name not in READERS:
        raise DataError(f"there is no format {name!r}: {did_you_mean(name, READERS)}")
    refuse_foreign(data)
    data, notes = unpack(data)
    if notes:
        refuse_foreign(data)
    if name is None:
        name = format_of(data, layout.encoding)
    check_encoding(layout.encoding, name)
    table = READERS[name](data, layout)
    return name, replace(table, notes=(*notes, *table.notes), opened_by=OPENERS.get(name, table.opened_by))


def check_encoding(encoding: str | None, name: str) -> None:
    """Raise DataError if an encoding is named for a format that is no text.

    encoding  what the caller names, or None        name  a key of `READERS`
    """
    if encoding is not None and name not in TEXTS:
        raise DataError(f"encoding (--encoding) has an effect on text only; got the format {name}; leave it out")


def format_of(data: bytes, encoding: str | None = None) -> str:
    """Recognise a format by the first bytes. Text that begins with a bracket is JSON if what follows fits.

    data      the beginning of a file that is not compressed
    encoding  the encoding of text, if the caller names it
    """
    for magic, name in ((b"PAR1", "parquet"), (ARROW_FILE[:6], "arrow"), (ARROW_STREAM, "arrow"), (b"Obj\x01", "avro")):
        if data.startswith(magic):
            return name
    start = data[:SAMPLE_BYTES]
    start = to_text(start)[0] if encoding is None else start.decode(encoding, "replace").encode()
    if re.match(rb"[\s\x1e]*\{", start):
        return "jsonl"
    return "json" if re.match(rb"\s*\[\s*([\[{\"\]\d-]|\Z)", start) else "delimited"
