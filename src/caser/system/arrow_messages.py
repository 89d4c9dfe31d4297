"""The messages of an Arrow file or stream: how many values and bytes they announce, before a buffer of them is decoded.

A message is a length and a FlatBuffers table. A batch of records names the length of each of its arrays, and each
compressed buffer begins with its length before compression. An array of nulls has a length and no buffer at all.
"""

from __future__ import annotations

from collections.abc import Iterator

from caser.system.bounds import CELL_BYTES

FILE_MARK = b"ARROW1\0\0"

_CONTINUES = b"\xff\xff\xff\xff"
_DICTIONARY, _BATCH = 2, 3
_DICTIONARIES, _BATCHES = 2, 3
_NODE_BYTES, _BUFFER_BYTES, _BLOCK_BYTES = 16, 16, 24
_MOST_MESSAGES = 1_000_000


def announced_bytes(content: bytes) -> int:
    """Return about how many bytes the arrays of a file or a stream take in memory.

    content  the bytes of a file in Arrow's IPC format, or of a stream

    Raises ValueError for a message that is cut off or damaged.
    """
    if not content.startswith(FILE_MARK):
        return sum(_announced(content, at)[0] for at in _places(content))
    size = _number(content, len(content) - 10, 4)
    start = len(content) - 10 - size
    footer = content[max(start, 0) : -10]
    root = _number(footer, 0, 4)
    total = 0
    for vector in (_DICTIONARIES, _BATCHES):
        blocks, count = _vector(footer, root, vector, _BLOCK_BYTES)
        total += sum(_announced(content, _count(footer, blocks + _BLOCK_BYTES * index))[0] for index in range(count))
    return total


def _places(stream: bytes) -> Iterator[int]:
    """Yield where each message of a stream begins."""
    at = 0
    for _ in range(_MOST_MESSAGES):
        if at + 4 > len(stream) or stream[at : at + 8] in (_CONTINUES + bytes(4), bytes(4)):
            return
        yield at
        at = _announced(stream, at)[1]
    raise ValueError(f"more than {_MOST_MESSAGES:,} messages")


def _announced(content: bytes, at: int) -> tuple[int, int]:
    """Return how many bytes the arrays of a message take in memory, and where the next message begins."""
    start = at + (8 if content[at : at + 4] == _CONTINUES else 4)
    message = content[start : start + _number(content, start - 4, 4)]
    kind, header, body_bytes = _message(message)
    body = content[start + len(message) : start + len(message) + max(body_bytes, 0)]
    if len(message) < _number(content, start - 4, 4) or len(body) != body_bytes:
        raise ValueError("a message that is cut off")
    if kind not in (_DICTIONARY, _BATCH):
        return 0, start + len(message) + body_bytes
    batch = _table(message, header, 1) if kind == _DICTIONARY else header
    return _bytes_of_batch(message, batch, body), start + len(message) + body_bytes


def _message(message: bytes) -> tuple[int, int, int]:
    """Return the kind of a message, the place of its header, and the length of its body."""
    root = _number(message, 0, 4)
    kind, body = _field(message, root, 1), _field(message, root, 3)
    return (
        _number(message, kind, 1) if kind else 0,
        _table(message, root, 2),
        _number(message, body, 8, signed=True) if body else 0,
    )


def _bytes_of_batch(message: bytes, batch: int, body: bytes) -> int:
    nodes, num_nodes = _vector(message, batch, 1, _NODE_BYTES)
    total = sum(_count(message, nodes + _NODE_BYTES * index) for index in range(num_nodes)) * CELL_BYTES
    buffers, num_buffers = _vector(message, batch, 2, _BUFFER_BYTES)
    is_packed = _field(message, batch, 3) != 0
    for index in range(num_buffers):
        place = buffers + _BUFFER_BYTES * index
        offset, size = _count(message, place), _count(message, place + 8)
        if offset + size > len(body):
            raise ValueError("a buffer outside its message")
        total += max(size, _number(body, offset, 8, signed=True)) if is_packed and size >= 8 else size
    return total


def _field(data: bytes, table: int, number: int) -> int:
    """Return where a field of a table is; 0 if the table does not have it."""
    names = table - _number(data, table, 4, signed=True)
    place = 4 + 2 * number
    offset = _number(data, names + place, 2) if place < _number(data, names, 2) else 0
    return table + offset if offset else 0


def _table(data: bytes, table: int, number: int) -> int:
    place = _field(data, table, number)
    return place + _number(data, place, 4) if place else 0


def _vector(data: bytes, table: int, number: int, size: int) -> tuple[int, int]:
    """Return where the parts of a vector begin, and how many there are."""
    place = _table(data, table, number)
    count = _number(data, place, 4) if place else 0
    if place + 4 + count * size > len(data):
        raise ValueError("a message that is damaged")
    return place + 4, count


def _count(data: bytes, at: int) -> int:
    number = _number(data, at, 8, signed=True)
    if number < 0:
        raise ValueError("a message with a number that is no count")
    return number


def _number(data: bytes, at: int, size: int, *, signed: bool = False) -> int:
    if at < 0 or at + size > len(data):
        raise ValueError("a message that is damaged")
    return int.from_bytes(data[at : at + size], "little", signed=signed)
