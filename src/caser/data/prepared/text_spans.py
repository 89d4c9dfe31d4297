"""Spans of a large text file: some of its lines at a time, read as `delimited.py` and `json_text.py` read a whole one.

Each span but the first is read with the first line of the file before it, so that the separator, the names of the
columns and the kinds of values are guessed in the same way; the row of that line is then dropped, if it is one. What
the whole file decides must be the same in each span. Where it is not, the file is refused with what to pass. A span
never ends within a quoted field.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO, Any, NamedTuple

from caser.data.compression import FREE_BYTES, MAGIC, MOST_RATIO
from caser.data.dialect import dialect_of
from caser.data.foreign import refuse_foreign
from caser.data.formats import OPENERS, READERS, format_of
from caser.data.headers import without_titles
from caser.data.tables import Layout, RawTable, first_line
from caser.data.text import to_text
from caser.errors import DataError
from caser.system.bounds import MOST_TEXT_BYTES

TEXT_COPIES = 16
"""A text takes about this many times its own memory while it is read, and its ids are given codes."""

HEAD_BYTES = 1 << 20
"""How much of a file is looked at before it is read: the first line, and what the dialect is guessed from."""

UNPACKERS: Mapping[str, Callable[[Path], Any]] = {
    "gzip": gzip.open,
    "bzip2": bz2.open,
    "xz": lzma.open,
    "LZMA": lzma.open,
}
"""What unpacks a compressed file bit by bit. Other kinds are unpacked as a whole."""

MORE_MEMORY = "pass a larger --memory-mb, with which the file is read at once"

ON_BYTES = re.compile(r"([\d,]+) lines? holds? bytes that are not UTF-8, first ")
"""The note on damaged lines, which comes before all others on what the text holds."""

SUMMED = (
    re.compile(r"blanks around fields are not part of the values: removed at ([\d,]+) "),
    re.compile(r"removed the byte order mark at the beginning of lines in the middle: ([\d,]+)$"),
    re.compile(r"passed over lines that name the columns again: ([\d,]+), first at line"),
    ON_BYTES,
)
"""Notes with a number that adds up over the spans of a file."""

OF_ANY_SPAN = re.compile(r"doubt: the file ends at |doubt: line [\d,]+ is ")
"""Other notes that a span may have and the first one has not."""

OF_QUOTES = ("a backslash before a quote", "quotes are plain characters")
"""How notes begin on quotes that are not doubled."""


class TextSpan(NamedTuple):
    """Some lines of a file as a table.

    table      the rows, with the numbers of their lines        num_bytes  how long the text is
    offset     the bytes before the end of the span, unpacked; None if the file ends with it
    line       the lines before the end of the span
    is_later   whether an earlier span is before it
    """

    table: RawTable
    num_bytes: int
    offset: int | None
    line: int
    is_later: bool


@dataclass(frozen=True, eq=False)
class Text:
    """A text file, which may be compressed.

    path  the file        packed  a key of UNPACKERS, or None        format  "delimited" or "jsonl"
    """

    path: Path
    packed: str | None
    format: str

    def open(self) -> IO[bytes]:
        """Open the file for reading its unpacked bytes."""
        file: IO[bytes] = self.path.open("rb") if self.packed is None else UNPACKERS[self.packed](self.path)
        return file

    @cached_property
    def head(self) -> bytes:
        """The first bytes of the text."""
        with _readable(self), self.open() as file:
            return file.read(HEAD_BYTES)

    def weight(self, most: float) -> float:
        """Return about how many bytes reading the whole file takes; of a compressed one, not more than needed.

        most  how many are of interest
        """
        if self.packed is None:
            return float(TEXT_COPIES * self.path.stat().st_size)
        with _readable(self), self.open() as file:
            return float(TEXT_COPIES * len(file.read(int(most / TEXT_COPIES) + 1)))


def open_text(path: Path, format: str | None, encoding: str | None) -> Text | None:
    """Return a file as text that is read in spans; None if it is of a kind that is read as a whole.

    path      the file        format  a key of `formats.READERS`; None: the content decides
    encoding  the encoding that the caller names, or None

    Raises DataError for a damaged file, and for one of a kind that is no log.
    """
    with path.open("rb") as file:
        start = file.read(5000)
    packed = next((name for name, magic in MAGIC.items() if start.startswith(magic)), None)
    if packed is not None and packed not in UNPACKERS:
        return None
    text = Text(path, packed, "delimited")
    if any(text.head.startswith(one) for magic in MAGIC.values() for one in magic):
        return None
    refuse_foreign(text.head)
    found = format or format_of(text.head, encoding)
    return replace(text, format=found) if found in ("delimited", "jsonl") else None


def text_spans(text: Text, layout: Layout, most: int, offset: int, line: int) -> Iterator[TextSpan]:
    """Yield the rows of a text file in spans, from a place on.

    text    the file        layout  what the caller says about it        most  how many bytes of text a span has
    offset  the bytes before the first span, at which a line begins       line  how many lines are before it

    Raises DataError if the file cannot be read, or not in spans.
    """
    if layout.encoding is not None:
        raise DataError(
            "a text file that is read in pieces must be UTF-8, and encoding (--encoding) left out; got "
            f"{layout.encoding}; convert it: iconv -f {layout.encoding} -t UTF-8 FILE > log.csv, or {MORE_MEMORY}"
        )
    first = _FirstLine.of(text, layout)
    quote = first.quote if layout.quotes in ("auto", "doubled") else b""
    with _readable(text), text.open() as file:
        file.seek(offset)
        for lines, is_end in _blocks_of_lines(file, most, quote, line):
            _refuse_bomb(text, offset + len(lines))
            is_later = offset > 0
            table = _table(text, layout, first, lines, line) if is_later else _first_table(text, layout, lines)
            offset, line = offset + len(lines), line + lines.count(b"\n")
            yield TextSpan(table, len(lines), None if is_end else offset, line, is_later)


def _blocks_of_lines(file: IO[bytes], most: int, quote: bytes, line: int) -> Iterator[tuple[bytes, bool]]:
    """Yield about `most` bytes of whole lines at a time, and whether the file ends with them."""
    rest = b""
    is_end = False
    while not is_end:
        wanted = max(most - len(rest), most // 2, 1)
        block = file.read(wanted)
        is_end = len(block) < wanted
        rest += block
        cut = len(rest) if is_end else _place_to_cut(rest, quote)
        if cut:
            yield rest[:cut], is_end
            line, rest = line + rest.count(b"\n", 0, cut), rest[cut:]
        elif len(rest) > max(most, MOST_TEXT_BYTES):
            raise DataError(
                "a text file that is read in pieces must have lines that end with LF, and close its quoted fields; "
                f"got {len(rest):,} bytes without such an end, after line {line:,}; pass --quotes plain if quotes are "
                f"characters like others, or {MORE_MEMORY}"
            )


class _FirstLine(NamedTuple):
    """The first line of a file that is not passed over, with its end; what separates fields, and what quotes them."""

    line: bytes
    separator: str | None
    quote: bytes
    has_header: bool

    @classmethod
    def of(cls, text: Text, layout: Layout) -> _FirstLine:
        head, _ = to_text(text.head[: text.head.rfind(b"\n") + 1])
        if not head.strip():
            raise DataError(
                f"the lines of a text file that is read in pieces must end with LF; got a longer one; {MORE_MEMORY}"
            )
        if text.format == "jsonl":
            return cls(_first_whole(head) + b"\n", None, b"", has_header=False)
        head, _ = without_titles(head, layout)
        dialect, head = dialect_of(head, layout, _first_whole(head).decode())
        line = _first_whole(head)
        if line.count(dialect.quote.encode() or b'"') % 2:
            raise DataError(f"the first line of a text file that is read in pieces must be a whole row; {MORE_MEMORY}")
        has_header = READERS[text.format](head, layout).has_header
        return cls(line + b"\n", dialect.separator, b'"' if dialect.quote != "'" else b"'", has_header)


def _first_whole(text: bytes) -> bytes:
    return next(line for line in text.split(b"\n") if line.strip())


def _place_to_cut(text: bytes, quote: bytes) -> int:
    """Return where the last line outside quotes ends; 0 if there is none."""
    end = len(text)
    num_quotes = text.count(quote) if quote else 0
    while (place := text.rfind(b"\n", 0, end)) >= 0:
        num_quotes -= text.count(quote, place, end) if quote else 0
        if num_quotes % 2 == 0:
            return place + 1
        end = place
    return 0


def _first_table(text: Text, layout: Layout, lines: bytes) -> RawTable:
    """Read the first span of a file."""
    table = READERS[text.format](_utf8(lines, 0), layout)
    if text.format == "jsonl" and table.place_name != "line":
        raise DataError(
            "a JSON file that is read in pieces must have one object per line; got another form: jq -c . FILE > "
            f"log.jsonl, or {MORE_MEMORY}"
        )
    packed = () if text.packed is None else (f"unpacked {text.packed}",)
    notes = (*packed, *table.notes)
    _refuse_guesses(notes)
    return replace(table, notes=notes, opened_by=OPENERS.get(text.format, table.opened_by))


def _table(text: Text, layout: Layout, first: _FirstLine, lines: bytes, before: int) -> RawTable:
    """Read a later span of a file, which has `before` lines before it."""
    known = layout if first.separator is None else replace(layout, separator=first.separator)
    try:
        table = READERS[text.format](first.line + _utf8(lines, before), known)
    except DataError as error:
        raise DataError(_shifted(str(error), before - 1)) from None
    # The line before the span is its line 1.
    if not first.has_header:
        table = replace(table, frame=table.frame.slice(1), places=table.places[1:], faults=table.faults[1:])
    elif not table.has_header:
        raise DataError(
            f"the columns of a file must stay the same; got other ones after line {before:,}; {MORE_MEMORY}"
        )
    notes = [_shifted(note, before - 1) for note in table.notes]
    _refuse_guesses(notes)
    kept = [note for note in notes if OF_ANY_SPAN.match(note) or any(one.match(note) for one in SUMMED)]
    places = (table.places + (before - 1)).alias(table.places.name)
    return replace(table, places=places, notes=tuple(kept))


def _utf8(lines: bytes, before: int) -> bytes:
    """Return the lines of a span. Raises DataError if they are in another encoding than UTF-8."""
    _, notes = to_text(lines)
    if other := [note for note in notes if "byte order mark" not in note and not ON_BYTES.match(note)]:
        raise DataError(
            "a text file that is read in pieces must be UTF-8 with LF at the ends of lines; got, after line "
            f"{before:,}: {other[0]}; convert it: iconv -f ENCODING -t UTF-8 FILE > log.csv, or {MORE_MEMORY}"
        )
    return lines


def _refuse_guesses(notes: Sequence[str]) -> None:
    """Raise DataError for a guess that the other spans may not share."""
    for note in notes:
        if note.startswith(OF_QUOTES):
            mode = "backslash" if note.startswith(OF_QUOTES[0]) else "plain"
            raise DataError(
                f"what quotes mean must be said for a file that is read in pieces; got, in one of them: {note}; pass "
                f"quotes={mode!r} (--quotes {mode}), or {MORE_MEMORY}"
            )
        if "the first field is the number of the row" in note:
            raise DataError(
                f"the first line of a file that is read in pieces must name each column; got: {note}; {MORE_MEMORY}"
            )


def _shifted(sentence: str, lines: int) -> str:
    """Return a sentence on a span in which the numbers of lines are those of the file."""
    numbers = re.compile(r"\b(line |sed )([\d,]+)(?=d?\b)")
    return numbers.sub(
        lambda match: f"{match[1]}{_number(match[2]) + lines:{',' if match[1] == 'line ' else ''}}", sentence
    )


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def summed(first: str, later: str) -> str | None:
    """Return a note whose number is the sum of those of two spans of a file; None if they are no such notes.

    first, later  notes on two spans

    >>> note = "blanks around fields are not part of the values: removed at {} fields"
    >>> summed(note.format("1,000"), note.format("2"))
    'blanks around fields are not part of the values: removed at 1,002 fields'
    """
    for pattern in SUMMED:
        one, other = pattern.match(first), pattern.match(later)
        if one and other and one[0][: one.start(1)] == other[0][: other.start(1)]:
            total = _number(one[1]) + _number(other[1])
            same = first[one.end(1) :] == later[other.end(1) :] or pattern in SUMMED[2:]
            rest = first[one.end(1) :].replace(" line holds bytes", " lines hold bytes", 1)
            return f"{first[: one.start(1)]}{total:,}{rest}" if same else None
    return None


def _refuse_bomb(text: Text, num_bytes: int) -> None:
    if text.packed is not None and num_bytes > max(FREE_BYTES, MOST_RATIO * text.path.stat().st_size):
        raise DataError(
            f"a compressed log must hold at most {MOST_RATIO} times its own size; got {num_bytes:,} bytes from "
            f"{text.path.stat().st_size:,}; unpack it if that is right"
        )


@contextmanager
def _readable(text: Text) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        kind = "a file" if text.packed is None else f"a file compressed with {text.packed}"
        raise DataError(f"{kind} must be whole and readable; got {first_line(error)}; copy it again") from None
