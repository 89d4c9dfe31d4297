"""The values of attributes that have a vector, over all columns, and those that each item has.

What a column gives to an item is the mean over the values that the item has in it; the columns are added up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from caser.arrays.offsets import offsets_of
from caser.arrays.types import Int64, Mask
from caser.data.attribute_columns import AttributeColumn, ItemAttributes, cells, learned_column

if TYPE_CHECKING:
    from caser.data.item_table import ItemTable


@dataclass(frozen=True, eq=False)
class AttributeRows:
    """The values that each of I items has, padding included, one item after another.

    offsets  (I + 1,) int64, where the entries of each item begin
    places   (N,) int64, the numbers of the vectors
    weights  (N,) float32, what each vector is multiplied with
    """

    offsets: Int64
    places: Int64
    weights: NDArray[np.float32]

    @property
    def has_any(self) -> Mask:
        """Whether each item has a value, (I,) bool; False for padding."""
        return np.diff(self.offsets) > 0

    def only(self, is_kept: Mask) -> AttributeRows:
        """Return the rows of some of the items.

        is_kept  (I,) bool, which items
        """
        lengths = np.diff(self.offsets)
        kept = np.repeat(is_kept, lengths)
        return AttributeRows(offsets_of(lengths[is_kept]), self.places[kept], self.weights[kept])

    def sums(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Add up the vectors of each item: what a new item gets from its attributes, (I, ...) float32.

        vectors  (F, ...) float32, one row for each value

        >>> rows = AttributeRows(np.array([0, 0, 2]), np.array([0, 2]), np.array([1.0, 0.5], np.float32))
        >>> rows.sums(np.array([[1.0], [3.0], [4.0]], np.float32)).tolist()
        [[0.0], [3.0]]
        """
        sums = np.zeros((len(self.offsets) - 1, *vectors.shape[1:]), dtype=np.float32)
        items = np.repeat(np.arange(len(sums)), np.diff(self.offsets))
        weights = self.weights.reshape(-1, *[1] * (vectors.ndim - 1))
        block = max(1, 2**22 // max(1, int(np.prod(vectors.shape[1:]))))
        for begin in range(0, len(items), block):
            part = slice(begin, begin + block)
            np.add.at(sums, items[part], vectors[self.places[part]] * weights[part])
        return sums


@dataclass(frozen=True, eq=False)
class AttributeVocabulary:
    """The values of attributes that have a vector: those of the first column first.

    columns   the columns
    left_out  how many different values of each column are too rare to have a vector, by name
    """

    columns: tuple[AttributeColumn, ...]
    left_out: dict[str, int]

    @classmethod
    def learn(cls, table: ItemTable, settings: ItemAttributes, is_trained: Mask) -> AttributeVocabulary:
        """Decide which values have a vector.

        table       the table of items
        settings    which columns, and how
        is_trained  (I,) bool, the items that train; items of the table beyond these do not count

        Raises ConfigError for an unknown column and for one that cannot be read in the wanted way, DataError for one in
        which too few items share anything.

        >>> import polars as pl
        >>> from caser.data.item_table import read_items
        >>> from caser.data.log import Vocabulary
        >>> frame = pl.DataFrame({"id": [1, 2, 3], "genre": ["Drama", "Drama|War", "War"]})
        >>> table = read_items(frame, Vocabulary(pl.Series([1, 2, 3])))
        >>> settings = ItemAttributes(columns=["genre"], min_items=2)
        >>> AttributeVocabulary.learn(table, settings, np.array([False, True, True, False])).columns[0].values
        ['Drama']
        """
        trained = [index - 1 for index in np.flatnonzero(is_trained).tolist()]
        learned = [learned_column(table, written, settings, trained) for written in settings.columns]
        return cls(tuple(column for column, _ in learned), {column.name: rare for column, rare in learned})

    @property
    def num_vectors(self) -> int:
        """F, how many vectors there are."""
        return sum(column.num_vectors for column in self.columns)

    def rows(self, table: ItemTable) -> AttributeRows:
        """Return the values that each item of a table has, padding first.

        table  a table of items with the columns of this vocabulary

        Raises ConfigError for a column that the table does not have.
        """
        num_items = len(table.items)
        places: list[list[int]] = [[] for _ in range(num_items)]
        weights: list[list[float]] = [[] for _ in range(num_items)]
        begin = 0
        for column in self.columns:
            for item, cell in enumerate(cells(table, column.name, column.way)):
                if cell:
                    of_cell, of_weights = column.coded(cell)
                    places[item] += [begin + place for place in of_cell]
                    weights[item] += of_weights
            begin += column.num_vectors
        flat = np.array([place for row in places for place in row], dtype=np.int64)
        flat_weights = np.array([weight for row in weights for weight in row], dtype=np.float32)
        return AttributeRows(offsets_of([0, *map(len, places)]), flat, flat_weights)

    def to_bytes(self) -> bytes:
        """Return the vocabulary as JSON text, which `from_bytes` reads."""
        columns = [column.model_dump() for column in self.columns]
        return json.dumps({"columns": columns, "left_out": self.left_out}, sort_keys=True).encode()

    @classmethod
    def of(cls, values: object) -> AttributeVocabulary:
        """Return a vocabulary from the JSON value of `to_bytes`. Raises ValueError or ConfigError for anything else.

        values  the value
        """
        if not isinstance(values, dict) or set(values) != {"columns", "left_out"}:
            raise ValueError("a vocabulary of attributes with other keys")
        listed, left_out = values["columns"], values["left_out"]
        if not isinstance(listed, list) or not isinstance(left_out, dict):
            raise ValueError("a vocabulary of attributes of other kinds")
        columns = tuple(map(AttributeColumn.of, listed))
        if any(column.edges != sorted(column.edges) or len(column.means) != len(column.scales) for column in columns):
            raise ValueError("a vocabulary of attributes that does not go together")
        if any(len(set(column.values)) < len(column.values) for column in columns):
            raise ValueError("a value of an attribute that has two vectors")
        if any(not isinstance(number, int) for number in left_out.values()):
            raise ValueError("numbers of rare values that are no numbers")
        if any(not scale > 0 for column in columns for scale in column.scales):
            raise ValueError("scales of a vector that are not above 0")
        return cls(columns, {str(name): number for name, number in left_out.items()})
