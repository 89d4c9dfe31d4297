"""The table a reader gives, before anybody asks which column is the user.

Columns are a lazy frame: only those that are asked for are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from caser.errors import DataError


@dataclass(frozen=True)
class Layout:
    """What the caller says about a text file; None leaves it to the first line."""

    separator: str | None = None
    header: bool | None = None


@dataclass(frozen=True, eq=False)
class RawTable:
    """The rows of a source, in its order.

    frame       one column per field, read when selected
    places      (N,) where each row stands in the source, from 1: lines of a text file, else rows
    faults      (N,) text: why a row cannot be taken apart, null where it can
    is_text     every column is text, so numbers are yet to be recognised
    has_header  False: the columns are called "1", "2", ... and only their positions say what they are
    """

    frame: pl.LazyFrame
    places: pl.Series
    faults: pl.Series
    is_text: bool = False
    has_header: bool = True
    notes: tuple[str, ...] = ()

    @property
    def place_name(self) -> str:
        """What `places` counts."""
        return str(self.places.name)

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return self.frame.collect_schema().names()

    def select(self, columns: Sequence[str]) -> pl.DataFrame:
        """Read some columns. Raises DataError if they cannot be read.

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

    @classmethod
    def from_frame(cls, frame: pl.DataFrame | pl.LazyFrame) -> RawTable:
        """Take a typed frame as it is.

        >>> RawTable.from_frame(pl.DataFrame({"user": [7, 8]})).places.to_list()
        [1, 2]
        """
        num_rows = int(frame.lazy().select(pl.len()).collect().item())
        return cls(frame.lazy(), numbered("row", 1, num_rows), no_faults(num_rows))


def numbered(name: str, first: int, count: int) -> pl.Series:
    """Places one after another."""
    return pl.int_range(first, first + count, dtype=pl.Int64, eager=True).alias(name)


def no_faults(count: int) -> pl.Series:
    """The faults of rows without any."""
    return pl.repeat(None, count, dtype=pl.String, eager=True).alias("fault")


def first_line(error: BaseException) -> str:
    """The first line of an error's message, for use in a sentence."""
    return (str(error).splitlines() or [type(error).__name__])[0]
