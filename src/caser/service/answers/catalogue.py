"""Titles and attributes of items, as answers and rules use them.

An attribute value is text, or a set of texts where the table of items has a list. The number 5, the text "5" and the
float 5.0 are the same value.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from caser.arrays.types import RawId
from caser.artefact.folder import Artefact
from caser.errors import DataError
from caser.service.request_schemas import MAX_VALUE_LENGTH

MAX_COMMON_VALUES = 50
"""How many values of each column `common_values` lists."""

_NO_VALUES: frozenset[str] = frozenset()
_NO_ITEMS: frozenset[RawId] = frozenset()


class Catalogue:
    """The items of a run, by raw id.

    ids         the raw ids of all items       counts  how many interactions each has, in the same order
    titles      title by id                    attributes  by column: the values of each item

    >>> from tests.runs import popularity_run
    >>> catalogue = Catalogue.of(popularity_run(), pl.DataFrame({"item_id": [10, 20], "genre": [["a", "b"], ["b"]]}))
    >>> sorted(catalogue.values("genre", 10)), catalogue.title(10), catalogue.search("ten")
    (['a', 'b'], 'Ten', [10])
    """

    def __init__(
        self,
        ids: Sequence[RawId],
        counts: Sequence[int],
        titles: Mapping[RawId, str],
        attributes: Mapping[str, Mapping[RawId, frozenset[str]]],
    ) -> None:
        self.titles = titles
        self._attributes = attributes
        self._by_popularity = [ids[place] for place in np.argsort(-np.asarray(counts), kind="stable")]

    @classmethod
    def of(cls, artefact: Artefact, table: pl.DataFrame | None) -> Catalogue:
        """Combine the items of a run with a table of items.

        artefact  the run: its items, their titles and counts
        table     column item_id; a column title, if any, takes precedence over the run's titles; all other columns are
                  attributes. None for no table.

        Raises DataError for a table without the column item_id.
        """
        ids = artefact.items.ids.to_list()
        titles = {} if artefact.titles is None else _without_nulls(ids, artefact.titles.to_list())
        attributes: dict[str, dict[RawId, frozenset[str]]] = {}
        if table is not None:
            if "item_id" not in table.columns:
                raise DataError(f"a table of items must have a column item_id; it has {', '.join(table.columns)}.")
            indices = artefact.items.indices(table["item_id"].to_list())
            known, known_ids = table.filter(indices > 0), artefact.items.raw(indices[indices > 0])
            for name in known.columns:
                values = _without_nulls(known_ids, known[name].to_list())
                if name == "title":
                    titles |= {raw: str(value) for raw, value in values.items()}
                elif name != "item_id":
                    attributes[name] = {raw: attribute_texts(value) for raw, value in values.items()}
        return cls(ids, artefact.trained.item_counts[1:].tolist(), titles, attributes)

    @property
    def columns(self) -> list[str]:
        """The columns that rules may name."""
        return sorted(self._attributes)

    def title(self, item: RawId) -> str | None:
        """The title of `item`, or None."""
        return self.titles.get(item)

    def values(self, column: str, item: RawId) -> frozenset[str]:
        """The values of `item` in `column`; empty if the item or the column is unknown."""
        return self._attributes.get(column, {}).get(item, _NO_VALUES)

    def matching(self, where: Mapping[str, frozenset[str]]) -> frozenset[RawId]:
        """The items that have, in each column of `where`, at least one of the values given."""
        matching_column = [
            frozenset().union(*(self._items_by_value[column].get(value, _NO_ITEMS) for value in values))
            if column in self._items_by_value
            else _NO_ITEMS
            for column, values in where.items()
        ]
        return frozenset.intersection(*matching_column)

    @cached_property
    def _items_by_value(self) -> dict[str, dict[str, frozenset[RawId]]]:
        """The items that have a value, by column and value."""
        by_column: dict[str, dict[str, list[RawId]]] = {}
        for column, values_of_items in self._attributes.items():
            by_value = by_column.setdefault(column, {})
            for item, values in values_of_items.items():
                for value in values:
                    by_value.setdefault(value, []).append(item)
        return {
            column: {value: frozenset(items) for value, items in by_value.items()}
            for column, by_value in by_column.items()
        }

    @cached_property
    def common_values(self) -> dict[str, list[str]]:
        """The most common values of each column, without those that are too long for a rule."""
        return {
            column: sorted(
                (value for value in by_value if len(value) <= MAX_VALUE_LENGTH),
                key=lambda value: (-len(by_value[value]), value),
            )[:MAX_COMMON_VALUES]
            for column, by_value in self._items_by_value.items()
        }

    def search(self, text: str, limit: int = 20) -> list[RawId]:
        """Find items by title.

        text   the title must contain every word of it; case and accents do not matter; "" matches every item
        limit  how many items to return at most

        Returns raw ids, the most popular item first.
        """
        words = _folded(text).split()
        found: list[RawId] = []
        for item, title in self._folded_titles:
            if all(word in title for word in words):
                found.append(item)
                if len(found) == limit:
                    break
        return found

    @cached_property
    def _folded_titles(self) -> list[tuple[RawId, str]]:
        return [(item, _folded(self.titles.get(item) or str(item))) for item in self._by_popularity]


def read_table(path: Path) -> pl.DataFrame:
    """Read a table of items from the file `path`.

    Raises DataError when the file is neither .csv nor .parquet, or cannot be read.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise DataError(f"a table of items must be a .csv or .parquet file; got {path.name!r}.")
    try:
        return pl.read_csv(path) if path.suffix == ".csv" else pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path} must be a table of items; got: {str(error).partition(chr(10))[0]}.") from None


def attribute_texts(value: Any) -> frozenset[str]:
    """Convert an attribute `value`, or a list of values, to texts.

    >>> sorted(attribute_texts(["a", 5, 5.0, True]))
    ['5', 'a', 'true']
    """
    if isinstance(value, list | tuple):
        return frozenset(_text(one) for one in value if one is not None)
    return frozenset([_text(value)])


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _without_nulls(ids: Iterable[RawId], values: Iterable[Any]) -> dict[RawId, Any]:
    return {raw: value for raw, value in zip(ids, values, strict=True) if value is not None}


def _folded(text: str) -> str:
    """Text for comparison: lower case, without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
