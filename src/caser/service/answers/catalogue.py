"""The items of a run as the service shows them: titles, search, and the columns that rules may name."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from caser.answering.recommender import Recommender
from caser.arrays.types import RawId
from caser.data.attributes import Attributes
from caser.service.request_schemas import MAX_VALUE_LENGTH

MAX_COMMON_VALUES = 50
"""How many values of each column `common_values` lists."""


class Catalogue:
    """The items of a run, by raw id.

    ids         the raw ids of all items       counts  how many interactions each has, in the same order
    titles      title by id                    attributes  the columns of the table of items
    notes       sentences about the table of items

    >>> import polars as pl
    >>> from tests.runs import popularity_run
    >>> table = pl.DataFrame({"item_id": [10, 20], "genre": ["a|b", "b"]})
    >>> catalogue = Catalogue.of(Recommender(popularity_run()).with_items(table))
    >>> catalogue.common_values["genre"], catalogue.title(10), catalogue.search("ten")
    (['b', 'a'], 'Ten', [10])
    """

    def __init__(
        self,
        ids: Sequence[RawId],
        counts: Sequence[int],
        titles: Mapping[RawId, str],
        attributes: Attributes,
        notes: Sequence[str] = (),
    ) -> None:
        self.titles = titles
        self.attributes = attributes
        self.notes = list(notes)
        self._by_popularity = [ids[place] for place in np.argsort(-np.asarray(counts), kind="stable")]

    @classmethod
    def of(cls, recommender: Recommender) -> Catalogue:
        """Return the items of a recommender, with its table of items if it has one.

        recommender  knows the items, their titles and counts
        """
        artefact, table = recommender.artefact, recommender.items
        ids = artefact.items.ids.to_list()
        shown = [None] * len(ids) if artefact.titles is None else artefact.titles.to_list()
        titles = {raw: title for raw, title in zip(ids, shown, strict=True) if title is not None}
        counts = artefact.trained.item_counts[1:].tolist()
        for attribute in recommender.attributes.values():
            attribute.prepare()
        return cls(ids, counts, titles, recommender.attributes, () if table is None else table.notes)

    @property
    def columns(self) -> list[str]:
        """The columns that rules may name."""
        return sorted(self.attributes)

    def title(self, item: RawId) -> str | None:
        """The title of `item`, or None."""
        return self.titles.get(item)

    @cached_property
    def common_values(self) -> dict[str, list[str]]:
        """The most common values of each column, without those that are too long for a rule.

        A column of numbers or dates with more than `MAX_COMMON_VALUES` values has a range only.
        """
        listed = {
            name: column.common_values(MAX_COMMON_VALUES, MAX_VALUE_LENGTH) for name, column in self.attributes.items()
        }
        return {name: values for name, values in listed.items() if values or self.attributes[name].range is None}

    @cached_property
    def ranges(self) -> dict[str, dict[str, str | float]]:
        """The smallest and the largest value of each column of numbers or dates."""
        return {
            name: {
                end: float(text) if column.kind == "number" else text
                for end, text in zip(("min", "max"), column.range, strict=True)
            }
            for name, column in self.attributes.items()
            if column.range is not None
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


def _folded(text: str) -> str:
    """Text for comparison: lower case, without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
