"""Positions: which column has which role in a file without a header.

The place of the column of moments decides:

    user item                   user item time              user time item
    user item rating time       user item time rating       user item rating

Other layouts are refused with the flags of each likely reading. A column that counts rows is never a user.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from caser.data.dates import are_days, are_times_of_day
from caser.data.ids import shortened
from caser.data.matrix import advice_on_matrix
from caser.data.names import are_event_kinds
from caser.data.places import are_features, looks_swapped, no_ids, speaks_against
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
    if len(columns) == 1:
        raise DataError(
            "a log must have a column for the user and one for the item; got one column without a header; name what "
            "separates the fields with separator= (--separator), or add the user to each line"
        )
    few = table.sample(columns[:SEARCHED])
    moments = [position for position, values in enumerate(few, start=1) if looks_like_moments(values)]
    events = [position for position, values in enumerate(few, start=1) if are_event_kinds(values.unique())]
    counting = [1] if len(few) > 2 and _counts_upward(few.to_series(0)) else []
    layout = LAYOUTS.get((len(columns), tuple(moments)))
    if are_features(few):
        raise DataError(
            f"a log must have columns of users and items; got {shortened(str(few.row(0)[1]))}, a feature and its "
            "value, as libFM writes them; remove the values: sed -E 's/:[0-9.-]+//g' FILE > log.txt, and pass "
            "--no-header --user 2 --item 3"
        )
    others = no_ids(few, events) | dict.fromkeys(counting, "counts rows")
    if layout is not None and not chosen and (seen := looks_swapped(few, layout)):
        raise DataError(_swapped(layout, seen))
    clocks = [position for position, values in enumerate(few, start=1) if are_times_of_day(values)]
    are_ids = layout is not None and not {layout.index("user") + 1, layout.index("item") + 1} & {*others, *clocks}
    if layout is not None and are_ids and (chosen or clocks or not speaks_against(few, layout)):
        return dict(zip(layout, columns, strict=True))
    if chosen:
        return {}
    raise DataError(_which_columns(few, moments, clocks, others))


def _which_columns(few: pl.DataFrame, moments: Sequence[int], clocks: Sequence[int], others: Mapping[int, str]) -> str:
    """Say how to name columns without a header: each likely reading, and the first row."""
    positions = range(1, few.width + 1)
    no_ids = [*others, *clocks]
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
    of_day = f",{clocks[0]}" if len(clocks) == 1 else ""
    readings = [
        f"--no-header --user {user} --item {item}"
        + ("" if time is None else f" --time {time}{of_day if are_days(few.to_series(time - 1)) else ''}")
        for user, item, time in pairs
    ]
    usual = LAYOUTS.get((few.width, tuple(moments)))
    if "counts rows" in others.values() and usual is not None:
        flags = [f"--{role} {place}" for place, role in enumerate(usual, start=1) if role in ("user", "item", "time")]
        readings = [*readings[:1], f"--no-header {' '.join(flags)}"]
    seen = "; ".join(
        [
            *(f"column {position} looks like times" for position in moments),
            *(f"column {position} holds times of day" for position in clocks),
            *(f"column {position} {what}" for position, what in others.items() if what != "holds fractions"),
        ]
    )
    row = " | ".join(shortened(str(value)) for value in few.row(0)[:8]) if len(few) else "(none)"
    return (
        f"columns without a header must be named by their positions unless they are user, item, time; got {few.width} "
        f"columns with the first row {row}{f' ({seen})' if seen else ''}; "
        + (
            f"pass {', or '.join(readings[:3])} (in Python user=, item=, time=)"
            if readings
            else "no two of them look like users and items: name such columns, as in --no-header --user 1 --item 2"
        )
    )


def _swapped(layout: Sequence[str], seen: str) -> str:
    user, item = layout.index("user") + 1, layout.index("item") + 1
    time = f" --time {layout.index('time') + 1}" if "time" in layout else ""
    return (
        f"columns without a header must be user, item in this order; got {seen} in column "
        f"{item if 'place of the item' in seen else user}; pass --no-header --user {item} --item {user}{time} if the "
        f"items come first, or --no-header --user {user} --item {item}{time} if the users do (in Python user=, item=, "
        "time=)"
    )


def _counts_upward(values: pl.Series) -> bool:
    """Return whether values are the numbers of rows: each is the one before plus 1, from 0 or 1."""
    numbers = values.cast(pl.Int64, strict=False)
    return numbers.null_count() == 0 and numbers[0] in (0, 1) and bool((numbers.diff().drop_nulls() == 1).all())
