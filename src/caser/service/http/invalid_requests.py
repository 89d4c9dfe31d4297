"""One sentence about a request that does not match its schema: which field, in which event or question, and its rule.

A sentence may repeat the name of an unknown field. It never repeats a value that the client sent.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from caser.data.id_text import MAX_ID_LENGTH
from caser.service.request_schemas import TIME_RULE, Schema
from caser.system.problems import rules_at, without_alternatives

_FIELDS = tuple(dict.fromkeys(name for schema in Schema.__subclasses__() for name in schema.model_fields))
"""The names of the fields that some request has."""
_ID_RULE = f"must be an id: a text of 1 to {MAX_ID_LENGTH:,} characters, or a whole number (7, not 7.0)"
_RULES = {"user_id": _ID_RULE, "item_id": _ID_RULE, "time": TIME_RULE}
"""The rules of some fields, whichever part of them is broken."""
_LISTS_OF_IDS = {"history", "exclude", "only"}
_POSITION = re.compile(r"line (\d+) column (\d+)")


def sentence_about(errors: Sequence[Mapping[str, Any]]) -> str:
    """Return a sentence about the first of some errors.

    errors  as pydantic lists them: each with its `loc`, `type`, `ctx` and `msg`

    >>> sentence_about([{"loc": ("body", "events", 3, "time"), "type": "float_type", "msg": ""}]).partition(" must")[0]
    'events[3].time'
    """
    first = errors[0]
    part, *names = first["loc"]
    if part == "path":
        return f"an id must have 1 to {MAX_ID_LENGTH:,} characters in UTF-8."
    place = without_alternatives(names)
    where = _written(place)
    if first["type"] == "extra_forbidden":
        return f"{where} is not a field of this request; {suggestion(str(place[-1]), _FIELDS)}"
    if first["type"] == "missing":
        return f"{where} is missing; it must be there."
    if first["type"] == "json_invalid":
        found = _POSITION.search(first["msg"])
        at = f" after line {found[1]}, column {found[2]}" if found else ""
        return f"the body must be JSON; it cannot be read{at}."
    # An alternative of a type is no rule of its own: say all of them.
    rule = _rule_of(place) or rules_at(errors, (part, *place)).replace("values by name", "an object")
    return f"{where} {rule[:300]}."


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown name: the most similar known name, or where all names are.

    name  what was sent       known  the names that exist

    >>> suggestion("histry", ["history", "k"]), suggestion("nonsense", ["k"])
    ('did you mean history?', 'see /openapi.json.')
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near and near[0] != name else "see /openapi.json."


def _written(place: Sequence[Any]) -> str:
    """Write a place as in JavaScript.

    >>> _written(["events", 3, "time"]), _written([])
    ('events[3].time', 'the body')
    """
    text = "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in place)
    return text.removeprefix(".")[:200] or "the body"


def _rule_of(place: Sequence[Any]) -> str | None:
    """Return the rule of a field that has one for all its parts, or None."""
    if len(place) > 1 and place[-2] in _LISTS_OF_IDS:
        return _ID_RULE
    return _RULES.get(place[-1]) if place and isinstance(place[-1], str) else None
