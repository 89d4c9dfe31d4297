"""Read an exported file with care, before a runtime sees it: one that `write.py` could not have written is refused.

An ONNX file is no mere table: it can name other files to be read, bring operators and loops of its own, and hold bytes
that do not count. So everything is refused that our files never hold: each field of each part, each operator. The file
ends with a `sha256` entry of its own metadata, over all bytes before: one file that any runtime reads, and no flipped
bit goes unnoticed. As with a run, that protects against damage; whoever can write the file can write the checksum.

Needs neither onnx nor onnxruntime. A runtime is to be given the bytes that were checked, never the path.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from caser.errors import ArtefactError
from caser.exported.protobuf import EncodingError, Field, fields, message
from caser.models.base import Arrays
from caser.system.storage import read_file

FORMAT = 1
"""Version of inputs, outputs and facts; a higher one is refused."""

MOST_BYTES = 2**31 - 1
"""What the format can hold in one file."""

MOST_PARTS = 100_000
"""Fields that are looked at; a network of a hundred blocks has some ten thousand."""

_NAMES_OF_OPERATORS = """
    Add And Cast Concat CumSum Div Equal Gather Gemm Greater GRU Identity LayerNormalization
    Less MatMul Max Min Mul Or Pad Range ReduceMax ReduceSum Relu Reshape ScatterElements Shape Sigmoid Slice Softmax
    Squeeze Sub Tanh TopK Transpose Unsqueeze Where
"""
OPERATORS = frozenset(_NAMES_OF_OPERATORS.split())
"""The operators of our networks. None branches, loops or draws."""

VALUE = ""
"""Marks a field that holds a number, text or the bytes of a tensor."""

PARTS: Mapping[str, Mapping[int, str]] = {
    "model": {1: VALUE, 7: "graph", 8: "opset", 14: "metadata"},
    "opset": {1: VALUE, 2: VALUE},
    "metadata": {1: VALUE, 2: VALUE},
    "graph": {1: "node", 2: VALUE, 5: "tensor", 11: "input or output", 12: "input or output"},
    "node": {1: VALUE, 2: VALUE, 4: VALUE, 5: "attribute", 7: VALUE},
    "attribute": {1: VALUE, 2: VALUE, 3: VALUE, 8: VALUE, 20: VALUE},
    "tensor": {1: VALUE, 2: VALUE, 8: VALUE, 9: VALUE},
    "input or output": {1: VALUE, 2: "type"},
    "type": {1: "tensor type"},
    "tensor type": {1: VALUE, 2: "shape"},
    "shape": {1: "dimension"},
    "dimension": {1: VALUE, 2: VALUE},
}
"""The parts of a file, and of each the numbers of the fields that it may have; numbers as in onnx.proto."""

NAMES = {
    ("model", 20): "training steps",
    ("model", 25): "functions of its own",
    ("graph", 15): "a sparse tensor",
    ("attribute", 5): "a tensor in an attribute",
    ("attribute", 6): "a graph in a graph",
    ("attribute", 10): "a tensor in an attribute",
    ("attribute", 11): "a graph in a graph",
    ("attribute", 22): "a sparse tensor",
    ("attribute", 23): "a sparse tensor",
    ("tensor", 13): "external data",
    ("tensor", 14): "external data",
}
"""What to call the fields that a hostile file is likely to have."""

_MUST: Mapping[tuple[str, int], tuple[str, Callable[[bytes], bool]]] = {
    ("opset", 1): ("operators of a domain of its own", lambda domain: domain == b""),
    ("node", 7): ("an operator of a domain of its own", lambda domain: domain == b""),
    ("node", 4): ("another operator", lambda operator: operator.decode("latin-1") in OPERATORS),
}

_GRAPH, _NODE, _INPUT, _OUTPUT = 7, 1, 11, 12

_TAIL = b"\x72\x4a\x0a\x06sha256\x12\x40"
"""A metadata entry up to its value: field 14 of a model, with the key and the 64 digits of the digest."""


@dataclass(frozen=True, eq=False)
class Exported:
    """A file that was checked: what a runtime is to be given, and what the file says of itself.

    facts  format, library_version, model, settings, num_users, num_items, weights_sha256, protocol, fingerprint, seen
    """

    content: bytes
    facts: dict[str, Any]


def with_checksum(content: bytes) -> bytes:
    """The bytes of a model with their SHA-256 as one more entry of its metadata.

    >>> with_checksum(b"")[-64:-56]
    b'e3b0c442'
    """
    return content + _TAIL + hashlib.sha256(content).hexdigest().encode()


def read_onnx(path: str | Path) -> Exported:
    """Read and check the file `path`.

    Raises ArtefactError if it is a link, too large, damaged, newer than this library, or holds anything that an
    exported file never does.
    """
    return checked(path, read_file(Path(path), MOST_BYTES))


def checked(path: str | Path, content: bytes) -> Exported:
    """Check the bytes of the file `path`, as `read_onnx` does."""
    size = len(content) - len(_TAIL) - 64
    if size < 0 or content[size : size + len(_TAIL)] != _TAIL:
        raise ArtefactError(f"{path} must be a file of `caser export`; it does not end as one. Export it again.")
    if content[-64:] != hashlib.sha256(memoryview(content)[:size]).hexdigest().encode():
        raise ArtefactError(f"{path} does not match its checksum: it is damaged or was changed. Export it again.")
    try:
        return Exported(content, _facts(_walked(content)))
    except (_RefusedError, EncodingError) as refused:
        raise ArtefactError(f"{path} must hold what an exported file holds; got {refused}. Export it again.") from None


def weights_digest(arrays: Arrays) -> str:
    """The SHA-256 of the weights.safetensors of a run with these parameters.

    >>> weights_digest({})[:8]
    '9bbcbf73'
    """
    saved = safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    return hashlib.sha256(saved).hexdigest()


def states_alone(content: bytes) -> bytes:
    """A checked file without all that comes after the states, for a caller that has the item vectors.

    A runtime computes whatever a graph holds, whether it is asked for or not.
    """
    view = memoryview(content)

    def names(part: Field, number: int) -> list[bytes]:
        return [bytes(view[one.start : one.end]) for one in fields(view, part.start, part.end) if one.number == number]

    kept, is_after = [], False
    [graph] = [one for one in fields(view, 0, len(view)) if one.number == _GRAPH]
    for part in fields(view, graph.start, graph.end):
        if part.number == _NODE and not is_after:
            kept.append(part)
            is_after = names(part, 2) == [b"states"]
        elif part.number in (_INPUT, _OUTPUT):
            kept += [part] if b"".join(names(part, 1)) in (b"users", b"histories", b"states") else []
        elif part.number != _NODE:
            kept.append(part)
    inside = b"".join(view[part.at : part.end] for part in kept)
    return b"".join((view[: graph.at], message(_GRAPH, inside), view[graph.end :]))


class _RefusedError(ValueError):
    """What the file must not hold, in words."""


def _walked(content: bytes) -> dict[str, bytes]:
    """The metadata, once every field of every part has been looked at; what tensors hold is stepped over."""
    view = memoryview(content)
    waiting = [("model", 0, len(view))]
    entries, looked_at, graphs = [], 0, 0
    while waiting:
        part, at, end = waiting.pop()
        entry: dict[int, bytes] = {}
        for field in fields(view, at, end):
            looked_at += 1
            if looked_at > MOST_PARTS:
                raise _RefusedError(f"more than {MOST_PARTS:,} parts")
            kind = PARTS[part].get(field.number)
            if kind is None:
                raise _RefusedError(NAMES.get((part, field.number), f"a {part} with a field {field.number}"))
            if kind != VALUE:
                waiting.append((kind, field.start, field.end))
                graphs += kind == "graph"
            elif part == "metadata":
                entry[field.number] = bytes(view[field.start : field.end])
            elif (part, field.number) in _MUST:
                value = bytes(view[field.start : field.end])
                name, is_right = _MUST[part, field.number]
                if not is_right(value):
                    raise _RefusedError(f"{name}, {value[:40].decode('latin-1')!r}")
        if part == "metadata":
            entries.append((entry.get(1, b"").decode("latin-1"), entry.get(2, b"")))
    if graphs != 1:
        raise _RefusedError(f"{graphs} graphs")
    if len(found := dict(entries)) != len(entries):
        raise _RefusedError("two entries of one name")
    return found


def _facts(metadata: dict[str, bytes]) -> dict[str, Any]:
    if set(metadata) != {"caser", "sha256"}:
        raise _RefusedError(f"metadata of {', '.join(sorted(metadata)) or 'nothing'}")
    try:
        facts = json.loads(metadata["caser"])
    except (ValueError, RecursionError) as error:
        raise _RefusedError(f"facts that are no JSON: {error}") from None
    version = facts.get("format") if isinstance(facts, dict) else None
    if not isinstance(version, int) or version > FORMAT:
        raise _RefusedError(f"format {version!r}, and this caser knows up to {FORMAT}: upgrade it")
    return dict(facts)
