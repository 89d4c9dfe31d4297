"""How an id is written: the one rule that decides which id of a log is meant, on every road.

A log holds ids of one kind: text, whole numbers, floats, or true and false. Every id is written in exactly one way:

    text            as it is, with its spaces and its Unicode form
    whole number    in decimal digits, with "-" before a negative one: 7, -7
    float           as the shortest text that gives the same float again: 7.5, 1e+16
    bool            true, false

Two ids are the same if they are written in the same way. So the text "7" and the number 7 are one id, while "007",
" 7", "+7", "0_7", "7.0" and digits of another script are other ids. An unknown float or bool is refused in a log of
other ids, because 7.0 may mean 7 or "7.0", and True is usually a mistake.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import polars as pl

from caser.arrays.types import RawId
from caser.errors import ConfigError, DataError

MAX_ID_LENGTH = 1_000
"""Characters that an id may have. With 12 bytes for a percent-encoded character, it still fits into a request line."""

MAX_JSON_INTEGER = 2**53 - 1
"""The largest whole number that every reader of JSON keeps exact: JavaScript reads numbers as 64-bit floats."""

_MOST_DIGITS = 21
"""Ids with zeros in front have fewer digits than this."""

_MOST = 2**63
_TOO_LARGE = 10**MAX_ID_LENGTH
_WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]*")
_BOOLS = {"true": True, "false": False}
_IN_WORDS: dict[type, str] = {str: "text", int: "whole numbers", float: "floats", bool: "true and false"}
_PLAIN_TYPES = frozenset(_IN_WORDS)


def kind_of(dtype: pl.DataType) -> type:
    """Return the kind of the ids in a column: int, float, bool, or else str.

    dtype  the type of the column

    >>> kind_of(pl.UInt64()), kind_of(pl.String())
    (<class 'int'>, <class 'str'>)
    """
    if dtype.is_integer():
        return int
    if dtype.is_float():
        return float
    return bool if dtype == pl.Boolean else str


def plain(value: Any, where: str = "an id") -> RawId:
    """Return an id as a plain value of Python. So are values of NumPy and Arrow, of any width.

    value  an id as a caller gave it
    where  what the value is, for the message

    Raises ConfigError for what cannot be an id: None, NaN, the empty text, bytes, a date, and so on.

    >>> plain(np.uint8(7)), plain("007")
    (7, '007')
    """
    if (type(value) is str and value and value.isascii()) or (type(value) is int and -_MOST <= value <= _MOST):
        return value
    value = value.item() if isinstance(value, np.generic) else value.as_py() if hasattr(value, "as_py") else value
    if isinstance(value, str):
        return _checked(str.__str__(value), where)
    for kind in (bool, int, float):
        if isinstance(value, kind):
            return _checked(kind(value), where)
    raise ConfigError(
        f"{where} must be text or a number; got {in_words(value)}, a {type(value).__name__}. Give it as the log has it."
    )


def written(raw: RawId) -> str:
    """Return how an id is written.

    raw  an id as a plain value of Python

    >>> [written(raw) for raw in (7, "007", 7.5, True)]
    ['7', '007', '7.5', 'true']
    """
    if type(raw) is str:
        return raw
    return str(raw).lower() if isinstance(raw, bool) else str(raw)


def id_written(text: str, kind: type) -> RawId | None:
    """Return the id of a kind that is written as a text; None if there is none.

    text  any text        kind  str, int, float or bool

    >>> [id_written(text, int) for text in ("7", "-7", "007", " 7", "+7", "0_7", "7.0", "٧", "-0")]
    [7, -7, None, None, None, None, None, None, None]
    """
    if kind is str:
        return text
    if kind is bool:
        return _BOOLS.get(text)
    if len(text) > MAX_ID_LENGTH:
        return None
    if kind is int:
        return int(text) if _WHOLE_NUMBER.fullmatch(text) else None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if str(number) == text else None


def other_spellings(text: str) -> list[str]:
    """Return other texts that a person may have meant by an id: other zeros in front, no blanks around it, other case.

    text  how an id is written

    >>> other_spellings(" 07")[:3], other_spellings("tea")
    (['07', '7', '007'], ['TEA', 'Tea'])
    """
    bare = text.strip()
    number = bare.removeprefix("+").removesuffix(".0")
    found = [bare, bare.lower(), bare.upper(), bare.title()]
    if number.isdecimal() and number.isascii():
        digits = number.lstrip("0") or "0"
        found += [number, *(digits.zfill(width) for width in range(len(digits), _MOST_DIGITS)), f"{digits}.0"]
    return [one for one in dict.fromkeys(found) if one and one != text]


def refuse_converted(raw: RawId, kind: type) -> None:
    """Raise ConfigError for an unknown float or bool where ids are of another kind: it may stand for a known id.

    raw   an id that the log does not hold        kind  the kind of the log's ids: str, int, float or bool

    >>> refuse_converted("7.0", int)
    >>> refuse_converted(True, int)
    Traceback (most recent call last):
    caser.errors.ConfigError: an id must be as in the log, where ids are whole numbers; got True. Give its text.
    """
    if type(raw) is kind or type(raw) not in (float, bool):
        return
    advice = "Give its text."
    if isinstance(raw, float) and raw.is_integer() and abs(raw) <= MAX_JSON_INTEGER:
        advice = (
            f'Give {int(raw)} for the id {int(raw)}, or "{raw!r}" for that text. A column becomes floats where values '
            "are missing."
        )
    raise ConfigError(f"an id must be as in the log, where ids are {_IN_WORDS[kind]}; got {raw!r}. {advice}")


def json_id(raw: RawId) -> str | int:
    """Return an id as a JSON value that every client can read and send back.

    raw  an id as a plain value of Python

    A whole number up to 2^53 - 1 stays a number. Every other id becomes the text that it is written as.

    >>> json_id(7), json_id(2**53), json_id(7.5), json_id("007")
    (7, '9007199254740992', '7.5', '007')
    """
    if type(raw) is str or (type(raw) is int and -MAX_JSON_INTEGER <= raw <= MAX_JSON_INTEGER):
        return raw
    return written(raw)


def in_words(value: Any, longest: int = 60) -> str:
    r"""Return an id as it is shown in a sentence or a table: in quotes where it would not be seen as it is.

    value    an id, or what was given in place of one
    longest  how many characters to show; the rest of a longer text is left out

    >>> [in_words(raw) for raw in (7, "tea", " tea", "a\tb")]
    ['7', 'tea', "' tea'", "'a\\tb'"]
    """
    text = written(value) if type(value) in _PLAIN_TYPES else repr(value)
    is_clear = text.isprintable() and text == text.strip() and text != ""
    shown = text if is_clear else repr(text)
    return shown if len(shown) <= longest else f"{shown[: longest - 3]}..."


def _checked(raw: RawId, where: str) -> RawId:
    """Return an id of a plain type. Raises ConfigError if it is empty, not a number, or has too many digits."""
    if raw == "":
        raise ConfigError(f"{where} must have at least one character; got an empty text. Is a variable empty?")
    if isinstance(raw, float) and raw != raw:
        raise ConfigError(f"{where} must be text or a number; got {raw!r}. Leave out what is missing.")
    if type(raw) is int and abs(raw) >= _TOO_LARGE:
        raise ConfigError(f"{where} must have at most {MAX_ID_LENGTH:,} digits; got a longer number.")
    if isinstance(raw, str) and any("\ud800" <= letter <= "\udfff" for letter in raw):
        raise ConfigError(f"{where} must be text in Unicode; got {in_words(raw)}. Is it encoded in UTF-8?")
    return raw


def check_lengths(ids: pl.Series, kind: str) -> None:
    """Raise DataError unless every id is short enough to be asked for: in a command, a request and its address.

    ids  raw ids        kind  "user" or "item"
    """
    if ids.dtype != pl.String:
        return
    lengths = ids.str.len_chars()
    wrong = ids.filter((lengths == 0) | (lengths > MAX_ID_LENGTH))
    if len(wrong):
        raise DataError(
            f"each {kind} id must have 1 to {MAX_ID_LENGTH:,} characters; got {in_words(wrong[0])} with "
            f"{len(wrong[0]):,}. Name the column of ids with {kind}= (--{kind}), or give long texts short ids."
        )
