"""Rows: read the values of a table, of a whole source or of one piece of it, and find and count its bad rows.

`lists.py` takes lists apart, `ids.py` and `times.py` read the values, and the filters that need other columns are
applied. `bad_rows.py` counts bad rows; `check_rows` refuses them when all rows are known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from caser.data.bad_rows import BadRows, are_bad, check_bad_rows, count_bad_rows, most_frequent, with_long_ids
from caser.data.filters import LogFilters
from caser.data.id_text import MAX_ID_LENGTH
from caser.data.ids import read_ids, shortened, words_for_missing
from caser.data.lists import Events, one_event_per_row
from caser.data.names import flag
from caser.data.tables import RawTable
from caser.data.times import to_microseconds
from caser.errors import DataError


@dataclass(frozen=True)
class Rules:
    """What the caller says about the meaning of columns and values.

    named        the column of each role, or None to guess it
    missing      words that mean a missing value, as for `ids.words_for_missing`; None for the usual ones
    time_format  how times are written; None to guess
    skip         whether bad rows are dropped; otherwise they are refused
    target_events  the kinds of events that are predicted, with their weights; all if empty
    negative_events  the kinds of events that say "not this"
    """

    named: Mapping[str, str | None]
    missing: tuple[str, ...] | None = None
    time_format: str | None = None
    skip: bool = False
    target_events: Mapping[str, float] = field(default_factory=dict)
    negative_events: tuple[str, ...] = ()

    def needs_kinds(self, filters: LogFilters) -> bool:
        """Whether the kinds of events must be read, for these rules or for filters."""
        return bool(self.target_events or self.negative_events or filters.event_types)


@dataclass(frozen=True, eq=False)
class Rows:
    """What the rows of a table, or of one piece of a source, hold.

    kept       the N good rows that the filters keep, in their order, negative ones too: `user` and `item`, `time` in
               microseconds if there is one, `place`, `written`, the time as the source has it, and `event_type`, if the
               rules need it
    num_rows   how many events were read, bad ones included        place_name  what a place counts: "line" or "row"
    time_unit  the unit of the times; None without times
    bad_rows   the bad rows by reason, as `bad_rows.count_bad_rows` counts them
    kinds      how often each kind of event occurs in a good row, if a filter or the rules ask for kinds
    dropped    what each filter dropped
    notes      sentences on lists, and on ids that were converted
    """

    kept: pl.DataFrame
    num_rows: int
    place_name: str
    time_unit: str | None
    bad_rows: BadRows
    kinds: dict[str, int]
    dropped: list[dict[str, Any]]
    notes: tuple[list[str], list[str]]


def read_rows(table: RawTable, columns: Mapping[str, str], rules: Rules, filters: LogFilters) -> Rows:
    """Read the ids and times of a table, find its bad rows, and filter by rating and kind of event.

    table  the rows        columns  the column of each role        rules  what the caller says about the values
    filters  of these, `min_rating` and `event_types` are applied

    Bad rows and unknown kinds of events are counted; `check_rows` refuses them. Raises DataError for columns that hold
    no ids or no times, or times with several readings.
    """
    frame = table.select(list(columns.values()), longest=MAX_ID_LENGTH + 1)
    raw = one_event_per_row(
        frame.select(pl.col(column).alias(role) for role, column in columns.items()), table.places, table.faults
    )
    values, time_unit, notes = _usable_values(raw, columns, rules, filters, is_text=table.is_text)
    raw = raw._replace(faults=with_long_ids(values, raw.faults))
    is_bad = are_bad(values, raw.faults)
    bad_rows = count_bad_rows(values, raw, is_bad)
    written = [raw.columns["time"].alias("written")] if "time" in values else []
    good = values.with_columns(raw.places.alias("place"), *written)
    good = good.filter(~is_bad) if bad_rows else good
    kinds = dict(good["event_type"].drop_nulls().value_counts(sort=True).rows()) if "event_type" in good else {}
    kept, dropped = _filter_rows(good, filters, rules)
    return Rows(kept, len(raw.places), raw.places.name, time_unit, bad_rows, kinds, dropped, (raw.notes, notes))


def check_rows(rows: Rows, columns: Mapping[str, str], table: RawTable, rules: Rules, filters: LogFilters) -> None:
    """Raise DataError for bad rows, unless they are to be skipped and a good row is left, and for unknown kinds.

    rows    what was read        columns  the column of each role        table  the table, for the sentence
    rules   what the caller says about the values        filters  which kinds of events are to be kept
    """
    if rows.bad_rows:
        bad_rows = most_frequent(rows.bad_rows)
        check_bad_rows(bad_rows, columns, table, rows.num_rows, skip=rules.skip, time_format=rules.time_format)
    options = {
        "event_types": filters.event_types,
        "target_events": rules.target_events,
        "negative_events": rules.negative_events,
    }
    for option, asked in options.items():
        if asked:
            _refuse_unknown_events(rows.kinds, asked, columns["event_type"], option)
    if both := sorted({*rules.target_events}.intersection(rules.negative_events)):
        raise DataError(
            f"a kind of event must be predicted or negative; got {', '.join(both)} in target_events (--target-events) "
            "and in negative_events (--negative-events)"
        )
    left_out = sorted({*rules.target_events}.difference(filters.event_types)) if filters.event_types else []
    if left_out:
        raise DataError(
            f"target_events (--target-events) must be among event_types (--event-types); got {', '.join(left_out)}, "
            "which the filter leaves out"
        )


def needed_roles(rules: Rules, filters: LogFilters) -> set[str]:
    """Return the roles that must have a column: user, item, and those that the rules or a filter read.

    rules  what the caller says about the values        filters  which interactions to keep
    """
    by_filters = {"rating": filters.min_rating is not None, "event_type": rules.needs_kinds(filters)}
    return {"user", "item"} | {role for role, needed in by_filters.items() if needed}


def _usable_values(
    raw: Events, columns: Mapping[str, str], rules: Rules, filters: LogFilters, *, is_text: bool
) -> tuple[pl.DataFrame, str | None, list[str]]:
    """Return the columns by role, with null for an unusable value; the unit of the times; and notes on ids."""
    words = {role: words_for_missing(rules.missing, is_text, role) for role in ("user", "item", "time")}
    named = {role: raw.columns[role].alias(columns[role]) for role in columns}
    values, notes, unit = {}, [], None
    for role in ("user", "item"):
        values[role], more = read_ids(named[role], raw.places, words[role])
        notes += more
    if "time" in named:
        values["time"], unit = to_microseconds(named["time"], raw.places, words["time"], rules.time_format)
    elif rules.time_format is not None:
        raise DataError(f"time_format (--time-format) needs a column with the time; name it with {flag('time')}")
    if filters.min_rating is not None:
        values["rating"] = named["rating"].cast(pl.Float64, strict=False).fill_nan(None)
    if rules.needs_kinds(filters):
        values["event_type"] = named["event_type"].cast(pl.String, strict=False)
    return pl.DataFrame([one.alias(role) for role, one in values.items()]), unit, notes


def _filter_rows(frame: pl.DataFrame, filters: LogFilters, rules: Rules) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """Apply the filters on ratings and events; return the remaining rows, and what each filter dropped.

    No filter drops negative events.
    """
    conditions = {}
    is_negative = pl.col("event_type").is_in(rules.negative_events) if rules.negative_events else pl.lit(False)
    if filters.min_rating is not None:
        conditions[f"min_rating={filters.min_rating:g}"] = pl.col("rating") >= filters.min_rating
    if filters.event_types:
        conditions[f"event_types={','.join(filters.event_types)}"] = pl.col("event_type").is_in(filters.event_types)
    dropped = []
    for name, condition in conditions.items():
        kept = frame.filter(condition | is_negative)
        dropped.append({"filter": name, "dropped": len(frame) - len(kept)})
        frame = kept
    return frame, dropped


def _refuse_unknown_events(counts: Mapping[str, int], asked: Collection[str], column: str, option: str) -> None:
    """Raise DataError, with the kinds that there are, for a kind of event that never occurs."""
    unknown = [kind for kind in asked if kind not in counts]
    if unknown:
        there = ", ".join(f"{shortened(kind).strip(chr(39))} ({count:,})" for kind, count in list(counts.items())[:12])
        flag_of = f"--{option.replace('_', '-')}"
        parts = [part.partition("=")[0] for kind in unknown for part in kind.split(",")]
        apart = f"; name each kind on its own: {' '.join(f'{flag_of} {part}' for part in parts)}"
        raise DataError(
            f"{option} ({flag_of}) must occur in column {column!r}; got {', '.join(map(repr, unknown))}, which never "
            f"{'occurs' if len(unknown) == 1 else 'occur'}; the kinds are {there or '(none)'}"
            f"{apart if all(part in counts for part in parts) else ''}"
        )
