"""Interpret: make a log from a table. Choose the columns, read ids and times, refuse or count bad rows, say doubts.

The rows of a table become events in this order: `roles.py` chooses columns, `lists.py` takes lists apart, `ids.py` and
`times.py` read the values, `bad_rows.py` refuses or counts bad rows, the filters that need other columns are applied,
and `doubts.py` looks at the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from caser.data.bad_rows import are_bad, check_bad_rows, count_bad_rows, doubt_on_bad_rows, with_long_ids
from caser.data.doubts import doubts_on_log, doubts_on_times
from caser.data.filters import LogFilters
from caser.data.id_text import MAX_ID_LENGTH
from caser.data.ids import as_integers_if_exact, read_ids, shortened, without_point_zero, words_for_missing
from caser.data.lists import Events, one_event_per_row
from caser.data.log import InteractionLog, Vocabulary
from caser.data.log_titles import with_own_titles
from caser.data.names import flag
from caser.data.roles import choose_columns
from caser.data.strays import doubts_on_strays
from caser.data.tables import RawTable
from caser.data.times import shown_moment, to_microseconds
from caser.errors import DataError


@dataclass(frozen=True)
class Rules:
    """What the caller says about the meaning of columns and values.

    named        the column of each role, or None to guess it
    missing      words that mean a missing value; None for the usual ones
    time_format  how times are written; None to guess
    skip         whether bad rows are dropped; otherwise they are refused
    """

    named: Mapping[str, str | None]
    missing: tuple[str, ...] | None = None
    time_format: str | None = None
    skip: bool = False


def to_log(table: RawTable, rules: Rules, filters: LogFilters, facts: Mapping[str, Any]) -> InteractionLog:
    """Make a log from a table. Apply the filters on ratings and events here, as a log does not keep these columns.

    table    the rows of a source        rules  what the caller says about them
    filters  of these, `min_rating` and `event_types` are applied
    facts    the beginning of the log's provenance: JSON values

    Raises DataError if the columns or values have no meaning or several, for bad rows, and if no row is left.
    """
    # Choose the columns and convert their values.
    roles = choose_columns(table, rules.named, _needed_roles(filters))
    frame = roles.table.select(list(roles.columns.values()), longest=MAX_ID_LENGTH + 1)
    raw = one_event_per_row(
        frame.select(pl.col(column).alias(role) for role, column in roles.columns.items()), table.places, table.faults
    )
    values, time_unit, notes = _usable_values(raw, roles.columns, rules, filters, is_text=table.is_text)
    raw = raw._replace(faults=with_long_ids(values, raw.faults))
    # Refuse or skip bad rows.
    is_bad = are_bad(values, raw.faults)
    bad_rows = count_bad_rows(values, raw, is_bad)
    if bad_rows:
        check_bad_rows(bad_rows, roles.columns, table, len(raw.places), skip=rules.skip, time_format=rules.time_format)
    written = [raw.columns["time"].alias("written")] if "time" in values else []
    good = values.with_columns(raw.places.alias("place"), *written)
    good = good.filter(~is_bad) if bad_rows else good
    # Filter by rating and kind of event.
    kept, dropped = _filter_rows(good, filters, roles.columns)
    # Build the log.
    provenance = {
        **facts,
        "filter_settings": filters.model_dump(mode="json", exclude_defaults=True),
        "notes": [*table.notes, *roles.notes, *raw.notes, _note_on_times(time_unit), *notes],
        "rows_read": len(raw.places),
        "bad_rows": bad_rows,
        "time_unit": time_unit,
        "filters": dropped,
    }
    times = kept["time"].to_numpy() if "time" in kept else None
    log = InteractionLog.from_columns(kept["user"], kept["item"], times, provenance=provenance)
    log = _with_integers(log) if table.is_text else log
    log = with_own_titles(log, roles.table, roles.columns)
    doubts = doubt_on_bad_rows(bad_rows, len(raw.places))
    return _with_notes(
        log, [_first_row(log), *doubts, *_doubts(log, kept, raw.places.name, is_typed=not table.is_text)]
    )


def _needed_roles(filters: LogFilters) -> set[str]:
    """Return the roles that must have a column: user, item, and those that a filter reads."""
    by_filters = {"rating": filters.min_rating is not None, "event_type": bool(filters.event_types)}
    return {"user", "item"} | {role for role, needed in by_filters.items() if needed}


def _usable_values(
    raw: Events, columns: Mapping[str, str], rules: Rules, filters: LogFilters, *, is_text: bool
) -> tuple[pl.DataFrame, str | None, list[str]]:
    """Return the columns by role, with null for an unusable value; the unit of the times; and notes on ids."""
    words = words_for_missing(rules.missing, is_text)
    named = {role: raw.columns[role].alias(columns[role]) for role in columns}
    values, notes, unit = {}, [], None
    for role in ("user", "item"):
        values[role], more = read_ids(named[role], raw.places, words)
        notes += more
    if "time" in named:
        values["time"], unit = to_microseconds(named["time"], raw.places, words, rules.time_format)
    elif rules.time_format is not None:
        raise DataError(f"time_format (--time-format) needs a column with the time; name it with {flag('time')}")
    if filters.min_rating is not None:
        values["rating"] = named["rating"].cast(pl.Float64, strict=False).fill_nan(None)
    if filters.event_types:
        values["event_type"] = named["event_type"].cast(pl.String, strict=False)
    return pl.DataFrame([one.alias(role) for role, one in values.items()]), unit, notes


def _note_on_times(unit: str | None) -> str:
    if unit is None:
        return "no time column: rows are in the order of events; name one with time= (--time)"
    named = {"dates": "dates", "excel": "days since 1899-12-30, as spreadsheets count them"}
    return f"read times as {named.get(unit, f'{unit} since 1970')}"


def _filter_rows(
    frame: pl.DataFrame, filters: LogFilters, columns: Mapping[str, str]
) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """Apply the filters on ratings and events; return the remaining rows, and what each filter dropped."""
    conditions = {}
    if filters.min_rating is not None:
        conditions[f"min_rating={filters.min_rating:g}"] = pl.col("rating") >= filters.min_rating
    if filters.event_types:
        _refuse_unknown_events(frame["event_type"], filters.event_types, columns["event_type"])
        conditions[f"event_types={','.join(filters.event_types)}"] = pl.col("event_type").is_in(filters.event_types)
    dropped = []
    for name, condition in conditions.items():
        kept = frame.filter(condition)
        dropped.append({"filter": name, "dropped": len(frame) - len(kept)})
        frame = kept
    return frame, dropped


def _refuse_unknown_events(kinds: pl.Series, asked: tuple[str, ...], column: str) -> None:
    """Raise DataError, with the kinds that there are, for a kind of event that never occurs."""
    counts = dict(kinds.drop_nulls().value_counts(sort=True).rows())
    unknown = [kind for kind in asked if kind not in counts]
    if unknown:
        there = ", ".join(f"{shortened(kind).strip(chr(39))} ({count:,})" for kind, count in list(counts.items())[:12])
        raise DataError(
            f"event_types (--event-types) must occur in column {column!r}; got {', '.join(map(repr, unknown))}, which "
            f"never {'occurs' if len(unknown) == 1 else 'occur'}; the kinds are {there or '(none)'}"
        )


def _with_integers(log: InteractionLog) -> InteractionLog:
    """Convert the ids of a text file to integers where this changes none of them.

    This is done here, because the vocabularies hold each id only once.
    """
    notes, vocabularies = [], []
    for role, vocabulary in (("user", log.user_vocabulary), ("item", log.item_vocabulary)):
        ids = as_integers_if_exact(vocabulary.ids)
        if ids.dtype == pl.String and (whole := without_point_zero(ids)) is not None:
            notes.append(f"the ids of {role}s are whole floats: {ids[0]} is read as the id {whole[0]}")
            ids = whole
        vocabularies.append(Vocabulary(ids))
    users, items = vocabularies
    return _with_notes(replace(log, user_vocabulary=users, item_vocabulary=items), notes)


def _first_row(log: InteractionLog) -> str:
    """Return how the first row of the source was understood."""
    [place] = np.flatnonzero(log.rows == 0)
    user, item = log.user_vocabulary.ids[int(log.users[place]) - 1], log.item_vocabulary.ids[int(log.items[place]) - 1]
    when = f", time {shown_moment(int(log.times[place]))}" if log.has_times else ""
    return f"first row: user {str(user)[:60]}, item {str(item)[:60]}{when}"


def _doubts(log: InteractionLog, frame: pl.DataFrame, place: str, is_typed: bool) -> list[str]:
    on_times = doubts_on_times(frame["time"], frame["place"].alias(place), frame["written"]) if "time" in frame else []
    return [*on_times, *doubts_on_log(log, is_typed=is_typed), *doubts_on_strays(log, frame, place)]


def _with_notes(log: InteractionLog, notes: list[str]) -> InteractionLog:
    return replace(log, provenance={**log.provenance, "notes": [*log.provenance["notes"], *notes]})
