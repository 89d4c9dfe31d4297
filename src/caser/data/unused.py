"""Unused columns: what the columns without a role say about the order of events, or about the zone of times.

The order of events is what a model learns. So a column that may order them, or a part of a moment, or a zone, is not
passed over in silence: a doubt names it, with the flag that uses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from caser.data.column_words import has_words, words_in
from caser.data.dates import ZONED, are_days, are_times_of_day, parse
from caser.data.ids import shortened
from caser.data.joined_times import DAY, MOST_MINUTES, PER_SECOND, ZONE, are_parts, parts_of_moment
from caser.data.names import in_words
from caser.data.rivals import have_fractions
from caser.data.tables import RawTable
from caser.data.time_units import NEARLY_ALL
from caser.data.times import looks_like_moments

SEARCHED = 40

FEWEST = 10
"""How many rows are needed before numbers are taken for an order."""

OFFSET = r"^\s*(?:UTC|GMT)?([+-]\d\d?(:?\d\d)?|Z)\s*$"
"""An offset from UTC, such as +02:00."""

ORDER_WORDS = frozenset(
    "position pos seq sequence step order ordinal rank round turn index idx counter number nr no nth".split()
)
"""Words in the names of columns that number events."""

CLOCK_WORDS = frozenset(
    "year month week weekday dow day days hour hours minute minutes second seconds sec secs date time clock "
    "timestamp ts period epoch elapsed timeframe".split()
)
"""Words in the names of columns with times or parts of them."""

AGO_WORDS = frozenset("ago recency age since".split())
"""Words in the names of columns that count backwards from today."""

WHEN_WORDS = CLOCK_WORDS | frozenset(
    "when at on purchased bought viewed watched played ordered datum fecha data".split()
)

NO_ORDER = frozenset(
    "id ids hash name price amount count score rating total qty quantity spent duration length weight plays".split()
)
"""Words in the names of columns that say how much or which, and not when."""

MONTH = r"(jan|feb|f[eé]v|m[aä]r|mrz|apr|avr|abr|ma[iyj]|mag|jun|jui|giu|jul|lug|aug|ago|ao[uû]|sep|set|o[ck]t|out|ott|nov|de[czs]|d[eé]c|dic|ene|gen)"

WRITTEN = (
    r"(?i)^\D{0,12}\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(\D.*)?$"
    r"|^\d{1,2}\.\d{1,2}\.$"
    r"|\d\s*[年月日년월일]"
    r"|^(\d{4}[-/ ]?(kw|w|q)\d{1,2}|(kw|w|q)\s?\d{1,2}[-/ ]\d{4})$"
    r"|\d.*[T\s]\d{1,2}[:h.]\d\d\b|^\d{1,2}:\d\d\b"
    rf"|^[^\d]{{0,12}}\d{{1,4}}[-.\s]{{1,3}}(de )?{MONTH}\p{{L}}*[-.\s]{{0,3}}(de )?(\d.*)?$"
    rf"|^(\p{{L}}{{2,12}},?\s+)?{MONTH}\p{{L}}*\.?[-\s]\d.*$"
)
"""Text that is likely a time, in any form and language."""

DIGITS = {6: ("%y%m%d", "%Y%m"), 8: ("%y%m%d%H",), 10: ("%y%m%d%H%M",)}
"""Forms of numbers that may be times, by the number of digits."""

TICKS = (620_000_000_000_000_000, 670_000_000_000_000_000)
"""Numbers of .NET: units of 100 nanoseconds since the year 1."""

SPREADSHEET_DAYS = (36_526, 55_000)

ABBREVIATIONS = frozenset(
    "CET CEST EST EDT CST CDT MST MDT PST PDT IST BST JST MSK AEST AEDT ACST AWST WET WEST EET EEST HKT SGT KST NZST "
    "NZDT BRT ART SAST PKT WIB AST AKST HST CLT COT".split()
)
"""Abbreviations of zones that are not UTC."""

HEADER_ZONE = r"\b((?:UTC|GMT)\s?[-+−]\s?\d[\d:]*|[A-Z][a-z]+/[A-Z][a-z_A-Z]+|[A-Z]{3,4})\b"


def doubts_without_time(table: RawTable, chosen: Mapping[str, str]) -> list[str]:
    """Return the doubts on a log without a column of times: unused columns that may hold times or the order of events.

    table   the rows        chosen  the columns by role

    Numbers are named only if the rows are in another order.

    >>> rows = pl.DataFrame({"user": [1, 2] * 10, "item": [3, 4] * 10, "position": list(range(20, 0, -1))})
    >>> print(*doubts_without_time(RawTable.from_frame(rows), {"user": "user", "item": "item"}))
    doubt: position (20, 19, 18, ...) is not used, and the rows are in another order: --time position --time-format seconds orders by it
    """
    few, unused = _few(table, chosen)
    doubts = []
    orders: list[str] = []
    ago: list[str] = []
    is_in_order = False
    for column in unused:
        values = few[column]
        if values.dtype.is_nested() or _is_fact(few, column, chosen) or looks_like_moments(values):
            continue
        if way := _way_to_read(values):
            words = in_words(column, table)
            doubts.append(
                f"doubt: {words} ({shortened(str(values.drop_nulls()[0]))}) looks like times and is not used: {way}"
            )
        elif few[chosen["user"]].dtype.is_nested() or len(few) < FEWEST or (numbers := _whole(values)) is None:
            continue
        elif has_words(column, AGO_WORDS):
            ago += [column] if _disagrees(few, -numbers, chosen["user"]) else []
        elif _numbers_events(few, column, numbers, chosen["user"]):
            disagrees = _disagrees(few, numbers, chosen["user"])
            orders += [column] if disagrees else []
            is_in_order |= not disagrees
    if is_in_order:  # another column says that the rows are in the order of events
        return doubts[:4]
    return [*doubts[:4], *_on_orders(few, orders, table), *_on_ago(few, ago, table)]


def doubts_on_time(table: RawTable, chosen: Mapping[str, str]) -> list[str]:
    """Return the doubts on the column of times: a part of the moments, or their zone, is in an unused column.

    table   the rows        chosen  the columns by role, with the time

    >>> rows = pl.DataFrame({"user": [1], "item": [3], "day": ["2020-01-31"], "clock": ["23:59"]})
    >>> doubts_on_time(RawTable.from_frame(rows), {"user": "user", "item": "item", "time": "day"})
    ['doubt: clock holds times of day and is not used: --time day,clock joins them']
    """
    column = chosen["time"]
    few, unused = _few(table, chosen)
    values = table.sample([column]).to_series()
    if values.dtype.is_nested() or values.count() == 0:
        return []
    parts = [part.strip() for part in column.split(",")] if column not in unused else [column]
    others = [one for one in unused if one not in parts]
    if are_days(values):
        return _on_days(few.with_columns(values.alias(column)), column, others, chosen)
    if not _is_naive(values):
        return []
    return _on_zones(table, few, column, others)


def _few(table: RawTable, chosen: Mapping[str, str]) -> tuple[pl.DataFrame, list[str]]:
    unused = [column for column in table.columns if column not in chosen.values()][:SEARCHED]
    return table.sample([*unused, chosen["user"], chosen["item"]]), unused


def _is_fact(few: pl.DataFrame, column: str, chosen: Mapping[str, str]) -> bool:
    """Return whether a column has one value for each user or each item, where these repeat."""
    for role in ("user", "item"):
        owner = few[chosen[role]]
        if owner.dtype.is_nested():
            continue
        pairs = few.select(pl.struct(column, chosen[role]).n_unique()).item()
        if pairs == owner.n_unique() and 2 * owner.n_unique() <= len(few):
            return True
    return few[column].n_unique() <= 1


def _way_to_read(values: pl.Series) -> str | None:
    """Return how a column is used that holds times in a form that is not read; None if it holds none."""
    name = values.name
    texts = values.drop_nulls()
    if texts.dtype in (pl.Time, pl.Duration):
        return f"name the column with the day too: --time DAY,{name}"
    if texts.dtype == pl.String:
        texts = texts.str.strip_chars()
        texts = texts.filter(texts != "")
        if len(texts) and texts.str.contains(WRITTEN).sum() >= 0.8 * len(texts) and texts.n_unique() > 1:
            if are_times_of_day(texts):
                return f"name the column with the day too: --time DAY,{name}"
            return f"write it as 2020-12-31 23:59:00, or name its form: --time {name} --time-format FORM"
    numbers = _numbers(texts)
    if numbers is None or len(numbers) == 0:
        return None
    for form in DIGITS.get(len(f"{numbers.median():.0f}"), ()):
        whole = numbers.cast(pl.Int64).cast(pl.String)
        if (
            not have_fractions(values)
            and parse(whole, form).count() >= NEARLY_ALL * len(numbers)
            and _may_be_days(whole, form)
        ):
            return f"--time {name} --time-format {form} reads it"
    if numbers.is_between(*TICKS).sum() >= NEARLY_ALL * len(numbers):
        return "it counts units of 100 nanoseconds since the year 1: write (number - 621355968000000000) / 10000000"
    if numbers.is_between(*SPREADSHEET_DAYS).all() and has_words(name, WHEN_WORDS):
        return f"--time {name} --time-format excel reads it as days of a spreadsheet"
    return None


def _may_be_days(numbers: pl.Series, form: str) -> bool:
    """Return whether digits are days of our time: many of them could be anything with a year of two digits."""
    years = numbers.str.slice(0, 4 if "%Y" in form else 2).cast(pl.Int64)
    return bool(years.is_between(1990, 2040).all() if "%Y" in form else (years.is_between(0, 40) | (years >= 90)).all())


def _numbers(values: pl.Series) -> pl.Series | None:
    """Return values as floats if nearly all are numbers."""
    if values.dtype == pl.String:
        numbers = values.cast(pl.Float64, strict=False)
    elif values.dtype.is_numeric():
        numbers = values.cast(pl.Float64)
    else:
        return None
    numbers = numbers.drop_nulls().drop_nans()
    return numbers if len(numbers) and len(numbers) >= NEARLY_ALL * values.count() else None


def _whole(values: pl.Series) -> pl.Series | None:
    """Return values as integers in their rows if nearly all are whole numbers; else None."""
    if values.dtype != pl.String and not values.dtype.is_numeric() or have_fractions(values):
        return None
    floats = values.cast(pl.Float64, strict=False)
    return floats.cast(pl.Int64, strict=False) if floats.count() >= NEARLY_ALL * len(values) else None


def _numbers_events(few: pl.DataFrame, column: str, numbers: pl.Series, user: str) -> bool:
    """Return whether a column numbers events: by the words in its name, or since it counts the rows of each user, or
    all rows, without gaps."""
    words = set(words_in(column))
    if words & NO_ORDER:
        return False
    if words & (ORDER_WORDS | CLOCK_WORDS):
        return True
    if numbers.null_count() or numbers.n_unique() < 2:
        return False
    if numbers.n_unique() == len(numbers):
        return int(str(numbers.max())) - int(str(numbers.min())) == len(numbers) - 1
    runs = pl.DataFrame({"user": few[user], "number": numbers}).group_by("user").agg(
        least=pl.col("number").min(), most=pl.col("number").max(), kinds=pl.col("number").n_unique(), count=pl.len()
    )  # fmt: skip
    runs = runs.filter(pl.col("count") > 1)
    is_run = (runs["most"] - runs["least"] + 1 == runs["count"]) & (runs["kinds"] == runs["count"])
    return len(runs) > 2 and runs["count"].sum() >= FEWEST and bool(is_run.mean() == 1 and (runs["least"] <= 1).all())


def _disagrees(few: pl.DataFrame, numbers: pl.Series, user: str) -> bool:
    """Return whether the rows of a user are in another order than some numbers."""
    steps = (
        pl.DataFrame({"user": few[user], "number": numbers}).select(pl.col("number").diff().over("user")).to_series()
    )
    return bool((steps < 0).any())


def _on_orders(few: pl.DataFrame, orders: Sequence[str], table: RawTable) -> list[str]:
    if not orders:
        return []
    orders = sorted(orders, key=_size_of_part)
    shown = " and ".join(f"{in_words(one, table)} ({_first(few[one])}, ...)" for one in orders[:3])
    parts = parts_of_moment(orders)
    days = [one for one in orders if words_in(one)[-1:] in (("day",), ("date",))]
    clocks = [one for one in orders if one not in days and _is_clock_in_numbers(few[one])]
    if len(orders) == 1:
        way = f"--time {orders[0]} --time-format seconds orders by it"
    elif parts and are_parts(few, parts):
        way = f"--time {','.join(parts)} joins them"
    elif len(days) == len(clocks) == 1:
        way = f"--time {days[0]},{clocks[0]} joins a day and a time of day"
    else:
        way = f"sort the rows by {', '.join(orders)}"
    be = "is" if len(orders) == 1 else "are"
    return [f"doubt: {shown} {be} not used, and the rows are in another order: {way}"]


def _size_of_part(column: str) -> int:
    """Return how coarse the part of a moment is that a column is called after; the coarsest is the least number."""
    words = words_in(column)
    sizes = ("year", "month", "week", "day", "date", "time", "hour", "minute", "second")
    return next((place for place, size in enumerate(sizes) if size in words), len(sizes))


def _on_ago(few: pl.DataFrame, ago: Sequence[str], table: RawTable) -> list[str]:
    return [
        f"doubt: {in_words(one, table)} ({_first(few[one])}, ...) may count backwards from today and is not used: sort "
        "the rows by it, the largest first"
        for one in ago[:1]
    ]


def _first(values: pl.Series) -> str:
    return ", ".join(map(str, values.drop_nulls()[:3].to_list()))


def _on_days(few: pl.DataFrame, column: str, others: Sequence[str], chosen: Mapping[str, str]) -> list[str]:
    """Name a column that orders the events of a day, if the time holds days only."""
    usable = [one for one in others if not few[one].dtype.is_nested() and not _is_fact(few, one, chosen)]
    clocks = [one for one in others if are_times_of_day(few[one])]
    clocks += [one for one in usable if one not in clocks and _is_clock_in_numbers(few[one])]
    if clocks:
        return [f"doubt: {clocks[0]} holds times of day and is not used: --time {column},{clocks[0]} joins them"]
    finer = [one for one in usable if looks_like_moments(few[one]) and not are_days(few[one])]
    if finer:
        shown = shortened(str(few[finer[0]].drop_nulls()[0]))
        return [
            f"doubt: {column} holds days only; {finer[0]} looks like times ({shown}) and is not used: --time {finer[0]} "
            "reads it"
        ]
    orders = [
        one
        for one in usable
        if (numbers := _whole(few[one])) is not None
        and not looks_like_moments(few[one])
        and 0 <= int(str(numbers.min())) <= int(str(numbers.max())) < DAY // 1000
        and _numbers_events(few, one, numbers, chosen["user"])
        and _disagrees_in_a_day(few, numbers, column, chosen["user"])
    ]
    return [
        f"doubt: {column} holds days only; {one} ({_first(few[one])}, ...) may order the events of a day and is not used: "
        f"--time {column},{one} joins them"
        for one in orders[:1]
    ]


def _is_clock_in_numbers(values: pl.Series) -> bool:
    """Return whether whole numbers are times of day: hours, 2359, 235959, or seconds of a day, by name and values."""
    words = set(words_in(values.name))
    if words & NO_ORDER or not words & (CLOCK_WORDS | {"hourmin", "timeofday"}) or (numbers := _whole(values)) is None:
        return False
    numbers = numbers.drop_nulls()
    most = int(str(numbers.max()))
    if numbers.is_empty() or int(str(numbers.min())) < 0:
        return False
    if words & {"second", "seconds", "sec", "secs"} and words & {"day", "midnight"}:
        return most < DAY // PER_SECOND
    if words & {"hour", "hours"} and most < 24:
        return True
    if words & {"time", "clock", "hourmin", "timeofday", "hour"} and 23 < most <= 235_959:
        digits = numbers.cast(pl.String).str.zfill(4 if most <= 2359 else 6)
        return digits.str.contains(r"^([01]\d|2[0-3])([0-5]\d){1,2}$").sum() >= NEARLY_ALL * len(numbers)
    return False


def _disagrees_in_a_day(few: pl.DataFrame, numbers: pl.Series, column: str, user: str) -> bool:
    """Return whether the rows of a user on a day are in another order than some numbers."""
    if few[user].dtype.is_nested():
        return False
    steps = pl.DataFrame({"user": few[user], "day": few[column], "number": numbers}).select(
        pl.col("number").diff().over("user", "day")
    )
    return bool((steps.to_series() < 0).any())


def _is_naive(values: pl.Series) -> bool:
    """Return whether moments are without a zone."""
    if values.dtype == pl.Datetime:
        return getattr(values.dtype, "time_zone", None) is None
    return values.dtype == pl.String and looks_like_moments(values) == "dates" and not values.str.contains(ZONED).any()


def _on_zones(table: RawTable, few: pl.DataFrame, column: str, others: Sequence[str]) -> list[str]:
    """Name a column of zones, or a zone in the name of the column of times, beside times without a zone."""
    for name in others:
        values = few[name]
        if values.dtype.is_nested() or values.count() == 0:
            continue
        texts = values.drop_nulls().cast(pl.String).str.strip_chars()
        shown = shortened(texts[0])
        if texts.str.contains(OFFSET).all() and not texts.str.contains(r"^\d").any():
            return [
                f"doubt: {name} holds offsets from UTC ({shown}) and is not used: --time {column},{name} joins them"
            ]
        if texts.str.contains(ZONE).all() or _are_minutes_from_utc(values):
            return [
                f"doubt: {name} holds zones ({shown}) and is not used, so that {column} is read in UTC: --time "
                f"{column},{name} reads it in its zone"
            ]
        if texts.is_in(list(ABBREVIATIONS) + ["UTC", "GMT"]).all() and texts.is_in(list(ABBREVIATIONS)).any():
            return [
                f"doubt: {name} holds names of zones ({shown}) and is not used, so that {column} is read in UTC: write the "
                "offset of each from UTC in its place, such as +01:00"
            ]
    found = [zone for zone in _zones_in_name(column) if zone in ABBREVIATIONS or not zone.isalpha()]
    return [
        f"doubt: the name of {column!r} says that times are in {zone}, and they are read in UTC: write the offset from UTC "
        "into each, such as 2020-12-31 23:59:00+01:00"
        for zone in found[:1]
    ]


def _zones_in_name(column: str) -> list[str]:
    return list(pl.Series([column]).str.extract_all(HEADER_ZONE).to_list()[0])


def _are_minutes_from_utc(values: pl.Series) -> bool:
    if not set(words_in(values.name)) & {"offset", "tz", "zone", "timezone", "tzoffset", "utc", "gmt"}:
        return False
    numbers = _whole(values)
    return numbers is not None and bool(
        ((numbers.abs() <= MOST_MINUTES) & (numbers % 15 == 0) & (numbers.abs() != 0)).any()
        and ((numbers.abs() <= MOST_MINUTES) & (numbers % 15 == 0)).all()
    )
