"""The flags --items and --filter: a table of items beside a run, and conditions on its columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from caser.answering.recommender import Recommender, load
from caser.cli import show
from caser.data.attributes import Attributes, Wanted, column_named
from caser.errors import ConfigError

_RANGE = ".."


def load_with_items(run: Path, items: Path | None) -> Recommender:
    """Load a run, with a table of items if there is one, and say on stderr what was guessed about the table.

    run    a run folder        items  a table of items, or None

    Raises ArtefactError for a damaged run, DataError for a table that cannot be read or names no item of the run.
    """
    recommender = load(run)
    if items is None:
        return recommender
    recommender = recommender.with_items(items)
    for sentence in recommender.items.notes if recommender.items else ():
        show.note(f"  {items.name}: {sentence}")
    return recommender


def with_title(recommender: Recommender, item: str) -> str:
    """Return an item as a heading names it: its id, and its title if there is one.

    recommender  knows the titles        item  an id
    """
    title = recommender.title(item)
    return f"{item} ({title})" if title else item


def filters_of(conditions: Sequence[str], attributes: Attributes) -> dict[str, Wanted]:
    """Turn the values of --filter into filters.

    conditions  texts such as "genre=Drama" or "price=10..50"; several on one column are several values
    attributes  the columns that filters may name

    Raises ConfigError for a text without "=", a column that does not exist, and a range beside another condition.

    >>> from caser.data.attributes import Attribute
    >>> columns = {"genre": Attribute("genre", "text", {}, {}), "price": Attribute("price", "number", {}, {})}
    >>> filters_of(["genre=Drama", "genre=War", "price=..50"], columns)
    {'genre': ['Drama', 'War'], 'price': {'max': '50'}}
    """
    filters: dict[str, Wanted] = {}
    for condition in conditions:
        name, is_equal, value = (part.strip() for part in condition.partition("="))
        if not is_equal or not value:
            raise ConfigError(f"--filter must be COLUMN=VALUE or COLUMN=FROM..TO; got {condition!r}.")
        column = column_named(attributes, name, "--filter ")
        # In a column without an order, a value may have dots; the recommender refuses anything else as a range.
        if _RANGE in value and (column.kind in ("number", "date") or value not in column.items_by_value):
            if name in filters:
                raise ConfigError(f"--filter takes one range or several values of {name}; got both, or two ranges.")
            low, _, high = (part.strip() for part in value.partition(_RANGE))
            filters[name] = {end: one for end, one in (("min", low), ("max", high)) if one}
            continue
        others = filters.get(name, [])
        if not isinstance(others, list):
            raise ConfigError(f"--filter takes one range or several values of {name}; got both.")
        filters[name] = [*others, value]
    return filters
