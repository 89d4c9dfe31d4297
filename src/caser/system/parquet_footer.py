"""The summary at the end of a Parquet file: how many rows and values it holds, and their size before compression.

Polars tells the number of rows only. A row can hold a list of any length, and a page of a few bytes can unpack to
gigabytes, so the summary (Thrift, compact protocol) is read here. It is a claim, as everything in a file is; polars
compares it with the pages that it reads.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any, NamedTuple

from caser.system.bounds import CELL_BYTES

SAMPLE_ROWS = 1000

_MARK = b"PAR1"
_MOST_FIELDS = 2_000_000
_MOST_DEPTH = 20
_DATA_AT, _DICTIONARY_AT, _PACKED = 9, 11, 7
_PAGE_KINDS = (5, 7, 8)
_DICTIONARY_PAGE = 7
_LONG_TEXT = 4_000
_PATH, _NUM_VALUES, _UNPACKED = 3, 5, 6
_TRUE, _FALSE, _BYTE, _INTEGERS, _DOUBLE, _TEXT, _LISTS, _STRUCT = 1, 2, 3, (4, 5, 6), 7, 8, (9, 10), 12


class Footer(NamedTuple):
    """What the summary of a Parquet file announces.

    rows     the number of rows
    columns  for each column, about how many bytes it takes in memory
    parts    for each column, the same for the groups of rows that hold the first 1,000 rows
    most     the same for all columns of the largest group of rows
    has_long_texts  whether the values in a dictionary of texts have more than 4,000 bytes, on average
    """

    rows: int
    columns: dict[str, int]
    parts: dict[str, int]
    most: int
    has_long_texts: bool = False


def read_footer(content: bytes | mmap.mmap) -> Footer:
    """Return what a Parquet file announces.

    content  the bytes of the file

    Raises ValueError for a file whose summary is cut off or damaged.
    """
    size = int.from_bytes(content[-8:-4], "little")
    if len(content) < 12 or content[-4:] != _MARK or size > len(content) - 12:
        raise ValueError("a file whose summary is missing or cut off")
    try:
        summary = _Reader(content[-8 - size : -8]).struct(0)
        rows, columns, parts = _at_least_zero(summary[3]), dict[str, int](), dict[str, int]()
        num_read, most, longest = 0, 0, 0.0
        for group in summary.get(4, []):
            whole = 0
            for column in group[1]:
                name, values, unpacked = (column[3][number] for number in (_PATH, _NUM_VALUES, _UNPACKED))
                longest = max(longest, _check_pages(content, column[3]))
                size = _at_least_zero(values) * CELL_BYTES + _at_least_zero(unpacked)
                whole += size
                column_name = name[0].decode()
                columns[column_name] = columns.get(column_name, 0) + size
                parts[column_name] = parts.get(column_name, 0) + size * (num_read < SAMPLE_ROWS)
            num_read += _at_least_zero(group[3])
            most = max(most, whole)
    except (KeyError, IndexError, TypeError, AttributeError, UnicodeDecodeError):
        raise ValueError("a summary that is damaged") from None
    if num_read != rows:
        raise ValueError(f"{num_read:,} rows in its groups where it announces {rows:,}")
    return Footer(rows, columns, parts, most, longest > _LONG_TEXT)


def footer_of_file(path: Path) -> Footer:
    """Return what a Parquet file announces, without holding it in memory.

    path  a file that is not empty

    Raises ValueError as `read_footer` does, and OSError if the file cannot be read.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return read_footer(content)


def without_categories(content: bytes) -> bytes:
    """Return a Parquet file whose columns of categories are columns of text.

    content  the bytes of a file whose summary could be read

    The types that Arrow has and Parquet has not are in one value of the summary; it gets another name. Polars makes
    categories by comparing the text of every row, which takes minutes where texts are long.
    """
    start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    return content[:start] + content[start:].replace(b"ARROW:schema", b"arrow:schema")


def _check_pages(content: bytes | mmap.mmap, column: dict[int, Any]) -> float:
    """Return the mean size of a value in the dictionary of a column, in bytes; 0 without a dictionary.

    Raises ValueError for a page that announces more than its column, because polars allocates what a page says.
    """
    at = min(column.get(_DICTIONARY_AT) or column[_DATA_AT], column[_DATA_AT])
    end = at + _at_least_zero(column[_PACKED])
    mean = 0.0
    with memoryview(content) as whole:
        while at < end:
            with whole[at:end] as rest:
                reader = _Reader(rest)
                page = reader.struct(0)
                size, unpacked = _at_least_zero(page[3]), _at_least_zero(page[2])
                count = max((_at_least_zero(page[kind][1]) for kind in _PAGE_KINDS if kind in page), default=0)
                if count > column[_NUM_VALUES] or unpacked > column[_UNPACKED]:
                    raise ValueError(f"a page of {count:,} values in a column of {column[_NUM_VALUES]:,}")
                if _DICTIONARY_PAGE in page:
                    mean = unpacked / max(count, 1)
                at += reader.at + size
                del page
    return mean


def _at_least_zero(number: Any) -> int:
    if not isinstance(number, int) or number < 0:
        raise ValueError("a summary with a number that is no count")
    return number


class _Reader:
    """Reads values of Thrift's compact protocol one after another."""

    def __init__(self, data: bytes | memoryview) -> None:
        self.data, self.at, self.num_fields = data, 0, 0

    def struct(self, depth: int) -> dict[int, Any]:
        """Return the fields of a struct by their numbers."""
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            step, kind = head >> 4, head & 15
            number = number + step if step else self._signed()
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        self.num_fields += 1
        if depth > _MOST_DEPTH or self.num_fields > _MOST_FIELDS:
            raise ValueError("a summary with too many parts")
        if kind in (_TRUE, _FALSE, _BYTE):
            return self._byte()
        if kind in _INTEGERS:
            return self._signed()
        if kind == _DOUBLE:
            return self._skip(8)
        if kind == _TEXT:
            count = self._unsigned()
            self._skip(count)
            return self.data[self.at - count : self.at]
        if kind in _LISTS:
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._unsigned()
            if count > len(self.data):
                raise ValueError("a summary that is damaged")
            return [self._value(head & 15, depth + 1) for _ in range(count)]
        if kind == _STRUCT:
            return self.struct(depth + 1)
        raise ValueError("a summary that is damaged")

    def _skip(self, count: int) -> None:
        self.at += count
        if self.at > len(self.data):
            raise ValueError("a summary that is cut off")

    def _byte(self) -> int:
        self._skip(1)
        return self.data[self.at - 1]

    def _unsigned(self) -> int:
        number = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            number |= (byte & 127) << shift
            if byte < 128:
                return number
        raise ValueError("a summary that is damaged")

    def _signed(self) -> int:
        number = self._unsigned()
        return number >> 1 ^ -(number & 1)
