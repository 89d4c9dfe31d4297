"""Nested fields: which fields of objects, or of lists of objects, may be the user, the item and the time.

Such fields are columns with a dot in their names. They are not chosen, but where a role has no column, a sentence names
them with their flags; or it has the command that writes one object of a list per line.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import polars as pl

from caser.data.column_words import candidates, speaks_for
from caser.data.names import columns_named, option
from caser.data.tables import RawTable

OWNERS = {
    "user": ("actor.account.name", "actor.mbox", "actor.id", "actor.name"),
    "item": ("object.id", "target.id"),
}
"""Ends of names, most likely first, of statements that say who did what with what: xAPI, Activity Streams."""

TYPES = frozenset(
    (*("S", "N", "$oid", "string", "long", "_source", "Item", "fields"),
     *("stringValue", "integerValue", "referenceValue", "timestampValue"))
)  # fmt: skip
"""Fields that say the type of a value, as in DynamoDB, Avro and Firestore, or hold all others."""

BEFORE = frozenset(("before", "old", "oldImage", "OldImage"))
"""Objects with a row as it was before a change: in a stream of changes, most rows have none."""


def advice_on_fields(table: RawTable, chosen: Collection[str]) -> str:
    r"""Return the end of a sentence on a role without a column: flags of fields of objects, or how to unpack a list.

    table  the rows        chosen  the columns that have a role

    >>> rows = pl.DataFrame({"_source": [{"user_id": 7, "sku": "tea"}]})
    >>> advice_on_fields(RawTable.from_frame(rows), [])
    '; fields of objects are columns too: pass --user _source.user_id --item _source.sku if they are these'
    >>> print(advice_on_fields(RawTable.from_frame(pl.DataFrame({"hits": [[{"user_id": 7}]]})), []))
    ; write one object of the list per line: jq -c '."hits"[]' FILE > log.jsonl
    """
    schema = table.frame.collect_schema()
    lists = [name for name, kind in schema.items() if isinstance(kind, pl.List) and isinstance(kind.inner, pl.Struct)]
    if lists and len(table.places) == 1:
        return f"; write one object of the list per line: jq -c '{_jq_path(lists[0])}[]' FILE > log.jsonl"
    dotted = [
        name
        for name, kind in schema.items()
        if name.rpartition(".")[0] in schema and not kind.is_nested() and name not in chosen
    ]
    found = {role: column for role in ("user", "item", "time") if (column := _field_of(dotted, role))}
    if not found.keys() & {"user", "item"}:
        return _advice_on_values(schema)
    flags = " ".join(option(role, column) for role, column in found.items())
    return f"; fields of objects are columns too: pass {flags} if they are these"


def _advice_on_values(schema: pl.Schema) -> str:
    """Return the command that takes the fields of an object out of their lists, as hits with `fields` have them."""
    in_lists = [name for name, kind in schema.items() if "." in name and isinstance(kind, pl.List)]
    owners = {name.rpartition(".")[0] for name in in_lists if speaks_for(name.rpartition(".")[2], "user") is not None}
    owners = {owner for owner in owners if isinstance(schema.get(owner), pl.Struct)}
    if not owners:
        return ""
    path = _jq_path(min(owners))
    return f"; write the first value of each list: jq -c '{path} | map_values(first)' FILE > log.jsonl"


def _jq_path(column: str) -> str:
    """Return how jq names a field that is a column with dots."""
    return "".join(f'."{part}"' for part in column.split("."))


def _field_of(dotted: Sequence[str], role: str) -> str | None:
    """Return the field that speaks best for a role: by its own name, or by that of its object and its own."""
    dotted = [name for name in dotted if BEFORE.isdisjoint(name.split("."))] or list(dotted)
    own = {name.rpartition(".")[2].lstrip("@"): name for name in reversed(dotted)}
    if role == "time":
        of_type = [name for name in dotted if name.endswith(".timestampValue")]
        return next((own[name] for name in columns_named(list(own), role)), None) or next(iter(of_type), None)
    ranks = {}
    for name in dotted:
        parts = [part for part in name.split(".") if part not in TYPES] or [name]
        found = [speaks_for(one, role) for one in ("_".join(parts[-2:]), parts[-1])]
        rank = next((one for one in found if one is not None), None)
        if rank is not None:
            ranks[name] = rank
    named = [own[name] for name in candidates(list(own), role)]
    by_end = [name for end in OWNERS[role] for name in dotted if f".{name}".endswith(f".{end}")]
    return next(iter([*sorted(ranks, key=lambda name: ranks[name]), *named, *by_end]), None)
