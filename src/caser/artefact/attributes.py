"""What a run keeps of the attributes of its items: enough to give a new item its row without training.

attributes.safetensors    vocabulary (bytes of JSON), described (which items only their attributes describe), and the
vectors of the values for each table of items, as `vectors/NAME`
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from caser.arrays.types import Mask
from caser.data.attribute_values import AttributeVocabulary
from caser.models.base import Arrays
from caser.system.parsing import ArrayRule, check_arrays, parse_arrays, parse_json

if TYPE_CHECKING:
    from caser.data.item_table import ItemTable

_VECTORS = "vectors/"


@dataclass(frozen=True, eq=False)
class ArtefactAttributes:
    """The attributes of a run.

    vocabulary    which values of which columns have a vector
    tables        the vectors of the values, (F, ...) float32, by the name of the table of items that they add to
    is_described  (I,) bool, the items that no interaction has trained and that their attributes describe
    facts         what the manifest says of them, see `manifest.AttributeFacts`
    """

    vocabulary: AttributeVocabulary
    tables: Mapping[str, NDArray[np.float32]]
    is_described: Mask
    facts: dict[str, Any]

    def item_rows(self, table: ItemTable) -> tuple[dict[str, NDArray[np.float32]], Mask]:
        """Give items rows in the tables of the model, from their attributes alone: what makes a new item known.

        table  a table of items with the columns that the run reads, from `read_items`; its own vocabulary decides the
               order of the items

        Returns the rows by the name of the parameter, (I, ...) float32 with padding first, and whether each item has a
        value that the run knows, (I,) bool: the row of another item is zero. Raises ConfigError for a column that the
        table does not have.
        """
        rows = self.vocabulary.rows(table)
        return {name: rows.sums(vectors) for name, vectors in self.tables.items()}, rows.has_any

    def to_bytes(self) -> bytes:
        """Return the bytes of the file."""
        arrays: dict[str, NDArray[np.generic]] = {
            "vocabulary": np.frombuffer(self.vocabulary.to_bytes(), dtype=np.uint8),
            "described": self.is_described.astype(np.uint8),
        }
        arrays |= {f"{_VECTORS}{name}": np.ascontiguousarray(vectors) for name, vectors in self.tables.items()}
        return bytes(safetensors.numpy.save(arrays))

    @classmethod
    def from_bytes(
        cls, content: bytes, parameters: Arrays, num_items: int, facts: dict[str, Any]
    ) -> ArtefactAttributes:
        """Read the file. Raises ValueError for one that `to_bytes` cannot have made for this model.

        content     the bytes of the file
        parameters  the parameters of the model by name
        num_items   number of items, without padding
        facts       what the manifest says of the attributes
        """
        arrays, _ = parse_arrays(content)
        if "vocabulary" not in arrays or arrays["vocabulary"].dtype != np.uint8 or arrays["vocabulary"].ndim != 1:
            raise ValueError("no vocabulary of attributes")
        vocabulary = AttributeVocabulary.of(parse_json(arrays["vocabulary"].tobytes()))
        names = [name.removeprefix(_VECTORS) for name in arrays if name.startswith(_VECTORS)]
        of_items = {name: parameters[name].shape for name in names if name in parameters}
        rules = {
            "vocabulary": ArrayRule(np.uint8, arrays["vocabulary"].shape),
            "described": ArrayRule(np.uint8, (num_items + 1,), least=0, most=1),
            **{
                f"{_VECTORS}{name}": ArrayRule(np.float32, (vocabulary.num_vectors, *shape[1:]))
                for name, shape in of_items.items()
                if shape[:1] == (num_items + 1,)
            },
        }
        check_arrays(arrays, rules)
        is_described = arrays["described"] != 0
        if is_described[0] or not of_items:
            raise ValueError("attributes of padding, or for no table of items")
        return cls(vocabulary, {name: arrays[f"{_VECTORS}{name}"] for name in of_items}, is_described, facts)
