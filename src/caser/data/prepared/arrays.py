"""Arrays in `.npy` files that are written and read in parts, and opened as memory-mapped arrays.

A file has exactly the header that this library writes for its type and length, so that no header is ever parsed.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from caser.errors import ArtefactError

_AT_ONCE = 1 << 20
"""How many values are read at once."""


def header_of(dtype: str, length: int) -> bytes:
    """Return how the file of an array of one dimension begins.

    dtype  its type, such as "<i4"        length  the number of its values

    >>> len(header_of("<i4", 7))
    128
    """
    buffer = io.BytesIO()
    npy.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": (length,)})
    return buffer.getvalue()


def create_array(path: Path, dtype: str, length: int) -> None:
    """Make the file of an array of zeros, if there is none; `write_at` fills it.

    path  the file        dtype  its type        length  the number of its values
    """
    header = header_of(dtype, length)
    size = len(header) + length * np.dtype(dtype).itemsize
    if path.exists() and path.stat().st_size == size:
        return
    with path.open("wb") as file:
        file.write(header)
        file.truncate(size)


def write_at(path: Path, dtype: str, length: int, place: int, values: NDArray[Any]) -> None:
    """Write some values of an array.

    path   a file of `create_array`        dtype, length  as for `create_array`
    place  of the first value              values         (n,)
    """
    with path.open("r+b") as file:
        file.seek(len(header_of(dtype, length)) + place * np.dtype(dtype).itemsize)
        np.ascontiguousarray(values, dtype=dtype).tofile(file)


def map_array(path: Path, dtype: str, length: int) -> NDArray[Any]:
    """Open an array without reading it, (N,). It cannot be written to, so pages that were read can be given back.

    path  a file that `check_array` has checked        dtype, length  as for `check_array`
    """
    header = header_of(dtype, length)
    return np.asarray(np.memmap(path, dtype, mode="r", offset=len(header), shape=(length,)))


def blocks_of(path: Path, dtype: str, length: int) -> Iterator[NDArray[Any]]:
    """Yield the values of an array in blocks, (n,) each, through memory that is given back.

    path  a file that `check_array` has checked        dtype, length  as for `check_array`
    """
    begin, size = len(header_of(dtype, length)), np.dtype(dtype).itemsize
    for first in range(0, length, _AT_ONCE):
        yield np.fromfile(path, dtype, count=min(_AT_ONCE, length - first), offset=begin + first * size)


def check_array(path: Path, dtype: str, length: int) -> None:
    """Raise ArtefactError unless a file is a regular one, of the size and with the header of an array.

    path    the file        dtype  the type of its values, such as "<i4"        length  how many values it must have
    """
    header = header_of(dtype, length)
    size = len(header) + length * np.dtype(dtype).itemsize
    try:
        if path.is_symlink() or not path.is_file():
            raise ArtefactError(f"{path} must be a regular file; it is none, or is missing. Prepare the log again.")
        with path.open("rb") as file:
            found, start = path.stat().st_size, file.read(len(header))
    except OSError as error:
        raise ArtefactError(f"{path} must be readable; got: {(error.strerror or str(error)).lower()}.") from None
    if found != size or start != header:
        raise ArtefactError(
            f"{path} must hold {length:,} values of type {dtype}, in {size:,} bytes; it is another file, of {found:,} "
            "bytes. Prepare the log again."
        )
