"""Read a table of items, and match it to the items of a log or a run: their titles, and the attributes that rules use.

The table is read like a log: the same formats, and the same names for the column of items. Ids are matched by the text
that they are written as, as everywhere. Rows of items that are unknown, items without a row and all guesses are
sentences in `notes`. A table that names no known item is refused, with an id of each side; so are two rows that say
different things about one item.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl

from caser.arrays.types import RawId
from caser.data import log_titles
from caser.data.attributes import Attribute
from caser.data.column_words import candidates, speaks_for
from caser.data.frames import ArrowTable, to_frame
from caser.data.id_text import MAX_ID_LENGTH, written
from caser.data.ids import read_ids, without_point_zero, words_for_missing
from caser.data.item_values import ItemValues, read_values
from caser.data.log import InteractionLog, Vocabulary
from caser.data.names import SYNONYMS, first_named
from caser.data.sources import find_source, open_source
from caser.data.tables import Layout, RawTable
from caser.errors import DataError
from caser.system.kinds import must_be

ItemSource: TypeAlias = str | Path | pl.DataFrame | pl.LazyFrame | ArrowTable
"""The path of a file or of a folder of parts, a polars frame, or any other Arrow table."""

ID_NAMES = (*SYNONYMS["item"], "id")
"""Names of the column of item ids, most likely first; in lower case, with letters and digits only."""

TITLE_NAMES = ("title", "name", "itemtitle", *log_titles.TITLE_NAMES, "headline")
"""Names of the column of titles, most likely first; in lower case, with letters and digits only."""


@dataclass(frozen=True, eq=False)
class ItemTable:
    """A table of items that is matched to a vocabulary of I items.

    items       the vocabulary
    titles      (I,) text, in the order of the vocabulary; null for an item without a title; None without a column
    attributes  all other columns, by name
    notes       sentences about what was guessed, and about rows and items that do not match
    title_column  the column of the titles; None without one
    """

    items: Vocabulary
    titles: pl.Series | None
    attributes: Mapping[str, Attribute]
    notes: tuple[str, ...]
    title_column: str | None = None


def read_items(
    source: ItemSource, items: Vocabulary, reading: Mapping[str, Any] | None = None, *, with_new: bool = False
) -> ItemTable:
    """Read a table of items.

    source   a path, or a frame
    items    the known items
    reading  how the log was read, as its `provenance` says: the table may have the same `item` column and the same
             `missing` words, and text that is not Unicode is read in the same `encoding`
    with_new  whether items of the table that are unknown are matched too: they follow the known ones in `items`

    Raises DataError, with one sentence that names the source, if the source cannot be read, has no column of item ids,
    names no known item, or has two rows that say different things about one known item.

    >>> frame = pl.DataFrame({"movieId": [7, 8, 9], "title": ["Up", "Heat", "Big"], "genres": ["Drama|War", "War", ""]})
    >>> table = read_items(frame, Vocabulary(pl.Series([8, 7])))
    >>> table.titles.to_list(), sorted(table.attributes["genres"].condition("War").items)
    (['Heat', 'Up'], [7, 8])
    >>> table.notes[1]
    "1 of 3 rows names an item that the model does not know, first '9'"
    """
    try:
        how = reading or {}
        table = _open(source, how.get("encoding"))
        words = words_for_missing(how.get("missing"), table.is_text, "item")
        column = _id_column(table, how.get("item"))
        ids = _ids(table, column, words)
        rows = _matched_rows(table, column, ids, items)
        if with_new:
            items = items.with_new(one for one in ids if one is not None)
            rows = _matched_rows(table, column, ids, items)
        notes = _notes_on_rows(table, ids, rows, items)
        notes += _note_on_other_columns(table, column, sum(map(len, rows.values())), items)
        return _matched(table, column, rows, items, words, notes)
    except MemoryError:
        raise DataError(f"it must fit into memory; it does not; in the table of items {_name(source)}.") from None
    except DataError as error:
        raise DataError(f"{str(error).rstrip('.')}; in the table of items {_name(source)}.") from None


def add_titles(log: InteractionLog, source: ItemSource) -> InteractionLog:
    """Return a log with the titles of a table of items.

    log     the log; titles that it has stay where the table has none
    source  the table: a file, or a frame of polars

    The notes on the table are added to those of the log. Raises DataError for a table that cannot be read, that names
    no item of the log, that has two rows which say different things about one item, or that has no column of titles.

    >>> log = InteractionLog.from_columns(pl.Series(["ann"]), pl.Series(["a"]), None)
    >>> add_titles(log, pl.DataFrame({"id": ["a"], "title": ["Up"]})).titles.to_list()
    ['Up']
    """
    must_be("log", log, InteractionLog, "a log", "Read it with caser.read_log.")
    table = read_items(source, log.item_vocabulary, log.provenance.get("reading"))
    if table.titles is None:
        raise DataError(f"a column must hold the titles, called title or name; got {', '.join(table.attributes)}.")
    notes = [*log.provenance.get("notes", []), *(f"{_name(source)}: {note}" for note in table.notes)]
    titles = combined(log.titles, table.titles)
    return log.with_facts(titles=titles, provenance={**log.provenance, "notes": notes})


def combined(old: pl.Series | None, new: pl.Series | None) -> pl.Series | None:
    """Return the new titles, and the old one of each item that has no new one.

    old, new  (I,) titles in the same order; None without titles
    """
    if old is None or new is None:
        return old if new is None else new
    return pl.select(pl.coalesce(new, old)).to_series()


def _name(source: ItemSource) -> str:
    return Path(source).name if isinstance(source, str | Path) else "(frame)"


def _open(source: ItemSource, encoding: str | None) -> RawTable:
    """Read the rows of the source, text that is not Unicode in the encoding of the log, unless most are no rows."""
    if isinstance(source, str | Path):
        found = find_source(source)
        table = open_source(found, Layout())[1]
        if encoding is not None and any("not UTF-8" in note for note in table.notes):
            table = open_source(found, Layout(encoding=encoding))[1]
    else:
        table = RawTable.from_frame(to_frame(source)[0])
    if 2 * table.faults.count() > len(table.places):
        first = table.places.filter(table.faults.is_not_null())[0]
        raise DataError(
            f"every row must have {len(table.columns)} columns; {table.faults.count():,} of {len(table.places):,} have "
            f"not, first {table.place_name} {first}; write the table with quotes around such values, or as Parquet"
        )
    return table


def _id_column(table: RawTable, of_log: str | None) -> str:
    if not table.has_header:
        return table.columns[0]
    if of_log in table.columns:
        return str(of_log)
    by_words = [name for name in candidates(table.columns, "item") if speaks_for(name, "item") == 0]
    column = first_named(table.columns, ID_NAMES) or next(iter(by_words), None)
    if column is None:
        names = ", ".join(repr(name[:40]) for name in table.columns[:12])
        raise DataError(
            f"a column must hold the item ids; got the columns {names}; rename that column to "
            "item_id, or add a first line with names"
        )
    return column


def _ids(table: RawTable, column: str, words: Sequence[str]) -> list[str | None]:
    """Return the item of each row as it is written; None for a missing id or a row with a fault."""
    ids, _ = read_ids(table.select([column], longest=MAX_ID_LENGTH + 1).to_series(), table.places, words)
    ids = ids.set(table.faults.is_not_null(), None)
    if table.is_text and without_point_zero(ids.drop_nulls()) is not None:
        ids = ids.str.strip_suffix(".0")
    return [None if one is None else str(one) for one in ids.to_list()]


def _matched_rows(table: RawTable, column: str, ids: Sequence[str | None], items: Vocabulary) -> dict[int, list[int]]:
    """Return the rows of each known item, by the index of the item. Raises DataError if no row names a known item."""
    rows: dict[int, list[int]] = {}
    index_of = {written(raw): index for index, raw in enumerate(items.ids.to_list(), start=1)}
    for row, one in enumerate(ids):
        if one is not None and one in index_of:
            rows.setdefault(index_of[one], []).append(row)
    if not rows:
        raise DataError(_no_match(table, column, [one for one in ids if one is not None], items))
    return rows


def _no_match(table: RawTable, column: str, ids: Sequence[str], items: Vocabulary) -> str:
    """Return the sentence about a table that names no known item, with an id of each side and what may be wrong."""
    if not ids:
        return f"every row must name an item; column {column} holds none"
    known = {_plain(raw): raw for raw in items.ids.to_list()}
    pair = next(((one, known[_plain(one)]) for one in ids if _plain(one) in known), None)
    here, there = pair or (ids[0], items.ids[0])
    sentence = (
        f"its rows must name items of the model; none of {len(set(ids)):,} ids does: column {column} holds {here!r}, "
    )
    sentence += f"the model has {str(there)!r}"
    if pair:
        return f"{sentence}; write both in the same way, as text if they have leading zeros"
    hint = _note_on_other_columns(table, column, 0, items)
    if hint:
        return f"{sentence}; {hint[0]} Then rename it to item_id"
    return f"{sentence}; give the table that belongs to its log"


def _note_on_other_columns(table: RawTable, column: str, num_matched: int, items: Vocabulary) -> tuple[str, ...]:
    """Return a note if most rows name no known item, and another column names more."""
    if 2 * num_matched >= len(table.places):
        return ()
    texts = pl.Series(map(str, items.ids.to_list()))
    for other in table.columns:
        values = table.select([other]).to_series()
        found = (
            0 if values.dtype.is_nested() else int(values.cast(pl.String, strict=False).is_in(texts.implode()).sum())
        )
        if other != column and found > num_matched:
            return (f"column {other} holds more ids of the model ({found:,}) than {column}: is it the item id?",)
    return ()


def _plain(raw: RawId) -> str:
    """Return an id without what is often lost or added on the way: spaces, case, leading zeros, a whole fraction."""
    return str(raw).strip().casefold().removesuffix(".0").lstrip("0")


def _notes_on_rows(
    table: RawTable, ids: Sequence[str | None], rows: Mapping[int, list[int]], items: Vocabulary
) -> tuple[str, ...]:
    """Say which rows and which items do not match."""
    notes, total = [], len(ids)
    num_faults = table.faults.count()
    if num_faults:
        place = f"{table.place_name} {table.places.filter(table.faults.is_not_null())[0]}"
        notes.append(f"{num_faults:,} of {total:,} rows left out, {table.faults.drop_nulls()[0]}, first {place}")
    without_id = [
        row for row, (one, fault) in enumerate(zip(ids, table.faults, strict=True)) if one is None and not fault
    ]
    if without_id:
        place = f"{table.place_name} {table.places[without_id[0]]}"
        notes.append(f"{len(without_id):,} of {total:,} rows left out, without an item id, first {place}")
    known = {row for found in rows.values() for row in found}
    unknown = [one for row, one in enumerate(ids) if one is not None and row not in known]
    if unknown:
        names = "names an item" if len(unknown) == 1 else "name items"
        notes.append(f"{len(unknown):,} of {total:,} rows {names} that the model does not know, first {unknown[0]!r}")
    if len(rows) < len(items):
        without_row = next(raw for index, raw in enumerate(items.ids.to_list(), start=1) if index not in rows)
        lacking = len(items) - len(rows)
        have = "item has" if lacking == 1 else "items have"
        notes.append(
            f"{lacking:,} of {len(items):,} {have} no row, first {str(without_row)!r}: filters never keep such items"
        )
    return tuple(notes)


def _matched(
    table: RawTable,
    column: str,
    rows: Mapping[int, list[int]],
    items: Vocabulary,
    words: Sequence[str],
    notes: tuple[str, ...],
) -> ItemTable:
    """Read the other columns, and give each known item the values of its row."""
    others = [name for name in table.columns if name != column]
    title = _title_column(table, others)
    roles = f"read column {column} as item id" + (f", {title} as title" if title else ", no column as title")
    notes = (*table.notes, roles, *notes)
    kept = [found[0] for found in rows.values()]
    repeated = {index: found for index, found in rows.items() if len(found) > 1}
    raw = dict(zip(items.raw(list(rows)), kept, strict=True))
    titles, attributes = None, {}
    for name, series in _columns(table, others):
        if name == title:
            texts = [None if one is None else str(one).strip() or None for one in series.to_list()]
            _check_same(table, name, texts, repeated, items)
            by_index = {index: texts[found[0]] for index, found in rows.items()}
            titles = pl.Series([by_index.get(index) for index in range(1, len(items) + 1)], dtype=pl.String)
            continue
        values = read_values(series, words if table.is_text else ())
        if values is None:
            notes = (*notes, f"{name}: left out, because rules cannot name its values ({series.dtype})")
            continue
        _check_same(table, name, values.texts, repeated, items)
        attributes[name] = _attribute(name, values, raw)
        notes = (*notes, *values.notes)
    return ItemTable(items, titles, attributes, notes, title)


def _columns(table: RawTable, names: Sequence[str]) -> Iterator[tuple[str, pl.Series]]:
    """Yield some columns, one at a time, with null in rows that have a fault."""
    is_bad = table.faults.is_not_null()
    for name in names:
        series = table.select([name]).to_series()
        yield name, series.set(is_bad, None) if is_bad.any() and series.dtype == pl.String else series


def _title_column(table: RawTable, names: Sequence[str]) -> str | None:
    if table.has_header:
        return first_named(names, TITLE_NAMES)
    # Without a header, as in u.item and movies.dat, the second column holds the titles if it is text.
    second = names[:1]
    values = read_values(table.select(second).to_series()) if second else None
    return second[0] if values is not None and values.kind == "text" and len(names) > 1 else None


def _attribute(name: str, values: ItemValues, rows: Mapping[RawId, int]) -> Attribute:
    texts = {raw: values.texts[row] for raw, row in rows.items() if values.texts[row]}
    numbers = {raw: values.numbers[row] for raw, row in rows.items() if values.numbers[row]}
    return Attribute(name, values.kind, texts, numbers)


def _check_same(
    table: RawTable, name: str, values: Sequence[object], rows: Mapping[int, list[int]], items: Vocabulary
) -> None:
    """Raise DataError if two rows of one item differ in a column.

    values  (N,) the value of each row        rows  the rows of each item that has several
    """
    differing = {index: found for index, found in rows.items() if len({values[row] for row in found}) > 1}
    if not differing:
        return
    index, found = next(iter(differing.items()))
    other = next(row for row in found if values[row] != values[found[0]])
    (raw,) = items.raw([index])
    first, second = (f"{_shown(values[row])} in {table.place_name} {table.places[row]}" for row in (found[0], other))
    raise DataError(
        f"an item must have one row, or equal rows; {raw!r} has {name} {first} and {second} (items like this: "
        f"{len(differing):,}); keep one row of each, or write several values into one row, as A|B"
    )


def _shown(value: object) -> str:
    return "|".join(sorted(map(str, value)))[:60] or "nothing" if isinstance(value, frozenset) else str(value)[:60]
