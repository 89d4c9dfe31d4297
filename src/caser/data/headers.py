"""Lines of a text file that are no row although they look like one: titles, names of columns, rules, names of types.

Such a line would become an interaction of a user called "user_id". A line that can only be one of them is made blank,
which keeps the numbers of lines right, and is named in a note. A line that names the columns in another way than the
first one is refused, because what follows it has other columns.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import polars as pl

from caser.arrays.types import Mask
from caser.data.dialect import COMMENT, HINT, LIKE_DATA, SEPARATORS, Dialect, first_lines, names_of
from caser.data.names import ALL_NAMES, by_name, plain_name
from caser.data.quotes import BLANKS
from caser.data.tables import Layout
from caser.errors import DataError

END_OF_LINE, DIGIT_ZERO = np.uint8(10), np.uint8(48)

BLOCK_BYTES = 1 << 22

AROUND = BLANKS + "\"'`\ufeff\u200b\u2060"
"""Characters around the name of a column that are not part of it."""

RULE = re.compile(r"(?=.*[-=]{2})[-=+|_\s]+")
"""A field that only draws a line."""

ELLIPSIS = ("...", "\u2026")

TYPES = frozenset(
    (
        *("string", "str", "text", "varchar", "nvarchar", "char", "uuid", "object", "category", "int", "integer"),
        *("int8", "int16", "int32", "int64", "bigint", "smallint", "uint32", "uint64", "long", "number"),
        *("numeric", "decimal", "float", "float32", "float64", "real", "double", "bool", "boolean", "date"),
        *("datetime", "timestamp", "timestamptz", "datetime64[ns]", "token", "token_seq", "float_seq"),
    )
)
"""Names of types, as some tools write them below the names of the columns."""


def without_titles(text: bytes, layout: Layout) -> tuple[bytes, tuple[str, ...]]:
    r"""Make blank what is above the names of the columns, as spreadsheets have it; return the text and notes.

    text    UTF-8 with LF at the ends of lines        layout  what the caller says about a header

    Raises DataError if a line above the names has as many fields as they are, so that it may be a row.

    >>> without_titles(b"Sales,,\nuser,item,time\n7,3,10\n", Layout())
    (b'\nuser,item,time\n7,3,10\n', ('passed over 1 line above the names of the columns, which line 2 has: Sales,,',))
    """
    hint = HINT.match(text)
    start = hint.end() if hint else 0
    lines = [line for line in first_lines(text[start:]) if not COMMENT.match(line)]
    separators = [layout.separator] if layout.separator else list(SEPARATORS)
    found = next((row for row, line in enumerate(lines) if any(_names_both(line, one) for one in separators)), 0)
    if layout.header is not None or any(name.isdecimal() for name in layout.named) or not found:
        return text, ()
    separator = next(one for one in separators if _names_both(lines[found], one))
    above = lines[:found]
    # The first line may be a row, or names of which a row holds some by chance.
    if any(map(LIKE_DATA.fullmatch, _fields(above[0], separator))) and len(above) > 1:
        return text, ()
    place = text.find(lines[found].encode(), start)
    line = text.count(b"\n", 0, place) + 1
    names = lines[found][:60]
    for one in above:
        fields = _fields(one, separator)
        if len(fields) == len(_fields(lines[found], separator)) and "" not in fields:
            raise DataError(
                f"the first line must name the columns; got {above[0][:60]!r} there, and the names {names!r} at line "
                f"{line}; remove the lines above, if they are no rows: tail -n +{line} FILE > log.csv"
            )
    for one in above:
        text = text.replace(one.encode(), b"", 1)
    plural = "" if found == 1 else "s"
    return text, (
        f"passed over {found} line{plural} above the names of the columns, which line {line} has: {above[0][:60]}",
    )


def without_extra_lines(text: bytes, dialect: Dialect, layout: Layout, first: str) -> tuple[bytes, tuple[str, ...]]:
    r"""Make blank the lines after the first one that are no rows; return the text and notes.

    text    UTF-8 with LF at the ends of lines        dialect  how its fields are written
    layout  what the caller says about a header       first    the first line that is not blank

    A line that repeats the names of the columns, a rule or names of types below them, and dots in place of rows are
    passed over. Raises DataError, with the number of the line, for other names of columns or another order of them.

    >>> text, notes = without_extra_lines(
    ...     b"user,item\nann,tea\nUser, Item\nbob,tea\n", Dialect(",", "", ()), Layout(), "user,item"
    ... )
    >>> text, notes
    (b'user,item\nann,tea\n\nbob,tea\n', ('passed over lines that name the columns again: 1, first at line 3',))
    """
    separator = dialect.separator
    own = _fields(first, separator)
    has_header = names_of([name.strip(BLANKS + dialect.quote) for name in first.split(separator)], layout)[1]
    begin = text.find(first.encode()) + len(first.encode())
    spans: dict[str, list[tuple[int, int]]] = {"header": [], "rule": [], "types": [], "dots": []}
    second = _line_after(text, begin)
    for start, end in _candidates(text, begin, second, first if has_header else "", separator):
        line = text[start:end].decode()
        fields = _fields(line, separator)
        is_second = has_header and (start, end) == second
        if has_header and (line == first or fields == own) and len(line) > 0 and (line == first or by_name(own)):
            spans["header"].append((start, end))
        elif len(fields) > 1 and _are_names(fields, own if has_header else ()):
            _refuse_other_names(text, start, line, first if has_header else "", separator)
        elif is_second and all(map(RULE.fullmatch, line.strip().split(separator))):
            spans["rule"].append((start, end))
        elif is_second and len(fields) > 1 and all(field.split("(")[0] in TYPES for field in fields):
            spans["types"].append((start, end))
        elif len(fields) > 1 and set(fields) <= {*ELLIPSIS, ""} and any(fields):
            spans["dots"].append((start, end))
    notes = tuple(_note(kind, text, found) for kind, found in spans.items() if found)
    return _blanked(text, sorted(span for found in spans.values() for span in found)), notes


def with_name_of_rows(text: bytes, dialect: Dialect, layout: Layout, first: str) -> tuple[bytes, tuple[str, ...]]:
    r"""Name the first column if only the lines below the names have it, as R writes the names of rows; with a note.

    text    UTF-8 with LF at the ends of lines        dialect  how its fields are written
    layout  what the caller says about a header       first    the first line that is not blank

    Raises DataError if the field too many may be the fraction of a rating.

    >>> with_name_of_rows(b"user item\n1 7 3\n2 7 4\n", Dialect(" ", "", ()), Layout(), "user item")[0]
    b'row_name user item\n1 7 3\n2 7 4\n'
    """
    lines = [re.sub(r'"[^"]*"', lambda quoted: quoted[0].replace(dialect.separator, "_"), one) for one in
             first_lines(text)]  # fmt: skip
    rows = [line.split(dialect.separator) for line in lines if line.strip()]
    if not rows:
        return text, ()
    names, data = rows[0], rows[1:]
    has_header = names_of([name.strip(AROUND) for name in names], layout)[1] and bool(
        by_name(_fields(first, dialect.separator))
    )
    is_longer = len(data) > 1 and all(len(row) == len(names) + 1 for row in data) and len(names) > 1
    labels = [row[0].strip(AROUND) for row in data]
    if not (has_header and is_longer and labels == [str(row + 1) for row in range(len(data))]):
        return text, ()
    _refuse_decimal_commas(names, data, dialect.separator)
    place = text.find(first.encode())
    return (
        text[:place] + b"row_name" + dialect.separator.encode() + text[place:],
        ("each row has one field more than the first line: the first field is the number of the row, as R writes it",),
    )


def _refuse_decimal_commas(names: Sequence[str], rows: Sequence[Sequence[str]], separator: str) -> None:
    """Raise DataError if the field too many may be the fraction of a rating, such as 3,5, and no number of the row."""
    rating = by_name([name.strip(AROUND) for name in names]).get("rating")
    if separator != "," or rating is None:
        return
    place = [name.strip(AROUND) for name in names].index(rating)
    if all(row[place].isdecimal() and row[place + 1].isdecimal() and len(row[place + 1]) <= 2 for row in rows):
        raise DataError(
            f"each row must have as many fields as the first line; got one more, first in {','.join(rows[0])[:60]!r}: "
            f"either {rating} has a decimal comma ({rows[0][place]},{rows[0][place + 1]}), so put it in quotes, or the "
            "first field is the number of the row, so name it in the first line"
        )


def doubts_on_lines(text: bytes, dialect: Dialect, layout: Layout, first: str) -> tuple[str, ...]:
    r"""Return the doubts on the first and the last line of a text: numbers of columns, and a line that breaks off.

    text    UTF-8 with LF at the ends of lines        dialect  how its fields are written
    layout  what the caller says about a header       first    the first line that is not blank

    >>> doubts_on_lines(b"7,1600000\n8,1600001\n8,1600002\n9,16000", Dialect(",", "", ()), Layout(), "7,1600000")
    ("doubt: the file ends at '9,16000', without an end of line: is it cut off there?",)
    """
    separator, doubts = dialect.separator, []
    fields = _fields(first, separator)
    has_header = names_of(fields, layout)[1]
    if len(fields) > 1 and not has_header and fields == [str(place) for place in range(len(fields))]:
        begin = text.find(first.encode())
        if text.find(b"\n0" + separator.encode(), begin) < 0:
            doubts.append(
                f"doubt: the first line {first[:40]!r} may number the columns, as pandas does, and be no row: "
                "remove it: tail -n +2 FILE > log.csv"
            )
    if not text.endswith(b"\n"):
        lines = text[-20_000:].decode("utf-8", "replace").split("\n")[1 if len(text) > 20_000 else int(has_header) :]
        *others, last = [line for line in lines if line.strip()] or [""]
        ends = [len(line.rsplit(separator, 1)[-1]) for line in others if line != first]
        if len(ends) > 1 and len(last.rsplit(separator, 1)[-1]) < min(ends) and min(ends) > 2:
            doubts.append(f"doubt: the file ends at {last[-60:]!r}, without an end of line: is it cut off there?")
    return tuple(doubts)


def _line_after(text: bytes, begin: int) -> tuple[int, int] | None:
    """Return where the next line after `begin` begins and ends that is not blank."""
    found = re.compile(rb"\s*\n([^\n]+)").match(text, begin)
    return found and found.span(1)


def _candidates(
    text: bytes, begin: int, second: tuple[int, int] | None, first: str, separator: str
) -> Iterator[tuple[int, int]]:
    """Yield where each line after `begin` begins and ends that may be no row.

    These are the second line, and any without digits that has names of columns, or nothing but signs.
    """
    if second is not None:
        yield second
        begin = second[1]
    if re.search(r"\d", first):
        # Names with digits: every line that holds the longest of the header's words.
        word = max(re.split(r"[^\w]+", first), key=len).encode()
        lowered, place, past = text.lower(), begin, begin
        while (place := lowered.find(word.lower(), place)) >= 0:
            start, end = lowered.rfind(b"\n", 0, place) + 1, lowered.find(b"\n", place)
            place = past = end if end >= 0 else len(text)
            yield start, past
        return
    names = ALL_NAMES | set(map(plain_name, first.split(separator)))
    for spans in _lines_without_digits(text, begin):
        lines = [text[start:end].decode() for start, end in spans]
        for place in np.flatnonzero(_may_be_no_row(lines, separator, names)).tolist():
            yield spans[place]


def _may_be_no_row(lines: Sequence[str], separator: str, names: Collection[str]) -> Mask:
    """Tell which lines have several fields with one of some names, or no field with a letter.

    lines  without digits      separator  between their fields      names  as `plain_name` returns them

    Returns (N,) bool. A log of ids without digits has as many such lines as rows, so this looks at all at once.
    """
    fields = pl.Series(lines, dtype=pl.String).str.split(separator)
    lengths = fields.list.len().to_numpy()
    row_of = np.repeat(np.arange(len(lines)), lengths)
    plain = fields.explode().str.to_lowercase().str.replace_all(r"[^\p{L}\p{N}]", "")
    is_name, has_letter = plain.is_in(list(names)).to_numpy(), (plain != "").to_numpy()
    named, lettered = (np.bincount(row_of[one], minlength=len(lines)) for one in (is_name & has_letter, has_letter))
    may_be_N: Mask = (named >= np.minimum(lengths, 2)) | (lettered == 0)
    return may_be_N


def _lines_without_digits(text: bytes, begin: int) -> Iterator[list[tuple[int, int]]]:
    """Yield where the lines after `begin` begin and end that have no digit, a list for each block of the text."""
    while (begin := text.find(b"\n", begin) + 1) > 0 and begin < len(text):
        end = text.rfind(b"\n", begin, begin + BLOCK_BYTES)
        end = end if end >= 0 else text.find(b"\n", begin)
        end = end if end >= 0 else len(text)
        codes = np.frombuffer(text, np.uint8, end - begin, begin)
        line_ends = np.flatnonzero(codes == END_OF_LINE)
        starts, ends = np.append(0, line_ends + 1), np.append(line_ends, len(codes))
        starts, ends = starts[ends > starts], ends[ends > starts]
        has_digit = np.logical_or.reduceat(codes - DIGIT_ZERO < 10, starts) if len(starts) else ends > starts
        yield list(zip((begin + starts[~has_digit]).tolist(), (begin + ends[~has_digit]).tolist(), strict=True))
        begin = end


def _fields(line: str, separator: str) -> list[str]:
    """Return the fields of a line in lower case, without blanks and quotes around them."""
    return [field.strip(AROUND).lower() for field in line.split(separator)]


def _names_both(line: str, separator: str) -> bool:
    """Return whether a line names the user and the item."""
    fields = _fields(line, separator)
    return {"user", "item"} <= set(by_name(fields)) and not any(map(LIKE_DATA.fullmatch, fields))


def _are_names(fields: Sequence[str], own: Sequence[str]) -> bool:
    """Return whether the fields of a line are names of columns: those of the first line, or usual ones."""
    if any(map(LIKE_DATA.fullmatch, fields)):
        return False
    common = len(set(fields) & set(own))
    roles = by_name(fields)
    return {"user", "item"} <= set(roles) or (bool(roles) and common > 1 and common == min(len(fields), len(own)))


def _refuse_other_names(text: bytes, start: int, line: str, first: str, separator: str) -> None:
    number = text.count(b"\n", 0, start) + 1
    was = f"while the first line has {first[:60]!r}" if first else "while the first line has none"
    has_same = sorted(_fields(line, separator)) == sorted(_fields(first, separator))
    remove = f"remove this line if the columns stay the same (sed {number}d FILE > log.csv), else "
    raise DataError(
        f"the columns of a file must stay the same; got a line that names them, {line[:60]!r}, at line {number:,}, "
        f"{was}; {'' if has_same else remove}"
        f"split the file and read the folder: mkdir parts; head -n {number - 1} FILE > "
        f"parts/1.csv; tail -n +{number} FILE > parts/2.csv"
    )


def _note(kind: str, text: bytes, spans: Sequence[tuple[int, int]]) -> str:
    first = text.count(b"\n", 0, spans[0][0]) + 1
    shown = text[slice(*spans[0])].decode()[:60]
    return {
        "header": f"passed over lines that name the columns again: {len(spans):,}, first at line {first:,}",
        "rule": f"passed over a rule below the names of the columns, at line {first:,}: {shown}",
        "types": f"passed over the names of types below the names of the columns, at line {first:,}: {shown}",
        "dots": f"doubt: line {first:,} is {shown!r}: rows seem to be left out there; write the whole table",
    }[kind]


def _blanked(text: bytes, spans: Sequence[tuple[int, int]]) -> bytes:
    """Return a text without what is between each start and end."""
    starts = [0, *(end for _, end in spans)]
    ends = [*(start for start, _ in spans), len(text)]
    return b"".join(text[start:end] for start, end in zip(starts, ends, strict=True)) if spans else text
