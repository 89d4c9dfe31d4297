"""Text: the bytes of a text file become UTF-8 whose lines end with LF, whatever its encoding and its ends of lines are.

Every encoding other than UTF-8 is named in a note. A damaged character does not stop a file: it is marked, so that its
line can become a bad row.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping

import numpy as np
import polars as pl

from caser.errors import DataError

BLOCK_BYTES = 1 << 23

DAMAGED = "\ufdd0"
"""Stands for bytes that are not UTF-8 in a file that is UTF-8 otherwise. Unicode keeps this character out of texts."""

FORBIDDEN: Mapping[str, str] = {"\0": "with a NUL character", DAMAGED: "with bytes that are not UTF-8"}
"""Characters that make a line a bad row, and the reason."""

ENCODINGS: Mapping[bytes, str] = {
    b"\xff\xfe\x00\x00": "utf-32-le",
    b"\x00\x00\xfe\xff": "utf-32-be",
    b"\xff\xfe": "utf-16-le",
    b"\xfe\xff": "utf-16-be",
}
"""Byte order marks, and the encodings that they begin. One of UTF-32 begins like one of UTF-16, so it comes first."""

BYTE_ORDER_MARK = codecs.BOM_UTF8

SAMPLE_BYTES = 4096

UTF16_NULS = 0.1
"""The share of characters below U+0100 in a text that is taken for UTF-16 without a byte order mark."""

CONTROLS = bytes({*range(9), *range(14, 32)} - {0x01, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F})
"""Bytes that no text holds. The characters that separate fields and records in some exports are not among them."""


def to_text(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    r"""Return text as UTF-8 without a byte order mark and with LF at the end of each line, and sentences about guesses.

    data  the bytes of a file

    The encoding is that of the byte order mark; UTF-16 or UTF-32 without one if NUL bytes are where these have them;
    else UTF-8. Bytes that are not UTF-8 are read as cp1252 or latin-1, unless most characters
    beyond ASCII are UTF-8: then each is replaced by `DAMAGED`. Raises DataError if the text breaks off within a
    character of UTF-16 or UTF-32.

    >>> to_text("user,item\r\nann,tea\r\n".encode("utf-16"))
    (b'user,item\nann,tea\n', ('the text is UTF-16-LE',))
    """
    text, notes = _to_utf8(data)
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n")
        if _ends_with_cr(text):
            text, notes = text.replace(b"\r", b"\n"), (*notes, "lines end with CR, as on old Macs")
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
    data = data.removeprefix(BYTE_ORDER_MARK)
    by_nuls = _encoding_by_nuls(data[:SAMPLE_BYTES])
    if by_nuls is not None:
        return _decoded(data, by_nuls)
    if data.isascii() or _is_utf8(data):
        return data, ()
    # Mark the damage in a file that is UTF-8 otherwise.
    text = data.decode("utf-8", "surrogateescape")
    num_damaged = len(re.findall("[\udc80-\udcff]", text))
    num_valid = len(data.translate(None, bytes(range(0x80, 0xC0)))) - len(data.translate(None, bytes(range(0x80, 256))))
    if num_valid - num_damaged > num_damaged:
        return re.sub("[\udc80-\udcff]+", DAMAGED, text).encode(), ()
    # Read one byte per character. cp1252 has letters where latin-1 has control characters.
    encoding = "cp1252" if re.search(rb"[\x80-\x9f]", data) else "latin-1"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        encoding, text = "latin-1", data.decode("latin-1")
    example = re.search(r"[^\s,;|\"]*[^\x00-\x7f][^\s,;|\"]*", text)
    shown = "" if example is None else f", for example {example[0][:40]!r}"
    convert = "if this is wrong, convert it: iconv -f ENCODING -t UTF-8 FILE > log.csv"
    return text.encode(), (f"the text is not UTF-8: read as {encoding}{shown}; {convert}",)


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
