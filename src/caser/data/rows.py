"""Rows: read the values of a table, of a whole source or of one piece of it, and find and count its bad rows.

`lists.py` takes lists apart, `ids.py` and `times.py` read the values, and the filters that need other columns are
applied. Bad rows are counted here, and refused by `check_rows` when all rows are known.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from caser.data.dates import READABLE
from caser.data.filters import LogFilters
from caser.data.ids import read_ids, shortened, words_for_missing
from caser.data.lists import Events, one_event_per_row
from caser.data.names import flag, other_users
from caser.data.tables import RawTable
from caser.data.times import to_microseconds
from caser.errors import DataError

FAULTS = {
    "user": "without a user",
    "item": "without an item",
    "time": "with a missing or unreadable time",
    "rating": "with a missing or unreadable rating",
}
"""Why a row is bad, by the column that is null. A row with several reasons is counted only for the first of them."""

FEW = 0.05
"""The share of rows that may be bad without a doubt that the file is read in the right way."""

SKIP_HINT = '; pass bad_rows="skip" (--bad-rows skip) to go on'

MOST_VALUES = 1000
"""How many values of bad rows are counted. The five most frequent ones are shown."""

BadRows = dict[str, dict[str, Any]]
"""For each reason: the number of rows, the place of the first, and the most frequent values with their numbers."""


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


@dataclass(frozen=True, eq=False)
class Rows:
    """What the rows of a table, or of one piece of a source, hold.

    kept       the N good rows that the filters keep, in their order: `user` and `item`, `time` in microseconds if there
               is one, `place`, and `written`, the time as the source has it
    num_rows   how many events were read, bad ones included        place_name  what a place counts: "line" or "row"
    time_unit  the unit of the times; None without times
    bad_rows   the bad rows by reason; every value of them is counted, up to `MOST_VALUES`
    kinds      how often each kind of event occurs in a good row, if a filter asks for kinds
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
    frame = table.select(list(columns.values()))
    raw = one_event_per_row(
        frame.select(pl.col(column).alias(role) for role, column in columns.items()), table.places, table.faults
    )
    values, time_unit, notes = _usable_values(raw, columns, rules, filters, is_text=table.is_text)
    is_bad = _is_bad(values, raw.faults)
    bad_rows = _count_bad_rows(values, raw, is_bad)
    written = [raw.columns["time"].alias("written")] if "time" in values else []
    good = values.with_columns(raw.places.alias("place"), *written)
    good = good.filter(~is_bad) if bad_rows else good
    kinds = dict(good["event_type"].drop_nulls().value_counts(sort=True).rows()) if filters.event_types else {}
    kept, dropped = _filter_rows(good, filters)
    return Rows(kept, len(raw.places), raw.places.name, time_unit, bad_rows, kinds, dropped, (raw.notes, notes))


def check_rows(rows: Rows, columns: Mapping[str, str], table: RawTable, rules: Rules, filters: LogFilters) -> None:
    """Raise DataError for bad rows, unless they are to be skipped and a good row is left, and for unknown kinds.

    rows    what was read        columns  the column of each role        table  the table, for the sentence
    rules   what the caller says about the values        filters  which kinds of events are to be kept
    """
    if rows.bad_rows:
        _check_bad_rows(most_frequent(rows.bad_rows), columns, table, rules, total=rows.num_rows)
    if filters.event_types:
        _refuse_unknown_events(rows.kinds, filters.event_types, columns["event_type"])


def bad_rows_in_words(bad: Mapping[str, Any]) -> str:
    r"""Return the values of bad rows in words, most frequent first; "" if there are none to show.

    bad  one reason of `provenance["bad_rows"]`

    >>> bad_rows_in_words({"count": 12, "first": 3, "values": {"NA": 10, "": 2}})
    "10 'NA', 2 empty"
    """
    return ", ".join(
        f"{count:,} {shortened(word) if word else 'empty'}" for word, count in bad.get("values", {}).items()
    )


def needed_roles(filters: LogFilters) -> set[str]:
    """Return the roles that must have a column: user, item, and those that a filter reads.

    filters  which interactions to keep
    """
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


def _is_bad(values: pl.DataFrame, faults: pl.Series) -> pl.Series:
    """Return whether each row is bad, (N,): it has a fault, or a value that is missing or unreadable."""
    nulls = [values[role].is_null() for role in FAULTS if role in values]
    return functools.reduce(operator.or_, nulls, faults.is_not_null())


def _count_bad_rows(values: pl.DataFrame, raw: Events, is_bad: pl.Series) -> BadRows:
    """Count bad rows by reason."""
    if not is_bad.any():
        return {}
    bad = values.with_columns(fault=raw.faults, place=raw.places).filter(is_bad)
    reasons = [pl.when(pl.col(role).is_null()).then(pl.lit(why)) for role, why in FAULTS.items() if role in values]
    reason = bad.select(reason=pl.coalesce("fault", *reasons)).to_series()
    counted = bad.select("place", reason=reason).group_by("reason", maintain_order=True)
    found: BadRows = {
        why: {"count": count, "first": place}
        for why, count, place in counted.agg(pl.len().alias("count"), pl.col("place").first()).rows()
    }
    for role, why in FAULTS.items():
        texts = raw.columns[role] if why in found and role in raw.columns else None
        if texts is not None and texts.dtype == pl.String:
            shown = texts.filter(is_bad).filter(reason == why).drop_nulls().str.slice(0, 60)
            counts = shown.value_counts(sort=True).head(MOST_VALUES).rows()
            found[why] |= {"values": dict(counts)} if counts else {}
    return found


def most_frequent(bad_rows: BadRows) -> BadRows:
    """Return bad rows with their five most frequent values only, most frequent first.

    bad_rows  by reason, with the numbers of their values

    >>> most_frequent({"without a user": {"count": 3, "first": 7, "values": {"": 1, "NA": 2}}})["without a user"]
    {'count': 3, 'first': 7, 'values': {'NA': 2, '': 1}}
    """
    return {
        why: {**bad, "values": dict(sorted(bad["values"].items(), key=lambda row: (-row[1], row[0]))[:5])}
        if "values" in bad
        else bad
        for why, bad in bad_rows.items()
    }


def _check_bad_rows(bad_rows: BadRows, columns: Mapping[str, str], table: RawTable, rules: Rules, total: int) -> None:
    """Raise DataError for bad rows, unless they are to be skipped and a good row is left."""
    bad = sum(reason["count"] for reason in bad_rows.values())
    if rules.skip and bad < total:
        return
    place, time_format = table.place_name, rules.time_format
    counts = "; ".join(
        f"{reason['count']:,} {why} (first at {place} {reason['first']:,})"
        f"{': ' if 'values' in reason else ''}{bad_rows_in_words(reason)}"
        for why, reason in bad_rows.items()
    )
    sentence = f"every row must have a user, an item and a readable time; got rows: {counts}"
    others = other_users(table.columns, list(columns.values())) if table.has_header else []
    missing_users = bad_rows.get(FAULTS["user"], {"count": 0})["count"]
    if others and missing_users > FEW * total:
        share = missing_users / total
        sentence += (
            f"; {columns['user']} is {share:.0%} missing, and {others[0]} is there: pass user={others[0]!r} "
            f"(--user {others[0]})"
        )
    elif FAULTS["time"] in bad_rows and time_format is not None:
        sentence += f"; times are read as time_format={time_format!r} (--time-format) says"
    elif FAULTS["time"] in bad_rows and "time" in columns:
        sentence += f"; times are read as {READABLE}"
    if bad <= max(1, FEW * total) and bad < total:
        sentence += SKIP_HINT
    elif bad < total:
        sentence += f"; {bad / total:.0%} of the rows are bad: check the columns and the form of their values first"
    raise DataError(sentence)


def _filter_rows(frame: pl.DataFrame, filters: LogFilters) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """Apply the filters on ratings and events; return the remaining rows, and what each filter dropped."""
    conditions = {}
    if filters.min_rating is not None:
        conditions[f"min_rating={filters.min_rating:g}"] = pl.col("rating") >= filters.min_rating
    if filters.event_types:
        conditions[f"event_types={','.join(filters.event_types)}"] = pl.col("event_type").is_in(filters.event_types)
    dropped = []
    for name, condition in conditions.items():
        kept = frame.filter(condition)
        dropped.append({"filter": name, "dropped": len(frame) - len(kept)})
        frame = kept
    return frame, dropped


def _refuse_unknown_events(counts: Mapping[str, int], asked: tuple[str, ...], column: str) -> None:
    """Raise DataError, with the kinds that there are, for a kind of event that never occurs."""
    unknown = [kind for kind in asked if kind not in counts]
    if unknown:
        there = ", ".join(f"{shortened(kind).strip(chr(39))} ({count:,})" for kind, count in list(counts.items())[:12])
        raise DataError(
            f"event_types (--event-types) must occur in column {column!r}; got {', '.join(map(repr, unknown))}, which "
            f"never {'occurs' if len(unknown) == 1 else 'occur'}; the kinds are {there or '(none)'}"
        )
