"""Doubts on what is left of times: zones and clocks in other columns or in names, and columns that may order events."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import polars as pl

from caser.data.dates import TIME_OF_DAY, are_days
from caser.data.ids import shortened
from caser.data.names import plain_name

CLOCKS = ("hour", "hours", "hourmin", "hourminute", "clock", "timeofday")
"""Names of columns with times of day, in lower case, with letters and digits only."""

CLOCK = r"^([01]?\d|2[0-3])?([0-5]?\d)?[0-5]?\d$"
"""A time of day as a number, such as 2359 or 235959, also without zeros in front."""

ZONES = ("timezone", "tz", "zone", "timezonename", "tzname", "tzoffset", "timezoneoffset", "utcoffset", "gmtoffset")

ORDERS = (
    *("position", "pos", "seq", "seqno", "sequence", "sequenceno", "sequencenumber", "step", "order", "ordernumber"),
    *("rank", "interactionorder", "eventorder", "eventnumber", "eventno", "eventseq", "eventindex", "t", "timestep"),
    *("year", "month", "day", "week", "hour", "minute", "second", "timeframe", "secondsofday", "dateday", "datehour"),
    *("transtime", "daynumber", "dayno", "weekno", "secs", "seconds"),
)
"""Names of columns that may order the events."""

LIKE_TIME = (
    r"^\s*\d{1,4}[-/.\u5e74]\s?\d{1,2}[-/.\u6708]|\d{1,2}:\d\d|^\s*\d{1,2}\.?\s\p{L}{3,}\.?\s\d{4}|"
    r"^\s*\p{L}{3,9}\.?\s(\d{1,2},?\s)?\d{4}|^\s*\d{4}-?(W\d\d|Q[1-4])$"
)
"""How times begin that are written in a form which is not read."""

NO_TIME = r"^\s*\d+(\.\d+){3}\s*$|^\s*[-+]?\d+([.,]\d+)?\s*$"
"""An address of the internet, or a number."""

PARTS = ("year", "month", "day", "hour", "minute", "second")
"""Ends of the names of columns that hold a moment in parts."""

OF_ZONE = re.compile(r"[(\[]\s*((?:UTC|GMT)\s?[+-][\d:]+|(?!UTC|GMT)[A-Z]{2,5}|[A-Z][a-z]+/[A-Z]\w+)\s*[)\]]")
"""The name of a zone, or an offset, in the name of a column."""


def doubts_on_order(few: pl.DataFrame) -> list[str]:
    """Return the doubts that the order of rows is the order of events, as no column was read as time.

    few  the first rows of the columns without a role

    >>> doubts_on_order(pl.DataFrame({"position": [2, 1], "sold": ["5. Mai 2024", "6. Mai 2024"]}))[0]
    'doubt: position may order the events and is not used; --time position reads it'
    """
    doubts = []
    few = few.select(one for one in few if not one.dtype.is_nested())
    orders = [one.name for one in few if plain_name(one.name) in ORDERS and one.n_unique() > 1]
    parts = parts_of_moments(few.columns)
    if parts:
        joined = ",".join(parts)
        doubts.append(f"doubt: {', '.join(parts)} hold moments in parts and are not used: --time {joined} joins them")
    elif orders:
        more = " and others" if len(orders) > 1 else ""
        doubts.append(f"doubt: {orders[0]}{more} may order the events and is not used; --time {orders[0]} reads it")
    for one in few:
        texts = one.drop_nulls() if one.dtype == pl.String else pl.Series(dtype=pl.String)
        like = texts.str.contains(LIKE_TIME) & ~texts.str.contains(NO_TIME)
        if len(texts) and like.mean() > 0.9 and texts.n_unique() > 1:  # type: ignore[operator]
            doubts.append(
                f"doubt: {one.name} looks like times that are not read ({shortened(texts[0])}) and is not used; if it "
                f"is the time, pass --time {one.name} and --time-format"
            )
    return doubts


def parts_of_moments(columns: Sequence[str]) -> list[str]:
    """Return the columns with the year, month, day, and perhaps the hour, minute and second of moments; [] without.

    columns  names of columns

    >>> parts_of_moments(["day", "date_year", "date_month", "user"]), parts_of_moments(["year", "day"])
    (['date_year', 'date_month', 'day'], [])
    """
    found = [next((name for name in columns if plain_name(name).endswith(part)), None) for part in PARTS]
    known = list(itertools.takewhile(lambda name: name is not None, found))
    return [str(name) for name in known] if len(known) >= len(PARTS) // 2 else []


def doubts_on_clock(few: pl.DataFrame, column: str, values: pl.Series) -> list[str]:
    """Return the doubts on columns that say more about the moments of the column of times: a clock, a zone.

    few     the first rows of the columns without a role        column  the name of the column of times
    values  its first values

    >>> doubts_on_clock(pl.DataFrame({"tz": ["CET", "EST"]}), "time", pl.Series(["2024-01-05 10:00"] * 2))
    ["doubt: tz holds zones ('CET') and is not used: times are read in UTC; write the offset into the times"]
    """
    doubts = []
    for one in few:
        first = shortened(str(one.drop_nulls()[0])) if one.count() and not one.dtype.is_nested() else ""
        if first and plain_name(one.name) in ZONES and not (one.cast(pl.String) == "UTC").all():
            doubts.append(
                f"doubt: {one.name} holds zones ({first}) and is not used: times are read in UTC; write the offset "
                "into the times"
            )
    if (zone := OF_ZONE.search(column)) is not None:
        doubts.append(
            f"doubt: {column} names the zone {zone[1]}: times are read in UTC; write the offset into the times"
        )
    if not values.dtype.is_nested() and are_days(values):
        plain = [one for one in few if not one.dtype.is_nested()]
        orders = [one.name for one in plain if plain_name(one.name) in ORDERS and one.n_unique() > 1]
        orders = [name for name in orders if name not in clocks_in(few)]
        if orders:
            doubts.append(
                f"doubt: {column} holds days only, and {orders[0]} may order the events of a day and is not used: sort "
                "the rows by both, as rows with equal times keep their order"
            )
    return doubts


def clocks_in(few: pl.DataFrame) -> list[str]:
    """Return the columns that hold times of day, by their values or their names.

    few  the first rows of some columns

    >>> clocks_in(pl.DataFrame({"at": ["23:59"], "hour": [7], "trans_time": [161412], "price": [3]}))
    ['at', 'hour', 'trans_time']
    """
    return [one.name for one in few if _is_clock(one)]


def _is_clock(values: pl.Series) -> bool:
    if values.dtype == pl.Time or plain_name(values.name) in CLOCKS:
        return True
    texts = values.drop_nulls().cast(pl.String, strict=False) if not values.dtype.is_nested() else pl.Series()
    if texts.is_empty():
        return False
    is_number = plain_name(values.name).endswith("time") and bool(texts.str.contains(CLOCK).all())
    return bool(texts.str.contains(TIME_OF_DAY).all()) or (is_number and int(str(texts.str.len_chars().max())) > 4)
