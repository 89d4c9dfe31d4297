"""Lists: a table with one sequence per row, as lists of items and of times, becomes a table with one event per row."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from caser.data.tables import within_bounds
from caser.errors import DataError
from caser.system.bounds import check_table

UNEQUAL = "with lists of different lengths"


class Events(NamedTuple):
    """The rows of a table, one event each.

    columns  one column per role        places  (N,) where each event is in the source
    faults   (N,) why it cannot be used, or null        notes  sentences on what was done
    """

    columns: pl.DataFrame
    places: pl.Series
    faults: pl.Series
    notes: list[str]


def one_event_per_row(columns: pl.DataFrame, places: pl.Series, faults: pl.Series) -> Events:
    """Return a table with a row for each element of its lists; a table without lists as it is.

    columns  one column per role; those of the user are no lists        places, faults  (N,) of each row

    All lists of a row have one length, or the row is bad. A value beside lists holds for each element. A row with empty
    lists has no events. Raises DataError if the users are lists, if the times are lists and the items are not, and
    for more events than fit into memory.

    >>> table = pl.DataFrame({"user": ["ann"], "item": [[3, 4]], "time": [[10, 20]]})
    >>> one_event_per_row(table, pl.Series("row", [1]), pl.Series([None], dtype=pl.String)).columns.rows()
    [('ann', 3, 10), ('ann', 4, 20)]
    """
    fixed = [name for name in columns.columns if columns[name].dtype == pl.Array]
    columns = columns.with_columns(pl.col(name).arr.to_list() for name in fixed)
    lists = [name for name in columns.columns if columns[name].dtype == pl.List]
    if not lists:
        return Events(columns, places, faults, [])
    if "user" in lists or "item" not in lists:
        scalar = "user" if "user" in lists else lists[0]
        rule = "a user must be one value" if scalar == "user" else f"lists of {scalar}s need lists of items beside them"
        raise DataError(f"{rule}; got lists in the column of the {scalar}: write one event, or one user, per row")
    # A row with lists of different lengths becomes one bad row.
    lengths = columns.select(pl.col(name).list.len() for name in lists)
    unequal = lengths.select(pl.any_horizontal(pl.col(name).ne_missing(pl.col("item")) for name in lists)).to_series()
    faults = faults.set(faults.is_null() & unequal, UNEQUAL)
    nulled = columns.with_columns(pl.when(~unequal).then(pl.col(name)).alias(name) for name in lists).with_columns(
        place=places, fault=faults
    )
    # A row with empty lists has no events.
    kept = nulled.filter((pl.col("item").list.len() > 0).fill_null(True))
    notes = [f"the columns of {' and '.join(lists)} hold lists: each element is one event, in the order of the list"]
    if len(kept) < len(nulled):
        notes.append(f"{len(nulled) - len(kept):,} rows with empty lists have no events")
    with within_bounds():
        check_table(int(kept["item"].list.len().sum()), kept.width)
    events = kept.explode(lists)
    return Events(
        events.drop("place", "fault"), events["place"].alias(places.name), events["fault"].alias(faults.name), notes
    )
