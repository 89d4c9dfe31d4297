"""Compares what a block of a document printed with what the document says that it prints."""

from __future__ import annotations

import re

DECIMAL = re.compile(r"[-+]?\d*\.\d+")
"""A number with a decimal point."""


def difference(said: str, printed: str, within: float) -> str | None:
    r"""Return in what the first line that differs does so; None if all lines are equal.

    said     the lines of the document     printed  the lines of the block
    within   how far numbers with a decimal point may differ; all else must be equal, except for spaces

    >>> difference("a 0.50 b\n", "a  0.53 b\n", within=0.05) is None
    True
    >>> difference("a 0.50\nend\n", "a 0.60\nend\n", within=0.05)
    "line 1 says 'a 0.50', and the block printed 'a 0.60'"
    """
    ours, theirs = said.rstrip().splitlines(), printed.rstrip().splitlines()
    for place in range(max(len(ours), len(theirs))):
        line, other = (lines[place] if place < len(lines) else None for lines in (ours, theirs))
        if line is None or other is None or not _are_equal(line, other, within):
            return f"line {place + 1} says {line!r}, and the block printed {other!r}"
    return None


def _are_equal(said: str, printed: str, within: float) -> bool:
    if not within:
        return said.split() == printed.split()
    words = [DECIMAL.sub(" # ", line).split() for line in (said, printed)]
    numbers = [[float(number) for number in DECIMAL.findall(line)] for line in (said, printed)]
    return words[0] == words[1] and all(abs(one - other) <= within + 1e-9 for one, other in zip(*numbers, strict=True))
