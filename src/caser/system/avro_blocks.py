"""The blocks of an Avro file: how many rows they announce and how many bytes they unpack to, before one is decoded.

Polars allocates what a block announces. Every row takes a number of bytes that its schema tells, so that no block can
hold more rows than it has bytes for. Blocks that are packed by deflate do not say their size: they are unpacked here, a
piece at a time, and nothing is kept.
"""

from __future__ import annotations

import json
import zlib
from typing import Any, NamedTuple

_MARK = b"Obj\x01"
_SYNC_BYTES = 16
_PIECE_BYTES = 1 << 20
_MOST_DEPTH = 50
_MOST_NUMBER_BYTES = 10
_MOST_KEYS = 1000
_FIXED_BYTES = {"null": 0, "boolean": 1, "int": 1, "long": 1, "float": 4, "double": 8, "bytes": 1, "string": 1}


class Blocks(NamedTuple):
    """What an Avro file announces.

    rows  the number of rows        columns  the number of fields of each        unpacked  the bytes of all blocks
    """

    rows: int
    columns: int
    unpacked: int


def read_blocks(content: bytes, most: int) -> Blocks:
    """Return what an Avro file announces.

    content  the bytes of the file        most  how many bytes its blocks may unpack to

    Raises ValueError for a file that is cut off or damaged, whose blocks cannot hold the rows that they announce, or
    unpack to more bytes.
    """
    reader = _Reader(content, len(_MARK))
    metadata = reader.metadata()
    try:
        schema = json.loads(metadata[b"avro.schema"])
        least = _least_bytes(schema, {}, 0)
        columns = len(schema["fields"]) if isinstance(schema, dict) and schema.get("type") == "record" else 1
    except (KeyError, TypeError, RecursionError, AttributeError, json.JSONDecodeError, UnicodeDecodeError):
        raise ValueError("a schema that is damaged") from None
    codec = metadata.get(b"avro.codec", b"null")
    sync = reader.take(_SYNC_BYTES)
    rows = unpacked = 0
    while reader.at < len(content):
        count, size = reader.number(), reader.number()
        block = reader.take(size)
        num_bytes = _unpacked(block, codec, most - unpacked)
        if count < 0 or count * least > num_bytes:
            raise ValueError(f"a block of {count:,} rows in {num_bytes:,} bytes")
        if reader.take(_SYNC_BYTES) != sync:
            raise ValueError("a block without its end")
        rows, unpacked = rows + count, unpacked + num_bytes
        if unpacked > most:
            raise ValueError(f"blocks that unpack to more than {most:,} bytes")
    return Blocks(rows, columns, unpacked)


def _unpacked(block: memoryview, codec: bytes, most: int) -> int:
    """Return how many bytes a block unpacks to, or some number above `most`."""
    if codec == b"deflate":
        decoder, total, data = zlib.decompressobj(-zlib.MAX_WBITS), 0, bytes(block)
        try:
            while not decoder.eof and total <= most:
                piece = decoder.decompress(data, _PIECE_BYTES)
                if not piece and not decoder.eof:
                    break
                total, data = total + len(piece), decoder.unconsumed_tail
        except zlib.error:
            raise ValueError("a block that cannot be unpacked") from None
        return total
    if codec == b"snappy":
        size, shift, at = 0, 0, 0
        while at < min(len(block), _MOST_NUMBER_BYTES):
            size |= (block[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if block[at - 1] < 128:
                # A piece of three bytes stands for at most 64.
                if size > 32 * len(block):
                    raise ValueError(f"a block of {len(block):,} bytes that announces {size:,}")
                return size
        raise ValueError("a block that is cut off")
    return len(block)


def _least_bytes(schema: Any, named: dict[str, int], depth: int) -> int:
    """Return how many bytes a value takes at least; in a list, a value must take one byte or more."""
    if depth > _MOST_DEPTH:
        raise ValueError("a schema that is too deep")
    if isinstance(schema, str):
        return _FIXED_BYTES[schema] if schema in _FIXED_BYTES else named[schema.rpartition(".")[2]]
    if isinstance(schema, list):
        return 1 + min(_least_bytes(one, named, depth + 1) for one in schema)
    kind, name = schema["type"], str(schema.get("name", "")).rpartition(".")[2]
    if kind in ("record", "error"):
        named[name] = 0  # where it holds itself, it does so in a union or a list
        named[name] = sum(_least_bytes(field["type"], named, depth + 1) for field in schema["fields"])
        return named[name]
    if kind in ("array", "map"):
        if kind == "array" and _least_bytes(schema["items"], named, depth + 1) == 0:
            raise ValueError("a list of values that take no byte")
        return 1
    if kind == "fixed":
        if not isinstance(schema["size"], int) or schema["size"] < 0:
            raise ValueError("a schema that is damaged")
        named[name] = schema["size"]
        return named[name]
    if kind == "enum":
        named[name] = 1
        return 1
    return _least_bytes(kind, named, depth + 1)


class _Reader:
    """Reads values of Avro one after another."""

    def __init__(self, content: bytes, at: int) -> None:
        self.content, self.at = memoryview(content), at

    def take(self, size: int) -> memoryview:
        if size < 0 or self.at + size > len(self.content):
            raise ValueError("a part that is cut off")
        self.at += size
        return self.content[self.at - size : self.at]

    def number(self) -> int:
        value = 0
        for place in range(_MOST_NUMBER_BYTES):
            [byte] = self.take(1)
            value |= (byte & 127) << (7 * place)
            if byte < 128:
                return (value >> 1) ^ -(value & 1)
        raise ValueError("a number that is too long")

    def metadata(self) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        while count := self.number():
            if count < 0:
                self.number()  # the size of this part in bytes
            if abs(count) + len(found) > _MOST_KEYS:
                raise ValueError(f"more than {_MOST_KEYS:,} facts")
            for _ in range(abs(count)):
                key = bytes(self.take(self.number()))
                found[key] = bytes(self.take(self.number()))
        return found
