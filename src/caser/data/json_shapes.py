"""Shapes of JSON that are no list of records: tables as pandas writes them, JSON inside text, names that change.

A table in one object becomes records. The others are refused with the line to type.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from caser.data.names import by_name
from caser.data.tables import Layout
from caser.errors import DataError

Record = dict[str, Any]


def records_of_table(value: object) -> list[Record] | None:
    """Return the records of a table that is one object, as `DataFrame.to_json` writes it; None for another object.

    value  one JSON value

    The orientations split, index and columns are read if the index only numbers the rows. Raises DataError for another
    index, which may hold the users.

    >>> records_of_table({"columns": ["user", "item"], "index": [0, 1], "data": [[7, 3], [8, 4]]})
    [{'user': 7, 'item': 3}, {'user': 8, 'item': 4}]
    >>> records_of_table({"user": {"0": 7, "1": 8}, "item": {"0": 3, "1": 4}})
    [{'user': 7, 'item': 3}, {'user': 8, 'item': 4}]
    """
    if not isinstance(value, dict) or not value:
        return None
    if {"columns", "data"} <= set(value) <= {"columns", "data", "index"}:
        names, rows = value["columns"], value["data"]
        if not all(isinstance(row, list) and len(row) == len(names) for row in rows):
            return None
        _check_index(value.get("index", range(len(rows))))
        return [dict(zip(map(str, names), row, strict=True)) for row in rows]
    parts = list(value.values())
    if len(parts) < 2 or not all(isinstance(part, dict) and part.keys() == parts[0].keys() for part in parts):
        return None
    if {"user", "item"} <= set(by_name(list(parts[0]))):
        _check_index(value)
        return parts
    if {"user", "item"} <= set(by_name(list(value))):
        _check_index(parts[0])
        return [{name: part[key] for name, part in value.items()} for key in parts[0]]
    return None


def _check_index(index: Any) -> None:
    if [str(one) for one in index] != [str(row) for row in range(len(index))]:
        raise DataError(
            "the rows of a table in one JSON object must be numbered 0, 1, ...; got the index "
            f"{', '.join(str(one)[:20] for one in list(index)[:3])}, which a log would lose; write one object per row: "
            "frame.reset_index().to_json('log.jsonl', orient='records', lines=True)"
        )


def refuse_unlike_records(frame: pl.DataFrame, places: pl.Series, layout: Layout) -> None:
    """Raise DataError if the records are JSON inside a text, or if their fields change their names in the middle.

    frame   the fields of each record        places  where each record is
    layout  the columns that the caller names, if any, are taken as they are
    """
    if layout.named or frame.is_empty():
        return
    roles = by_name(frame.columns)
    if len(frame) == 1 and not roles and all(kind == pl.List for kind in frame.dtypes):
        raise DataError(
            f"records must be JSON objects, one for each interaction; got one object of lists, under "
            f"{frame.columns[0]!r} and so on; {advice_on_lists()}"
        )
    for name, column in frame.to_dict().items():
        if "user" in roles and "item" in roles:
            break
        if column.dtype == pl.String and column.head(20).drop_nulls().str.contains(r"^\s*\{\s*\"").any():
            raise DataError(
                f"records must be JSON objects; got JSON inside the text of the field {name!r}; unpack it: "
                f"jq -c '.\"{name}\" | fromjson' FILE > log.jsonl"
            )
    _refuse_changed_names(frame, places)


def advice_on_lists() -> str:
    """Return what to do with an object that holds a list under the id of each user."""
    return (
        "if each field is a user with a list of items, write one object per line: "
        "jq -c 'to_entries[] | .key as $user | .value[] | {user: $user, item: .}' FILE > log.jsonl"
    )


def _refuse_changed_names(frame: pl.DataFrame, places: pl.Series) -> None:
    """Raise DataError if the user or the item has another name in the last record than in the first one."""
    first, last = (
        by_name([name for name, column in frame.to_dict().items() if column[row] is not None]) for row in (0, -1)
    )
    changed = {role: (first[role], last[role]) for role in first.keys() & last.keys() if first[role] != last[role]}
    changed = {role: pair for role, pair in changed.items() if _replace_each_other(frame, *pair)}
    if not changed.keys() & {"user", "item"}:
        return
    names = {role: (first[role], last.get(role, first[role])) for role in first}
    old, new = changed.get("user") or changed["item"]
    row = frame[new].is_not_null().arg_max() or 0
    renamed = ", ".join(f'"{one}": (."{one}" // ."{other}")' for one, other in names.values())
    raise DataError(
        f"fields must keep their names; got {old!r} at {places.name} {places[0]:,}, and {new!r} in its place from "
        f"{places.name} {places[row]:,} on; give them one name: jq -c '{{{renamed}}}' FILE > log.jsonl"
    )


def _replace_each_other(frame: pl.DataFrame, old: str, new: str) -> bool:
    return bool((frame[old].is_null() | frame[new].is_null()).all())
