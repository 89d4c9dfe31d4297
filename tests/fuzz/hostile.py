"""Small files that would fill the memory, made when they are needed."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

ZEROS = pa.table({"user": np.zeros(10**6, np.int64), "item": np.zeros(10**6, np.int64)})
TEXT = b"1,2\n" * (1 << 18)


def _parquet(table: Any, times: int, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, table.schema, compression="zstd", **options) as writer:
        for _ in range(times):
            writer.write_table(table)
    return buffer.getvalue()


def _long_texts() -> bytes:
    texts = ["x" * 10**6] * 20
    return _parquet(pa.table({"user": texts, "item": texts}), 200, use_dictionary=False, write_statistics=False)


def _long_lists() -> bytes:
    values = pa.array(np.zeros(10**6, np.int64))
    lists = pa.ListArray.from_arrays(pa.array([0, 10**6], pa.int32()), values)
    return _parquet(pa.table({"user": [1], "item": lists}), 300)


def _arrow(table: Any, times: int, new: Callable[..., Any], compression: str | None) -> bytes:
    buffer = io.BytesIO()
    with new(buffer, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        for _ in range(times):
            writer.write_table(table)
    return buffer.getvalue()


def _zstandard() -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame({"user": ["1" * (1 << 20)] * 512}).write_csv(buffer, compression="zstd")
    return buffer.getvalue()


def _zip(*, lies: bool) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("log.csv", TEXT * 300)
    # The size stands in two places.
    size = 100 if lies else len(TEXT) * 300
    return buffer.getvalue().replace((len(TEXT) * 300).to_bytes(4, "little"), size.to_bytes(4, "little"))


def _deep(opening: str, closing: str, depth: int) -> bytes:
    return f'{{"user":1,"item":2}}\n{{"user":1,"item":{opening * depth}1{closing * depth}}}\n'.encode()


def _avro_number(value: int) -> bytes:
    value, out = (value << 1) ^ (value >> 63), b""
    while value > 127:
        value, out = value >> 7, out + bytes([value & 127 | 128])
    return out + bytes([value])


def _avro_text(text: bytes) -> bytes:
    return _avro_number(len(text)) + text


def avro(user: object, item: object, count: int, block: bytes, codec: bytes = b"null") -> bytes:
    """Return an Avro file of one block: the types of its two fields, the number of rows it announces, and its bytes."""
    fields = [{"name": "user", "type": user}, {"name": "item", "type": item}]
    schema = json.dumps({"type": "record", "name": "event", "fields": fields}).encode()
    facts = b"".join(map(_avro_text, (b"avro.schema", schema, b"avro.codec", codec)))
    end = b"0123456789abcdef"
    head = b"Obj\x01" + _avro_number(2) + facts + _avro_number(0) + end
    return head + _avro_number(count) + _avro_number(len(block)) + block + end


def _deflated_avro() -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)  # such pieces can be joined
    return avro("string", "long", 1, 300 * zeros, b"deflate")


ANN = _avro_text(b"ann")
AVRO = ANN + _avro_number(7)

HOSTILE: dict[str, Callable[[], bytes]] = {
    "rows of one value, Parquet": lambda: _parquet(ZEROS, 100),
    "long texts, Parquet": _long_texts,
    "long lists, Parquet": _long_lists,
    "rows of one value, Arrow file": lambda: _arrow(ZEROS, 100, pa.ipc.new_file, "zstd"),
    "rows of one value, Arrow stream": lambda: _arrow(ZEROS, 100, pa.ipc.new_stream, "lz4"),
    "nulls, Arrow": lambda: _arrow(pa.table({"user": pa.nulls(2**31 - 1)}), 1, pa.ipc.new_stream, None),
    "rows, Avro": lambda: avro("string", "long", 2**40, AVRO),
    "fewer than no rows, Avro": lambda: avro("string", "long", -1, AVRO),
    "rows of nulls, Avro": lambda: avro("null", "null", 2**31, b""),
    "rows without a byte, Avro": lambda: avro({"type": "fixed", "name": "none", "size": 0}, "null", 2**31, b""),
    "a value of fixed size, Avro": lambda: avro({"type": "fixed", "name": "long", "size": 2**33}, "long", 1, AVRO),
    "a text longer than its block, Avro": lambda: avro("string", "long", 1, _avro_number(2**40) + AVRO),
    "lists of nulls, Avro": lambda: avro(
        "string", {"type": "array", "items": "null"}, 1, ANN + _avro_number(2**33) + _avro_number(0)
    ),
    "deflate, Avro": _deflated_avro,
    "snappy that lies about its size, Avro": lambda: avro(
        "string", "long", 1, b"\xff\xff\xff\xff\x0f\0a" + bytes(4), b"snappy"
    ),
    "gzip": lambda: gzip.compress(TEXT, 1) * 300,
    "bzip2": lambda: bz2.compress(TEXT, 1) * 300,
    "xz": lambda: lzma.compress(TEXT, preset=0) * 300,
    "zip": lambda: _zip(lies=False),
    "zip that lies about its size": lambda: _zip(lies=True),
    "zstandard": _zstandard,
    "gzip in gzip": lambda: gzip.compress(gzip.compress(TEXT, 1) * 300),
    "20,000 fields, JSON lines": lambda: b"".join(
        json.dumps({"user": number, "item": number, f"field {number}": 1}).encode() + b"\n" for number in range(20_000)
    ),
    "20,000 fields, one JSON array": lambda: json.dumps(
        [{"user": number, "item": number, f"field {number}": 1} for number in range(20_000)]
    ).encode(),
    "deep lists": lambda: _deep("[", "]", 100_000),
    "deep objects": lambda: _deep('{"a":', "}", 3_000),
    "one deep array": lambda: b"[" * 10**6 + b"]" * 10**6,
    "a million columns": lambda: b"user,item" + b",a" * 10**6 + b"\n" + b"1,2" + b",3" * 10**6 + b"\n",
    "a long line": lambda: b"user,item\n1," + b"x" * 50_000_000 + b"\n",
}
"""Files by what is wrong with them. Each takes about a second to make."""
