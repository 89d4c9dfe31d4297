"""Text: the bytes of a text file become UTF-8 whose lines end with LF, whatever its encoding and its ends of lines are.

Every encoding that is guessed and is not UTF-8 is named in a note. A damaged character does not stop a file: it is
marked, so that its line can become a bad row.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping

import numpy as np
import polars as pl

from caser.data.encodings import example, likely_encodings
from caser.errors import DataError

BLOCK_BYTES = 1 << 23

DAMAGED = "\ufdd0"
"""Stands for bytes that are not in the encoding of the file. Unicode keeps this character out of texts."""

FORBIDDEN: Mapping[str, str] = {"\0": "with a NUL character", DAMAGED: "with bytes that are not in its encoding"}
"""Characters that make a line a bad row, and the reason."""

ENCODINGS: Mapping[bytes, str] = {
    b"\xff\xfe\x00\x00": "utf-32-le",
    b"\x00\x00\xfe\xff": "utf-32-be",
    b"\xff\xfe": "utf-16-le",
    b"\xfe\xff": "utf-16-be",
}
"""Byte order marks, and the encodings that they begin. One of UTF-32 begins like one of UTF-16, so it comes first."""

BYTE_ORDER_MARK = codecs.BOM_UTF8

MOSTLY_UTF8, PARTLY_UTF8 = 0.75, 0.1
"""The shares of the lines beyond ASCII that are UTF-8: above the first, other lines are damaged; between them, they are
in another encoding."""

NAME_IT = "encoding= (--encoding NAME)"

CONVERT = "convert it: iconv -f ENCODING -t UTF-8 FILE > log.csv"

SAMPLE_BYTES = 4096

UTF16_NULS = 0.1
"""The share of characters below U+0100 in a text that is taken for UTF-16 without a byte order mark."""

CONTROLS = bytes({*range(9), *range(14, 32)} - {0x01, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F})
"""Bytes that no text holds. The characters that separate fields and records in some exports are not among them."""


def to_text(data: bytes, encoding: str | None = None) -> tuple[bytes, tuple[str, ...]]:
    r"""Return text as UTF-8 without a byte order mark and with LF at the end of each line, and sentences about guesses.

    data      the bytes of a file
    encoding  the encoding that the caller names; None to guess

    The guessed encoding is that of the byte order mark; UTF-16 or UTF-32 without one if NUL bytes are where these have
    them; else UTF-8. If few lines beyond ASCII are not UTF-8, their bytes are replaced by `DAMAGED`. If some are, these
    are read as cp1252 or latin-1; if nearly none is UTF-8, all are. Raises DataError if the text breaks off within a
    character of UTF-16 or UTF-32, and if many lines beyond ASCII are not in the encoding that the caller names.

    >>> to_text("user,item\r\nann,tea\r\n".encode("utf-16"))
    (b'user,item\nann,tea\n', ('the text is UTF-16-LE',))
    """
    text, notes = _to_utf8(data) if encoding is None else _as_named(data, encoding)
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n")
        if _ends_with_cr(text):
            text, notes = text.replace(b"\r", b"\n"), (*notes, "lines end with CR, as on old Macs")
    if num_marks := text.count(b"\n" + BYTE_ORDER_MARK):
        text = re.sub(rb"^(?:\xef\xbb\xbf)+", b"", text, flags=re.MULTILINE)
        notes = (*notes, f"removed the byte order mark at the beginning of lines in the middle: {num_marks:,}")
    return text.removesuffix(b"\x1a"), notes  # Ctrl-Z ended a file of DOS


def _ends_with_cr(text: bytes) -> bool:
    """Return whether lines end with CR: there is no LF, or a CR outside quotes is before the first one."""
    if b"\n" not in text.strip(b"\r\n"):
        return True
    first = text[: text.find(b"\n")].rstrip(b"\r")
    place = first.find(b"\r")
    return place >= 0 and first.count(b'"', 0, place) % 2 == 0


def lines_of(text: bytes, first: int = 1) -> pl.DataFrame:
    """Return the lines that are not blank as a frame: column `line` has their numbers, column `text` their text.

    text  UTF-8        first  the number of the first line
    """
    lines = pl.DataFrame({"text": pl.Series([text.decode()]).str.split("\n").explode()})
    lines = lines.with_row_index("line", offset=first).filter(pl.col("text").str.strip_chars(" \r") != "")
    return lines.with_columns(pl.col("line").cast(pl.Int64))


def looks_binary(text: bytes) -> bool:
    """Return whether the beginning of a file holds control characters as no text does, apart from a few NUL characters.

    text  the bytes of a file

    >>> looks_binary(bytes(range(40))), looks_binary(b"user,item" + bytes(1) + b"ann,tea")
    (True, False)
    """
    sample = text[:SAMPLE_BYTES].rstrip(b"\0")  # a log that was being written in a crash can end with NUL characters
    found = len(sample) - len(sample.translate(None, CONTROLS))
    others = len(sample.translate(None, b"\0")) - len(sample.translate(None, CONTROLS + b"\0"))
    return found > max(2, len(sample) // 20) or others > 2


def _to_utf8(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Decode by the byte order mark, by the places of NUL bytes, as UTF-8, or as one byte per character."""
    for mark, encoding in ENCODINGS.items():
        if data.startswith(mark):
            return _decoded(data[len(mark) :], encoding)
    while data.startswith(BYTE_ORDER_MARK):
        data = data.removeprefix(BYTE_ORDER_MARK)
    by_nuls = _encoding_by_nuls(data[:SAMPLE_BYTES])
    if by_nuls is not None:
        return _decoded(data, by_nuls)
    if data.isascii() or _is_utf8(data):
        return data, ()
    return _of_unlike_lines(data)


def _of_unlike_lines(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Decode text with lines that are not UTF-8, by how many of the lines beyond ASCII are UTF-8."""
    end = b"\n" if b"\n" in data else b"\r"
    lines = data.split(end)
    is_ascii, texts = [line.isascii() for line in lines], [_decoded_or_none(line, "utf-8") for line in lines]
    damaged = [place for place, text in enumerate(texts) if text is None]
    num_valid = len(lines) - sum(is_ascii) - len(damaged)
    share = num_valid / (num_valid + len(damaged))
    if share > MOSTLY_UTF8:
        text = data.decode("utf-8", "surrogateescape")
        note = f"{_on_damage(lines, damaged, 'UTF-8')}; {_advice([lines[place] for place in damaged], is_guess=False)}"
        return re.sub("[\udc80-\udcff]+", DAMAGED, text).encode(), (note,)
    others, encoding = _by_bytes([lines[place] for place in damaged])
    shown = f", for example {example(others[0])!r} at line {damaged[0] + 1:,}"
    counts = f"{len(damaged):,} of {num_valid + len(damaged):,} lines beyond ASCII are not UTF-8"
    if share >= PARTLY_UTF8 and _is_one_byte_each(lines[place] for place in damaged):
        for place, other in zip(damaged, others, strict=True):
            texts[place] = other
        mixed = end.decode().join(text or "" for text in texts)
        return mixed.encode(), (
            f"doubt: the text has two encodings: {counts} and read as {encoding}{shown}; {CONVERT}",
        )
    [whole], encoding = _by_bytes([data])
    advice = _advice([lines[place] for place in damaged], is_guess=True)
    note = f"the text is not UTF-8: read as {encoding}{shown}; {advice}"
    if num_valid or "more likely" in advice:
        note = f"doubt: {note}{f'; {counts}' if num_valid else ''}"
    return whole.encode(), (note,)


def _advice(lines: list[bytes], *, is_guess: bool) -> str:
    """Return which encoding lines are likely in, and how to name it."""
    likely = likely_encodings(lines)
    words = " or ".join(f"{name} ({word!r})" for name, word in likely.items())
    if not likely:
        return f"{'if this is wrong, ' if is_guess else 'if its encoding is another one, '}name it with {NAME_IT}"
    pick = NAME_IT if len(likely) > 1 else f"encoding= (--encoding {next(iter(likely))})"
    return f"it is more likely {words}: name the right one with {pick}"


def _on_damage(lines: list[bytes], damaged: list[int], encoding: str) -> str:
    """Return a clause on the lines whose bytes are not in an encoding, with the bytes and the place of the first."""
    line = lines[damaged[0]]
    try:
        line.decode(encoding)
        bad = line
    except UnicodeDecodeError as error:
        bad = line[max(error.start - 8, 0) : error.end + 8]
    plural = "s hold" if len(damaged) > 1 else " holds"
    return f"{len(damaged):,} line{plural} bytes that are not {encoding}, first {bad!r} at line {damaged[0] + 1:,}"


def _as_named(data: bytes, encoding: str) -> tuple[bytes, tuple[str, ...]]:
    """Decode text by the encoding that the caller names; mark the bytes that are not in it, if they are few."""
    try:
        text = data.decode(encoding).removeprefix("\ufeff").encode()
        if data.isascii() or text == data or not _is_utf8(data):
            return text, ()
        return text, (f"doubt: the text is UTF-8 too, and read as {encoding}: leave out --encoding if this is wrong",)
    except UnicodeDecodeError:
        pass
    except UnicodeError as error:  # a character that no text holds
        raise DataError(f"text must be {encoding}, as encoding= (--encoding) says; got {error}") from None
    lines = data.split(b"\n")
    damaged = [place for place, line in enumerate(lines) if _decoded_or_none(line, encoding) is None]
    num_beyond = sum(not line.isascii() for line in lines)
    if not damaged or len(damaged) > (1 - MOSTLY_UTF8) * num_beyond:
        others = [lines[place] for place in damaged]
        unicode = " or utf-8" if _is_utf8(data) else ""
        likely = " or ".join([*likely_encodings(others), "cp1252", "latin-1"]) + unicode
        found = _on_damage(lines, damaged, encoding) if damaged else "an end within a character"
        raise DataError(f"text must be {encoding}, as encoding= (--encoding) says; got {found}; try {likely}")
    marked = "\n".join(_decoded_or_none(line, encoding) or _marked(line, encoding) for line in lines)
    return marked.encode(), (f"{_on_damage(lines, damaged, encoding)}, as encoding= (--encoding) says",)


def _marked(line: bytes, encoding: str) -> str:
    return re.sub("\ufffd+", DAMAGED, line.decode(encoding, "replace"))


def _decoded_or_none(line: bytes, encoding: str) -> str | None:
    try:
        return line.decode(encoding)
    except UnicodeDecodeError:
        return None


def _by_bytes(parts: list[bytes]) -> tuple[list[str], str]:
    """Decode parts with one byte per character, by cp1252 where only this has letters; return the encoding."""
    if any(re.search(rb"[\x80-\x9f]", part) for part in parts):
        try:
            return [part.decode("cp1252") for part in parts], "cp1252"
        except UnicodeDecodeError:
            pass
    return [part.decode("latin-1") for part in parts], "latin-1"


def _is_one_byte_each(lines: Iterable[bytes]) -> bool:
    """Return whether most characters beyond ASCII stand alone, as letters with accents do, and are no pairs."""
    runs = [len(run) for line in lines for run in re.findall(rb"[\x80-\xff]+", line)]
    return 2 * runs.count(1) > len(runs)


def _decoded(data: bytes, encoding: str) -> tuple[bytes, tuple[str, ...]]:
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
        return text.encode(), (f"the text is {encoding.upper()}",)
    except UnicodeError as error:
        raise DataError(
            f"text that begins as {encoding.upper()} must be so to its end; got {error}; save it as UTF-8"
        ) from None


def _encoding_by_nuls(sample: bytes) -> str | None:
    """Return the encoding of two or four bytes per character whose unused bytes are NUL; None if it is none of them."""
    codes = np.frombuffer(sample[: len(sample) // 4 * 4], np.uint8).reshape(-1, 4)
    if len(codes) == 0 or codes.all():
        return None
    # Of four bytes, three are NUL. Of two, the same one is NUL in letters, digits and ends of lines.
    first, second, third, fourth = (float(share) for share in (codes == 0).mean(axis=0))
    if first == 0 and min(third, fourth) == 1:
        return "utf-32-le"
    if fourth == 0 and min(first, second) == 1:
        return "utf-32-be"
    if first == third == 0 and min(second, fourth) > UTF16_NULS:
        return "utf-16-le"
    return "utf-16-be" if second == fourth == 0 and min(first, third) > UTF16_NULS else None


def _is_utf8(data: bytes) -> bool:
    """Return whether bytes are UTF-8. They are decoded in blocks, as a decoded file can take four times its memory."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), BLOCK_BYTES):
            decoder.decode(data[start : start + BLOCK_BYTES])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
