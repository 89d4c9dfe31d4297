"""Check an exported file before a runtime reads it: a file that `write.py` could not have written is refused.

An ONNX file is more than a table: it can name other files to read, bring its own operators and loops, and hold bytes
without a meaning. Therefore every field and every operator that our files never hold is refused. The last entry of the
file's metadata is the SHA-256 of all bytes before it. So the export is one file, which any runtime reads, and a flipped
bit is noticed. As with a run, the checksum protects against damage, not against a writer who also writes the checksum.

Needs neither onnx nor onnxruntime. A caller must give a runtime the bytes that were checked, never the path.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from caser.errors import ArtefactError
from caser.exported.protobuf import EncodingError, Field, fields, message
from caser.models.base import Arrays
from caser.system.parsing import parse_json
from caser.system.storage import read_file

FORMAT = 1
"""Version of inputs, outputs and facts; a higher one is refused."""

MOST_BYTES = 2**31 - 1
"""Most bytes that the format can hold in one file."""

MOST_PARTS = 100_000
"""Most fields in a file; a network of a hundred blocks has about ten thousand."""

_NAMES_OF_OPERATORS = """
    Add And Cast Concat CumSum Div Equal Gather Gemm Greater GRU Identity LayerNormalization
    Less MatMul Max Min Mul Or Pad Range ReduceMax ReduceSum Relu Reshape ScatterElements Shape Sigmoid Slice Softmax
    Squeeze Sub Tanh TopK Transpose Unsqueeze Where
"""
OPERATORS = frozenset(_NAMES_OF_OPERATORS.split())
"""The operators of our networks. None of them branches, loops or draws random numbers."""

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
"""For each part of a file, the numbers of the fields that it may have, and the kind of each; as in onnx.proto."""

NAMES = {
    ("model", 20): "training steps",
    ("model", 25): "its own functions",
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
"""Names for the forbidden fields that a hostile file is likely to have."""

_REQUIRED: Mapping[tuple[str, int], tuple[str, Callable[[bytes], bool]]] = {
    ("opset", 1): ("operators of another domain", lambda domain: domain == b""),
    ("node", 7): ("an operator of another domain", lambda domain: domain == b""),
    ("node", 4): ("another operator", lambda operator: operator.decode("latin-1") in OPERATORS),
}
"""For some values: what a wrong value is, in words, and whether a value is right."""

_GRAPH, _NODE, _INPUT, _OUTPUT = 7, 1, 11, 12

_CHECKSUM_ENTRY = b"\x72\x4a\x0a\x06sha256\x12\x40"
"""The metadata entry of the checksum up to its value: field 14 of a model, the key, and the length of 64 digits."""


@dataclass(frozen=True, eq=False)
class Exported:
    """A file that was checked.

    content  the bytes that a runtime may read
    facts    what the file says about itself: format, library_version, model, settings, num_users, num_items,
             weights_sha256, protocol, fingerprint and seen, as JSON values
    """

    content: bytes
    facts: dict[str, Any]


def with_checksum(content: bytes) -> bytes:
    """Return the bytes of a model with their SHA-256 as one more entry of its metadata.

    content  the bytes of a serialised ONNX model

    >>> with_checksum(b"")[-64:-56]
    b'e3b0c442'
    """
    return content + _CHECKSUM_ENTRY + hashlib.sha256(content).hexdigest().encode()


def read_onnx(path: str | Path) -> Exported:
    """Read and check an exported file.

    path  the file

    Raises ArtefactError if it is a link, too large, damaged, newer than this library, or if it holds anything that an
    exported file never holds.
    """
    return checked(path, read_file(Path(path), MOST_BYTES))


def checked(path: str | Path, content: bytes) -> Exported:
    """Check the bytes of an exported file. Raises ArtefactError as `read_onnx` does.

    path     the file, for messages
    content  its bytes
    """
    size = len(content) - len(_CHECKSUM_ENTRY) - 64
    if size < 0 or content[size : size + len(_CHECKSUM_ENTRY)] != _CHECKSUM_ENTRY:
        raise ArtefactError(f"{path} must be a file of `caser export`; it does not end like one. Export it again.")
    if content[-64:] != hashlib.sha256(memoryview(content)[:size]).hexdigest().encode():
        raise ArtefactError(f"{path} does not match its checksum: it is damaged or was changed. Export it again.")
    try:
        return Exported(content, _facts(_metadata(content)))
    except (_RefusedError, EncodingError) as error:
        raise ArtefactError(f"{path} must hold what an exported file holds; got {error}. Export it again.") from None


def weights_digest(arrays: Arrays) -> str:
    """Return the SHA-256 of the file weights.safetensors of a run with these parameters.

    arrays  the fitted parameters by name

    >>> weights_digest({})[:8]
    '9bbcbf73'
    """
    saved = safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    return hashlib.sha256(saved).hexdigest()


def states_alone(content: bytes) -> bytes:
    """Return a checked file without the nodes after the states, for a caller that has the item vectors.

    content  the bytes of a checked file

    A runtime computes everything that a graph holds, even outputs that nobody asked for.
    """
    view = memoryview(content)

    def texts(part: Field, number: int) -> list[bytes]:
        inner = fields(view, part.start, part.end)
        return [bytes(view[field.start : field.end]) for field in inner if field.number == number]

    kept, has_states = [], False
    [graph] = [field for field in fields(view, 0, len(view)) if field.number == _GRAPH]
    for part in fields(view, graph.start, graph.end):
        if part.number == _NODE and not has_states:
            kept.append(part)
            has_states = texts(part, 2) == [b"states"]
        elif part.number in (_INPUT, _OUTPUT):
            kept += [part] if b"".join(texts(part, 1)) in (b"users", b"histories", b"states") else []
        elif part.number != _NODE:
            kept.append(part)
    inside = b"".join(view[part.at : part.end] for part in kept)
    return b"".join((view[: graph.at], message(_GRAPH, inside), view[graph.end :]))


class _RefusedError(ValueError):
    """What the file must not hold, in words."""


def _metadata(content: bytes) -> dict[str, bytes]:
    """The metadata of the file, after every field of every part has been checked; the content of tensors is skipped."""
    view = memoryview(content)
    waiting = [("model", 0, len(view))]
    entries, num_fields, num_graphs = [], 0, 0
    while waiting:
        part, at, end = waiting.pop()
        entry: dict[int, bytes] = {}
        for field in fields(view, at, end):
            num_fields += 1
            if num_fields > MOST_PARTS:
                raise _RefusedError(f"more than {MOST_PARTS:,} parts")
            kind = PARTS[part].get(field.number)
            # A field that our files never have, an inner part to check later, or a value.
            if kind is None:
                raise _RefusedError(NAMES.get((part, field.number), f"a {part} with a field {field.number}"))
            if kind != VALUE:
                waiting.append((kind, field.start, field.end))
                num_graphs += kind == "graph"
            elif part == "metadata":
                entry[field.number] = bytes(view[field.start : field.end])
            elif (part, field.number) in _REQUIRED:
                value = bytes(view[field.start : field.end])
                wrong, is_right = _REQUIRED[part, field.number]
                if not is_right(value):
                    raise _RefusedError(f"{wrong}, {value[:40].decode('latin-1')!r}")
        if part == "metadata":
            entries.append((entry.get(1, b"").decode("latin-1"), entry.get(2, b"")))
    if num_graphs != 1:
        raise _RefusedError(f"{num_graphs} graphs")
    if len(metadata := dict(entries)) != len(entries):
        raise _RefusedError("two entries of one name")
    return metadata


def _facts(metadata: dict[str, bytes]) -> dict[str, Any]:
    """What the file says about itself, from the only two entries that its metadata may have."""
    if set(metadata) != {"caser", "sha256"}:
        raise _RefusedError(f"metadata of {', '.join(sorted(metadata)) or 'nothing'}")
    try:
        facts = parse_json(metadata["caser"])
    except ValueError as error:
        raise _RefusedError(f"facts that are not JSON: {error}") from None
    version = facts.get("format") if isinstance(facts, dict) else None
    if not isinstance(version, int) or version > FORMAT:
        raise _RefusedError(f"format {version!r}, and this caser knows up to {FORMAT}: upgrade it")
    return dict(facts)
