"""Matrices: a table with a row for each user and a column for each item is no log, but becomes one by one line.

A cell is a rating, or 0 and 1. The line is shown and not carried out, because a table of facts about users has the same
form.
"""

from __future__ import annotations

import polars as pl

from caser.data.ids import MISSING, is_missing
from caser.data.names import by_name
from caser.data.tables import RawTable

FEWEST_COLUMNS, MOST_SEARCHED = 3, 40

LARGEST_CELL = 100
"""A larger number is hardly a rating."""


def advice_on_matrix(table: RawTable) -> str:
    """Return the end of a sentence with the line that turns a matrix into rows; "" if a table does not look like one.

    table  the rows

    >>> rows = pl.DataFrame({"user": ["ann", "bob"], "tea": [5, 0], "milk": [None, 3]})
    >>> print(advice_on_matrix(RawTable.from_frame(rows)))
    ; if each column but 'user' is an item, and its cells are ratings or 0 and 1, write one row per interaction: ...
    """
    columns = table.columns
    few = table.sample(columns[:MOST_SEARCHED])
    if len(columns) < FEWEST_COLUMNS or few.is_empty():
        return ""
    names, rows = columns, few
    if not table.has_header:  # names that are numbers look like a row of data
        names, rows = [str(value) for value in few.row(0)], few.slice(1)
        if not _number_the_columns(names) or rows.is_empty():
            return ""
    owner, *cells = rows.get_columns()
    if owner.dtype.is_nested() or not all(map(_are_cells, cells)):
        return ""
    first = names[0]
    roles = ("item", "user") if by_name([first]).keys() == {"item"} else ("user", "item")
    line = (
        f"{table.opened_by}.unpivot(index={first!r}, variable_name={roles[1]!r}, value_name='rating')"
        f".rename({{{first!r}: {roles[0]!r}}})"
        ".filter(polars.col('rating').cast(float, strict=False).fill_nan(0) != 0).write_csv('log.csv')"
    )
    typed = line if "FILE" not in line else f'python -c "import polars; {line}"'
    return (
        f"; if each column but {first!r} is {'an item' if roles[1] == 'item' else 'a user'}, and its cells are ratings "
        f"or 0 and 1, write one row per interaction: {typed}"
    )


def _number_the_columns(names: list[str]) -> bool:
    """Return whether the fields of a first line are a name of users or items, or nothing, and then numbers."""
    first, *others = names
    are_numbers = all(name.isdecimal() for name in others) and len(set(others)) == len(others)
    return are_numbers and (not first.strip() or by_name([first]).keys() & {"user", "item"} != set())


def _are_cells(values: pl.Series) -> bool:
    """Return whether a column holds small numbers, or nothing, as cells of a matrix do."""
    if values.dtype == pl.String:
        values = values.set(is_missing(values, MISSING), None)
    elif not (values.dtype.is_numeric() or values.dtype in (pl.Boolean, pl.Null)):
        return False
    numbers = values.cast(pl.Float64, strict=False)
    largest = numbers.abs().max()
    return numbers.null_count() == values.null_count() and not (isinstance(largest, float) and largest > LARGEST_CELL)
