"""Encodings other than Unicode's: which names there are, and which of them bytes are likely to be in.

No text tells its encoding for sure. What is likely is shown with a word as it would be read, so that a person can see
which one is right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from caser.errors import did_you_mean

LIKELY: Mapping[str, str] = {
    "cp1251": r"[\u0400-\u045f]",
    "koi8-r": r"[\u0400-\u045f]",
    "cp866": r"[\u0400-\u045f]",
    "cp1253": r"[\u0386-\u03ce]",
    "cp1255": r"[\u05d0-\u05ea]",
    "cp1256": r"[\u0621-\u064a]",
    "euc-kr": r"[\uac00-\ud7a3]",
    "shift_jis": r"[\u3041-\u30ff\u4e00-\u9fff]",
    "gbk": r"[\u4e00-\u9fff]",
    "big5": r"[\u4e00-\u9fff]",
    "euc-jp": r"[\u3041-\u30ff\u4e00-\u9fff]",
    "cp874": r"[\u0e01-\u0e5b]",
}
"""Encodings that are searched for, with the letters of their script as a pattern, the one of more logs first."""

COMMON_LEADS: Mapping[str, range] = {
    "euc-kr": range(0xB0, 0xC9),
    "shift_jis": range(0x82, 0x98),
    "euc-jp": range(0xA4, 0xD0),
    "gbk": range(0xB0, 0xD8),
    "big5": range(0xA4, 0xC7),
}
"""The first of two bytes of usual letters; rare ones come after them in each of these encodings."""

ENOUGH = 0.75
"""The share of letters beyond ASCII that are usual in an encoding before it is likely."""

OF_LATIN = re.compile(rb"(?<![\x80-\xff])[\x80\x85\x91-\x97\x99\xa0-\xff](?![\x80-\xff])")
"""A letter with an accent, or a sign of typography, that stands alone beside letters of ASCII."""

WORD_BYTES = re.compile(rb"[A-Za-z]*[\x80-\xff][A-Za-z\x80-\xff]*")

MOST_LINES, MOST_NAMED = 500, 4

WORD = re.compile(r"[^\s,;|\"]*[^\x00-\x7f][^\s,;|\"]*")
"""A word with a letter beyond ASCII."""


def known_encoding(name: str) -> str:
    """Return the name of an encoding of text. Raises ValueError for another name.

    name  as Python knows it, such as "gbk", "shift_jis" or "latin-1"

    >>> known_encoding("gbk")
    'gbk'
    """
    try:
        bytes(4).decode(name)
    except UnicodeError:
        return name
    except (LookupError, ValueError):  # such as "hex", which is no encoding of text
        names = ("utf-8", "utf-16", "latin-1", "cp1252", "cp1250", "gb18030", *LIKELY)
        raise ValueError(f"must be the name of an encoding of text: {did_you_mean(name, names).rstrip('.')}") from None
    return name


def likely_encodings(lines: Sequence[bytes]) -> dict[str, str]:
    """Return the encodings that lines with bytes beyond ASCII are likely in, most likely first, each with one word.

    lines  lines that are not UTF-8

    Nothing is returned for letters with accents among letters of ASCII, as cp1252 has them.

    >>> likely_encodings(["\u041f\u0440\u0438\u0432\u0435\u0442".encode("cp1251")])["cp1251"]
    '\u041f\u0440\u0438\u0432\u0435\u0442'
    >>> likely_encodings(["caf\u00e9".encode("cp1252")])
    {}
    """
    lines = lines[:MOST_LINES]
    sample = b"\n".join(lines)
    if _is_latin(sample):
        return {}
    shares = {name: round(_usual_share(sample, name), 1) for name in LIKELY}
    found = sorted((name for name, share in shares.items() if share >= ENOUGH), key=lambda name: -shares[name])
    return {name: example(lines[0].decode(name)) for name in found[:MOST_NAMED]}


def notes_on_encoding(notes: Sequence[str]) -> list[str]:
    """Return the sentences on an encoding that may be another one, which may be why a log cannot be read.

    notes  sentences on a source

    >>> notes_on_encoding(["read a as user", "doubt: read as cp1252; if this is wrong, pass --encoding NAME"])
    ['read as cp1252; if this is wrong, pass --encoding NAME']
    """
    return [note.removeprefix("doubt: ") for note in notes if "--encoding" in note]


def example(line: str) -> str:
    """Return the first word of a line with a letter beyond ASCII, at most 40 characters of it; "" if there is none.

    line  text

    >>> example("7,caf\u00e9,1")
    'caf\u00e9'
    """
    found = WORD.search(line)
    return "" if found is None else found[0][:40]


def _is_latin(sample: bytes) -> bool:
    """Return whether most letters beyond ASCII stand alone, or most letters of their words are of ASCII."""
    runs = re.findall(rb"[\x80-\xff]+", sample)
    letters = b"".join(WORD_BYTES.findall(sample))
    return 2 * len(OF_LATIN.findall(sample)) >= len(runs) or 2 * sum(map(len, runs)) <= len(letters)


def _usual_share(sample: bytes, name: str) -> float:
    """Return the share of the letters beyond ASCII that are usual ones of an encoding; 0 for bytes that are not in it.

    A capital letter behind a small one is not usual: so the Cyrillic encodings differ.
    """
    try:
        text = sample.decode(name)
    except UnicodeDecodeError:
        return 0.0
    letters = [(before, letter) for before, letter in pairwise(f" {text}") if letter > "\x7f"]
    script, leads = re.compile(LIKELY[name]), COMMON_LEADS.get(name)
    usual = [
        (before, letter)
        for before, letter in letters
        if script.match(letter)
        and not (before.islower() and letter.isupper())
        and (leads is None or letter.encode(name)[0] in leads)
    ]
    return len(usual) / max(len(letters), 1)
