"""Unused columns: what the columns without a role say about the order of events in a log without times.

The order of events is what a model learns. So a column that may order them is not passed over in silence: a doubt names
it, with the flag that uses it. `time_parts.py` does the same for a log with times.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

import polars as pl

from caser.data.clock_parts import CLOCK_WORDS, NO_ORDER, are_clock_numbers, are_parts, parts_of_moment
from caser.data.column_words import has_words, word_set, words_in
from caser.data.dates import are_times_of_day, parse
from caser.data.ids import shortened
from caser.data.names import in_words, option
from caser.data.rivals import have_fractions, whole_numbers
from caser.data.tables import RawTable
from caser.data.time_units import NEARLY_ALL, size_of
from caser.data.times import looks_like_moments

SEARCHED = 40

FEWEST = 10
"""How many rows are needed before numbers are taken for an order."""

ORDER_WORDS = word_set(
    "position pos seq sequence step order ordinal rank round turn index idx counter number nr no nth"
)
"""Words in the names of columns that number events."""

CYCLIC_WORDS = word_set("hour minute second weekday dow month")
"""Words in the names of columns that begin anew, so that they alone order nothing."""

AGO_WORDS = word_set("ago recency age since")
"""Words in the names of columns that count backwards from today."""

WHEN_WORDS = CLOCK_WORDS | word_set("when at on purchased bought viewed watched played ordered datum fecha data")

MONTH = (
    r"(jan|feb|f[eé]v|m[aä]r|mrz|apr|avr|abr|ma[iyj]|mag|jun|jui|giu|jul|lug|aug|ago|ao[uû]|sep|set|o[ck]t|out|ott|nov|"
    r"de[czs]|d[eé]c|dic|ene|gen)"
)
"""How the names of months begin in several languages."""

WRITTEN = (
    r"(?i)^\D{0,12}(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2}))([^\d/.-].*)?$"
    r"|^\d{1,2}\.\d{1,2}\.$"
    r"|\d\s*[年月日년월일]"
    r"|^\w+ \p{L}+ ago$|^(vor|hace|il y a) \d"
    r"|^(\d{4}[-/ ]?(kw|w|q)\d{1,2}|(kw|w|q)\s?\d{1,2}[-/ ]\d{4})$"
    r"|\d.*[T\s]\d{1,2}[:h.]\d\d\b|^(\p{L}{2,12}\.?,? )?\d{1,2}:\d\d\b"
    rf"|^[^\d]{{0,12}}\d{{1,4}}[-.\s]{{1,3}}(de )?{MONTH}\p{{L}}*[-.\s]{{0,3}}(de )?(\d.*)?$"
    rf"|^(\p{{L}}{{2,12}},?\s+)?{MONTH}\p{{L}}*\.?[-\s]\d.*$"
)
"""Text that is likely a time, in any form and language."""

DIGITS = {6: ("%y%m%d", "%Y%m"), 8: ("%y%m%d%H",), 10: ("%y%m%d%H%M",)}
"""Forms of numbers that may be times, by the number of digits."""

TIMED_IDS = (
    r"^(ObjectId\(.)?(3[3-9a-f]|[4-7][0-9a-f])[0-9a-f]{22}(.\))?$",
    r"^01[A-K][0-9A-HJKMNP-TV-Z]{23}$",
    r"(?i)^01[5-9ab][0-9a-f]{5}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
)
"""Ids that begin with a moment, so that their order is that in which they were made."""

SPREADSHEET_DAYS = (36_526, 55_000)


def doubts_without_time(table: RawTable, chosen: Mapping[str, str]) -> list[str]:
    """Return the doubts on a log without a column of times: unused columns that may hold times or the order of events.

    table   the rows        chosen  the columns by role

    Numbers are named only if the rows are in another order.

    >>> rows = pl.DataFrame({"user": [1, 2] * 10, "item": [3, 4] * 10, "position": list(range(20, 0, -1))})
    >>> print(*doubts_without_time(RawTable.from_frame(rows), {"user": "user", "item": "item"}))
    doubt: position (20, 19, ...) is not used, and the rows are in another order: --time position --time-format seconds
    """
    few, unused = unused_rows(table, chosen)
    few = _one_row_per_element(few, chosen["item"])
    doubts, orders, ago, is_settled, is_other = [], [], [], False, False
    for column in unused:
        values = few[column]
        if values.dtype.is_nested() or is_fact(few, column, chosen):
            continue
        if looks_like_moments(values):
            is_settled = True  # another doubt names it
            continue
        if way := _way_to_read(values):
            shown = shortened(str(values.drop_nulls()[0]))
            doubts.append(f"doubt: {in_words(column, table)} ({shown}) looks like times and is not used: {way}")
        elif moments_in_ids(values):
            if not few[chosen["user"]].dtype.is_nested() and are_in_another_order(
                few.select(chosen["user"]), values.cast(pl.String).rank("dense").cast(pl.Int64)
            ):
                name = in_words(column, table)
                doubts.append(
                    f"doubt: {name} ({shortened(str(values[0]))}) begins with the moment at which it was made, and the "
                    f"rows are in another order: sort the rows by {name}"
                )
        elif few[chosen["user"]].dtype.is_nested() or len(few) < FEWEST or (numbers := whole_numbers(values)) is None:
            continue
        elif has_words(column, AGO_WORDS):
            ago += [column] if are_in_another_order(few.select(chosen["user"]), -numbers) else []
        elif numbers_events(few, column, numbers, chosen["user"]):
            is_cyclic = has_words(column, CYCLIC_WORDS) or are_clock_numbers(values)
            disagrees = are_in_another_order(few.select(chosen["user"]), numbers)
            orders += [column] if disagrees or is_cyclic else []
            # A number that begins anew, such as the place in a basket, does not say that the baskets are in order.
            is_settled |= not (disagrees or is_cyclic or (_steps(few.select(chosen["user"]), numbers) < 0).any())
            is_other |= disagrees
    orders = orders if is_other and not _are_in_order_together(few, orders, chosen["user"]) else []
    if not is_settled:  # otherwise another column says that the rows are in order, or how they are to be ordered
        doubts = [*doubts[:4], *_on_orders(few, orders, table), *_on_ago(few, ago, table)]
    return doubts


def moments_in_ids(values: pl.Series) -> bool:
    """Return whether all ids begin with a moment of our time: those of MongoDB, ULIDs, and UUIDs of version 7.

    values  the first values of a column

    >>> [moments_in_ids(pl.Series([f"{begin}{one:016}" for one in (1, 2)])) for begin in ("6556361c", "beefbeef")]
    [True, False]
    """
    texts = values.drop_nulls()
    return texts.dtype == pl.String and len(texts) > 1 and any(texts.str.contains(form).all() for form in TIMED_IDS)


def unused_rows(table: RawTable, chosen: Mapping[str, str]) -> tuple[pl.DataFrame, list[str]]:
    """Return the first rows of the columns without a role, of the user and of the item; and the names of the former.

    table   the rows        chosen  the columns by role
    """
    unused = [column for column in table.columns if column not in chosen.values()][:SEARCHED]
    return table.sample([*unused, chosen["user"], chosen["item"]]), unused


def is_fact(few: pl.DataFrame, column: str, chosen: Mapping[str, str]) -> bool:
    """Return whether a column has one value for each user or each item, where these repeat, or one value at all.

    few     the first rows        column  the name of one of their columns
    chosen  the columns of the user and the item by role
    """
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
        return f"name the column with the day too: --time DAY,{shlex.quote(name)}"
    if texts.dtype == pl.String:
        texts = texts.str.strip_chars()
        texts = texts.filter(texts != "")
        if len(texts) and texts.str.contains(WRITTEN).sum() >= 0.8 * len(texts) and texts.n_unique() > 1:
            if are_times_of_day(texts):
                return f"name the column with the day too: --time DAY,{shlex.quote(name)}"
            return f"write it as 2020-12-31 23:59:00, or name its form: {option('time', name)} --time-format FORM"
    numbers = _numbers(texts)
    if numbers is None or len(numbers) == 0:
        return None
    for form in DIGITS.get(len(f"{size_of(numbers):.0f}"), ()):
        whole = numbers.cast(pl.Int64).cast(pl.String)
        if (
            not have_fractions(values)
            and parse(whole, form).count() >= NEARLY_ALL * len(numbers)
            and _may_be_days(whole, form)
        ):
            return f"{option('time', name)} --time-format {form} reads it"
    has_clock = have_fractions(values) and 2 * values.n_unique() > len(values)
    if numbers.is_between(*SPREADSHEET_DAYS).all() and (has_words(name, WHEN_WORDS) or has_clock):
        return f"{option('time', name)} --time-format excel reads it as days of a spreadsheet"
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


def numbers_events(few: pl.DataFrame, column: str, numbers: pl.Series, user: str) -> bool:
    """Return whether a column numbers events: by the words in its name, or because it counts rows without gaps.

    few   the first rows                  column  the name of the column
    numbers  its values                   user    the name of the column of users
    """
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


def _one_row_per_element(few: pl.DataFrame, item: str) -> pl.DataFrame:
    """Take lists of items apart, and the lists of the same lengths beside them."""
    if few.schema[item] != pl.List:
        return few
    lengths = few[item].list.len()
    lists = [one.name for one in few if one.dtype == pl.List and one.list.len().eq_missing(lengths).all()]
    return few.explode(lists)


def _are_in_order_together(few: pl.DataFrame, orders: Sequence[str], user: str) -> bool:
    """Return whether the rows of each user are ordered by several columns, the coarsest first."""
    numbers = [pl.col(one).cast(pl.Float64, strict=False) for one in sorted(orders, key=_size_of_part)]
    return len(orders) > 1 and not are_in_another_order(
        few.select(user), few.select(pl.struct(numbers).rank("dense").cast(pl.Int64)).to_series()
    )


def _on_orders(few: pl.DataFrame, orders: Sequence[str], table: RawTable) -> list[str]:
    if not orders:
        return []
    orders = sorted(orders, key=_size_of_part)
    if all(_size_of_part(one) > _DATE for one in orders):  # without days, a time of day orders nothing by itself
        orders.sort(key=lambda one: has_words(one, CYCLIC_WORDS))
    shown = " and ".join(f"{in_words(one, table)} ({first_values(few[one])}, ...)" for one in orders[:3])
    parts = parts_of_moment(orders)
    days = [one for one in orders if words_in(one)[-1:] in (("day",), ("date",))]
    clocks = [one for one in orders if one not in days and are_clock_numbers(few[one])]
    if len(orders) == 1:
        way = f"{option('time', orders[0])} --time-format seconds"
    elif parts and are_parts(few, parts):
        way = f"{option('time', *parts)} joins them"
    elif len(days) == len(clocks) == 1:
        way = f"{option('time', days[0], clocks[0])} joins a day and a time of day"
    else:
        way = f"sort the rows by {', '.join(orders)}"
    be = "is" if len(orders) == 1 else "are"
    return [f"doubt: {shown} {be} not used, and the rows are in another order: {way}"]


_SIZES = ("year", "month", "week", "day", "date", "time", "hour", "minute", "second")
_DATE = _SIZES.index("date")


def _size_of_part(column: str) -> int:
    """Return how coarse the part of a moment is that a column is called after; the coarsest is the least number."""
    words = words_in(column)
    named = [place for place, size in enumerate(_SIZES) if size in words]
    of_clock = [place for place in named if place > _DATE]  # hour_of_day is no day
    return next(iter(of_clock or named), len(_SIZES))


def _on_ago(few: pl.DataFrame, ago: Sequence[str], table: RawTable) -> list[str]:
    return [
        f"doubt: {in_words(one, table)} ({first_values(few[one])}, ...) may count backwards from today and is not "
        "used: sort the rows by it, the largest first"
        for one in ago[:1]
    ]


def are_in_another_order(rows: pl.DataFrame, numbers: pl.Series) -> bool:
    """Return whether the rows of each group are in another order than some numbers, which may begin anew.

    rows  one or more columns that say of which group each row is        numbers  the number of each row

    >>> rows = pl.DataFrame({"user": [7, 7, 7, 7]})
    >>> [are_in_another_order(rows, pl.Series(numbers)) for numbers in ([1, 2, 1, 2], [4, 3, 2, 1])]
    [False, True]
    """
    steps = _steps(rows, numbers)
    goes_back = (steps < 0).fill_null(False)
    begins_anew = (numbers == numbers.min()).fill_null(False)
    return bool((goes_back & ~begins_anew).any()) or (bool(goes_back.any()) and not bool((steps > 0).any()))


def _steps(rows: pl.DataFrame, numbers: pl.Series) -> pl.Series:
    """Return how far each number is from the one before it in its group."""
    return rows.with_columns(number=numbers).select(pl.col("number").diff().over(rows.columns)).to_series()


def first_values(values: pl.Series) -> str:
    """Return the first values of a column for a sentence.

    values  a column

    >>> first_values(pl.Series([7, 8, 9]))
    '7, 8'
    """
    return ", ".join(map(str, values.drop_nulls()[:2].to_list()))
