"""The columns of a table of items that a network reads: in which way, and what is learned of the items that train.

A column is read in one of four ways:

    values   text, true and false, or few different numbers: each value has a vector (category, brand, genres A|B)
    words    a title: each word has a vector; a word is a run of letters and digits, in lower case
    buckets  numbers or dates: each of some ranges with equally many items has a vector (price, year)
    vector   equally many numbers for every item: each of them, standardised, multiplies a vector (a given embedding)

Only values that enough items of the part that trains share have a vector: a rarer one would stand for these items, and
say nothing of a new one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args

import numpy as np
from pydantic import ConfigDict, Field, field_validator

from caser.config import Settings
from caser.data.attributes import column_named
from caser.errors import ConfigError, DataError, did_you_mean
from caser.system.kinds import must_be

if TYPE_CHECKING:
    from caser.data.item_table import ItemTable

Way: TypeAlias = Literal["values", "words", "buckets", "vector"]
"""How a column is read."""

TITLE = "title"
"""The name that stands for the titles of a table, whatever their column is called."""

_WORD = re.compile(r"[^\W_]+")


class ItemAttributes(Settings):
    """Which columns of a table of items a network reads, and how.

    >>> ItemAttributes(columns=["genres", "year", "title"]).own_dropout
    0.25
    """

    columns: tuple[str, ...] = Field(min_length=1)
    """The columns, such as genres; "category:values" reads one in another way: values, words, buckets or vector."""
    own_dropout: float = Field(default=0.25, ge=0, lt=1)
    """Share of items that have only the vectors of their attributes in a step, as a new item has; in steps of 1/256."""
    min_items: int = Field(default=5, ge=1, le=1_000_000)
    """Fewest items with interactions in the part that trains that must share a value of an attribute."""
    num_buckets: int = Field(default=10, ge=2, le=1_000)
    """Number of ranges of a column of numbers or dates."""

    @field_validator("columns", mode="before")
    @classmethod
    def _refuse_one_text(cls, columns: Any) -> Any:
        if isinstance(columns, str) or not isinstance(columns, list | tuple):
            raise ConfigError(f"attributes must be a list of names of columns, such as ['genres']; got {columns!r}.")
        if doubles := [name for name, count in Counter(map(str, columns)).items() if count > 1]:
            raise ConfigError(f"attributes must name each column once; got {doubles[0]!r} again.")
        return tuple(columns)

    @classmethod
    def given(cls, attributes: object) -> ItemAttributes:
        """Return what a caller gave as attributes: a list of names of columns, or such settings.

        attributes  the names, or the settings

        Raises ConfigError for anything else.
        """
        if isinstance(attributes, list | tuple):
            return cls(columns=tuple(attributes))
        must_be("attributes", attributes, cls, "a list of names of columns, or caser.ItemAttributes(columns=[...])")
        return cast("ItemAttributes", attributes)


class AttributeColumn(Settings):
    """How one column becomes numbers of vectors; what is learned of the items that train."""

    model_config = ConfigDict(strict=True)

    name: str
    """The column, or "title"."""
    way: Way
    """How it is read."""
    values: list[str] = Field(default_factory=list)
    """The values or words that have a vector."""
    edges: list[float] = Field(default_factory=list)
    """The smallest number of each bucket but the first, ascending."""
    means: list[float] = Field(default_factory=list)
    """The mean of each coordinate of a given vector."""
    scales: list[float] = Field(default_factory=list)
    """What each coordinate is divided by."""

    @property
    def num_vectors(self) -> int:
        """How many vectors the column has."""
        return {"buckets": len(self.edges) + 1, "vector": len(self.means)}.get(self.way, len(self.values))

    @cached_property
    def _place_of(self) -> dict[str, int]:
        return {value: place for place, value in enumerate(self.values)}

    def coded(self, cell: Sequence[Any]) -> tuple[list[int], list[float]]:
        """Return the places of the vectors that a cell uses, and the weight of each.

        cell  the values of an item, as `cells` gives them

        >>> AttributeColumn(name="year", way="buckets", edges=[1990.0]).coded([1989, 1995])
        ([0, 1], [0.5, 0.5])
        """
        if self.way == "vector":
            if len(cell) != len(self.means):
                return [], []
            scaled = (np.array(cell, dtype=np.float64) - self.means) / self.scales
            return list(range(len(cell))), scaled.tolist()
        if self.way == "buckets":
            places = np.searchsorted(self.edges, cell, side="right").tolist()
        else:
            places = [self._place_of[value] for value in cell if value in self._place_of]
        return places, [1 / len(places)] * len(places) if places else []


def cells(table: ItemTable, name: str, way: Way) -> list[Sequence[Any]]:
    """Return the values of each item of a table in a column: texts, words or numbers; none for an item without a row.

    table  the table        name  a column, or "title"        way  how it is read

    Raises ConfigError for a column that the table does not have.
    """
    if name == TITLE and TITLE not in table.attributes:
        titles = [] if table.titles is None else table.titles.to_list()
        return [_words([title]) if way == "words" else [one for one in [title] if one] for title in titles]
    attribute = column_named(table.attributes, name, "attributes: ")
    raw = table.items.ids.to_list()
    if way in ("buckets", "vector"):
        return [attribute.numbers.get(one, ()) for one in raw]
    texts = [sorted(attribute.values.get(one, ())) for one in raw]
    return [_words(values) if way == "words" else values for values in texts]


def learned_column(
    table: ItemTable, written: str, settings: ItemAttributes, trained: Sequence[int]
) -> tuple[AttributeColumn, int]:
    """Decide how a column is read, and which of its values have a vector; return it, and how many values are too rare.

    table     the table of items
    written   the column as a caller named it
    settings  how columns are read
    trained   the items that train, counted from 0; items of the table beyond these do not count

    Raises ConfigError for an unknown column and for one that cannot be read in the wanted way, DataError for one in
    which too few items share anything.
    """
    name, way = _named(table, written)
    column, num_rare = _learned(table, name, way, settings, trained)
    if column.num_vectors == 0 or (column.way == "buckets" and not column.edges):
        raise DataError(
            f"the attribute {name} must have values that {settings.min_items} items of the part that trains share; it "
            "has none. Leave it out, or lower min_items (--min-items)."
        )
    return column, num_rare


def _words(texts: Iterable[str | None]) -> list[str]:
    """The different words of some texts, in order."""
    return list(dict.fromkeys(word for text in texts if text for word in _WORD.findall(text.casefold())))


def _named(table: ItemTable, written: str) -> tuple[str, Way | None]:
    """The column that a caller named, and the way that was written behind a colon, if any."""
    name, colon, way = written.rpartition(":")
    if not colon or written in table.attributes:
        name, way = written, ""
    if way and way not in get_args(Way):
        raise ConfigError(f"the way to read the attribute {name} must be known; got {way!r}: "
                          f"{did_you_mean(way, get_args(Way))}")  # fmt: skip
    if table.titles is not None and name in (TITLE, table.title_column):
        return TITLE, cast("Way | None", way or None)
    if name not in table.attributes:
        known = [*table.attributes, *([] if table.titles is None else [TITLE])]
        raise ConfigError(
            f"attributes must name columns of the table of items; got {name!r}: {did_you_mean(name, known)}"
        )
    return name, cast("Way | None", way or None)


def _learned(
    table: ItemTable, name: str, way: Way | None, settings: ItemAttributes, trained: Sequence[int]
) -> tuple[AttributeColumn, int]:
    """A column, and how many of its values are too rare."""
    is_title = name == TITLE and TITLE not in table.attributes
    kind = "text" if is_title else table.attributes[name].kind
    has_numbers = kind in ("number", "date")
    if way in ("buckets", "vector") and not has_numbers:
        raise ConfigError(f"the attribute {name} must hold numbers to be read as {way}; it holds {kind}.")
    if way == "words" and kind != "text":
        raise ConfigError(f"the attribute {name} must hold text to be read as words; it holds {kind}s.")
    if way is None:
        way = "words" if is_title else _usual_way(cells(table, name, "buckets"), settings) if has_numbers else "values"
    all_cells = cells(table, name, way)
    own = [cell for index in trained if (cell := all_cells[index])]
    if way == "vector":
        return _standardised(name, own), 0
    if way == "buckets":
        numbers = np.array([number for cell in own for number in cell], dtype=np.float64)
        count = min(settings.num_buckets, len(own) // settings.min_items)
        edges = np.unique(np.quantile(numbers, np.arange(1, count) / count)) if count > 1 else np.zeros(0)
        return AttributeColumn(name=name, way=way, edges=edges[edges > numbers.min(initial=np.inf)].tolist()), 0
    counts: Counter[Hashable] = Counter(value for cell in own for value in cell)
    known = sorted(str(value) for value, count in counts.items() if count >= settings.min_items)
    different = {value for cell in all_cells for value in cell}
    return AttributeColumn(name=name, way=way, values=known), len(different) - len(known)


def _usual_way(numbers: Sequence[Sequence[float]], settings: ItemAttributes) -> Way:
    """How a column of numbers is read where nobody says it."""
    filled = [cell for cell in numbers if cell]
    lengths = {len(cell) for cell in filled}
    if len(lengths) == 1 and lengths != {1}:
        return "vector"
    few = len({number for cell in filled for number in cell}) <= settings.num_buckets
    return "values" if few else "buckets"


def _standardised(name: str, own: Sequence[Sequence[float]]) -> AttributeColumn:
    """A given vector: its mean over the items that train, and what its coordinates are divided by."""
    lengths = {len(cell) for cell in own}
    if len(lengths) > 1:
        raise ConfigError(
            f"the attribute {name} must have equally many numbers for each item to be read as vector; got "
            f"{min(lengths)} and {max(lengths)}."
        )
    if not own:
        return AttributeColumn(name=name, way="vector")
    matrix = np.array(own, dtype=np.float64)
    deviations = matrix.std(axis=0)
    scales = np.where(deviations > 0, deviations, 1.0) * np.sqrt(matrix.shape[1])
    return AttributeColumn(name=name, way="vector", means=matrix.mean(axis=0).tolist(), scales=scales.tolist())
