"""Copies of deleted rows that SQLite left in its file.

SQLite overwrites a row that it deletes (`secure_delete`), but not the copies that it made earlier, when it moved rows
to another page. Such copies lie in the gap of a page, between its list of cells and its first cell
(https://www.sqlite.org/fileformat2.html#b_tree_pages). `VACUUM` writes all pages anew, without copies.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable
from pathlib import Path

_HEADER_BYTES = {2: 12, 5: 12, 10: 8, 13: 8}
"""Length of the header of a page by its kind: inner and leaf pages of indexes and tables."""


def has_leftovers(path: Path, texts: Iterable[str]) -> bool:
    """Whether the gap of any page holds one of some texts.

    path   a SQLite database in UTF-8 whose write-ahead log was written into it        texts  what was in deleted rows

    Raises OSError when the file cannot be read.
    """
    needles = [text.encode("utf-8", "surrogatepass") for text in texts]
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        size = struct.unpack_from(">H", content, 16)[0]
        size = 65_536 if size == 1 else size
        for start in range(0, len(content) - size + 1, size):
            gap = _gap(content[start : start + size], 100 if start == 0 else 0)
            if gap.count(0) < len(gap) and any(needle in gap for needle in needles):
                return True
    return False


def _gap(page: bytes, header: int) -> bytes:
    """The unused bytes of a page between its list of cells and its first cell; nothing for other kinds of pages."""
    length = _HEADER_BYTES.get(page[header])
    if length is None:
        return b""
    num_cells, first_cell = struct.unpack_from(">HH", page, header + 3)
    return page[header + length + 2 * num_cells : first_cell or 65_536]
