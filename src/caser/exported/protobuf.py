"""The encoding of ONNX files, as far as it takes to look at each field of one and to leave some out. Needs no onnx.

A message is a row of fields; a field is a tag (its number and how its content is laid out) and the content: a whole
number of variable length, four bytes, or a length and as many bytes. Text and messages are both of the last kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class EncodingError(ValueError):
    """Bytes that are no message."""


class Field(NamedTuple):
    """A field by the places of its bytes: its tag at `at`, its content from `start` to `end`."""

    number: int
    at: int
    start: int
    end: int


def fields(content: memoryview, at: int, end: int) -> Iterator[Field]:
    """The fields of the message that lies from `at` to `end`. Raises EncodingError where it is none.

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
            raise EncodingError("bytes that are no ONNX")
        if after > end:
            raise EncodingError("a part that ends outside the file")
        yield Field(tag >> 3, at, start, after)
        at = after


def message(number: int, content: bytes) -> bytes:
    """A field that holds text or a message.

    >>> message(2, b"ab").hex(" ")
    '12 02 61 62'
    """
    return _encoded(number << 3 | 2) + _encoded(len(content)) + content


def _whole_number(content: memoryview, at: int, end: int) -> tuple[int, int]:
    """A number, seven bits a byte, the lowest first, and where it ends."""
    value = 0
    for place in range(at, min(end, at + 10)):
        value |= (content[place] & 127) << 7 * (place - at)
        if content[place] < 128:
            return value, place + 1
    raise EncodingError("bytes that are no ONNX")


def _encoded(value: int) -> bytes:
    low = bytearray()
    while value > 127:
        low.append(value & 127 | 128)
        value >>= 7
    return bytes([*low, value])
