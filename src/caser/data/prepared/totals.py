"""Totals: what is known of all pieces together, and what must be the same in each of them.

What a log in memory decides on a whole column, the unit of times or the kind of ids, is decided in each piece. If all
pieces agree, the whole column gives the same. If they do not, the log is refused with what to pass.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from caser.data.bad_rows import MOST_VALUES, BadRows
from caser.data.names import flag
from caser.data.prepared.staged import ROLES, Staged
from caser.data.prepared.text_spans import MORE_MEMORY, ON_BYTES, summed
from caser.data.rows import Rows
from caser.data.sources import SHOWN_PARTS, note_on_parts
from caser.data.strays import Edges
from caser.data.time_doubts import TimeFacts
from caser.errors import DataError


@dataclass(frozen=True, eq=False)
class Totals:
    """What the pieces of a source hold together.

    rows      as of one table, but without the rows themselves        num_kept  how many rows are kept
    notes     sentences on the source        id_types  the type of the ids of users and items, as polars names it
    edges     the ends of the source        times  what is known about times; None without any
    """

    rows: Rows
    num_kept: int
    notes: tuple[str, ...]
    id_types: dict[str, str]
    edges: Edges
    times: TimeFacts | None


def totals_of(pieces: Sequence[Staged], part_names: Sequence[str]) -> Totals:
    """Put the facts of all pieces together.

    pieces  the staged pieces in their order, at least one        part_names  the names of the files of the source

    Raises DataError if the pieces do not agree on the unit of times, the type of ids, or how parts of times are read.
    """
    facts = [piece.facts for piece in pieces]
    full = [one for one in facts if one["num_kept"]] or facts[:1]
    types = {role: _agreed([one["types"][role] for one in full], f"the ids of {role}s", role) for role in ROLES}
    for role in ROLES:  # integers and floats in one column of JSON would be different ids
        kinds = [one["kinds_of_ids"][role] for one in full]
        _agreed([kind for kind in kinds if kind is not None], f"the ids of {role}s", role)
    unit = _agreed([one["time_unit"] for one in full], "the times", "time")
    _agreed([one["time_parts"] for one in full], "the parts of times", "time")
    _agreed_ids(full)
    rows = functools.reduce(_merged, (piece.rows for piece in pieces))
    times = [piece.times for piece in pieces]
    return Totals(
        replace(rows, time_unit=unit),
        sum(one["num_kept"] for one in facts),
        _notes(facts, part_names),
        types,
        functools.reduce(Edges.merged, (piece.edges for piece in pieces)),
        functools.reduce(_merged_times, times),
    )


def merged_titles(titles: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return each item with each of its titles, once, as for one table; fewer if an item has two.

    titles  those of each piece, in order; see `log_titles.title_pairs`

    When an item has two titles, the column holds no titles, and only the rows before it can still matter: they are
    kept, so that the sentence on it names the same item as for a log in memory.
    """
    kept = titles[0]
    for later in titles[1:]:
        kept = pl.concat([kept, later]).unique(maintain_order=True)
        twice = kept.select(pl.col("item").is_duplicated()).to_series()
        if twice.any():
            first = twice.arg_max() or 0
            items = kept["item"][: first + 1]
            kept = kept.filter(pl.col("item").is_in(items.implode()))
            extra = kept.filter(pl.col("item") == items[-1]).head(2)
            kept = pl.concat([kept.head(first + 1), extra.tail(1)])
    return kept


def _agreed(values: Sequence[Any], what: str, role: str) -> Any:
    """Return the value that all pieces have. Raises DataError if they have several."""
    found = list(dict.fromkeys(values))
    if len(found) > 1:
        raise DataError(
            f"{what} must be read alike in each piece of a log; got {found[0]} in the first pieces, and {found[1]} in "
            f"a later one; write the column in one way, {_advice(role)}or {MORE_MEMORY}"
        )
    return found[0] if found else None


def _advice(role: str) -> str:
    return "pass time_format= (--time-format) if it is the unit or the form, " if role == "time" else ""


def _agreed_ids(facts: Sequence[Mapping[str, Any]]) -> None:
    """Raise DataError if binary ids are read as text in one piece, and as numbers or UUIDs in another."""
    for role, columns in (("user", 0), ("item", 1)):
        readings = {
            note
            for one in facts
            for note in one["notes_on_rows"][1]
            if note.startswith(f"{one['columns'][columns]} holds") and ": read as" in note
        }
        if len(readings) > 1:
            raise DataError(
                f"the ids of {role}s must be read alike in each piece of a log; got: {'; '.join(sorted(readings))}; "
                f"convert the column to text, or name another one with {flag(role)}"
            )


def _merged(rows: Rows, later: Rows) -> Rows:
    """Return what is known of two pieces together; the unit of times is agreed on elsewhere."""
    dropped = [
        {**one, "dropped": one["dropped"] + other["dropped"]}
        for one, other in zip(rows.dropped, later.dropped, strict=True)
    ]
    return Rows(
        rows.kept,
        rows.num_rows + later.num_rows,
        rows.place_name,
        rows.time_unit,
        _merged_bad(rows.bad_rows, later.bad_rows),
        _added(rows.kinds, later.kinds),
        dropped,
        (_merged_notes(rows.notes[0], later.notes[0]), _merged_notes(rows.notes[1], later.notes[1])),
    )


def _merged_bad(bad: BadRows, later: BadRows) -> BadRows:
    found = {why: dict(one) for why, one in bad.items()}
    for why, other in later.items():
        one = found.setdefault(why, {"count": 0, "first": other["first"]})
        one["count"] += other["count"]
        if "values" in other:
            values = _added(one.get("values", {}), other["values"])
            most = sorted(values.items(), key=lambda row: (-row[1], row[0]))[:MOST_VALUES]
            one["values"] = dict(most)
    return found


def _added(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    total = dict(counts)
    for name, count in more.items():
        total[name] = total.get(name, 0) + count
    return dict(sorted(total.items(), key=lambda row: -row[1]))


def _merged_notes(notes: Sequence[str], later: Sequence[str]) -> list[str]:
    """Return notes of two pieces: one of each kind, with the sum of its number if it has one that adds up."""
    found = list(notes)
    for note in later:
        sums = [(place, total) for place, one in enumerate(found) if (total := summed(one, note)) is not None]
        if sums:
            found[sums[0][0]] = sums[0][1]
        elif _form(note) not in map(_form, found):
            unpacked = sum(one.startswith("unpacked ") for one in found)
            found.insert(unpacked if ON_BYTES.match(note) else len(found), note)
    return found


def _form(note: str) -> str:
    """Return a note without its numbers."""
    return re.sub(r"-?\d[\d,.]*", "#", note)


def _notes(facts: Sequence[Mapping[str, Any]], part_names: Sequence[str]) -> tuple[str, ...]:
    """Return the sentences on the source: those of each file, whose spans are put together."""
    notes: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for one in facts:
        for part, own in one["notes"].items():
            notes[part] = _merged_notes(notes.get(part, []), own)
        for part, count in one["part_rows"].items():
            counts[part] = counts.get(part, 0) + count
    shown = {part_names[int(part)]: count for part, count in list(counts.items())[:SHOWN_PARTS]}
    on_parts = [note_on_parts(shown, len(part_names))] if len(part_names) > 1 else []
    return tuple(dict.fromkeys([*on_parts, *(note for own in notes.values() for note in own)]))


def _merged_times(times: TimeFacts | None, later: TimeFacts | None) -> TimeFacts | None:
    if times is None or later is None:
        return times or later
    return times.merged(later)
