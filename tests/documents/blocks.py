"""Reads the fenced blocks of a document: their text, their first line, and the comment that marks them.

`<!-- runs -->` and `<!-- not run -->` say whether a block runs. `<!-- prints -->` marks what the block before it
prints, to the letter; after `<!-- prints, within 0.05 -->`, numbers with a decimal point may differ by so much.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*?) -->\n+)?^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    flags=re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    language: str
    text: str
    mark: str
    line: int

    @property
    def runs(self) -> bool:
        """Python runs unless marked `<!-- not run -->`; a console block runs only where marked `<!-- runs -->`."""
        if self.language == "console":
            return self.mark == "runs"
        return self.language == "python" and self.mark != "not run"

    @property
    def prints_within(self) -> float | None:
        """How far numbers may differ in what the block before this one prints; None if this is no such output."""
        found = re.fullmatch(r"prints(?:, within (?P<tolerance>[\d.]+))?", self.mark)
        return float(found["tolerance"] or 0) if found else None

    @property
    def commands(self) -> list[str]:
        """The commands of a console block: lines that begin with `$ `. A backslash at the end continues a line."""
        joined = self.text.replace("\\\n", " ")
        return [line.removeprefix("$ ") for line in joined.splitlines() if line.startswith("$ ")]


def blocks(document: str) -> list[Block]:
    """Return the blocks of a document in order.

    >>> [block] = blocks("Type\\n\\n<!-- runs -->\\n```console\\n$ caser --help\\n...\\n```\\n")
    >>> block.line, block.runs, block.commands
    (5, True, ['caser --help'])
    """
    return [
        Block(
            language=match["language"],
            text=match["text"],
            mark=match["mark"] or "",
            line=document.count("\n", 0, match.start("text")) + 1,
        )
        for match in BLOCK.finditer(document)
    ]
