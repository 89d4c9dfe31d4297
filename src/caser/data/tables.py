"""The table that a reader of files returns, before it is decided which column holds the user.

The columns are a lazy frame, so only columns that are used are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import polars as pl

from caser.errors import DataError

WRONG_COUNT = "with a wrong column count"
"""Why a row of a text file is bad that has another number of fields than the first line."""


NESTED_IN = 3
"""How many levels of objects inside one another become columns."""


@dataclass(frozen=True)
class Layout:
    """What the caller says about a text file; None means that the first lines of the file decide.

    separator  the text between two fields        header  whether the first line names the columns
    quotes     "auto", "plain", "doubled" or "backslash": what quotes mean; see `quotes.py`
    named      the columns that the caller names; if they are numbers, the first line is not a header
    """

    separator: str | None = None
    header: bool | None = None
    quotes: Literal["auto", "plain", "doubled", "backslash"] = "auto"
    named: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class RawTable:
    """The N rows of a source, in its order.

    frame       one column per field, read when selected
    places      (N,) int64: the place of each row in the source, from 1; line numbers of a text file, else row numbers
    faults      (N,) text: why a row cannot be split into fields; null for a good row
    is_text     True if every column is text, so that numbers must still be recognised
    has_header  False if the columns are named by their positions "1", "2", ...
    notes       sentences about what was guessed
    is_header_guessed  True if the first line is a header only because no field of it is a number or a date
    """

    frame: pl.LazyFrame
    places: pl.Series
    faults: pl.Series
    is_text: bool = False
    has_header: bool = True
    notes: tuple[str, ...] = ()
    is_header_guessed: bool = False

    @property
    def place_name(self) -> str:
        """What `places` counts: "line" or "row"."""
        return str(self.places.name)

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return self.frame.collect_schema().names()

    def select(self, columns: Sequence[str]) -> pl.DataFrame:
        """Read some columns of all rows. Raises DataError if a column or a row cannot be read.

        columns  names of columns

        >>> RawTable.from_frame(pl.DataFrame({"user": [7, 8], "item": [1, 2]})).select(["item"]).rows()
        [(1,), (2,)]
        """
        try:
            frame = self.frame.select(columns).collect()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(f"every column that is used must be readable; got {first_line(error)}") from None
        if len(frame) != len(self.places):
            raise DataError(f"every row must be readable; got {len(frame):,} of {len(self.places):,}")
        return frame

    def sample(self, columns: Sequence[str], count: int = 1000) -> pl.DataFrame:
        """Read some columns of the first rows. Raises DataError if they cannot be read.

        columns  names of columns        count  the number of rows, at most

        >>> RawTable.from_frame(pl.DataFrame({"user": [7, 8], "item": [1, 2]})).sample(["item"], 1).rows()
        [(1,)]
        """
        try:
            return self.frame.select(columns).head(count).collect()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(f"every column that is used must be readable; got {first_line(error)}") from None

    def with_joined(self, columns: Sequence[str], name: str) -> RawTable:
        """Return a table with one more column: the text of some columns, with a blank between them.

        columns  columns such as a date and a time of day; of dates with times, only the dates are taken
        name     the name of the new column

        >>> table = RawTable.from_frame(pl.DataFrame({"day": ["2020-01-01"], "clock": ["23:59"]}))
        >>> table.with_joined(["day", "clock"], "day,clock").select(["day,clock"]).item()
        '2020-01-01 23:59'
        """
        kinds = self.frame.collect_schema()
        parts = [
            pl.col(column).cast(pl.Date if kinds[column] == pl.Datetime else kinds[column]).cast(pl.String)
            for column in columns
        ]
        return replace(self, frame=self.frame.with_columns(pl.concat_str(parts, separator=" ").alias(name)))

    @classmethod
    def from_frame(cls, frame: pl.DataFrame | pl.LazyFrame) -> RawTable:
        """Return the table of a frame whose columns have types.

        frame  the rows in order

        >>> RawTable.from_frame(pl.DataFrame({"user": [7, 8]})).places.to_list()
        [1, 2]
        """
        num_rows = int(frame.lazy().select(pl.len()).collect().item())
        return cls(with_dotted_columns(frame.lazy()), numbered("row", 1, num_rows), no_faults(num_rows))


def with_dotted_columns(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Add the fields of objects, and of objects in lists, as columns, with a dot between the names.

    frame  a table; columns that are no objects stay as they are

    >>> with_dotted_columns(pl.LazyFrame({"user": [{"id": 7}], "events": [[{"item": 3}]]})).collect().columns
    ['user', 'events', 'user.id', 'events.item']
    """
    for _ in range(NESTED_IN):
        schema = frame.collect_schema()
        dotted: dict[str, pl.Expr] = {}
        for name, kind in schema.items():
            inner = kind.inner if isinstance(kind, pl.List) else kind
            for field in inner.fields if isinstance(inner, pl.Struct) else ():
                in_list = pl.col(name).list.eval(pl.element().struct.field(field.name))
                part = in_list if isinstance(kind, pl.List) else pl.col(name).struct.field(field.name)
                dotted[f"{name}.{field.name}"] = part
        new = [column.alias(name) for name, column in dotted.items() if name not in schema]
        if not new:
            break
        frame = frame.with_columns(new)
    return frame


def numbered(name: str, first: int, count: int) -> pl.Series:
    """Return the places `first`, `first + 1`, ... of `count` rows as a series called `name`."""
    return pl.int_range(first, first + count, dtype=pl.Int64, eager=True).alias(name)


def no_faults(count: int) -> pl.Series:
    """Return the faults of `count` good rows: all null."""
    return pl.repeat(None, count, dtype=pl.String, eager=True).alias("fault")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, for use in a sentence."""
    return (str(error).splitlines() or [type(error).__name__])[0]
