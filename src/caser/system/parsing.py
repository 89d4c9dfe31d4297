"""Parse the bytes of a file that anybody may have written, within bounds.

Every file of our own is read in one order, and each step relies on the steps before it:

    size and kind   `storage.read_file`: a regular file that fits into memory
    checksum        `sealed.py`, or the manifest of the folder
    names           here: the keys of JSON, the names of arrays, the columns of a table
    types, shapes   here, or a settings class
    ranges          here, or a settings class; then each value against the others, where it is used

The functions raise ValueError without the name of the file; `artefact/file_errors.py` adds it. What is read is bounded
before anything is allocated for it.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from caser.system.bounds import check_memory
from caser.system.parquet_footer import footer_of_file, read_footer

MOST_DEPTH = 40
"""How many lists and objects of JSON may lie within each other."""

MOST_HEADER_BYTES = 16 * 2**20
"""The longest header of a safetensors file: the names of its arrays, and a record."""

MOST_ARRAYS = 10_000
"""The most arrays of a safetensors file. A network of a hundred blocks has about two thousand."""

MOST_VALUES = 1_000_000
"""The most values of a JSON text. Each takes up to a hundred times its own bytes in memory."""

LARGEST_INTEGER = 2**63 - 1

_TYPES = {"F64": 8, "F32": 4, "I64": 8, "I32": 4, "U8": 1}
"""The number types that our arrays have, as safetensors names them, and their sizes in bytes."""

_COPIES = 6
"""A table that is read takes about this many times its own memory: decoded, checked, and in the arrays made from it."""


@dataclass(frozen=True)
class ArrayRule:
    """What an array of a file must be.

    dtype         its number type, such as numpy.float32
    shape         its shape
    least, most   bounds of its values; NaN and infinite values are never allowed
    """

    dtype: type[np.generic]
    shape: tuple[int, ...]
    least: float = -math.inf
    most: float = math.inf


def parse_json(content: bytes) -> Any:
    """Return the value of JSON text.

    content  the text, in UTF-8

    Raises ValueError for text that is not JSON, for NaN and infinite numbers, integers beyond 64 bits, a key that an
    object has twice, text that is no Unicode, more than MOST_VALUES values, and values that lie more than MOST_DEPTH
    levels deep.

    >>> parse_json(b'{"epochs": [1, 2]}')
    {'epochs': [1, 2]}
    >>> parse_json(b'{"epochs": 1e999}')
    Traceback (most recent call last):
    ValueError: a number that is not finite
    """
    # A value of a list or an object comes after one of these; within texts they count too, which does no harm.
    if sum(map(content.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise ValueError(f"more than {MOST_VALUES:,} values")
    try:
        value = json.loads(content.decode(), object_pairs_hook=_without_repeats)
    except UnicodeDecodeError as error:
        raise ValueError(f"text that is not UTF-8 at byte {error.start:,}") from None
    except RecursionError:
        raise ValueError(f"values more than {MOST_DEPTH} levels deep") from None
    waiting = [(value, 0)]
    while waiting:
        one, depth = waiting.pop()
        if depth > MOST_DEPTH:
            raise ValueError(f"values more than {MOST_DEPTH} levels deep")
        if isinstance(one, dict):
            waiting += [(part, depth + 1) for pair in one.items() for part in pair]
        elif isinstance(one, list):
            waiting += [(part, depth + 1) for part in one]
        elif isinstance(one, str):
            _refuse_surrogates(one)
        elif isinstance(one, float) and not math.isfinite(one):
            raise ValueError("a number that is not finite")
        elif isinstance(one, int) and abs(one) > LARGEST_INTEGER:
            raise ValueError(f"an integer beyond 64 bits, {str(one)[:12]}...")
    return value


def parse_arrays(content: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Return the arrays of a safetensors file by name, and its metadata.

    content  the bytes of the file

    Raises ValueError for a header that is too long or not right, for too many arrays, and for an array of a number type
    that this library does not write.

    >>> arrays, metadata = parse_arrays(safetensors.numpy.save({"ranks": np.array([1.0, 2.0])}, {"made by": "hand"}))
    >>> arrays["ranks"].tolist(), metadata
    ([1.0, 2.0], {'made by': 'hand'})
    """
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > len(content) - 8:
        raise ValueError("a file that is not safetensors, or is cut off")
    if length > MOST_HEADER_BYTES:
        raise ValueError(f"a header of {length:,} bytes, more than {MOST_HEADER_BYTES:,}")
    text = content[8 : 8 + length]
    if text.count(b"data_offsets") > MOST_ARRAYS:
        raise ValueError(f"more than {MOST_ARRAYS:,} arrays")
    header = parse_json(text)
    if not isinstance(header, dict):
        raise ValueError("a header that is no object")
    metadata = header.pop("__metadata__", {})
    if not (isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())):
        raise ValueError("metadata that is not text")
    for name, facts in header.items():
        if not isinstance(facts, dict) or facts.get("dtype") not in _TYPES:
            kind = facts.get("dtype") if isinstance(facts, dict) else facts
            raise ValueError(f"an array {name[:40]!r} of type {str(kind)[:20]!r}; known are {', '.join(_TYPES)}")
    try:
        return dict(safetensors.numpy.load(content)), metadata
    except SafetensorError as error:
        raise ValueError(str(error)) from None


def check_arrays(arrays: Mapping[str, NDArray[Any]], rules: Mapping[str, ArrayRule]) -> None:
    """Raise ValueError, about the first array that is wrong, unless the arrays are what the rules say.

    arrays  arrays by name        rules  what each of them must be, by the same names

    >>> check_arrays({"cells": np.zeros(2, np.int32)}, {"cells": ArrayRule(np.int32, (3,))})
    Traceback (most recent call last):
    ValueError: 'cells' of shape (2,); it must have shape (3,)
    """
    for name in sorted({*arrays, *rules}):
        if name not in arrays or name not in rules:
            raise ValueError(f"{'no' if name in rules else 'an unknown'} array {name[:60]!r}")
        array, rule = arrays[name], rules[name]
        if array.dtype != rule.dtype:
            raise ValueError(f"{name!r} of type {array.dtype}; it must be {np.dtype(rule.dtype)}")
        if array.shape != rule.shape:
            raise ValueError(f"{name!r} of shape {array.shape}; it must have shape {rule.shape}")
        if array.size and not (array.min() >= rule.least and array.max() <= rule.most):  # false also for NaN
            raise ValueError(f"{name!r} with values that are not from {rule.least:g} to {rule.most:g}")
        if array.size and not np.isfinite(array).all():
            raise ValueError(f"{name!r} with NaN or infinite values")


def parse_parquet(
    content: bytes, columns: Mapping[str, int], optional: Mapping[str, int] = MappingProxyType({})
) -> pl.DataFrame:
    """Return the table of a Parquet file, after its number of rows was read from the file's own summary.

    content   the bytes of the file
    columns   the columns that it must have, in order, and about how many bytes a decoded value of each takes
    optional  columns that may follow them, in this order

    Raises ValueError for other columns, and for a table that would not fit into memory, with an estimate.

    >>> buffer = io.BytesIO()
    >>> pl.DataFrame({"user": [7, 8]}).write_parquet(buffer)
    >>> parse_parquet(buffer.getvalue(), {"user": 8})["user"].to_list()
    [7, 8]
    """
    unpacked = sum(read_footer(content).columns.values())
    table, num_rows, row_bytes = _scanned(io.BytesIO(content), columns, optional)
    check_memory(max(_COPIES * num_rows * row_bytes, 2 * unpacked), f"{num_rows:,} rows")
    frame = table.collect()
    if len(frame) != num_rows:
        raise ValueError(f"{len(frame):,} rows where the file announces {num_rows:,}")
    return frame


def parse_parquet_slices(
    content: bytes | Path, size: int, columns: Mapping[str, int], optional: Mapping[str, int] = MappingProxyType({})
) -> Iterator[pl.DataFrame]:
    """Yield the table of a Parquet file, some rows at a time, so that it need not fit into memory.

    content  the bytes of the file, or its path if nobody else changes it
    size     the number of rows of a slice
    columns, optional  as for `parse_parquet`

    A table without rows is one empty slice. Raises ValueError for other columns, and for a group of rows or a slice
    that would not fit into memory.
    """
    largest = (read_footer(content) if isinstance(content, bytes) else footer_of_file(content)).most
    source = io.BytesIO(content) if isinstance(content, bytes) else content
    table, num_rows, row_bytes = _scanned(source, columns, optional)
    check_memory(max(_COPIES * min(size, num_rows) * row_bytes, 2 * largest), f"{num_rows:,} rows in few groups")
    for begin in range(0, max(num_rows, 1), size):
        frame = table.slice(begin, size).collect()
        if len(frame) != min(size, num_rows - begin):
            raise ValueError(f"{begin + len(frame):,} rows where the file announces {num_rows:,}")
        yield frame


def _scanned(
    source: io.BytesIO | Path, columns: Mapping[str, int], optional: Mapping[str, int]
) -> tuple[pl.LazyFrame, int, int]:
    """A table with the right columns, its number of rows, and about how many bytes a decoded row takes."""
    table = pl.scan_parquet(source)
    names = table.collect_schema().names()
    known = {**columns, **{name: size for name, size in optional.items() if name in names}}
    if names != list(known):
        raise ValueError(f"columns {', '.join(name[:40] for name in names[:12])}")
    return table, int(table.select(pl.len()).collect().item()), sum(known.values())


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("an object that has a key twice")
    return values


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("text that holds half of a character") from None
