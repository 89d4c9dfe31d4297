"""Bounds of tables that anybody may have written: what they would need in memory, known before anything is decoded.

A few megabytes can announce thousands of gigabytes: rows of one value, compressed zeros, an array of nulls. Therefore
the sizes are read from the summaries that the formats have, and are compared with the memory that is free. What a
summary cannot tell is counted in the bytes themselves. The functions raise ValueError with the estimate.
"""

from __future__ import annotations

from caser.system.memory import free_memory

MOST_COLUMNS = 10_000
"""The most columns of a table. Their names are compared with each other and are shown in sentences."""

MOST_TEXT_BYTES = 1 << 24
"""The longest text that is a value."""

CELL_BYTES = 16
"""What polars needs for a value: the view of a text. Numbers need half of it."""

ROW_BYTES = 32
"""What a row needs besides: its place, its fault, and its part of the arrays that are made of it."""

COPIES = 2
"""How many copies of the columns of a table are in memory at once while it is turned into a log."""


def check_table(num_rows: int, num_columns: int, num_bytes: int = 0) -> None:
    """Raise ValueError for a table that has too many columns, or needs more memory than is free.

    num_rows     the number of its rows        num_columns  the number of its columns
    num_bytes    the size of what its values hold, such as the letters of texts; 0 if it is not known

    >>> check_table(1000, 3)
    >>> check_table(10**15, 3)
    Traceback (most recent call last):
    ValueError: 1,000,000,000,000,000 rows and 3 columns, which need about 128,000,000.0 GB ...
    """
    if num_columns > MOST_COLUMNS:
        raise ValueError(f"{num_columns:,} columns, more than {MOST_COLUMNS:,}")
    needed = COPIES * (num_rows * num_columns * CELL_BYTES + num_bytes) + num_rows * ROW_BYTES
    check_memory(needed, f"{num_rows:,} rows and {num_columns:,} columns")


def check_memory(needed: float, what: str) -> None:
    """Raise ValueError if something needs more memory than is free.

    needed  bytes        what  what needs them, in words

    >>> check_memory(1000, "a list")
    """
    free = free_memory()
    if needed > free:
        raise ValueError(
            f"{what}, which need about {needed / 1e9:,.1f} GB of memory, of {free / 1e9:,.1f} GB that are free"
        )


def most_bytes() -> int:
    """Return how many bytes a file may hold, packed or unpacked: a fifth of the memory that is free.

    A text is in memory about three times while its lines are split, and the columns that are made of it come on top.
    """
    return int(min(free_memory() / 5, 2**40))
