"""Event times: which of several columns of moments is that of the event, by the words in their names.

`viewed_at` and `order_date` are moments of events; `loaded_at` and `updated_at` those of the row in a table. Where the
order of events is the same by both, it does not matter which is read.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from caser.data.column_words import has_words, word_set
from caser.data.dates import read_dates
from caser.data.rivals import whole_numbers

EVENT_WORDS = word_set(
    "event occurred happened action activity interaction engagement purchase purchased order ordered buy bought "
    "transaction trans txn sale sold view viewed watch watched play played listen listened click clicked visit visited "
    "read rated rating review reviewed borrow borrowed checkout loan loaned rent rented consumed start started begin "
    "began completed scrobbled liked hit impression enrolled attended kauf gekauft bestellt achat compra "
    "pedido visita"
)
"""Words in the names of moments of events."""

ROW_WORDS = word_set(
    "created create creation loaded load inserted insert updated update modified exported export imported import "
    "ingested ingest ingestion synced sync processed processing stored extracted extract etl batch received arrival "
    "arrived uploaded upload migrated written dw partition emitted snapshot extraction modification recorded audit "
    "sysdate row"
)
"""Words in the names of moments of rows: when somebody wrote them."""

FEWEST = 2
"""How many events must be in another order before two columns differ in it."""


def of_events(columns: Sequence[str]) -> list[str]:
    """Return the columns of moments that may be those of events: those without words for rows, else all.

    columns  the names of columns of moments

    >>> of_events(["loaded_at", "viewed_at"]), of_events(["seen_on", "paid_on"]), of_events(["created_at"])
    (['viewed_at'], ['seen_on', 'paid_on'], ['created_at'])
    """
    return [one for one in columns if not is_of_row(one)] or list(columns)


def is_of_event(column: str) -> bool:
    """Return whether the name of a column says that its moments are those of events.

    column  the name of a column

    >>> is_of_event("order_date"), is_of_event("order_updated_at"), is_of_event("timestamp")
    (True, False, False)
    """
    return has_words(column, EVENT_WORDS) and not is_of_row(column)


def is_of_row(column: str) -> bool:
    """Return whether the name of a column says that its moments are those of rows.

    column  the name of a column

    >>> is_of_row("createdAt"), is_of_row("event_time")
    (True, False)
    """
    return has_words(column, ROW_WORDS)


def loses_order(few: pl.DataFrame, user: str, column: str, other: str) -> bool:
    """Return whether events of a user that one column orders are tied, or in another order, in a second one.

    few     the first rows        user  the column of users
    column  the second column of moments        other  the one that orders the events

    >>> few = pl.DataFrame({"user": [1] * 4, "day": [7, 7, 7, 8], "at": [70, 71, 72, 80]})
    >>> loses_order(few, "user", "day", "at"), loses_order(few, "user", "at", "day")
    (True, False)
    """
    if few[user].dtype.is_nested() or few[column].dtype.is_nested() or few[other].dtype.is_nested():
        return False
    frame = pl.DataFrame({"user": few[user], "is": _numbers(few[column]), "other": _numbers(few[other])}).drop_nulls()
    steps = frame.sort("user", "other", "is").select(pl.col("is", "other").diff().over("user"))
    return int(((steps["other"] > 0) & (steps["is"] <= 0)).sum()) >= FEWEST


def _numbers(values: pl.Series) -> pl.Series:
    if values.dtype in (pl.Date, pl.Datetime):
        return values.cast(pl.Datetime("us")).cast(pl.Int64)
    numbers = whole_numbers(values)
    if numbers is None and values.dtype != pl.String:
        numbers = values.cast(pl.Float64, strict=False)
    return (read_dates(values) if numbers is None else numbers).cast(pl.Float64)
