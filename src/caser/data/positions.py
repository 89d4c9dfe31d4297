"""Positions: which column has which role in a file without a header.

The place of the column of moments decides:

    user item                   user item time              user time item
    user item rating time       user item time rating       user item rating

Other layouts are refused with the flags of each likely reading. A column that counts rows is never a user.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from caser.data.ids import shortened
from caser.data.matrix import advice_on_matrix
from caser.data.names import are_event_kinds
from caser.data.tables import RawTable
from caser.data.times import looks_like_moments
from caser.errors import DataError

LAYOUTS: Mapping[tuple[int, tuple[int, ...]], tuple[str, ...]] = {
    (2, ()): ("user", "item"),
    (3, ()): ("user", "item", "rating"),
    (3, (3,)): ("user", "item", "time"),
    (3, (2,)): ("user", "time", "item"),
    (4, (4,)): ("user", "item", "rating", "time"),
    (4, (3,)): ("user", "item", "time", "rating"),
}
"""Roles by position, by the number of columns and the positions of those that look like moments."""

ASIN = r"^(B[0-9A-Z]{9}|\d{9}X)$"
"""The id of an item at Amazon."""

ITEM_WORD = r"(?i)^(i|items?|p|prod|products?|sku|movies?|films?|songs?|tracks?|books?|articles?)[-_:]?\d+$"

USER_WORD = r"(?i)^(u|users?|c|cust|customers?|visitors?|members?|clients?)[-_:]?\d+$"

SEARCHED = 40
"""How many columns are looked at."""


def by_position(table: RawTable, chosen: Mapping[str, str]) -> dict[str, str]:
    """Return the columns of user, item, time and rating in a table without names.

    table   the rows        chosen  the columns that the caller names by role

    Returns nothing if the caller names the user and the item. Raises DataError for a matrix, and, with the first row
    and the flags of each likely reading, if there are several ways.

    >>> rows = pl.DataFrame({"1": ["7"], "2": ["2020-01-01"], "3": ["42"]})
    >>> by_position(RawTable.from_frame(rows), {})
    {'user': '1', 'time': '2', 'item': '3'}
    """
    if "user" in chosen and "item" in chosen:
        return {}
    columns = table.columns
    if advice := advice_on_matrix(table):
        raise DataError(f"a log must have a row for each interaction; got a first line that numbers columns{advice}")
    few = table.sample(columns[:SEARCHED])
    moments = [position for position, values in enumerate(few, start=1) if looks_like_moments(values)]
    events = [position for position, values in enumerate(few, start=1) if are_event_kinds(values.unique())]
    counting = [1] if len(few) > 2 and _counts_upward(few.to_series(0)) else []
    layout = LAYOUTS.get((len(columns), tuple(moments)))
    if layout is not None and not chosen and _looks_swapped(few, layout):
        raise DataError(_swapped(few, layout))
    if layout is not None and not counting and not {1, layout.index("item") + 1} & {*events}:
        return dict(zip(layout, columns, strict=True))
    if chosen:
        return {}
    raise DataError(_which_columns(few, moments, events, counting))


def _which_columns(few: pl.DataFrame, moments: Sequence[int], events: Sequence[int], counting: Sequence[int]) -> str:
    """Say how to name columns without a header: each likely reading, and the first row."""
    positions = range(1, few.width + 1)
    no_ids = [*events, *counting, *(position for position in positions if _has_fractions(few.to_series(position - 1)))]
    ids = [position for position in positions if position not in (*moments, *no_ids)]
    times: list[int | None] = [*moments[-1:]] or [None]
    if len(moments) > 1 and len(ids) < 2:  # some of these columns may be ids as well
        ids = [position for position in positions if position not in no_ids]
        times = list(moments)
    pairs = [
        (user, item, time)
        for time in times
        for user in ids[:2]
        for item in ids
        if item > user and time not in (user, item)
    ]
    readings = [
        f"--no-header --user {user} --item {item}" + ("" if time is None else f" --time {time}")
        for user, item, time in pairs
    ]
    usual = LAYOUTS.get((few.width, tuple(moments)))
    if counting and usual is not None:
        flags = [f"--{role} {place}" for place, role in enumerate(usual, start=1) if role in ("user", "item", "time")]
        readings = [*readings[:1], f"--no-header {' '.join(flags)}"]
    seen = "; ".join(
        [
            *(f"column {position} looks like times" for position in moments),
            *(f"column {position} holds kinds of events" for position in events),
            *(f"column {position} counts rows" for position in counting),
        ]
    )
    row = " | ".join(shortened(str(value)) for value in few.row(0)[:8]) if len(few) else "(none)"
    return (
        f"columns without a header must be named by their positions unless they are user, item, time; got {few.width} "
        f"columns with the first row {row}{f' ({seen})' if seen else ''}; "
        f"pass {', or '.join(readings[:3]) or '--no-header --user 1 --item 2'} (in Python user=, item=, time=)"
    )


def _looks_swapped(few: pl.DataFrame, layout: Sequence[str]) -> bool:
    """Return whether items seem to be where users are expected: by the ids of Amazon's items, or words in ids."""
    users, items = (few.to_series(layout.index(role)).drop_nulls().cast(pl.String) for role in ("user", "item"))
    if users.is_empty() or items.is_empty():
        return False
    for like_item, like_user in ((ASIN, None), (ITEM_WORD, USER_WORD)):
        first, second = users.str.contains(like_item).mean(), items.str.contains(like_item).mean()
        is_swapped = isinstance(first, float) and isinstance(second, float) and first > 0.5 > second
        if is_swapped and (like_user is None or items.str.contains(like_user).any()):
            return True
    return False


def _swapped(few: pl.DataFrame, layout: Sequence[str]) -> str:
    user, item = layout.index("user") + 1, layout.index("item") + 1
    time = f" --time {layout.index('time') + 1}" if "time" in layout else ""
    first, second = (shortened(str(few.to_series(place - 1)[0])) for place in (user, item))
    return (
        f"columns without a header must be user, item in this order; got {first}, which looks like an item, before "
        f"{second}; pass --no-header --user {item} --item {user}{time} if the items come first, or --no-header --user "
        f"{user} --item {item}{time} if the users do (in Python user=, item=, time=)"
    )


def _has_fractions(values: pl.Series) -> bool:
    """Return whether values are numbers with fractions, such as a place or a price."""
    return bool(values.str.contains(r"^\s*-?\d+\.\d*[1-9]\d*\s*$").any())


def _counts_upward(values: pl.Series) -> bool:
    """Return whether values are the numbers of rows: each is the one before plus 1, from 0 or 1."""
    numbers = values.cast(pl.Int64, strict=False)
    return numbers.null_count() == 0 and numbers[0] in (0, 1) and bool((numbers.diff().drop_nulls() == 1).all())
