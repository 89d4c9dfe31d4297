"""The flags --items, --filter and --rules: a table of items beside a run, conditions on its columns, and rules."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from caser.answering.recommender import Recommender, load
from caser.answering.rules import Rules
from caser.cli import show
from caser.data.attributes import Attributes, Wanted, column_named
from caser.data.item_table import add_titles
from caser.data.log import InteractionLog
from caser.data.shards import ShardedLog
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


def rules_of(text: str) -> Rules:
    """Read the value of --rules.

    text  JSON, which begins with "{", or the name of a file that holds it

    Raises ConfigError for a file that cannot be read, and for what is no JSON object; what the rules say is checked
    when they are applied.

    >>> rules_of('{"at_most": {"genre": 2}}')
    {'at_most': {'genre': 2}}
    """
    source = "--rules"
    if not text.lstrip().startswith("{"):
        source = text
        try:
            text = Path(text).read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not a text in UTF-8"
            raise ConfigError(
                f'--rules must be JSON, such as {{"at_most": {{"genre": 2}}}}, or a file with it; {source[:60]!r} '
                f"cannot be read: {reason}."
            ) from None
    try:
        rules = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"rules must be JSON; in {source}: {error}.") from None
    if not isinstance(rules, dict):
        raise ConfigError(f"rules must be a JSON object; got {type(rules).__name__} in {source}.")
    return cast(Rules, rules)


def titled(log: InteractionLog | ShardedLog, items: Path | None) -> InteractionLog | ShardedLog:
    """Return the log with the titles of a table of items, if there is one, and say on stderr what was guessed.

    log  the log        items  a table of items, or None
    """
    if items is None:
        return log
    return replace(log, log=_with_titles(log.log, items)) if isinstance(log, ShardedLog) else _with_titles(log, items)


def _with_titles(log: InteractionLog, items: Path) -> InteractionLog:
    """Return the log with the titles of a table of items."""
    titled = add_titles(log, items)
    for sentence in titled.provenance["notes"][len(log.provenance.get("notes", [])) :]:
        show.note(f"  {sentence}")
    return titled
