"""Bad rows: those without a user, an item or a readable time are counted by reason, and refused or left out."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Mapping
from typing import Any

import polars as pl

from caser.data.column_words import word_set
from caser.data.dates import READABLE
from caser.data.id_text import MAX_ID_LENGTH
from caser.data.ids import shortened
from caser.data.lists import Events
from caser.data.names import flag, other_users
from caser.data.tables import RawTable
from caser.errors import DataError

FAULTS = {
    "user": "without a user",
    "item": "without an item",
    "time": "with a missing or unreadable time",
    "rating": "with a missing or unreadable rating",
}
"""Why a row is bad, by the column that is null. A row with several reasons is counted only for the first of them."""

TOO_LONG = {
    role: f"with the id of {name} of more than {MAX_ID_LENGTH:,} characters"
    for role, name in (("user", "a user"), ("item", "an item"))
}
"""Why a row is bad, by the column whose id could not be asked for: in a command, a request and its address."""

FEW = 0.05
"""The share of rows that may be bad without a doubt that the file is read in the right way."""

MOST_VALUES = 1000
"""How many values of bad rows are counted. The five most frequent ones are shown."""

FIRST_ROW = 2
"""Where the first row of a table with a header is."""

MONTH_IN_WORDS = re.compile(r"\b\d{1,2}\.?[ -/]+(?:de )?([^\W\d_]{3,})\.?[ -/]+(?:de )?\d{4}\b")
MONTHS = word_set(
    "jan feb mar apr may jun jul aug sep sept oct nov dec january february march april june july august september "
    "october november december"
)

SKIP_HINT = '; pass bad_rows="skip" (--bad-rows skip) to go on'

BadRows = dict[str, dict[str, Any]]
"""For each reason: the number of rows, the place of the first, and the most frequent values with their numbers."""


def bad_rows_in_words(bad: Mapping[str, Any]) -> str:
    r"""Return the values of bad rows in words, most frequent first; "" if there are none to show.

    bad  one reason of `provenance["bad_rows"]`

    >>> bad_rows_in_words({"count": 12, "first": 3, "values": {"NA": 10, "": 2}})
    "10 'NA', 2 empty"
    """
    return ", ".join(
        f"{count:,} {shortened(word) if word else 'empty'}" for word, count in bad.get("values", {}).items()
    )


def with_long_ids(values: pl.DataFrame, faults: pl.Series) -> pl.Series:
    """Return why each row is bad, (N,), with the rows that have an id of too many characters.

    values  the columns by role        faults  (N,) why rows are bad for other reasons, or null

    >>> with_long_ids(pl.DataFrame({"user": ["a" * 1001, "b"]}), pl.Series([None, None], dtype=pl.String)).to_list()
    ['with the id of a user of more than 1,000 characters', None]
    """
    for role, why in TOO_LONG.items():
        ids = values[role] if role in values else pl.Series(dtype=pl.Null)
        longest = ids.str.len_bytes().max() if ids.dtype == pl.String else 0
        if isinstance(longest, int) and longest > MAX_ID_LENGTH:
            faults = faults.set(faults.is_null() & (ids.str.len_chars() > MAX_ID_LENGTH).fill_null(False), why)
    return faults


def are_bad(values: pl.DataFrame, faults: pl.Series) -> pl.Series:
    """Return whether each row is bad, (N,): it has a fault, or a value that is missing or unreadable.

    values  the columns by role, with null for an unusable value        faults  (N,) why rows are bad, or null

    >>> are_bad(pl.DataFrame({"user": ["ann", None]}), pl.Series([None, None], dtype=pl.String)).to_list()
    [False, True]
    """
    nulls = [values[role].is_null() for role in FAULTS if role in values]
    return functools.reduce(operator.or_, nulls, faults.is_not_null())


def count_bad_rows(values: pl.DataFrame, raw: Events, is_bad: pl.Series) -> BadRows:
    """Return how many rows are bad for each reason; {} if none is.

    values  the columns by role, with null for an unusable value        raw  the rows with their values as written
    is_bad  (N,) which rows are bad

    The values of bad rows are all counted, up to `MOST_VALUES`; see `most_frequent`.
    """
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
    for role, why in (*FAULTS.items(), *TOO_LONG.items()):
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


def check_bad_rows(
    bad_rows: BadRows,
    columns: Mapping[str, str],
    table: RawTable,
    total: int,
    *,
    skip: bool = False,
    time_format: str | None = None,
) -> None:
    """Raise DataError for bad rows, unless they are to be skipped and a good row is left.

    bad_rows  the bad rows by reason        columns      the column of each role        table  the rows of the source
    total     the number of all rows        skip         whether bad rows are left out
    time_format  how the caller says that times are written; None if they were guessed
    """
    bad = _total(bad_rows)
    if skip and bad < total:
        return
    place = table.place_name
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
        sentence += f"; times are read as {READABLE}{_on_months(bad_rows[FAULTS['time']])}"
    elif gaps := [role for role in ("user", "item") if _has_gaps(bad_rows.get(FAULTS[role], {}), total)]:
        name = columns[gaps[0]]
        sentence += (
            f"; if an empty cell of {name} means the value above it, as where a sheet merges cells, fill the column: "
            f"python -c \"import polars as p; p.read_csv('FILE', infer_schema=False)"
            f".with_columns(p.col('{name}').forward_fill()).write_csv('log.csv')\""
        )
    elif long := [role for role, why in TOO_LONG.items() if why in bad_rows]:
        sentence += (
            f"; if {columns[long[0]]} holds no ids, name their column with {flag(long[0])}; else give them short ids"
        )
    if _are_few(bad, total) and bad < total:
        sentence += SKIP_HINT
    elif bad < total:
        sentence += f"; {bad / total:.0%} of the rows are bad: check the columns and the form of their values first"
    raise DataError(sentence)


def _has_gaps(reason: Mapping[str, Any], total: int) -> bool:
    """Return whether a column is empty below its first row so often that its cells may have been merged."""
    return (
        reason.get("count", 0) > FEW * total and set(reason.get("values", {})) <= {""} and reason["first"] > FIRST_ROW
    )


def _on_months(reason: Mapping[str, Any]) -> str:
    """Return a sentence if unreadable times have a word in the place of a month that is no English month."""
    words = [match[1] for value in reason.get("values", {}) if (match := MONTH_IN_WORDS.search(value))]
    strange = [word for word in words if word.lower() not in MONTHS]
    return f"; {strange[0]!r} is no English month: write months as numbers or in English" if strange else ""


def doubt_on_bad_rows(bad_rows: BadRows, total: int) -> list[str]:
    """Return a doubt if more rows were left out than a file has by accident.

    bad_rows  the bad rows by reason        total  the number of all rows

    >>> doubt_on_bad_rows({"without a user": {"count": 40, "first": 2}}, 100)
    ['doubt: 40 of 100 rows (40%) are bad and left out: check the columns and the form of their values']
    >>> doubt_on_bad_rows({"without a user": {"count": 5, "first": 2}}, 100)
    []
    """
    bad = _total(bad_rows)
    if _are_few(bad, total):
        return []
    return [
        f"doubt: {bad:,} of {total:,} rows ({bad / total:.0%}) are bad and left out: check the columns and the form of "
        "their values"
    ]


def _total(bad_rows: BadRows) -> int:
    return sum(reason["count"] for reason in bad_rows.values())


def _are_few(bad: int, total: int) -> bool:
    """Return whether so few rows are bad that the file is read in the right way: one in twenty, or a single one."""
    return bad <= max(1, FEW * total)
