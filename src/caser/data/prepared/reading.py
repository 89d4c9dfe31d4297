"""Reading: choose the columns of a source by its first rows, and stage its pieces one after another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from caser.data.filters import LogFilters
from caser.data.interpret import kinds_of
from caser.data.joined_times import join_time
from caser.data.log_titles import column_of_titles, title_pairs
from caser.data.prepared.pieces import BEGINNING, Piece, Pieces
from caser.data.prepared.staged import ROLES, Staged, stage
from caser.data.prepared.work import Work
from caser.data.roles import Roles, choose_columns
from caser.data.rows import Rules, needed_roles, read_rows
from caser.data.tables import RawTable, no_faults, numbered

SAMPLE_ROWS = 1000
"""How many rows the choice of columns looks at."""


@dataclass(frozen=True, eq=False)
class Head:
    """What the first rows of a source decide.

    table       the source as far as it is known: all of it if it is one piece, else its first rows
    roles       the columns        title  the column with titles of items, or None
    time_parts  the columns that the time is joined of; none if it is one column
    """

    table: RawTable
    roles: Roles
    title: str | None
    time_parts: list[str]

    @classmethod
    def of(cls, source: Pieces, rules: Rules, filters: LogFilters) -> Head:
        """Choose the columns of a source as those of a log in memory are chosen.

        source  the source        rules  what the caller says        filters  which other columns are needed

        Raises DataError as `roles.choose_columns` does.
        """
        pieces: list[Piece] = []
        for piece in source.pieces():
            pieces.append(piece)
            if sum(len(one.table.places) for one in pieces) >= SAMPLE_ROWS:
                break
        table = pieces[0].table
        if len(pieces) > 1 or pieces[0].end.part < len(source.names):
            few = [piece.table.sample(table.columns, SAMPLE_ROWS) for piece in pieces]
            frame = pl.concat(few, how="vertical_relaxed")
            places = numbered(table.place_name, 1, len(frame))
            faults = no_faults(len(frame))
            table = replace(table, frame=frame.lazy(), places=places, faults=faults, sizes={}, parts={})
        roles = choose_columns(table, rules.named, needed_roles(rules, filters))
        time = roles.columns.get("time", "")
        is_joined = bool(time) and time not in table.columns
        time_parts = [part.strip() for part in time.split(",")] if is_joined else []
        return cls(table, roles, column_of_titles(roles.table, roles.columns), time_parts)

    @property
    def columns(self) -> list[str]:
        """The columns that are read of each piece."""
        chosen = [column for role, column in self.roles.columns.items() if role != "time" or not self.time_parts]
        return list(dict.fromkeys([*chosen, *self.time_parts, *([self.title] if self.title else [])]))


def read_pieces(
    work: Work, source: Pieces, head: Head, rules: Rules, filters: LogFilters, on_message: Callable[[str], None]
) -> list[Staged]:
    """Stage the pieces of a source that are not staged yet; return all of them.

    work    where they are staged        source  the source        head  what its first rows decide
    rules   what the caller says about values        filters  of these, those that need other columns are applied
    on_message  is called with a sentence on each piece

    Raises DataError as `rows.read_rows` does. Bad rows are only counted.
    """
    staged = work.staged()
    if work.marked("read") is not None:
        return staged
    begin = staged[-1].end if staged else BEGINNING
    first_row = sum(piece.facts["num_kept"] for piece in staged)
    columns = head.roles.columns
    for piece in source.pieces(begin, head.columns):
        table, way = piece.table, ""
        if head.time_parts:
            table, way = join_time(table, head.time_parts, columns["time"])
        rows = read_rows(table, columns, rules, filters)
        titles = None if head.title is None else title_pairs(table, columns["item"], head.title)
        more = {
            "end": list(piece.end),
            "notes": {str(part): list(notes) for part, notes in piece.notes.items()},
            "part_rows": {str(part): count for part, count in piece.rows.items()},
            "time_parts": way,
            "columns": [columns["user"], columns["item"]],
            "kinds_of_ids": {role: _kind_of(table, columns[role]) for role in ROLES},
        }
        folder = work.pieces / f"{len(staged):06d}"
        kinds = kinds_of(rows.kept, rules.target_events) if rules.target_events else None
        stage(rows, kinds, more, titles, first_row, folder)
        staged.append(Staged(folder))
        first_row += len(rows.kept)
        on_message(f"read {piece.end.row:,} rows")
    work.mark("read", {})
    return staged


def _kind_of(table: RawTable, column: str) -> str | None:
    """Return the kind of the values of a column before they become ids; None if it has no value."""
    kind: Any = table.frame.collect_schema()[column]
    kind = kind.inner if isinstance(kind, pl.List | pl.Array) else kind
    if kind.is_integer():
        return "integers"
    return None if kind == pl.Null else "floats" if kind.is_float() else str(kind)
