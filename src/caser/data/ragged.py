"""Text files that are no table: most lines have another number of fields than the first one.

Such a file is not a table with bad rows, and skipping them would lose most of it. So it is refused with what it seems
to be, and what to do.
"""

from __future__ import annotations

import re
from collections import Counter

import polars as pl

from caser.data.tables import WRONG_COUNT
from caser.errors import DataError

SAMPLE_LINES = 1000

ITEM_LINE = re.compile(r"\s*[^\s,;|]+:\s*")
"""The first line of a block of the Netflix Prize's files: the item, and a colon."""


def refuse_ragged(text: bytes, separator: str, width: int, faults: pl.Series) -> None:
    r"""Raise DataError if most rows have another number of fields than the first line.

    text    UTF-8 with LF at the ends of lines        separator  text between two fields
    width   number of fields of the first line        faults     the fault of each row, or null

    >>> refuse_ragged(b"1 3 5\n2 3\n4 3\n", " ", 3, pl.Series([None, WRONG_COUNT, WRONG_COUNT]))
    Traceback (most recent call last):
    ...
    caser.errors.DataError: the lines of a table must have the same number of fields; got 2 of 3 ...
    """
    num_wrong = int((faults == WRONG_COUNT).sum())
    if 2 * num_wrong <= len(faults):
        return
    lines = [line for line in text.decode().split("\n", SAMPLE_LINES)[:SAMPLE_LINES] if line.strip()]
    counts = Counter(line.count(separator) + 1 for line in lines)
    got = ", ".join(f"{count:,} lines of {fields:,}" for fields, count in sorted(counts.items())[:5])
    more = ", ..." if len(counts) > 5 else ""
    raise DataError(
        f"the lines of a table must have the same number of fields; got {num_wrong:,} of {len(faults):,} rows with "
        f"another number than the first line, which has {width} (for example {got}{more}); "
        + _advice(lines, separator, width)
    )


def _advice(lines: list[str], separator: str, width: int) -> str:
    """Return what lines seem to be, and what to do."""
    is_head = [ITEM_LINE.fullmatch(line) is not None for line in lines]
    if (is_head[0] and any(is_head[1:])) or sum(is_head) > 1:
        return (
            "this seems to be the form of the Netflix Prize, no table of rows: each block begins with 'ITEM:'; write "
            "the item into each line: awk -F, '/:/{i=substr($0,1,length($0)-1);next}{print $1FS i FS$3}' FILE > log.csv"
        )
    is_named = not re.search(r"\d", lines[0])
    if separator == " " and is_named and lines[0].count(" ") < min(line.count(" ") for line in lines[1:3]):
        return (
            "if this is a table that was printed, write it as CSV, such as frame.to_csv('log.csv', index=False) with "
            "pandas; else each other line has one field more: name it in the first line"
        )
    widths = Counter(line.count(separator) + 1 for line in lines[1:])
    if len(widths) > 1:
        between = {"\t": "\\t"}.get(separator, separator)
        rows = [line.strip().split(separator) for line in lines[1:]]
        if all(row[0] == str(len(row) - 1) for row in rows):
            return (
                "each line seems to be one user, the number of the items, and the items: write one line per "
                f"interaction, with the number of the line as the user: {_awk(between, 2, 'NR')}"
            )
        return (
            "this seems to be one user or session per line, followed by all its items: write one line per interaction: "
            f"{_awk(between, 2, '$1')}; or one basket per line, of items only: {_awk(between, 1, 'NR')}"
        )
    if set(widths) == {width + 1}:
        return "each other line has one field more: name it in the first line, or remove the separator at ends of lines"
    return (
        "correct or remove the first line if it is not like the others, or name what separates the fields with "
        "separator= (--separator)"
    )


def _awk(separator: str, first: int, user: str) -> str:
    """Return the line that writes one row per item of each line, from the field `first` on."""
    return f"awk -F'{separator}' '{{for(i={first};i<=NF;i++)print {user}\",\"$i}}' FILE > log.csv"
