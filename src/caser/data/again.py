"""Again: events that a log holds twice, as exports do that contain those before them.

Two lines of one order may be equal, and stand one after the other. Equal events that stand apart were rather written
twice.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from caser.arrays.types import Int32, Int64, Mask

FEWEST = 10
"""The number of events from which repetitions are strange."""

LARGE_SHARE, OF_DAYS, IN_A_ROW = 0.05, 0.3, 0.2
"""The shares of events that may be there again; where times are days, somebody may use an item twice on one; and of
those that may be so in the next row."""

TRIED = 20
"""How many rows are tried as the beginning of a repetition."""


def count_again(tied: Mask, items: Int32, rows: Int64) -> tuple[int, int]:
    """Return how many events are equal in user, time and item to one before them; and how many directly after one.

    tied   (N,) whether each event has the user and the time of the event before it; events are in the order of users,
           times and rows
    items, rows  (N,) of each event

    >>> count_again(np.array([False, True, True, True]), np.array([7, 7, 8, 7]), np.array([0, 1, 5, 6]))
    (2, 1)
    """
    if not tied.any():
        return 0, 0
    member = tied.copy()
    member[:-1] |= tied[1:]
    groups = np.cumsum(~tied)[member]
    keys = groups.astype(np.int64) << 32 | items[member]
    again = len(keys) - pl.Series(keys).n_unique()
    directly = tied[1:] & (items[1:] == items[:-1]) & (rows[1:] == rows[:-1] + 1)
    return again, int(directly.sum())


def doubts_on_again(apart: int, directly: int, num_events: int, *, are_days: bool) -> list[str]:
    """Return the doubt on events that are there twice, with the flag that drops them.

    apart       how many are equal in user, time and item to one before them, which is not in the row before
    directly    how many are equal to that of the row before
    num_events  the number of all events        are_days  whether the times are days

    >>> print(*doubts_on_again(200, 0, 520, are_days=False))
    doubt: 200 of 520 events have the user, the item and the time of another event, in a row elsewhere: if the same rows
    were exported twice, --drop-duplicates keeps one of each
    """
    if apart >= max(FEWEST, (OF_DAYS if are_days else LARGE_SHARE) * num_events):
        number, where, cause = apart + directly, "in a row elsewhere", "the same rows were exported twice"
    elif not are_days and directly >= max(FEWEST, IN_A_ROW * num_events):
        number, where, cause = apart + directly, "mostly in the next row", "each was sent or written twice"
    else:
        return []
    return [
        f"doubt: {number:,} of {num_events:,} events have the user, the item and the time of another event, {where}: "
        f"if {cause}, --drop-duplicates keeps one of each"
    ]


def doubts_on_repetition(rows: pl.DataFrame) -> list[str]:
    """Return the doubt on a log without times whose first rows come again, one after the other, further down.

    rows  with the columns `user` and `item`, in the order of the source

    >>> rows = pl.DataFrame({"user": [*range(12)] * 2 + [5], "item": [7] * 25})
    >>> print(*doubts_on_repetition(rows))
    doubt: the first 12 rows come again from row 13 on: if a later export contains an earlier one, leave the earlier out
    """
    if len(rows) < 2 * FEWEST:
        return []
    starts = ((rows["user"] == rows["user"][0]) & (rows["item"] == rows["item"][0])).arg_true().to_list()
    for start in starts[1 : TRIED + 1]:
        length = start
        if FEWEST <= length <= len(rows) - start and rows.slice(0, length).equals(rows.slice(start, length)):
            return [
                f"doubt: the first {length:,} rows come again from row {start + 1:,} on: if a later export contains an "
                "earlier one, leave the earlier out"
            ]
    return []
