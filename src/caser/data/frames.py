"""Frames: a table that a Python program holds becomes a polars frame, or is refused with the line to write.

Any table with Arrow's C stream interface is read: pandas, pyarrow, DuckDB, modin and others. A named index of a frame
of pandas is read as columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import polars as pl

from caser.data.tables import first_line
from caser.errors import DataError, MissingDependencyError
from caser.system.hints import install_package


@runtime_checkable
class ArrowTable(Protocol):
    """Any table with Arrow's C stream interface, such as a frame of pandas or a table of pyarrow."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return a capsule with a stream of the table's rows."""


CONVERTERS: Mapping[str, str] = {
    "to_frame": "pass a frame with a column for the user and one for the item: one column is not enough",
    "toPandas": "call .toPandas() first",
    "to_arrow": "call .to_arrow() first",
    "to_polars": "call .to_polars() first",
    "to_pandas": "call .to_pandas() first",
    "compute": "call .compute() first",
    "collect": "call .collect() first",
    "tocoo": "make a frame of it: coo = x.tocoo(); polars.DataFrame({'user': coo.row, 'item': coo.col})",
    "df": "pass its .df",
}
"""Methods and attributes of other libraries' tables, and what turns such a table into a frame."""

MAKE_A_FRAME = "make a frame of it: polars.DataFrame({'user': [...], 'item': [...], 'time': [...]})"

BY_KIND: Mapping[type, str] = {
    dict: MAKE_A_FRAME,
    list: "make a frame of it: polars.DataFrame(rows, schema=['user', 'item', 'time'], orient='row')",
    tuple: "make a frame of it: polars.DataFrame(rows, schema=['user', 'item', 'time'], orient='row')",
    bytes: "make a frame of it: polars.read_csv(data)",
}
"""What turns values of Python into a frame."""


def to_frame(source: object) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return a table that a program holds as a polars frame, and sentences on what was converted.

    source  a polars frame, or any other table with Arrow's C stream interface

    Raises DataError for another object, with what to do, and for a table that cannot be read, such as one with a column
    of several kinds. Raises MissingDependencyError if a frame of pandas needs pyarrow, and it is not installed.

    >>> to_frame(pl.LazyFrame({"user": [7]}))[0].rows()
    [(7,)]
    """
    if isinstance(source, pl.DataFrame):
        return source, ()
    is_column = isinstance(source, pl.Series) or hasattr(source, "to_frame")
    if is_column or not isinstance(source, pl.LazyFrame | ArrowTable):
        is_of_dicts = isinstance(source, list | tuple) and bool(source) and isinstance(source[0], dict)
        advice = "make a frame of it: polars.DataFrame(rows)" if is_of_dicts else None
        advice = advice or next((text for kind, text in BY_KIND.items() if isinstance(source, kind)), None)
        advice = advice or next((text for name, text in CONVERTERS.items() if hasattr(source, name)), None)
        raise DataError(
            f"a log must be a path or a polars, pandas or Arrow table; got {type(source).__name__}; "
            f"{advice or MAKE_A_FRAME}"
        )
    try:
        if isinstance(source, pl.LazyFrame):
            return source.collect(), ()
        flat, notes = _with_index(source)
        return pl.DataFrame(flat), notes
    except ImportError as error:  # pandas and polars may export a frame only with pyarrow
        raise MissingDependencyError(
            f"this frame can be read only with another package: {first_line(error).rstrip('.')}. "
            f"Type: {install_package('pyarrow')}"
        ) from None
    except Exception as error:  # foreign code runs here: the caller's query, or the export of another library
        raise DataError(
            f"a table must be readable, each column of one kind; got {first_line(error)}{_mixed_column(source)}"
        ) from None


def _with_index(frame: Any) -> tuple[Any, tuple[str, ...]]:
    """Make columns of the named levels of a pandas index, which polars would drop; say if a nameless one is dropped."""
    index = getattr(frame, "index", None)
    names = list(getattr(index, "names", ()))
    if index is None or not hasattr(frame, "reset_index"):
        return frame, ()
    levels = [name for name in names if name is not None and name not in frame.columns]
    if levels:
        named = ", ".join(map(str, levels))
        return frame.reset_index(level=levels), (f"the index of the frame holds {named}: read as columns",)
    if names == [None] and str(index.dtype) not in ("int64", "int32", "uint64"):
        first = repr(index[0]) if len(index) else "nothing"
        return frame, (
            f"doubt: the index of the frame ({first}, ...) has no name and is not read: name it, or reset it",
        )
    return frame, ()


def _mixed_column(table: Any) -> str:
    """Return the end of a sentence that names a column of a pandas frame that holds several kinds of values."""
    if not hasattr(table, "items"):  # as frames of polars, which are of one kind in each column
        return ""
    try:
        mixed = [name for name, column in table.items() if column.dtype == object and column.map(type).nunique() > 1]
    except Exception:  # another library's frame that only looks like one of pandas
        return ""
    if not mixed:
        return ""
    return f"; the column {mixed[0]!r} holds several kinds: frame[{mixed[0]!r}] = frame[{mixed[0]!r}].astype(str)"
