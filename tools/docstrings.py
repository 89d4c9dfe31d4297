"""Docstrings of this project in a form that the documentation site can show.

A docstring of this project names a parameter and says what it is, two or more blanks apart. Markdown would join these
lines into one paragraph, and take `>>>` for a quotation. `as_google` writes the same text in the form that griffe
reads, so that the site shows each parameter with its type and its default. `site_griffe.py` calls it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

NAMES = r"[*\w]+(?:, [*\w]+)*"
ENTRY = re.compile(rf"(?P<names>{NAMES}) {{2,}}(?P<text>\S.*)")
"""The line on which a parameter begins: one or more names, at least two blanks, and what they are."""

SECOND = re.compile(rf" {{4,}}(?={NAMES} {{2,}}\S)")
"""The gap between two parameters on one line."""


def as_google(text: str, heading: str = "Args") -> str:
    r"""Return a docstring with its parameters as a section, and its examples in fences.

    text     a docstring without its indentation
    heading  the name of the section: Args, or Attributes for a class

    >>> print(as_google("Add.\n\nfirst   a number\n        of any size\n\nReturns the sum."))
    Add.
    <BLANKLINE>
    Args:
        first: a number of any size
    <BLANKLINE>
    Returns the sum.
    """
    paragraphs = re.split(r"\n\s*\n", text)
    return "\n\n".join(paragraph(one, heading) for one in paragraphs)


def paragraph(text: str, heading: str) -> str:
    """Return one paragraph of a docstring: parameters, an example, or anything else as it is."""
    if text.startswith(">>> "):
        return f"```pycon\n{text}\n```"
    if ENTRY.match(text) and all(line[0] == " " or ENTRY.match(line) for line in text.splitlines()):
        return "\n".join([f"{heading}:", *(f"    {name}: {what}" for name, what in parameters(text))])
    return text


def parameters(text: str) -> Iterator[tuple[str, str]]:
    """Yield each parameter of a paragraph, and what it is.

    >>> list(parameters("one, two  numbers    names  texts"))
    [('one', 'numbers'), ('two', 'numbers'), ('names', 'texts')]
    """
    entries: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line[0] == " ":
            entries[-1][1].append(line.strip())
            continue
        parts = SECOND.split(line)
        parts = parts if all(ENTRY.match(part) for part in parts) else [line]
        entries += [(found["names"], [found["text"]]) for part in parts if (found := ENTRY.match(part))]
    for names, words in entries:
        for name in names.split(", "):
            yield name, " ".join(words)
