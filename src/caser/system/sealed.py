"""Sealed content: JSON and arrays that carry their own SHA-256, so that a flipped bit anywhere is noticed.

    JSON     {"sha256": "...", ...}: the digest of all bytes after it
    arrays   safetensors, with a JSON record and the digest of record and arrays in the metadata

A seal proves that a file is as it was written, not who wrote it. Therefore what is in it is checked as well
(`parsing.py`). The functions raise ValueError; `artefact/file_errors.py` adds the name of the file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from caser.system.parsing import parse_arrays, parse_json

_HASHED_AT_ONCE = 1 << 22

BROKEN = "bytes that do not match their checksum: it is damaged or was changed"


def seal_json(values: Mapping[str, Any], key: str = "sha256") -> bytes:
    """Return values as sealed JSON text.

    values  JSON values by name; `key` is not among them
    key     the name under which the digest is kept, as the first of all

    Raises ValueError or TypeError for a value that JSON does not have.

    >>> unseal_json(seal_json({"epochs": 3}))
    {'epochs': 3}
    """
    text = json.dumps({key: "0" * 64, **values}, indent=2, allow_nan=False)
    start, end = opening(key), len(opening(key)) + 64
    rest = text.encode()[end:] + b"\n"
    return start + _digest(rest) + rest


def unseal_json(content: bytes, key: str = "sha256") -> dict[str, Any]:
    """Return the values of sealed JSON text, without the digest.

    content  what `seal_json` returned        key  the name of the digest

    Raises ValueError for a broken seal, and as `parse_json` does.
    """
    end = len(opening(key)) + 64
    if not content.startswith(opening(key)):
        raise ValueError(f"bytes that do not begin with a {key}")
    if content[len(opening(key)) : end] != _digest(content[end:]):
        raise ValueError(BROKEN)
    values: dict[str, Any] = parse_json(content)
    del values[key]
    return values


def opening(key: str) -> bytes:
    """Return how sealed JSON with this name of the digest begins; the digest follows."""
    return b'{\n  "%s": "' % key.encode()


def seal_arrays(arrays: Mapping[str, NDArray[Any]], record: Any = None) -> bytes:
    """Return arrays and a record as the bytes of a sealed safetensors file.

    arrays  arrays by name        record  a JSON value

    >>> arrays, record = unseal_arrays(seal_arrays({"ranks": np.array([1.0])}, {"epoch": 3}))
    >>> arrays["ranks"].tolist(), record
    ([1.0], {'epoch': 3})
    """
    whole = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items()}
    header = json.dumps(record, sort_keys=True, allow_nan=False)
    return bytes(safetensors.numpy.save(whole, {"header": header, "sha256": _digest_of(header, whole)}))


def unseal_arrays(content: bytes) -> tuple[dict[str, NDArray[Any]], Any]:
    """Return the arrays and the record of a sealed safetensors file.

    content  what `seal_arrays` returned

    Raises ValueError for a broken seal, and as `parse_arrays` and `parse_json` do.
    """
    arrays, metadata = parse_arrays(content)
    header = metadata.get("header", "")
    if metadata.get("sha256") != _digest_of(header, arrays):
        raise ValueError(BROKEN)
    return arrays, parse_json(header.encode())


def sha256_of(paths: Iterable[Path]) -> str:
    """Return the SHA-256 of the bytes of files, one after another, as 64 hex digits.

    paths  the files, of any size

    Raises OSError if one cannot be read.
    """
    hasher = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(_HASHED_AT_ONCE):
                hasher.update(block)
    return hasher.hexdigest()


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _digest_of(header: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    hasher = hashlib.sha256(header.encode())
    for name in sorted(arrays):
        hasher.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        hasher.update(np.ascontiguousarray(arrays[name]).data)
    return hasher.hexdigest()
