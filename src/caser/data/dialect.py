"""The dialect of a text file: what separates its fields, what is around a quoted one, and what names its columns.

The first lines decide what the caller does not say. A hint of Excel (`sep=;`) is passed over, and runs of blanks count
as one separator. Lines are made blank and never removed, so that the numbers of lines stay right.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from caser.data.names import by_name
from caser.data.tables import Layout

SEPARATORS = {
    "::": "'::'",
    "\t": "a tab",
    ",": "a comma",
    ";": "a semicolon",
    "|": "a bar",
    "\x01": "the character U+0001, as Hive writes it",
    "~": "a tilde",
    "^": "a caret",
    " ": "a space",
}
"""Separators that are recognised, in the order in which the first lines are searched for them, and their names."""

RIVALS = (",", ";", "|")
"""Separators that also occur within fields. The one that makes more fields wins: 1;503;4,5 has semicolons."""

SAMPLE_LINES, SAMPLE_BYTES = 20, 1 << 16

STEADY = 0.5
"""The share of the first lines in which a separator must occur equally often."""

LIKE_DATA = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*|\s*\d{4}-\d\d-\d\d.*")
"""A number or a date. A first line with such a field is data, not a header."""

COMMENT = re.compile(r"\s*[#%]")
"""How a comment begins before the first row of some files of graphs."""

FIELDS = re.compile(rb"^#Fields:[ \t]+", re.MULTILINE)
"""How the line begins that names the columns in an extended log of the W3C."""

HINT = re.compile(rb'\s*"?sep=([^\r\n])"?[ \r,;\t]*(?:\n|\Z)', re.IGNORECASE)
"""The first line that Excel writes or reads as a hint at the separator."""


class Dialect(NamedTuple):
    """How the fields of a text file are written.

    separator  text between two fields        quote  the character around a quoted field; "" if there are no quotes
    notes      sentences about what was guessed
    """

    separator: str
    quote: str
    notes: tuple[str, ...]


def dialect_of(text: bytes, layout: Layout, first: str) -> tuple[Dialect, bytes]:
    r"""Return the dialect of a text, and the text without a hint at it, and with one blank in place of several.

    text   UTF-8 with LF at the ends of lines        layout  what the caller says
    first  the first line of the text that is not blank

    >>> dialect_of(b"sep=;\nuser;item\nann;tea\n", Layout(), "sep=;")[0].separator
    ';'
    >>> dialect_of(b"user   item\nann    tea\n", Layout(), "user   item")[1]
    b'user item\nann tea\n'
    """
    notes: tuple[str, ...] = ()
    separator = layout.separator
    # Pass over Excel's hint.
    if hint := HINT.match(text):
        separator = separator or hint[1].decode("utf-8", "replace")
        text = b"\n" * max(text.count(b"\n", 0, hint.end()), 1) + text[hint.end() :]
        notes = (f"passed over the first line, a hint at the separator: {first.strip()}",)
    # A line of fields, as web servers write it, names the columns.
    if fields := FIELDS.search(text[:SAMPLE_BYTES]):
        text = text[: fields.start()] + text[fields.end() :]
    # Find the separator.
    sample = first_lines(text) or [first]
    bare = [line for line in sample if not COMMENT.match(line)] or sample
    if separator is None:
        separator = guess_separator(bare)
        notes = (*notes, f"fields are separated by {SEPARATORS.get(separator, repr(separator))}")
    # Pass over comments. One as wide as the rows may name the columns, unless another line does.
    is_named = len(by_name([name.strip(" \"'\t") for name in bare[0].split(separator)])) > 1
    comments = [
        line
        for line in itertools.takewhile(COMMENT.match, sample)
        if _width(line, separator) != _width(bare[0], separator) or is_named
    ]
    for line in comments:
        text = text.replace(line.encode(), b"", 1)
    if comments:
        notes = (*notes, f"passed over {len(comments):,} comments at the beginning: {comments[0][:60]}")
    # Find the character around quoted fields.
    quote = "" if layout.quotes == "plain" else _quote(text, separator, sample)
    if layout.quotes == "auto" and len(separator) > 1:
        quote = ""
    if layout.quotes == "backslash":
        quote = quote or '"'
    # Make runs of blanks one separator.
    if separator == " " and not quote and re.search(rb"  |\t|^ | $", text, re.MULTILINE):
        text = re.sub(rb"^[ \t]+|[ \t]+$", b"", re.sub(rb"[ \t]+", b" ", text), flags=re.MULTILINE)
        notes = (*notes, "several blanks after one another are one separator")
    return Dialect(separator, quote, notes), text


def unescaped(separator: object) -> object:
    r"""Return a separator in which a backslash and a letter, as a shell hands them over, are the character they mean.

    separator  text, or a value that is not text, which is returned unchanged

    >>> unescaped(r"\t"), unescaped(r"\x01"), unescaped("|")
    ('\t', '\x01', '|')
    """
    if not isinstance(separator, str):
        return separator
    by_name = {"t": "\t", "s": " ", "\\": "\\", "0": "\0", "a": "\a", "v": "\v", "f": "\f"}
    escaped = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|([0-7]{3})|([tsavf0\\])|([|;,]))")

    def character(match: re.Match[str]) -> str:
        by_code, by_point, octal, name, itself = match.groups()
        return (
            chr(int(by_code or by_point, 16))
            if by_code or by_point
            else (chr(int(octal, 8)) if octal else by_name.get(name, itself))
        )

    return escaped.sub(character, separator)


def guess_separator(lines: Sequence[str]) -> str:
    """Return the separator of lines of text.

    lines  the first lines of a file that are not blank

    >>> guess_separator(["user;item;rating", "1;503;4,5"]), guess_separator(["ann lee,green tea"])
    (';', ',')
    """
    bare = [re.sub(r'"[^"]*"', "", line) for line in lines]
    # Blanks beside another separator are not separators.
    tight = [re.sub(r"[ \t]*([,;|])[ \t]*", r"\1", line) for line in bare]
    steady = {}
    for separator in SEPARATORS:
        counts = Counter(line.count(separator) for line in (tight if separator in "\t " else bare))
        usual, times = max(counts.items(), key=lambda pair: (pair[1], pair[0]))
        if usual and separator in bare[0] and times >= STEADY * len(bare):
            steady[separator] = usual
    rivals = {separator: steady[separator] for separator in RIVALS if separator in steady}
    best = max(rivals, key=rivals.__getitem__) if rivals else None
    found = next((one for one in SEPARATORS if one in steady), None)
    if found in RIVALS and best is not None:
        return best
    return found or next((one for one in SEPARATORS if one in bare[0]), ",")


def names_of(fields: Sequence[str], layout: Layout) -> tuple[list[str], bool]:
    """Return the names of the columns, and whether the fields of the first line are these names.

    fields  of the first line        layout  what the caller says about a header

    A field such as RecBole's `user_id:token` is the name `user_id`. Equal names are made distinct by appending `#`.

    >>> names_of(["user_id:token", "item", "item"], Layout()), names_of(["ann", "503"], Layout())
    ((['user_id', 'item', 'item#'], True), (['1', '2'], False))
    >>> names_of(["ann", "tea"], Layout(named=("1", "2")))
    (['1', '2'], False)
    """
    is_by_number = bool(layout.named) and all(name.isdecimal() and name not in fields for name in layout.named)
    is_numbered = len(fields) > 2 and list(fields) == ["", *map(str, range(len(fields) - 1))]  # as pandas writes it
    is_guess = is_numbered or (not is_by_number and not any(map(LIKE_DATA.fullmatch, fields)))
    has_header = is_guess if layout.header is None else layout.header
    if not has_header:
        return [str(position + 1) for position in range(len(fields))], False
    names = [field.split(":")[0] if re.fullmatch(r".*:(token|float)(_seq)?", field) else field for field in fields]
    # How often a name occurs is known after its first copy, so that a thousand equal names take a thousand steps.
    taken, copies = dict[str, None](), Counter[str]()
    for name in names:
        new = name + "#" * copies[name]
        while new in taken:
            copies[name] += 1
            new += "#"
        copies[name] += 1
        taken[new] = None
    return list(taken), True


def first_lines(text: bytes) -> list[str]:
    """Return the first lines that are not blank and are whole.

    text  UTF-8 with LF at the ends of lines
    """
    lines = text[:SAMPLE_BYTES].decode("utf-8", "replace").split("\n")
    whole = lines if len(text) <= SAMPLE_BYTES else lines[:-1]
    return [line for line in whole if line.strip()][:SAMPLE_LINES]


def _width(line: str, separator: str) -> int:
    """Return the number of fields of a line; blanks after one another are one separator."""
    return len(line.split()) if separator == " " else line.count(separator) + 1


def _quote(text: bytes, separator: str, sample: Sequence[str]) -> str:
    """Return the quote that wraps fields: a double one if any, a single one if it wraps a field of every row."""
    if b'"' in text:
        return '"'
    rows = [[_is_single_quoted(field) for field in line.split(separator)] for line in sample[1:] or sample]
    return "'" if any(map(all, itertools.zip_longest(*rows, fillvalue=False))) else ""


def _is_single_quoted(field: str) -> bool:
    field = field.strip()
    return len(field) > 2 and field.startswith("'") and field.endswith("'")
