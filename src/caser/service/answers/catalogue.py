"""What is known of items beyond their ids: titles, and the attributes that rules speak of.

An attribute is text, or several texts where a table has a list: a number 5, a text "5" and a whole float 5.0 are one.
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

MOST_VALUES = 50
"""Values of a column that people are shown."""
LONGEST_VALUE = 200
"""Characters a value may have in a rule."""

_NOTHING: frozenset[str] = frozenset()
_NOBODY: frozenset[RawId] = frozenset()


class Catalogue:
    """Items by raw id; `attributes` maps a column to each item's values.

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
        """The items of a run, with the titles of a table where it has some, and its columns.

        Raises DataError for a table without the column item_id.
        """
        ids = artefact.items.ids.to_list()
        titles = {} if artefact.titles is None else _present(ids, artefact.titles.to_list())
        attributes: dict[str, dict[RawId, frozenset[str]]] = {}
        if table is not None:
            if "item_id" not in table.columns:
                raise DataError(f"a table of items must have a column item_id; it has {', '.join(table.columns)}.")
            rows = artefact.items.indices(table["item_id"].to_list())
            known, ids_of_rows = table.filter(rows > 0), artefact.items.raw(rows[rows > 0])
            for name in known.columns:
                values = _present(ids_of_rows, known[name].to_list())
                if name == "title":
                    titles |= {raw: str(value) for raw, value in values.items()}
                elif name != "item_id":
                    attributes[name] = {raw: texts(value) for raw, value in values.items()}
        return cls(ids, artefact.histories.item_counts[1:].tolist(), titles, attributes)

    @property
    def columns(self) -> list[str]:
        """The columns that rules may name."""
        return sorted(self._attributes)

    def title(self, item: RawId) -> str | None:
        """The title of an item."""
        return self.titles.get(item)

    def values(self, column: str, item: RawId) -> frozenset[str]:
        """What an item has in a column; nothing for an item or a column that nobody knows."""
        return self._attributes.get(column, {}).get(item, _NOTHING)

    def matching(self, where: Mapping[str, frozenset[str]]) -> frozenset[RawId]:
        """The items that have, in each column, one of these values."""
        found = [
            frozenset().union(*(self._holders[column].get(value, _NOBODY) for value in values))
            if column in self._holders
            else _NOBODY
            for column, values in where.items()
        ]
        return frozenset.intersection(*found)

    @cached_property
    def _holders(self) -> dict[str, dict[str, frozenset[RawId]]]:
        """Who has a value, by column and value."""
        holders: dict[str, dict[str, list[RawId]]] = {}
        for column, values in self._attributes.items():
            of_value = holders.setdefault(column, {})
            for item, found in values.items():
                for value in found:
                    of_value.setdefault(value, []).append(item)
        return {
            column: {value: frozenset(items) for value, items in of_value.items()}
            for column, of_value in holders.items()
        }

    @cached_property
    def common_values(self) -> dict[str, list[str]]:
        """The most common values of each column, as far as they are short enough to be asked for."""
        return {
            column: sorted(
                (value for value in holders if len(value) <= LONGEST_VALUE),
                key=lambda value: (-len(holders[value]), value),
            )[:MOST_VALUES]
            for column, holders in self._holders.items()
        }

    def search(self, words: str, most: int = 20) -> list[RawId]:
        """Items whose title holds every word, the most popular first; without words, the most popular of all."""
        wanted = _plain(words).split()
        found: list[RawId] = []
        for item, title in self._searched:
            if all(word in title for word in wanted):
                found.append(item)
                if len(found) == most:
                    break
        return found

    @cached_property
    def _searched(self) -> list[tuple[RawId, str]]:
        return [(item, _plain(self.titles.get(item) or str(item))) for item in self._by_popularity]


def read_table(path: Path) -> pl.DataFrame:
    """Read a table of items. Raises DataError for a file that is no .csv or .parquet file, or cannot be read."""
    if path.suffix not in (".csv", ".parquet"):
        raise DataError(f"a table of items must be a .csv or .parquet file; got {path.name!r}.")
    try:
        return pl.read_csv(path) if path.suffix == ".csv" else pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path} must be a table of items; got: {str(error).partition(chr(10))[0]}.") from None


def texts(value: Any) -> frozenset[str]:
    """An attribute's value or values as text.

    >>> sorted(texts(["a", 5, 5.0, True]))
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


def _present(ids: Iterable[RawId], values: Iterable[Any]) -> dict[RawId, Any]:
    return {raw: value for raw, value in zip(ids, values, strict=True) if value is not None}


def _plain(text: str) -> str:
    """Text for comparing: lower case, without accents."""
    split = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in split if not unicodedata.combining(letter))
