"""Mutations of good files: the same for the same number, so that what fails once fails again."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

LARGE = (b"1e999", b"9223372036854775808", b"1000000000000000000000000000000")

NUMBERS = (b"0", b"-1", b"0.5", b"2.0", b"NaN", b"true", *LARGE)

BYTES = (b"\0", b"\x80", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f")

TEXTS = (
    b'"',
    b"\\",
    b"{",
    b"[",
    b"}",
    b"\n",
    b"\r",
    b",",
    b"\\ud800",
    b"null",
    b'""',
    b"[]",
    b"{}",
    b'{"a":1}',
    b"../../x",
)

TOKENS = (*BYTES, *TEXTS, b'{"a":1}', b"../../x", b"[" * 500, b"x" * 5000)


def mutated(seeds: Sequence[bytes], number: int) -> bytes:
    """Return the mutation of a good file with a number.

    seeds   good files        number  from 0; the file and the changes are drawn from it

    >>> mutated([b"user,item"], 3) == mutated([b"user,item"], 3)
    True
    """
    drawn = random.Random(number)
    content = bytearray(seeds[number % len(seeds)])
    for _ in range(drawn.choice((1, 1, 2, 4))):
        _change(content, drawn)
    return bytes(content)


def _change(content: bytearray, drawn: random.Random) -> None:
    start = drawn.randrange(len(content) + 1)
    end = min(len(content), start + drawn.choice((1, 2, 4, 8, 64)))
    kind = drawn.randrange(7)
    if kind == 0 and start < len(content):
        content[start] ^= 1 << drawn.randrange(8)
    elif kind == 1:
        content[start:end] = drawn.randbytes(end - start)
    elif kind == 2:
        content[start:start] = drawn.choice(TOKENS)
    elif kind == 3:
        del content[start:end]
    elif kind == 4:
        content[start:start] = content[start:end] * drawn.choice((1, 100))
    elif kind == 5 and drawn.random() < 0.2:
        del content[start:]
    else:
        _replace_number(content, drawn)


def _replace_number(content: bytearray, drawn: random.Random) -> None:
    """Replace a number of text, or a few bytes where there is none."""
    numbers = list(re.finditer(rb"-?\d+(\.\d+)?", bytes(content[:100_000])))
    if numbers:
        one = drawn.choice(numbers)
        content[one.start() : one.end()] = drawn.choice(NUMBERS)
