"""The table that a reader of files returns, before it is decided which column holds the user.

The columns are a lazy frame, so only columns that are used are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

import polars as pl

from caser.errors import DataError
from caser.system.bounds import COPIES, MOST_TEXT_BYTES, check_memory, check_table

WRONG_COUNT = "with a wrong column count"
"""Why a row of a text file is bad that has another number of fields than the first line."""


SAMPLE_LENGTH = 2_000
"""How many characters of a text are looked at where columns are guessed."""

NESTED_IN = 3
"""How many levels of objects inside one another become columns."""


@dataclass(frozen=True)
class Layout:
    """What the caller says about a text file; None means that the first lines of the file decide.

    separator  the text between two fields        header  whether the first line names the columns
    quotes     "auto", "plain", "doubled" or "backslash": what quotes mean; see `quotes.py`
    named      the columns that the caller names; if they are numbers, the first line is not a header
    encoding   the encoding of the text, such as "gbk"
    """

    separator: str | None = None
    header: bool | None = None
    quotes: Literal["auto", "plain", "doubled", "backslash"] = "auto"
    named: tuple[str, ...] = ()
    encoding: str | None = None


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
    sizes       about how many bytes a column takes in memory, for columns that are not yet decoded
    parts       the same for the largest part of a column that is decoded at once
    opened_by   how a program opens the source with polars; FILE stands for a file
    """

    frame: pl.LazyFrame
    places: pl.Series
    faults: pl.Series
    is_text: bool = False
    has_header: bool = True
    notes: tuple[str, ...] = ()
    is_header_guessed: bool = False
    sizes: Mapping[str, int] = field(default_factory=dict)
    parts: Mapping[str, int] = field(default_factory=dict)
    opened_by: str = "polars.DataFrame(frame)"

    @property
    def place_name(self) -> str:
        """What `places` counts: "line" or "row"."""
        return str(self.places.name)

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return self.frame.collect_schema().names()

    def select(self, columns: Sequence[str], longest: int | None = None) -> pl.DataFrame:
        """Read some columns of all rows. Raises DataError if a column or a row cannot be read.

        columns  names of columns
        longest  after how many characters texts are cut off, so that what is done with them takes no time; None: never

        >>> RawTable.from_frame(pl.DataFrame({"user": [7, 8], "item": [1, 2]})).select(["item"]).rows()
        [(1,), (2,)]
        """
        frame = self._collected(self.frame.select(columns), self.sizes, columns, longest)
        if len(frame) != len(self.places):
            raise DataError(f"every row must be readable; got {len(frame):,} of {len(self.places):,}")
        return frame

    def sample(self, columns: Sequence[str], count: int = 1000) -> pl.DataFrame:
        """Read some columns of the first rows, with texts of SAMPLE_LENGTH characters at most.

        columns  names of columns        count  the number of rows, at most

        Raises DataError if they cannot be read.

        >>> RawTable.from_frame(pl.DataFrame({"user": [7, 8], "item": [1, 2]})).sample(["item"], 1).rows()
        [(1,)]
        """
        return self._collected(self.frame.select(columns).head(count), self.parts, columns, SAMPLE_LENGTH)

    def _collected(
        self, frame: pl.LazyFrame, sizes: Mapping[str, int], columns: Sequence[str], longest: int | None
    ) -> pl.DataFrame:
        """Decode columns if they fit into memory, before and after texts that they share are copied."""
        roots = {name if name in sizes else name.partition(".")[0] for name in columns}
        with within_bounds():
            check_memory(2 * sum(sizes.get(root, 0) for root in roots), f"the columns {', '.join(sorted(roots))[:80]}")
            try:
                found = frame.collect()
            except (pl.exceptions.PolarsError, OSError, pl.exceptions.PanicException) as error:
                raise DataError(f"every column that is used must be readable; got {first_line(error)}") from None
            if longest is not None:
                found = found.with_columns(_with_short_texts(column, longest) for column in found)
            for column in found:
                _check_texts(column)
        return found

    def with_joined(self, columns: Sequence[str], name: str, digits: int = 0) -> RawTable:
        """Return a table with one more column: the text of some columns, with a blank between them.

        columns  columns such as a date and a time of day; of dates with times, only the dates are taken
        name     the name of the new column
        digits   how many digits all but the first have; shorter ones are filled up with zeros at the left

        >>> table = RawTable.from_frame(pl.DataFrame({"day": ["2020-01-01"], "clock": ["23:59"]}))
        >>> table.with_joined(["day", "clock"], "day,clock").select(["day,clock"]).item()
        '2020-01-01 23:59'
        """
        kinds = self.frame.collect_schema()
        parts = [
            pl.col(column).cast(pl.Date if kinds[column] == pl.Datetime else kinds[column]).cast(pl.String)
            for column in columns
        ]
        parts = [*parts[:1], *(part.str.strip_chars().str.zfill(digits) if digits else part for part in parts[1:])]
        return replace(self, frame=self.frame.with_columns(pl.concat_str(parts, separator=" ").alias(name)))

    @classmethod
    def from_frame(cls, frame: pl.DataFrame | pl.LazyFrame) -> RawTable:
        """Return the table of a frame whose columns have types.

        frame  the rows in order

        >>> RawTable.from_frame(pl.DataFrame({"user": [7, 8]})).places.to_list()
        [1, 2]
        """
        num_rows = int(frame.lazy().select(pl.len()).collect().item())
        num_columns = len(frame.lazy().collect_schema())
        with within_bounds():
            check_table(num_rows, 0)
            check_table(0, num_columns)
        return cls(with_dotted_columns(frame.lazy()), numbered("row", 1, num_rows), no_faults(num_rows))


@contextmanager
def within_bounds() -> Iterator[None]:
    """Within, turn the ValueError of a bound of `system/bounds.py` into a DataError.

    >>> with within_bounds():
    ...     check_table(1, 1_000_000)
    Traceback (most recent call last):
    caser.errors.DataError: a log must fit into memory; got 1,000,000 columns, more than 10,000; use a part of it
    """
    try:
        yield
    except DataError:
        raise
    except ValueError as error:
        raise DataError(f"a log must fit into memory; got {error}; use a part of it") from None


def _with_short_texts(column: pl.Series, longest: int) -> pl.Series:
    """Cut texts off if one is longer than `longest` characters, as every comparison would read them whole."""
    if not (column.dtype == pl.String or isinstance(column.dtype, pl.Categorical | pl.Enum)):
        return column
    is_text = column.dtype == pl.String
    most = (column.str if is_text else column.cat).len_bytes().max()
    if not isinstance(most, int) or most <= longest:
        return column
    return column.str.slice(0, longest) if is_text else column.cat.slice(0, longest)


def _check_texts(column: pl.Series) -> None:
    """Raise ValueError for texts that are too long, or that need more memory than is free as texts of their own."""
    if column.dtype == pl.String:
        lengths = column.str.len_bytes()
        num_bytes = int(lengths.cast(pl.Int64).sum())
    elif isinstance(column.dtype, pl.Categorical | pl.Enum):
        counts = column.drop_nulls().value_counts()  # each text once, with its number of rows
        lengths = counts.to_series().cast(pl.String).str.len_bytes().cast(pl.Int64)
        num_bytes = int((lengths * counts.to_series(1).cast(pl.Int64)).sum())
    else:
        return
    longest = lengths.max()
    if isinstance(longest, int) and longest > MOST_TEXT_BYTES:
        raise ValueError(f"a text of {longest:,} bytes in column {column.name[:40]!r}, longer than {MOST_TEXT_BYTES:,}")
    check_memory(COPIES * num_bytes, f"the texts of column {column.name[:40]!r}")


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
            for part in inner.fields if isinstance(inner, pl.Struct) else ():
                in_list = pl.col(name).list.eval(pl.element().struct.field(part.name))
                is_list = isinstance(kind, pl.List)
                dotted[f"{name}.{part.name}"] = in_list if is_list else pl.col(name).struct.field(part.name)
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
