"""The flags of `caser train` for attributes of items, and what it says of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic import Field

from caser.config import Settings
from caser.data.attribute_columns import ItemAttributes
from caser.errors import ConfigError

DEFAULTS = ItemAttributes.model_fields


class AttributeFlags(Settings):
    """The flags, each with the name of a setting of `ItemAttributes`, except for the columns."""

    attributes: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = ()
    """Columns of --items that the network reads, such as genres,year,title, so that an item that training never saw is
    recommendable at once. Text gives values (A|B is two), a title words, numbers ranges; NAME:values, NAME:words,
    NAME:buckets or NAME:vector reads it in another way."""
    own_dropout: float = Field(default=DEFAULTS["own_dropout"].default, ge=0, lt=1)
    """Share of items that have only the vectors of their attributes in a step of training, as a new item has."""
    min_items: int = Field(default=DEFAULTS["min_items"].default, ge=1, le=1_000_000)
    """Fewest items of the part that trains that must share a value of an attribute."""
    num_buckets: int = Field(default=DEFAULTS["num_buckets"].default, ge=2, le=1_000)
    """Number of ranges of a column of numbers or dates."""

    def settings(self, has_items: bool) -> ItemAttributes | None:
        """Return the settings of the attributes; None if no attribute is named.

        has_items  whether a table of items was named

        Raises ConfigError for a flag without effect: without --items, or without --attributes.
        """
        typed = self.model_dump(exclude_unset=True, exclude={"attributes"})
        if not self.attributes:
            if typed:
                flag = f"--{next(iter(typed)).replace('_', '-')}"
                raise ConfigError(f"{flag} has an effect only with --attributes. Leave it out, or name attributes.")
            return None
        if not has_items:
            raise ConfigError(
                f"--attributes names columns of a table of items; got {', '.join(self.attributes)} without --items. "
                "Name the table: --items FILE."
            )
        names = [name.strip() for text in self.attributes for name in text.split(",")]
        return ItemAttributes(columns=tuple(filter(None, names)), **typed)


def sentences_on(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a person wants to know of the attributes of a run that was just trained.

    facts  what the manifest says of them

    >>> column = {"name": "genres", "way": "values", "vectors": 18, "too_rare": 1}
    >>> items = {"trained_with_attributes": 90, "trained_without": 2, "by_attributes_alone": 7, "not_in_log": 5}
    >>> facts = {"columns": [column], "min_items": 5, "items": {**items, "table_without_value": 0}, "notes": []}
    >>> for sentence in sentences_on(facts):
    ...     print(sentence)
    attribute genres, read as values: 18 vectors; 1 value is left out, shared by fewer than 5 items that train
    90 of 92 items that train have attributes; 7 more are known by attributes alone, 5 of them not in the log
    """
    yield from facts["notes"]
    for column in facts["columns"]:
        rare = column["too_rare"]
        left_out = f"; {rare:,} {'value is' if rare == 1 else 'values are'} left out, shared by fewer than "
        end = f"{left_out}{facts['min_items']} items that train" if rare else ""
        yield f"attribute {column['name']}, read as {column['way']}: {column['vectors']:,} vectors{end}"
    items = facts["items"]
    trained = items["trained_with_attributes"] + items["trained_without"]
    yield (
        f"{items['trained_with_attributes']:,} of {trained:,} items that train have attributes; "
        f"{items['by_attributes_alone']:,} more are known by attributes alone, {items['not_in_log']:,} of them not in "
        "the log"
    )
    if items["table_without_value"]:
        yield f"{items['table_without_value']:,} items of the table alone have no such value, and stay unknown"
