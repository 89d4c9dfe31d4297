"""Attributes of items in a fit: the table, matched to the log, and what the part that trains makes of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from caser.arrays.types import Mask
from caser.artefact.attributes import ArtefactAttributes
from caser.data.attribute_columns import ItemAttributes
from caser.data.attribute_values import AttributeRows, AttributeVocabulary
from caser.data.item_table import ItemSource, ItemTable, combined, read_items
from caser.data.log import InteractionLog, Vocabulary
from caser.data.tape import Tape
from caser.errors import ConfigError
from caser.models.base import SequenceEncoder


@dataclass(frozen=True, eq=False)
class AttributeTable:
    """A table of items, matched to the items of a log and with its further items behind them, and how to read it.

    table     the table
    settings  which columns, and how
    """

    table: ItemTable
    settings: ItemAttributes

    @classmethod
    def given(
        cls, items: ItemSource | None, attributes: Sequence[str] | ItemAttributes | None, log: InteractionLog
    ) -> AttributeTable | None:
        """Read the table that a caller of `fit` gave; None if none was given.

        items       the table: a file, or a frame
        attributes  the columns, or settings
        log         the log that is fitted

        Raises ConfigError if only one of the two is given, DataError for a table that cannot be read or names no item
        of the log.
        """
        if items is None and attributes is None:
            return None
        if items is None or attributes is None:
            given, lacking = ("attributes", "items") if items is None else ("items", "attributes")
            raise ConfigError(
                f"{given} must be given together with {lacking}: items is a table of items, and attributes names the "
                f"columns of it that the network reads. Give {lacking}, or leave {given} out."
            )
        settings = ItemAttributes.given(attributes)
        return cls(read_items(items, log.item_vocabulary, log.provenance.get("reading"), with_new=True), settings)

    def coded(self, part: Tape) -> CodedItems:
        """Decide which values have a vector, and look up those of every item.

        part  the part that trains

        Raises what `AttributeVocabulary.learn` raises.
        """
        is_trained = part.item_counts > 0
        return CodedItems(self, AttributeVocabulary.learn(self.table, self.settings, is_trained), is_trained)


@dataclass(frozen=True, eq=False)
class CodedItems:
    """What one part that trains makes of a table of items.

    source      the table
    vocabulary  the values that have a vector
    is_trained  (I,) bool, the items of the log with an interaction in the part
    """

    source: AttributeTable
    vocabulary: AttributeVocabulary
    is_trained: Mask

    @cached_property
    def _every_row(self) -> AttributeRows:
        """The values of all items of the table: looking them up takes long, so it is done once."""
        return self.vocabulary.rows(self.source.table)

    @cached_property
    def rows(self) -> AttributeRows:
        """The values of the items of the log, and then of the new items that have any."""
        return self._every_row.only(self._is_kept)

    @cached_property
    def items(self) -> Vocabulary:
        """The items of the log, and then the new ones that have a value."""
        return Vocabulary(self.source.table.items.ids.filter(pl.Series(self._is_kept[1:])))

    @property
    def _is_kept(self) -> Mask:
        """Which items of the table get an index, (I,) bool: all of the log, and of the others those with a value."""
        is_kept = self._every_row.has_any
        is_kept[: len(self.is_trained)] = True
        return is_kept

    def titles(self, log: InteractionLog) -> pl.Series | None:
        """The titles of the items: those of the table, and those of the log where the table has none.

        log  the log
        """
        new = self.source.table.titles
        if log.titles is None and new is None:
            return None
        num_items = len(self.source.table.items)
        old = None if log.titles is None else log.titles.extend_constant(None, num_items - len(log.titles))
        every = combined(old, new)
        index = self.source.table.items.indices(self.items.ids.to_list()) - 1
        return None if every is None else every.gather(index)

    @property
    def is_described(self) -> Mask:
        """Which items only their attributes describe, (I,) bool: those without an interaction but with a value."""
        is_described = self.rows.has_any
        is_described[: len(self.is_trained)] &= ~self.is_trained
        return is_described

    @property
    def digest(self) -> str:
        """What a checkpoint depends on: the settings, the values that have a vector, and those of every item."""
        hasher = hashlib.sha256(self.source.settings.model_dump_json().encode() + self.vocabulary.to_bytes())
        for array in (self.rows.offsets, self.rows.places, self.rows.weights):
            hasher.update(np.ascontiguousarray(array).data)
        return hasher.hexdigest()

    def add_to(self, network: SequenceEncoder) -> None:
        """Let a fresh network read the attributes.

        network  changed in place
        """
        from caser.models.attributes import add_attributes

        share = self.source.settings.own_dropout
        add_attributes(network, self.rows, self.vocabulary.num_vectors, self.is_trained, share)

    def fold(self, network: SequenceEncoder) -> ArtefactAttributes:
        """Put the attributes of a trained network into its tables of items; return what a run keeps of them.

        network  changed in place; then it has rows for the new items too
        """
        from caser.models.attributes import fold

        return ArtefactAttributes(self.vocabulary, fold(network, self.rows), self.is_described, self.facts())

    def facts(self) -> dict[str, Any]:
        """Return what a manifest says of the attributes, as JSON values."""
        settings = self.source.settings.model_dump(mode="json", exclude={"columns"})
        columns = [
            {
                "name": column.name,
                "way": column.way,
                "vectors": column.num_vectors,
                "too_rare": self.vocabulary.left_out[column.name],
            }
            for column in self.vocabulary.columns
        ]
        has_value = self.rows.has_any[: len(self.is_trained)]
        items = {
            "trained_with_attributes": int((has_value & self.is_trained).sum()),
            "trained_without": int((~has_value & self.is_trained).sum()),
            "by_attributes_alone": int(self.is_described.sum()),
            "not_in_log": len(self.items) + 1 - len(self.is_trained),
            "table_without_value": len(self.source.table.items) - len(self.items),
        }
        return {**settings, "columns": columns, "items": items, "notes": list(self.source.table.notes)}
