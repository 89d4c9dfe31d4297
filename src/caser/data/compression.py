"""Compression: the bytes of a compressed file become the bytes in it. The content decides, not the name of the file.

Read are gzip, bzip2, xz, LZMA and zip with one file in it, also with several members after one another, and zstandard
around UTF-8 text. Other kinds are named and refused, in `foreign.py`.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import IO

import polars as pl

from caser.data.tables import first_line
from caser.data.zstandard import most_unpacked
from caser.errors import DataError
from caser.system.bounds import most_bytes

CHUNK_BYTES = 1 << 20

MOST_RATIO, FREE_BYTES = 400, 1 << 28
"""How many times its own size a compressed file may hold, beyond the first 268 MB. Logs hold up to about 50 times."""

MOST_DICTIONARY_BYTES = 1 << 30
"""Memory for the dictionary of an xz file; its header can ask for four times that. `xz -9` needs 65 MB."""

DEPTH = 3
"""How many times a file may be compressed, such as a gzip file in a zip file."""

NO_LOG = ("__MACOSX", ".", "_")
"""Beginnings of the names of files in a zip file that hold no log: what a Mac adds, hidden files, `_SUCCESS`."""


def unpack(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Return the bytes inside a compressed file and a sentence about each compression; bytes of another kind unchanged.

    data  the bytes of a file

    Raises DataError if the file is damaged or breaks off, and for a zip file that is locked, is a document or a
    package, or has several files or none.

    >>> unpack(gzip.compress(b"user,item"))
    (b'user,item', ('unpacked gzip',))
    """
    notes: tuple[str, ...] = ()
    for _ in range(DEPTH):
        name = next((name for name, magic in MAGIC.items() if data.startswith(magic)), None)
        if name is None:
            break
        data, notes = _unpacked(name, data), (*notes, f"unpacked {name}")
    return data, notes


def members_of(data: bytes) -> list[str]:
    """Return the names of the files in a zip file that may be logs; [] for other bytes.

    data  the bytes of a file
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [one.filename for one in archive.infolist() if not one.is_dir() and _may_be_log(one.filename)]
    except (zipfile.BadZipFile, *FAILURES):
        return []


def most_unpacked_bytes(packed: int) -> int:
    """Return how many bytes a compressed log may hold.

    packed  the size of the compressed file in bytes
    """
    return min(most_bytes(), max(FREE_BYTES, MOST_RATIO * packed))


def _unpacked(name: str, data: bytes) -> bytes:
    try:
        return UNPACKERS[name](data)
    except DataError:
        raise
    except FAILURES as error:
        raise DataError(
            f"a file compressed with {name} must be whole; got {first_line(error)}; copy it again"
        ) from None


def _unzipped(data: bytes) -> bytes:
    """Return the one file in a zip file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [one for one in archive.infolist() if not one.is_dir() and _may_be_log(one.filename)]
        if len(members) != 1:
            names = ", ".join(repr(one.filename[:60]) for one in members[:5])
            more = f" and {len(members) - 5} more" if len(members) > 5 else ""
            got = f"{names}{more}; unpack it (unzip FILE) and name the log" if members else "none"
            raise DataError(f"a zip file must hold one log; got {got}")
        try:
            with archive.open(members[0]) as member:
                return _bounded(member, len(data))
        except RuntimeError:  # zipfile has no other error for a locked member
            raise DataError("a zip file must be readable without a password; got a locked one; unpack it") from None


def _bounded(file: IO[bytes] | gzip.GzipFile | bz2.BZ2File, packed: int) -> bytes:
    """Return what an unpacking file holds. Raises DataError as soon as that is more than a log may hold.

    packed  the size of the compressed file in bytes
    """
    return _joined(iter(lambda: file.read(CHUNK_BYTES), b""), packed)


def _joined(chunks: Iterator[bytes], packed: int) -> bytes:
    most, num_bytes, kept = most_bytes(), 0, []
    for chunk in chunks:
        num_bytes += len(chunk)
        _refuse_bomb(num_bytes, packed, most)
        kept.append(chunk)
    return b"".join(kept)


def _refuse_bomb(num_bytes: int, packed: int, most: int) -> None:
    if num_bytes > most:
        raise DataError(
            f"a log must fit into memory; got a compressed file with more than {most / 1e9:,.1f} GB in it, a fifth of "
            "the memory that is free; use a part of it"
        )
    if num_bytes > max(FREE_BYTES, MOST_RATIO * packed):
        raise DataError(
            f"a compressed log must hold at most {MOST_RATIO} times its own size; got {packed:,} bytes that hold more "
            f"than {num_bytes:,}; unpack it if that is right"
        )


def _from_lzma(data: bytes) -> bytes:
    """Return what is in the streams of a file, one after another. Bytes behind them that begin none are passed over."""
    return _joined(_chunks_of_lzma(data), len(data))


def _chunks_of_lzma(data: bytes) -> Iterator[bytes]:
    is_first = True
    while data := data.lstrip(b"\0") if not is_first else data:
        decoder = lzma.LZMADecompressor(memlimit=MOST_DICTIONARY_BYTES)
        try:
            yield decoder.decompress(data, CHUNK_BYTES)
            while not decoder.eof:
                if decoder.needs_input:
                    raise EOFError("a stream that breaks off")
                yield decoder.decompress(b"", CHUNK_BYTES)
        except lzma.LZMAError:
            if is_first or not decoder.needs_input:
                raise
            return
        data, is_first = decoder.unused_data, False


def _may_be_log(name: str) -> bool:
    return not any(part.startswith(NO_LOG) for part in PurePosixPath(name).parts)


def _from_zstandard(data: bytes) -> bytes:
    """Return the text in a zstandard file. Polars unpacks it line by line, and only if it is UTF-8."""
    while data[1:4] == SKIPPED[1:]:  # a frame of metadata, with its length
        data = data[8 + int.from_bytes(data[4:8], "little") :]
    _refuse_bomb(most_unpacked(data), len(data), most_bytes())
    try:
        return "\n".join(pl.read_lines(io.BytesIO(data)).to_series()).encode()
    except pl.exceptions.ComputeError as error:
        if "utf8" in str(error):
            raise DataError(
                "a zstandard file is read if it holds UTF-8 text; got other bytes; unpack it (zstd -d FILE)"
            ) from None
        raise


SKIPPED = b"\x50\x2a\x4d\x18"
"""The first bytes of a frame of zstandard that holds no data. The lower half of the first byte can be any number."""

FAILURES = (
    *(
        OSError,
        EOFError,
        zlib.error,
        lzma.LZMAError,
        zipfile.BadZipFile,
        NotImplementedError,
        ValueError,
        OverflowError,
    ),
    *(pl.exceptions.PolarsError, MemoryError),
)
"""What the modules of the standard library and polars raise for a damaged file."""

MAGIC: Mapping[str, tuple[bytes, ...]] = {
    "gzip": (b"\x1f\x8b",),
    "zip": (b"PK\x03\x04", b"PK\x05\x06"),
    "bzip2": tuple(b"BZh%d1AY&SY" % level for level in range(1, 10)),
    "xz": (b"\xfd7zXZ\x00",),
    "LZMA": (b"\x5d\x00\x00",),
    "zstandard": (b"\x28\xb5\x2f\xfd", *(bytes([first]) + SKIPPED[1:] for first in range(0x50, 0x60))),
}
"""The first bytes of each kind of compressed file."""

UNPACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: _bounded(gzip.GzipFile(fileobj=io.BytesIO(data)), len(data)),
    "zip": _unzipped,
    "bzip2": lambda data: _bounded(bz2.BZ2File(io.BytesIO(data)), len(data)),
    "xz": _from_lzma,
    "LZMA": _from_lzma,
    "zstandard": _from_zstandard,
}
