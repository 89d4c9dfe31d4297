"""Turns what pydantic finds wrong with settings, files and requests into one sentence, in the words of this library."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from caser.errors import ConfigError, did_you_mean

RENAMED = {"exclude_seen": "unseen_negatives"}
"""New names of settings that had another name in earlier versions."""

_LONGEST = 100
"""Characters of a wrong value that a sentence shows."""

_WHOLE, _NUMBER, _TRUTH = "must be a whole number", "must be a number", "must be true or false"
_TEXT, _LIST, _VALUES = "must be text", "must be a list", "must be values by name"

_RULES: Mapping[str, str] = {
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "finite_number": "must be a finite number",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must have the form {pattern}",
    "string_not_ascii": "must be text in ASCII",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "none_required": "must be left out",
    "is_instance_of": "must be of the class {class}",
    "is_subclass_of": "must be a class below {class}",
    "callable_type": "must be a function",
    "path_type": "must be a path",
    "missing": "is missing",
    "extra_forbidden": "is not known",
    "frozen_field": "cannot be changed",
    "frozen_instance": "cannot be changed",
    "json_invalid": "must be JSON",
    "value_error": "{error}",
    "assertion_error": "{error}",
}
"""What must hold, by the name that pydantic gives to the error."""

_RULES_BY_BEGINNING: Sequence[tuple[str, str]] = (
    ("int_", _WHOLE),
    ("float_", _NUMBER),
    ("decimal_", _NUMBER),
    ("complex_", _NUMBER),
    ("fraction_", _NUMBER),
    ("bool_", _TRUTH),
    ("string_", _TEXT),
    ("bytes_", "must be bytes"),
    ("list_", _LIST),
    ("tuple_", _LIST),
    ("set_", _LIST),
    ("frozen_set_", _LIST),
    ("deque_", _LIST),
    ("itera", _LIST),
    ("named_tuple_", _LIST),
    ("model_", _VALUES),
    ("dataclass_", _VALUES),
    ("dict_", _VALUES),
    ("mapping_", _VALUES),
    ("date", "must be a date, such as 2026-11-28"),
    ("time", "must be a time, such as 12:30"),
    ("url_", "must be a URL"),
    ("uuid_", "must be a UUID"),
)
"""What must hold, by the beginning of the name of the error."""

_UNKNOWN_RULE = "must have another form; see the documentation"

_ALTERNATIVE = re.compile(r"(constrained-|function-|list\[|dict\[|NewEvent|literal\[|tuple\[).*|str|int|float|bool")
"""How pydantic names, inside a place, the alternative of a type that it has tried."""


class WrongValueError(ConfigError):
    """A setting has a value of the wrong type, or outside its range.

    `args` holds the name of the settings class, the name of the setting, and the rest of the sentence.
    """

    def __str__(self) -> str:
        return " ".join(self.args)


def rule_of(error: Mapping[str, Any]) -> str:
    """Return what must hold where pydantic found an error, as the end of a sentence, in the words of this library.

    error  one of `ValidationError.errors()`, with its `type` and `ctx`

    >>> rule_of({"type": "less_than_equal", "ctx": {"le": 1000}}), rule_of({"type": "int_parsing"})
    ('must be at most 1,000', 'must be a whole number')
    """
    kind, context = error["type"], {name: _written(value) for name, value in error.get("ctx", {}).items()}
    rule = _RULES.get(kind) or next((rule for start, rule in _RULES_BY_BEGINNING if kind.startswith(start)), None)
    if rule is None:
        return _UNKNOWN_RULE
    try:
        return re.sub(r"\b1 (entr)ies\b|\b1 (character)s\b", _one, rule.format(**context))
    except KeyError:  # pydantic gave no context
        return _UNKNOWN_RULE


def rules_at(errors: Sequence[Mapping[str, Any]], place: Sequence[Any]) -> str:
    """Return what must hold at one place, where pydantic may have tried several alternatives of a type.

    errors  as pydantic lists them        place  of one of them, as `without_alternatives` returns it

    >>> rules_at([{"loc": ("k", "int"), "type": "int_type"}, {"loc": ("k", "str"), "type": "string_type"}], ("k",))
    'must be a whole number or text'
    """
    rules = dict.fromkeys(rule_of(error) for error in errors if without_alternatives(error["loc"]) == tuple(place))
    return " or ".join(rules).replace(" or must be", " or")


def without_alternatives(location: Sequence[Any]) -> tuple[Any, ...]:
    """Return the place of an error without the names of the alternatives that pydantic has tried.

    location  the `loc` of an error

    >>> without_alternatives(("events", 3, "time", "float"))
    ('events', 3, 'time')
    """
    return tuple(name for name in location if isinstance(name, int) or not _ALTERNATIVE.fullmatch(str(name)))


def first_problem(error: ValidationError, settings: str, known: Iterable[str] = ()) -> ConfigError:
    """Return an error with one sentence about the first problem that pydantic found.

    error     what pydantic raised
    settings  the name of the settings class, for the sentence
    known     the names of its settings, for the suggestion after an unknown name
    """
    errors = error.errors()
    first = errors[0]
    # A validator of this library has raised its own error: its message is already one sentence.
    inner = first.get("ctx", {}).get("error")
    if isinstance(inner, ConfigError):
        return inner
    place = without_alternatives(first["loc"])
    name = ".".join(map(str, place))
    if first["type"] == "extra_forbidden":
        renamed = RENAMED.get(name)
        hint = f"it is now {renamed}." if renamed in set(known) else did_you_mean(name, known)
        return ConfigError(f"{settings} has no setting {name!r}: {hint}")
    if first["type"] == "missing":
        return ConfigError(f"{settings} must have a value for {name!r}; it is missing.")
    must = rules_at(errors, place)
    got = "" if isinstance(first["input"], dict) and not name else f"; got {_shown(first['input'])}"
    if not name:  # the problem is with all settings together
        return ConfigError(f"{settings} {must}{got}.")
    return WrongValueError(settings, name, f"{must}{got}.")


def _shown(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _one(found: re.Match[str]) -> str:
    return "1 entry" if found[1] else "1 character"


def _written(value: Any) -> str:
    """A value of the context of an error: numbers without a fraction that is zero."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"{value:,}" if isinstance(value, int) else str(value)
