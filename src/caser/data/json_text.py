r"""JSON: one object per line, one array of objects, or objects that are printed over several lines each.

Values keep how they are written: 1 and "1" are one id, and 1.0 is another one beside texts. An object inside a record
becomes columns with dots in their names (`user.id`), beside a column of objects that cannot be an id. Lists stay lists;
a list of objects also becomes a list for each of their fields (`events.item`). The extended JSON of mongoexport, such
as `{"$oid": "5e00"}`, is unwrapped.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from caser.data.json_shapes import advice_on_lists, records_of_table, refuse_unlike_records
from caser.data.json_size import check_lines, check_values
from caser.data.tables import NESTED_IN, Layout, RawTable, no_faults, numbered, with_dotted_columns, within_bounds
from caser.data.text import lines_of, to_text
from caser.errors import DataError
from caser.system.bounds import check_table

NOT_JSON = "that are no JSON object"

OF_PANDAS = "read the rows of a table that is one JSON object, as pandas writes it"

MIXED: Mapping[type[pl.DataType], str] = {pl.Float64: r"-?\d+\s*[,}\]]", pl.String: r"(?:[-\d]|true|false)"}
"""Patterns of JSON values that polars silently converts: integers in a column of floats, numbers in one of text."""

CHECKED = 100
"""In how many lines a key is searched that is there twice."""

PYTHON_DICT = re.compile(r"\{\s*u?'")

PYTHON_TO_JSON = (
    'python -c "import ast, json, sys; [print(json.dumps(ast.literal_eval(line))) for line in sys.stdin]" '
    "< FILE > log.jsonl"
)

BETWEEN = " \t\r\n,\x1e"
"""Characters between values that follow one another; U+001E begins each in a JSON text sequence."""

Record = dict[str, Any]
"""One JSON object."""


def read_json_lines(data: bytes, layout: Layout) -> RawTable:
    r"""Read JSON objects, one per line or printed over several lines each.

    data  the bytes of the file        layout  the columns and the encoding that the caller names

    A line that holds no object is a fault of its row. Raises DataError if no line holds a value, and for lines that are
    Python dictionaries or the output of a Mongo shell.

    >>> table = read_json_lines(b'{"user": 1, "item": {"id": "a"}}\n', Layout())
    >>> table.select(["user", "item.id"]).rows()
    [(1, 'a')]
    """
    text, notes = to_text(data, layout.encoding)
    check_lines(text)
    lines = lines_of(text)
    first = _json_object(lines["text"][0]) if len(lines) else {}
    if len(lines) == 1 and (records_in_table := records_of_table(first)) is not None:
        return _table_of(records_in_table, (*notes, OF_PANDAS))
    if first is None or (len(lines) == 1 and _is_document(first)):
        _refuse_other_notations(text)
        check_values(text)
        spread = _spread_objects(text.decode())
        if spread is not None:
            records, note = spread
            return _table_of(records, (*notes, note, *_note_on_mongo(text)))
    frame = pl.DataFrame()
    repeated = next(filter(None, map(_repeated_key, lines["text"][:CHECKED])), None)
    if repeated is not None:
        notes = (*notes, f"doubt: an object has the field {repeated[:40]!r} twice: its last value counts")
    if b'"$' not in text and repeated is None:
        try:
            frame = pl.read_ndjson(io.BytesIO(text), infer_schema_length=None)
        except pl.exceptions.PolarsError:
            frame = pl.DataFrame()
    faults = no_faults(len(lines))
    if len(frame) != len(lines) or _merges_kinds(frame.schema, text.decode()):
        check_values(text)
        rows = [_json_object(line) for line in lines["text"]]
        faults = pl.Series("fault", [NOT_JSON if row is None else None for row in rows], pl.String)
        frame = _frame_of(rows)
        notes = (*notes, *_note_on_mongo(text))
    if frame.width == 0:
        raise DataError(f"JSON lines must be objects with a user and an item; got {len(lines):,} lines without a value")
    refuse_unlike_records(frame, lines["line"], layout)
    return RawTable(with_dotted_columns(frame.lazy()), lines["line"], faults, notes=notes)


def read_json_array(data: bytes, layout: Layout) -> RawTable:
    """Read one JSON array of objects; each object is a row.

    data  the bytes of the file        layout  the encoding that the caller names

    Raises DataError if the file is no array of objects.

    >>> read_json_array(b'[{"user": 1, "item": "a"}, {"user": 2, "item": "b"}]', Layout()).select(["user"]).rows()
    [(1,), (2,)]
    """
    text, notes = to_text(data, layout.encoding)
    check_values(text)
    value = _whole(text.decode(), "a JSON array")
    if not isinstance(value, list) or not any(isinstance(one, dict) for one in value):
        kinds = {"list": "lists", "str": "texts", "int": "numbers", "float": "numbers"}
        kind = kinds.get(type(value[0]).__name__, "no objects") if isinstance(value, list) and value else "nothing"
        advice = "with pandas: frame.to_json('log.jsonl', orient='records', lines=True)"
        raise DataError(
            f"a JSON array must hold objects with a user and an item; got {kind}; write one object per line, {advice}"
        )
    return _table_of(value, (*notes, "read one JSON array", *_note_on_mongo(text)))


def _table_of(values: list[Any], notes: tuple[str, ...]) -> RawTable:
    """Return the table of JSON values; a value that is no object is a fault of its row."""
    rows = [_unwrapped(value) if isinstance(value, dict) else None for value in values]
    frame = _frame_of(rows)
    if frame.width == 0:
        raise DataError(f"JSON objects must have a user and an item; got {len(rows):,} objects without a value")
    faults = pl.Series("fault", [NOT_JSON if row is None else None for row in rows], pl.String)
    return RawTable(with_dotted_columns(frame.lazy()), numbered("row", 1, len(rows)), faults, notes=notes)


def _spread_objects(text: str) -> tuple[list[Any], str] | None:
    """Return the objects of a text in which an object spans lines, and a note; None if the text is of another form.

    If there is only one object, it must hold one list of objects, which are returned. Raises DataError otherwise.
    """
    note = "objects are printed over several lines each"
    try:
        values = list(_values(text))
    except (ValueError, RecursionError) as error:
        if re.match(r"\s*\{\s*\n", text) and len(text.split("\n", 3)) > 3:
            raise DataError(f"a JSON document must be whole; got {_reason(error)}; write one object per line") from None
        return None
    if len(values) != 1 or not isinstance(values[0], dict):
        return values, note
    if (records := records_of_table(values[0])) is not None:
        return records, OF_PANDAS
    lists = {name: value for name, value in values[0].items() if isinstance(value, list) and _are_objects(value)}
    if len(lists) == 1:
        ((name, objects),) = lists.items()
        return objects, f"read the {len(objects):,} objects under {name!r} of one JSON document"
    if not any(isinstance(value, list | dict) for value in values[0].values()):
        return values, note
    names = ", ".join(repr(name[:40]) for name in list(values[0])[:8])
    raise DataError(
        f"this is one JSON document: it must be or hold one list of objects; got the fields {names}; "
        "write one object per line, for example: jq -c '.FIELD[]' FILE > log.jsonl; " + advice_on_lists()
    )


def _is_document(record: Record) -> bool:
    """Return whether the only object of a file holds the records: it has lists of objects, and no plain value."""
    has_records = any(isinstance(value, list) and _are_objects(value) for value in record.values())
    return has_records and all(isinstance(value, list | dict) for value in record.values())


def _are_objects(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(value, dict) for value in values)


def _values(text: str) -> Iterator[Any]:
    """Yield the JSON values that follow one another. Raises ValueError at text that is none."""
    decoder, start = json.JSONDecoder(), 0
    while True:
        while start < len(text) and text[start] in BETWEEN:
            start += 1
        if start == len(text):
            return
        value, start = decoder.raw_decode(text, start)
        yield value


def _whole(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        _refuse_other_notations(text.encode())
        raise DataError(f"{what} must be whole; got {_reason(error)}; write one object per line") from None


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg!r} at line {error.lineno:,}"
    return "objects inside one another that are too deep"


def _refuse_other_notations(text: bytes) -> None:
    """Raise DataError for Python dictionaries and the output of a Mongo shell, which only look like JSON."""
    start = text[:5000].decode("utf-8", "replace").lstrip("[ \n")
    if PYTHON_DICT.match(start):
        raise DataError(
            f"JSON has double quotes; got Python dictionaries, with single quotes; convert them: {PYTHON_TO_JSON}"
        )
    if re.search(r":\s*(ObjectId|ISODate|NumberLong|NumberInt)\(", start):
        raise DataError(
            "JSON has no calls; got the output of a Mongo shell, such as ObjectId(...); write it by mongoexport"
        )


def _json_object(line: str) -> Record | None:
    """Return a JSON object with extended values unwrapped; None if the line is not a JSON object."""
    try:
        value = json.loads(line)
        json.dumps(value, ensure_ascii=False).encode()  # raises an error for half of a surrogate pair
    except (ValueError, RecursionError):
        return None
    return _unwrapped(value) if isinstance(value, dict) else None


def _repeated_key(line: str) -> str | None:
    """Return a key that an object has twice, or None: the last value counts, but polars takes the first."""
    try:
        pairs = json.loads(line, object_pairs_hook=tuple)  # an array stays a list
    except (ValueError, RecursionError):
        return None
    names = [name for name, _ in pairs] if isinstance(pairs, tuple) else []
    return next((name for name in names if names.count(name) > 1), None)


def _note_on_mongo(text: bytes) -> tuple[str, ...]:
    is_extended = re.search(rb'"\$(oid|date|number\w+|uuid)"\s*:', text) is not None
    return ("unwrapped values of mongoexport, such as {'$oid': ...}",) if is_extended else ()


def _unwrapped(value: Any) -> Any:
    """Return a value with the extended JSON of mongoexport replaced by texts and numbers, dates as ISO 8601."""
    if isinstance(value, list):
        return [_unwrapped(one) for one in value]
    if not isinstance(value, dict):
        return value
    if len(value) != 1 or not next(iter(value)).startswith("$"):
        return {name: _unwrapped(one) for name, one in value.items()}
    ((name, inner),) = value.items()
    inner = _unwrapped(inner)
    try:
        if name in ("$numberLong", "$numberInt"):
            return int(inner)
        if name == "$numberDouble":
            return float(inner)
        if name == "$date" and isinstance(inner, int):
            return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=inner)).isoformat()
    except (ValueError, TypeError, OverflowError):
        return {name: inner}
    return inner if name in ("$oid", "$date", "$numberDecimal", "$uuid", "$symbol") else {name: inner}


def _frame_of(rows: list[Record | None]) -> pl.DataFrame:
    """Return rows as a frame with one column per field. Values of several kinds in one column become text."""
    rows = [row and _with_dotted_names(row) for row in rows]
    names = dict.fromkeys(name for row in rows if row for name in row)
    with within_bounds():
        check_table(len(rows), len(names))
    return pl.DataFrame([_column(name, [None if row is None else row.get(name) for row in rows]) for name in names])


def _with_dotted_names(row: Record) -> Record:
    """Return a record with the fields of its objects beside them, with a dot between the names."""
    new, objects = dict(row), {name: value for name, value in row.items() if isinstance(value, dict)}
    for _ in range(NESTED_IN):
        dotted = {f"{name}.{key}": one for name, value in objects.items() for key, one in value.items()}
        new = dotted | new
        objects = {name: value for name, value in dotted.items() if isinstance(value, dict)}
    return new


def _column(name: str, values: list[Any]) -> pl.Series:
    """Return values as a column; as texts in JSON if they do not fit into a column of one kind."""
    values = [None if isinstance(value, float) and math.isnan(value) else value for value in values]
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {str, int, float, bool}:
        if len(kinds) > 1:
            values = [None if one is None else one if isinstance(one, str) else json.dumps(one) for one in values]
        return pl.Series(name, values, strict=False)
    if kinds == {list} and all(isinstance(one, str | int | float | None) for row in values if row for one in row):
        inner = {type(one) for row in values if row for one in row if one is not None}
        if len(inner) > 1:
            values = [
                row and [one if isinstance(one, str | None) else json.dumps(one) for one in row] for row in values
            ]
        return pl.Series(name, values, strict=False)
    try:
        column = pl.Series(name, values)
        is_kept = isinstance(column.dtype, pl.Struct | pl.List)
    except (pl.exceptions.PolarsError, TypeError, OverflowError):
        is_kept = False
    if is_kept and not _merges_kinds(pl.Schema({name: column.dtype}), json.dumps([{name: one} for one in values])):
        return column
    # A column of objects is not an id. Texts in JSON inside of it keep it apart from a column of texts.
    return pl.Series(name, [None if one is None else {"json": json.dumps(one)} for one in values])


def _merges_kinds(schema: Mapping[str, Any], text: str) -> bool:
    """Return whether polars has merged values of different kinds in one column, for example the ids 1 and 1.0."""
    for name, kind in schema.items():
        start = re.escape(json.dumps(name, ensure_ascii=False)) + r"\s*:\s*"
        while isinstance(kind, pl.List):
            kind, start = kind.inner, start + r"\[(?:[^\]{]*[,\[])?\s*"
        if isinstance(kind, pl.Struct):
            if _merges_kinds({field.name: field.dtype for field in kind.fields}, text):
                return True
        elif kind.base_type() in MIXED and re.search(start + MIXED[kind.base_type()], text):
            return True
    return False
