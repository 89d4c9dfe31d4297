r"""Ids: turn a column into the ids of users or items, without changing any of them.

Only the text that a number is written as stands for it: "007", " 7" and "+7" are other ids than 7. The rules:

    text                stays text. The ids of a text file become integers if each is exactly how its integer is written
    7.0 in a text file  is 7 if every id of the column is a whole number written with ".0" below 2^53, which is how
                        pandas writes a column of integers with a hole; otherwise the column stays text as it is
    integers            of any width stay integers if they fit 64 bits; otherwise the whole column becomes text
    decimals, floats    become integers if all are whole, and floats below 2^53; otherwise they are refused, because
                        how they were written is lost
    booleans            become the texts "true" and "false"
    binary              becomes text if all values are printable text, UUIDs if all have 16 bytes, else hexadecimal

Moments, durations, lists and structs are no ids. A missing id is null.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection

import polars as pl

from caser.data.column_words import speaks_for, words_in
from caser.data.names import option
from caser.errors import DataError

MISSING = (
    *("", "NA", "na", "N/A", "n/a", "#N/A", "#NA", "<NA>", "<na>", "NaN", "nan", "NAN", "-NaN", "-nan", "NaT"),
    *("NULL", "null", "Null", "<NULL>", "<null>", "(NULL)", "(null)", "[NULL]", "[null]", r"\N"),
    *("None", "none", "NONE", "-"),
)
"""Words that mean in a text file that a value is missing. The caller can add words, or switch these off."""

OWNERS = ("user=", "item=", "time=")
"""How a word begins that means a missing value in one column only."""

NUMBER = re.compile(r"\s*[-+]?\d[\d.,]*([eE][-+]?\d+)?\s*")

WHOLE_FLOAT_LIMIT = 2**53
"""Floats from here on do not hold every whole number: this one may have been written as the next."""


def words_for_missing(named: Collection[str] | None, is_text: bool, role: str) -> list[str]:
    """Return the texts that mean that a value of one column is missing.

    named    words that the caller adds to the usual ones, such as "?" for all columns, or "user=0" for one. With the
             empty text among them, or no word at all, they stand instead of the usual ones. None adds none. The empty
             text is always missing
    is_text  whether the source is a text file. Other sources mark a missing value themselves
    role     of the column: "user", "item" or "time"

    Raises DataError for a number that is not said of one column: it may be an id in another one.

    >>> words_for_missing(None, False, "user"), words_for_missing(("", "?", "user=0", "item=-1"), True, "user")
    ([''], ['', '?', '0'])
    >>> words_for_missing(("?",), True, "item") == [*MISSING, "?"]
    True
    """
    are_added = named is None or (len(named) > 0 and "" not in named)
    usual = MISSING if is_text and are_added else ("",)
    words = list(usual)
    for said in named or ():
        owner, word = said.split("=", 1) if said.startswith(OWNERS) else (None, said)
        if owner is None and NUMBER.fullmatch(word):
            ways = " or ".join(f"--missing {one}{word}" for one in OWNERS)
            raise DataError(
                f"a number that means a missing value must be said of one column, as it may be an id in another; got "
                f"{word!r}; pass {ways} (in Python missing=)"
            )
        words += [word] if owner in (None, role) and word not in words else []
    return words


FORMULA = r'^="([^"]*)"$'
"""How a spreadsheet exports a cell that must stay text."""


def is_missing(texts: pl.Series, words: Collection[str]) -> pl.Series:
    r"""Return whether each text is missing, (N,): it is null, or a word, possibly among blanks.

    texts  text        words  as from `words_for_missing`

    >>> is_missing(pl.Series(["7", r"\N", " NA ", None]), MISSING).to_list()
    [False, True, True, True]
    """
    return texts.str.strip_chars().is_in(list(words)).fill_null(True)


def read_ids(ids: pl.Series, places: pl.Series, words: Collection[str]) -> tuple[pl.Series, list[str]]:
    """Return ids as integers or text, with null for missing ones; and sentences on what was converted.

    ids     a column of any type        places  (N,) where each row is in the source, named "line" or "row"
    words   texts that mean missing

    Raises DataError, with the first value, for a column whose values cannot be ids.

    >>> places = pl.Series("row", [1, 2, 3])
    >>> read_ids(pl.Series("user", ["007", "", " 7"]), places, [""])[0].to_list()
    ['007', None, ' 7']
    >>> read_ids(pl.Series("user", ['="007"', '=""', "8"]), places, [""])[0].to_list()
    ['007', None, '8']
    >>> read_ids(pl.Series("user", [10.0, None, 7.0]), places, [""])
    (shape: (3,)
    Series: 'user' [i64]
    [
        10
        null
        7
    ], ['user holds whole floats: 10.0 is read as the id 10'])
    """
    kind = ids.dtype
    note: str | None = None
    if kind in (pl.Categorical, pl.Enum, pl.Boolean, pl.Null):
        ids = ids.cast(pl.String)
    elif kind.is_integer():
        ids = _narrowest(ids)
    elif kind.is_decimal() or kind.is_float():
        ids, note = _whole(ids, places)
    elif kind == pl.Binary:
        ids, note = _text_of_binary(ids)
    elif kind != pl.String:
        raise DataError(
            f"ids must be text or whole numbers; got {_shown(ids)} in column {ids.name!r}, of the type {kind}"
            + (f"; name a field of these objects, with a dot: {_field_of(ids.name, kind)}" if kind == pl.Struct else "")
        )
    else:
        ids, note = _without_formula(ids)
    if ids.dtype == pl.String or words != [""]:  # a number is written as one of the words only if the caller names them
        ids = ids.set(is_missing(ids.cast(pl.String), words), None)
    return ids, [note] if note else []


def _without_formula(ids: pl.Series) -> tuple[pl.Series, str | None]:
    """Return ids without the formula in which a spreadsheet keeps the zeros of a number, ="007", and a sentence."""
    is_formula = ids.str.contains(FORMULA).fill_null(False)
    if not is_formula.any():
        return ids, None
    texts = ids.str.replace(FORMULA, "$1")
    first = is_formula.arg_max() or 0
    return texts, (
        f"{ids.name} holds texts as formulas of a spreadsheet: {ids[first][:60]} is read as the id {texts[first][:60]}"
    )


def as_integers_if_exact(ids: pl.Series) -> pl.Series:
    """Return text ids as integers if every text is exactly how its integer is written; otherwise return the text.

    ids  text, such as the distinct ids of users

    >>> as_integers_if_exact(pl.Series(["1", "20"])).to_list(), as_integers_if_exact(pl.Series(["1", "020"])).to_list()
    ([1, 20], ['1', '020'])
    """
    numbers = ids.cast(pl.Int64, strict=False)
    return numbers if bool((numbers.cast(pl.String) == ids).fill_null(False).all()) else ids


def without_point_zero(ids: pl.Series) -> pl.Series | None:
    """Return distinct text ids as integers if each is a whole number with ".0" below 2^53; None if not.

    ids  text

    >>> without_point_zero(pl.Series(["7.0", "10.0"])).to_list(), without_point_zero(pl.Series(["7.0", "7"]))
    ([7, 10], None)
    """
    if not bool(ids.str.ends_with(".0").all()):
        return None
    numbers = as_integers_if_exact(ids.str.strip_suffix(".0"))
    if numbers.dtype == pl.String or bool((numbers.abs() >= WHOLE_FLOAT_LIMIT).any()):
        return None
    return numbers


def missing_flags(role: str, words: Collection[str]) -> str:
    """Return the flags that make words mean a missing value in one column, as they are typed.

    role  of the column: "user", "item" or "time"        words  values of it

    >>> missing_flags("user", ["-1", "not set"])
    "--missing user=-1 --missing 'user=not set'"
    """
    return " ".join(f"--missing {shlex.quote(f'{role}={word}')}" for word in words)


def shortened(value: object) -> str:
    """Return a value for a sentence: text in quotes, at most 60 characters.

    value  an id or any other value

    >>> shortened("tea"), shortened(7)
    ("'tea'", '7')
    """
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _narrowest(ids: pl.Series) -> pl.Series:
    """Return integers in 64 bits with a sign, or without one, or as text: the first that holds all of them."""
    for kind in (pl.Int64, pl.UInt64):
        cast = ids.cast(kind, strict=False)
        if cast.null_count() == ids.null_count():
            return cast
    return ids.cast(pl.String)


def _whole(ids: pl.Series, places: pl.Series) -> tuple[pl.Series, str | None]:
    """Return floats or decimals as integers. Raises DataError if one has a fraction or is too large to be exact."""
    is_float = ids.dtype.is_float()
    limit = 2**24 if ids.dtype == pl.Float32 else WHOLE_FLOAT_LIMIT
    ids = ids.fill_nan(None) if is_float else ids
    whole = ids.cast(pl.Int128, strict=False)
    back = whole.cast(ids.dtype, strict=False)
    is_exact = (back == ids).fill_null(False) | ids.is_null()
    if is_float:
        is_exact &= (ids.abs() < limit).fill_null(True)
    if not is_exact.all():
        [row] = (~is_exact).arg_true()[:1]
        raise DataError(
            f"ids must be text or whole numbers, and floats only below 2^{limit.bit_length() - 1}; got {ids[row]} at "
            f"{places.name} {places[row]:,} in column {ids.name!r}, of the type {ids.dtype}; convert the column to text"
        )
    first = ids.drop_nulls()[:1].to_list()
    note = None
    if first and (is_float or "." in str(first[0])):
        kind = "floats" if is_float else "decimals"
        note = f"{ids.name} holds whole {kind}: {first[0]} is read as the id {int(first[0])}"
    return _narrowest(whole), note


def _text_of_binary(ids: pl.Series) -> tuple[pl.Series, str]:
    """Return binary values as text: as they are if all are printable, as UUIDs if all have 16 bytes, else in hex."""
    try:
        text = ids.cast(pl.String)
        is_printable = not text.str.contains(r"\p{C}").any()
    except pl.exceptions.PolarsError:  # some value is not UTF-8
        is_printable = False
    if is_printable:
        return text, f"{ids.name} holds binary values: read as text"
    if (ids.bin.size().drop_nulls() == 16).all():
        hexadecimal = ids.bin.encode("hex")
        uuids = hexadecimal.str.replace(r"^(.{8})(.{4})(.{4})(.{4})(.{12})$", "${1}-${2}-${3}-${4}-${5}")
        return uuids, f"{ids.name} holds 16 bytes per value: read as UUIDs"
    return ids.bin.encode("hex"), f"{ids.name} holds binary values: read as hexadecimal text"


def _field_of(name: str, kind: pl.DataType) -> str:
    """Return the flag of the field of objects that may be the id."""
    fields = [field.name for field in kind.fields] if isinstance(kind, pl.Struct) else []
    field = next((one for one in fields if {"id", "sku", "key"} & {*words_in(one)}), fields[0] if fields else "id")
    return option("item" if speaks_for(name.removesuffix("s"), "item") is not None else "user", f"{name}.{field}")


def _shown(ids: pl.Series) -> str:
    first = ids.drop_nulls()[:1].to_list()
    return shortened(str(first[0])) if first else "no value"
