"""The values of one column of a table of items: text, numbers, dates or booleans; one value or a list per item.

All values of a column decide its kind, so a column of sizes with one "XL" is text. Texts are numbers only if all are
numbers, and none is written with a leading zero, because "007" is a code. Every value also has a text, by which values
are compared: the number 5, the text "5" and the float 5.0 have the text "5", and midnight has the text of its day.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import polars as pl

Kind: TypeAlias = Literal["text", "number", "date", "boolean"]
"""What the values of a column are."""

NUMBER = re.compile(r"[-+]?(0|[1-9]\d{0,299})?(\.\d{1,300})?([eE][-+]?\d{1,3})?", re.ASCII)
DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII)

NO_TEXTS: frozenset[str] = frozenset()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class ItemValues:
    """The values of a column, for N rows.

    kind     what the values are
    texts    (N,) the texts of each row's values; empty for a row without a value
    numbers  (N,) the same values as numbers, or as microseconds since 1970 for dates; empty for text and booleans
    notes    sentences about what was guessed
    """

    kind: Kind
    texts: list[frozenset[str]]
    numbers: list[tuple[float, ...]]
    notes: tuple[str, ...] = ()


def read_values(column: pl.Series, missing: Collection[str] = ()) -> ItemValues | None:
    """Return the values of a column; None if they are records, bytes or anything else that no rule can name.

    column   one value or one list of values for each row
    missing  texts that mean that a value is missing, for a text file

    Texts such as "Action|Drama", and columns whose texts all look like ['Action', 'Drama'], are lists of values.

    >>> values = read_values(pl.Series("genres", ["Action|Drama", "Comedy", ""]), missing=["", "NA"])
    >>> values.kind, [sorted(texts) for texts in values.texts]
    ('text', [['Action', 'Drama'], ['Comedy'], []])
    >>> read_values(pl.Series("price", ["10", "10.0", "NA"]), missing=["", "NA"]).numbers
    [(10.0,), (10.0,), ()]
    """
    rows = [tuple(row) if isinstance(row, list) else row for row in _to_list(column)]
    try:
        distinct: list[Hashable] = list(dict.fromkeys(rows))
    except TypeError:  # records, or lists of lists
        return None
    lists, notes = _as_lists(column.name, distinct, missing)
    scalars = [value for values in lists.values() for value in values]
    kind = kind_of(scalars)
    if kind is None:
        return None
    texts = {row: frozenset(text_of(value, kind) for value in values) for row, values in lists.items()}
    numbers: dict[Hashable, tuple[float, ...]] = dict.fromkeys(lists, ())
    if kind in ("number", "date"):
        numbers = {row: tuple(number_of(value, kind) for value in values) for row, values in lists.items()}
    notes += _note_on_missing(column.name, rows, missing) if kind == "text" else ()
    return ItemValues(kind, [texts[row] for row in rows], [numbers[row] for row in rows], notes)


def kind_of(values: Iterable[Any]) -> Kind | None:
    """Return the kind of all values together; None if a value is neither text, number, date nor boolean.

    values  values that are not missing

    >>> kind_of(["1", "2.50"]), kind_of(["1", "XL"]), kind_of(["01"])
    ('number', 'text', 'text')
    """
    values = list(values)
    kinds = set(map(type, values))
    if not kinds <= {str, bool, int, float, Decimal, date, datetime}:
        return None
    if kinds == {bool}:
        return "boolean"
    if kinds and kinds <= {int, float, Decimal}:
        return "number"
    if kinds and kinds <= {date, datetime}:
        return "date"
    if kinds == {str}:
        if all(is_number(value) for value in values):
            return "number"
        if all(value.lower() in ("true", "false") for value in values):
            return "boolean"
        if all(moment_of(value) is not None for value in values):
            return "date"
    return "text"


def is_number(text: str) -> bool:
    """Whether a text is a finite number, written without leading zeros.

    text  the text

    >>> [is_number(text) for text in ("10", "-2.5", ".5", "1e3", "007", "", "nan", "1e999")]
    [True, True, True, True, False, False, False, False]
    """
    return any(map(str.isdigit, text)) and NUMBER.fullmatch(text) is not None and math.isfinite(float(text))


def moment_of(value: Any) -> datetime | None:
    """Return a date, a moment or the ISO 8601 text of one, as a moment in UTC; None for anything else.

    value  without a time zone it is in UTC
    """
    if isinstance(value, str):
        if not DATE.fullmatch(value):
            return None
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return datetime(value.year, value.month, value.day, tzinfo=UTC) if isinstance(value, date) else None


def number_of(value: Any, kind: Kind) -> float:
    """Return a value of a column of numbers or dates as a number; a date in microseconds since 1970.

    value  one value        kind  the kind of its column, "number" or "date"

    >>> number_of("1970-01-02", "date"), number_of("2.50", "number")
    (86400000000.0, 2.5)
    """
    moment = moment_of(value) if kind == "date" else None
    if moment is None:
        return float(value)
    since = moment - _EPOCH
    return float((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def text_of(value: Any, kind: Kind = "text") -> str:
    """Return the text by which a value is compared.

    value  one value        kind  the kind of its column

    >>> text_of(5.0), text_of(True), text_of("5.0"), text_of("5.0", "number"), text_of("2020-01-01 00:00", "date")
    ('5', 'true', '5.0', '5', '2020-01-01')
    """
    if kind == "date" and (moment := moment_of(value)) is not None:
        text = moment.replace(tzinfo=None).isoformat()
        return text.removesuffix("T00:00:00")
    if isinstance(value, str) and kind == "number":
        value = int(value) if re.fullmatch(r"[-+]?\d+", value) else float(value)
    if isinstance(value, bool) or kind == "boolean":
        return str(value).lower()
    value = float(value) if isinstance(value, Decimal) else value
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _to_list(column: pl.Series) -> list[Any]:
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    return column.to_list()


def _as_lists(
    name: str, rows: Sequence[Hashable], missing: Collection[str]
) -> tuple[dict[Hashable, tuple[Any, ...]], tuple[str, ...]]:
    """Return the values of each distinct row without the missing ones, and a note if texts were split into lists."""
    is_missing = {None, "", *missing}

    def present(values: Iterable[Any]) -> tuple[Any, ...]:
        clean = (value.strip() if isinstance(value, str) else value for value in values)
        return tuple(one for one in clean if not _is_missing(one, is_missing))

    lists = {row: present(row if isinstance(row, tuple) else [row]) for row in rows}
    texts = [row for row, values in lists.items() if values and isinstance(row, str)]
    split = _splitter(texts)
    if split is None or any(isinstance(row, tuple) for row in rows):
        return lists, ()
    example = max(texts, key=lambda text: len(split(text)))
    note = f"{name}: a text such as {example[:60]!r} is read as a list of values: {', '.join(map(str, split(example)))}"
    return {row: present(split(row)) if isinstance(row, str) else values for row, values in lists.items()}, (note,)


def _is_missing(value: Any, words: Collection[Any]) -> bool:
    if isinstance(value, float | Decimal):
        return not math.isfinite(value)
    return value is None or (isinstance(value, str) and value in words)


def _splitter(texts: Sequence[str]) -> Callable[[str], Sequence[Any]] | None:
    """Return the function that splits the texts of a column into lists; None if they are no lists."""
    if texts and all(text.lstrip().startswith("[") for text in texts):
        bracketed = {text: values for text in texts if (values := _in_brackets(text)) is not None}
        if len(bracketed) == len(set(texts)):
            return lambda text: bracketed.get(text, (text,))
    return _at_bars if any("|" in text for text in texts) else None


def _at_bars(text: str) -> list[str]:
    return [part.strip() for part in text.split("|") if part.strip()]


def _in_brackets(text: str) -> list[Any] | None:
    """Return the values of a list that is written as in JSON or Python; None for another text."""
    read: tuple[Callable[[str], Any], ...] = (json.loads, ast.literal_eval)
    for function in read:
        try:
            values = function(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(values, list) and all(isinstance(value, str | int | float | None) for value in values):
            return values
    return None


def _note_on_missing(name: str, rows: Sequence[Hashable], missing: Collection[str]) -> tuple[str, ...]:
    """Return a note on the words of a column of text that count as missing: one of them may be meant as a value."""
    words: Mapping[Any, int] = Counter(row for row in rows if row in missing and row != "")
    if not words:
        return ()
    counts = ", ".join(f"{count:,} values {word!r}" for word, count in words.items())
    return (f"{name}: {counts} count as missing; where the word is meant, write the table as Parquet",)
