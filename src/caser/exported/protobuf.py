"""The encoding of ONNX files (protobuf): enough to look at every field of a file, and to drop some. Needs no onnx.

A message is a sequence of fields. A field is a tag, which holds its number and the layout of its content, and then the
content: a whole number of variable length, four bytes, or a length and that many bytes. Text and inner messages both
have the last layout.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class EncodingError(ValueError):
    """The bytes are not a message."""


class Field(NamedTuple):
    """Where a field lies in the file.

    number      the number of the field
    at          where its tag starts
    start, end  where its content starts and ends
    """

    number: int
    at: int
    start: int
    end: int


def fields(content: memoryview, at: int, end: int) -> Iterator[Field]:
    """Yield the fields of a message. Raises EncodingError if the bytes are not a message.

    content  the bytes of the file
    at, end  where the message starts and ends

    >>> list(fields(memoryview(bytes([0x08, 0x05, 0x12, 0x02, 0x61, 0x62])), 0, 6))
    [Field(number=1, at=0, start=1, end=2), Field(number=2, at=2, start=4, end=6)]
    """
    while at < end:
        tag, start = _whole_number(content, at, end)
        layout = tag & 7
        if layout == 0:
            _, after = _whole_number(content, start, end)
        elif layout == 2:
            length, start = _whole_number(content, start, end)
            after = start + length
        elif layout == 5:
            after = start + 4
        else:
            raise EncodingError("bytes that are not ONNX")
        if after > end:
            raise EncodingError("a part that ends outside the file")
        yield Field(tag >> 3, at, start, after)
        at = after


def message(number: int, content: bytes) -> bytes:
    """Return the bytes of a field that holds text or a message.

    number   the number of the field
    content  the bytes of the text or of the message

    >>> message(2, b"ab").hex(" ")
    '12 02 61 62'
    """
    return _encoded(number << 3 | 2) + _encoded(len(content)) + content


def _whole_number(content: memoryview, at: int, end: int) -> tuple[int, int]:
    """The number that starts at `at`, seven bits per byte with the lowest first, and where it ends."""
    value = 0
    for place in range(at, min(end, at + 10)):
        value |= (content[place] & 127) << 7 * (place - at)
        if content[place] < 128:
            return value, place + 1
    raise EncodingError("bytes that are not ONNX")


def _encoded(value: int) -> bytes:
    """A number as bytes of seven bits, the lowest first."""
    low = bytearray()
    while value > 127:
        low.append(value & 127 | 128)
        value >>= 7
    return bytes([*low, value])
