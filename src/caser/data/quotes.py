r"""Text whose fields may be quoted: a quoted field can hold separators, quotes and ends of lines.

A line with a broken quote is one bad row. A quote that is never closed does not swallow the lines after it: a field
ends on a later line only if its record then has the right number of fields, and the lines in between are not all rows
themselves.

How quotes are written differs, so `quotes` says it, and "auto" decides:

    doubled    a quote in a quoted field is written twice: say ""hi""
    backslash  a quote in a quoted field follows a backslash, as MySQL writes it: say \"hi\"
    plain      a quote is a character like any other
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from caser.data.tables import WRONG_COUNT
from caser.data.text import FORBIDDEN

Quotes = Literal["auto", "plain", "doubled", "backslash"]
"""What quotes mean in a text file."""

BROKEN_QUOTE = (
    "with a broken quote (--quotes plain reads quotes as characters, --quotes doubled lets a quoted field hold rows)"
)

BLANKS = " \t\r\u00a0"
"""Characters that are not part of a value where they surround a field outside quotes, unless they separate fields."""

ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "Z": "\x1a"}
"""What some characters mean after a backslash. Others stand for themselves."""

RECORDS_AT_ONCE = 100_000

ENOUGH_ROWS = 0.95
"""The share of lines that must have the right number of fields, before broken quotes are taken as plain characters."""


@dataclass
class Splitter:
    """Splits text into records whose fields may be quoted.

    separator   text between two fields        quote       the character around a quoted field
    backslash   whether a backslash escapes    width       number of fields of a record; None: as in the first one
    is_guarded  whether lines that are all rows themselves never belong to one quoted field
    """

    separator: str
    quote: str = '"'
    backslash: bool = False
    width: int | None = None
    is_guarded: bool = True
    num_blanks: int = 0
    num_broken: int = 0
    num_doubtful: int = 0
    rows: list[list[str | None]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    faults: list[str | None] = field(default_factory=list)
    num_quoted: dict[int, int] = field(default_factory=dict)
    forbidden: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        quote, separator = re.escape(self.quote), re.escape(self.separator)
        self.blanks = BLANKS.replace(self.separator, "")
        self.edges = self.blanks + self.quote
        # Between tabs, how often each column is quoted tells whether quotes are plain.
        self.is_usual = len(self.separator) == 1 and self.separator not in "\t " and not self.backslash
        around = f"[{self.blanks}]*" if self.blanks else ""
        ends = rf"(?={separator}|\n|\Z)"
        # The groups are atomic, so that a field that is not closed is given up after one look at it.
        content = rf"(?>[^{quote}]*(?:{quote}{quote}[^{quote}]*)*)"
        if self.backslash:
            content = rf"(?>(?:[^{quote}\\]+|\\.|{quote}{quote})*)"
        self.quoted = re.compile(rf"({around}){quote}({content}){quote}({around}){ends}", re.DOTALL)
        self.bare = re.compile(rf"(?>(?:(?!{separator})[^\n\\]|\\.)*){ends}", re.DOTALL)

    def split(self, text: str) -> None:
        """Split all records. Blank lines are skipped."""
        start, line = 0, 1
        self.forbidden = {mark: why for mark, why in FORBIDDEN.items() if mark in text}
        while start < len(text):
            end = self._line_end(text, start)
            if text[start:end].strip(" \r"):
                end = self._add(text, start, end, line)
                line += text.count("\n", start, end)
            start, line = end + 1, line + 1

    def table(self, columns: list[str], skip: int) -> tuple[pl.LazyFrame, pl.Series, pl.Series]:
        """Return the fields of the records as a frame, the line at which each begins, and its fault or null.

        columns  their names, one for each field        skip  how many records at the beginning are left out
        """
        schema = dict.fromkeys(columns, pl.String)
        starts = range(skip, len(self.rows), RECORDS_AT_ONCE)
        blocks = (self.rows[start : start + RECORDS_AT_ONCE] for start in starts)
        frames = [pl.DataFrame(schema=schema), *(pl.DataFrame(block, schema, orient="row") for block in blocks)]
        faults = pl.Series("fault", self.faults[skip:], pl.String)
        return pl.concat(frames).lazy(), pl.Series("line", self.lines[skip:], pl.Int64), faults

    def _line_end(self, text: str, start: int) -> int:
        end = text.find("\n", start)
        return len(text) if end < 0 else end

    def _add(self, text: str, start: int, end: int, line: int) -> int:
        """Add the record that begins at `start`, whose first line ends at `end`; return where the record ends."""
        first_end, fault = end, None
        fields = self._clean_fields(text[start:end])
        if fields is None and (self.quote in text[start:end] or self.backslash):
            fields, end = self._fields(text, start, end)
            is_doubtful = fields is not None and self._swallows(text[start:end], len(fields))
            if fields is None or is_doubtful:
                fields, end, fault = text[start:first_end].split(self.separator), first_end, BROKEN_QUOTE
                self.num_doubtful += is_doubtful
                self.num_broken += 1
        elif fields is None:
            fields = [self._stripped(one) for one in text[start:end].split(self.separator)]
        self.width = self.width or len(fields)
        if fault is None and len(fields) != self.width:
            fault = WRONG_COUNT
        if self.forbidden:
            fault = next((why for mark, why in self.forbidden.items() if mark in text[start:end]), fault)
        self.rows.append([*fields[: self.width], *[None] * (self.width - len(fields))])
        self.lines.append(line)
        self.faults.append(fault)
        return end

    def _clean_fields(self, line: str) -> list[str] | None:
        """Return the fields of a line as `csv` splits them, which is fast, if this cannot differ from what we do."""
        if not self.is_usual or self.quote not in line:
            return None
        try:
            fields = next(csv.reader((line,), delimiter=self.separator, quotechar=self.quote, strict=True))
        except csv.Error:
            return None
        for value in fields:
            if value and (value[0] in self.edges or value[-1] in self.blanks):
                return None
        return fields

    def _fields(self, text: str, start: int, end: int) -> tuple[list[str] | None, int]:
        """Return the fields of one record, and where it ends; None and any place if a quote of it is broken."""
        fields: list[str] = []
        while True:
            if match := self.quoted.match(text, start):
                self.num_quoted[len(fields)] = self.num_quoted.get(len(fields), 0) + 1
                self.num_blanks += bool(match[1] or match[3])
                fields.append(self._unescaped(match[2]))
                start = match.end()
                end = self._line_end(text, start)
            else:
                stop = self._bare_end(text, start, end)
                value = self._stripped(text[start:stop])
                if value.startswith(self.quote):
                    return None, end
                fields.append(self._unescaped(value) if self.backslash and value != "\\N" else value)
                start, end = stop, self._line_end(text, stop)
            if start >= end:
                return fields, end
            start += len(self.separator)

    def _bare_end(self, text: str, start: int, end: int) -> int:
        if self.backslash and (match := self.bare.match(text, start)):
            return match.end()
        stop = text.find(self.separator, start, end)
        return end if stop < 0 else stop

    def _swallows(self, record: str, num_fields: int) -> bool:
        """Return whether a record of several lines is rather a quote that is not closed, followed by other rows."""
        if "\n" not in record or self.width is None:
            return False
        later = record.split("\n")[1:]
        are_rows = all(line.count(self.separator) == self.width - 1 for line in later)
        return num_fields != self.width or (self.is_guarded and are_rows and self.width > 1)

    def _stripped(self, value: str) -> str:
        stripped = value.strip(self.blanks)
        self.num_blanks += len(stripped) != len(value)
        return stripped

    def _unescaped(self, value: str) -> str:
        value = value.replace(self.quote * 2, self.quote)
        if not self.backslash:
            return value
        return re.sub(r"\\(.)", lambda match: ESCAPED.get(match[1], match[1]), value, flags=re.DOTALL)


def split_quoted(text: str, separator: str, quotes: Quotes, quote: str = '"') -> tuple[Splitter | None, str | None]:
    r"""Split text whose fields may be quoted; return the splitter, or None if quotes are plain, and a note or None.

    text    the text, whose lines end with LF        separator  text between two fields
    quotes  what quotes mean; not "plain"            quote      the character around a quoted field

    "auto" reads quotes as doubled. If this leaves broken quotes, it tries backslashes before quotes. In a file that is
    separated by tabs and quotes no column, quotes that cannot be pairs are plain characters.

    >>> split_quoted('a,"b""c"\nd,"e\nf,g', ",", "auto")[0].rows
    [['a', 'b"c'], ['d', '"e'], ['f', 'g']]
    """
    first = Splitter(separator, quote, backslash=quotes == "backslash", is_guarded=quotes == "auto")
    first.split(text)
    if quotes != "auto" or first.num_broken == 0:
        return first, None
    if "\\" + quote in text:
        second = Splitter(separator, quote, backslash=True)
        second.split(text)
        if second.num_broken < first.num_broken:
            return second, f"a backslash before a quote makes it part of the value; {_OTHERWISE}"
    if separator == "\t" and first.num_doubtful < first.num_broken and _are_plain(text, first):
        return None, f"quotes are plain characters, because some of them are not closed; {_OTHERWISE}"
    return first, None


_OTHERWISE = "override with quotes= (--quotes)"


def _are_plain(text: str, splitter: Splitter) -> bool:
    """Return whether lines have the right number of fields if quotes are plain, and no column is mostly quoted."""
    lines = [line for line in text.split("\n") if line.strip(" \r")]
    width = lines[0].count(splitter.separator)
    num_right = sum(line.count(splitter.separator) == width for line in lines)
    most_quoted = max(splitter.num_quoted.values(), default=0)
    return num_right >= ENOUGH_ROWS * len(lines) and most_quoted <= len(lines) / 2
