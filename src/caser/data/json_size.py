"""What JSON text would need in memory, counted in the text before it is parsed.

A record can bring fields of its own: 20,000 records with one new field each make a table of 400 million values. Numbers
of fields and depths are counted in blocks, with upper bounds: text that looks like a field counts as one.
"""

from __future__ import annotations

import itertools
import re

import numpy as np
import polars as pl

from caser.data.tables import within_bounds
from caser.errors import DataError
from caser.system.bounds import MOST_COLUMNS, check_memory, check_table
from caser.system.parsing import MOST_DEPTH

BLOCK_BYTES = 1 << 22

KEY = r'"(?:[^"\\]|\\.)*"\s*:'
"""A field of an object: a text before a colon."""

TEXT = re.compile(rb'"(?:[^"\\\n]|\\.)*"')

VALUE_BYTES, OBJECT_BYTES = 80, 200
"""What Python needs for a value, and for an object or a list besides."""


def check_lines(text: bytes) -> None:
    """Raise DataError for JSON lines whose table would not fit into memory, or that lie too deep.

    text  UTF-8 with LF at the ends of lines
    """
    _check_depth(text)
    keys: set[str] = set()
    for block in _blocks(text):
        found = pl.Series([block.decode("utf-8", "replace")]).str.extract_all(KEY).explode().unique().drop_nulls()
        keys.update(found.to_list())
        if len(keys) > MOST_COLUMNS:
            break
    with within_bounds():
        check_table(text.count(b"\n") + 1, len(keys), len(text))


def check_values(text: bytes) -> None:
    """Raise DataError for JSON text whose values would not fit into memory as objects of Python, or lie too deep.

    text  UTF-8
    """
    _check_depth(text, in_lines=False)
    num_objects = text.count(b"{") + text.count(b"[")
    num_values = num_objects + text.count(b",") + text.count(b":")
    with within_bounds():
        needed = num_objects * OBJECT_BYTES + num_values * VALUE_BYTES + 4 * len(text)
        check_memory(needed, f"JSON of {num_values:,} values")


def _blocks(text: bytes) -> list[bytes]:
    starts = range(0, len(text), BLOCK_BYTES)
    cuts = [0, *(text.find(b"\n", start) + 1 or len(text) for start in starts[1:]), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(cuts) if start < end]


def _check_depth(text: bytes, *, in_lines: bool = True) -> None:
    for block in _blocks(text) if in_lines else [text]:
        lines = block.split(b"\n") if in_lines else [block]
        for line in lines:
            if line.count(b"[") + line.count(b"{") > MOST_DEPTH and _depth(line) > MOST_DEPTH:
                raise DataError(f"values of JSON must lie at most {MOST_DEPTH} levels deep; got deeper ones")


def _depth(text: bytes) -> int:
    """Return how deep brackets lie within each other, without those in texts."""
    codes = np.frombuffer(TEXT.sub(b"", text), np.uint8)
    steps = np.isin(codes, list(b"[{")).astype(np.int32) - np.isin(codes, list(b"]}"))
    return int(np.cumsum(steps).max(initial=0))
