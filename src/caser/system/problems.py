"""Turns what pydantic finds wrong with settings into one sentence."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from caser.errors import ConfigError, did_you_mean

RENAMED = {"exclude_seen": "unseen_negatives"}
"""New names of settings that had another name in earlier versions."""


_MOST_SHOWN = 200
"""Characters of a name or a value that a sentence shows. Values from a file may be as long as the file."""


class WrongValueError(ConfigError):
    """A setting has a value of the wrong type, or outside its range.

    `args` holds the name of the settings class, the name of the setting, and the rest of the sentence.
    """

    def __str__(self) -> str:
        return " ".join(self.args)


def first_problem(error: ValidationError, settings: str, known: Iterable[str] = ()) -> ConfigError:
    """Return an error with one sentence about the first problem that pydantic found.

    error     what pydantic raised
    settings  the name of the settings class, for the sentence
    known     the names of its settings, for the suggestion after an unknown name
    """
    first = error.errors()[0]
    # A validator of this library has raised its own error: its message is already one sentence.
    inner = first.get("ctx", {}).get("error")
    if isinstance(inner, ConfigError):
        return inner
    name = ".".join(str(part) for part in first["loc"])[:_MOST_SHOWN]
    if first["type"] == "extra_forbidden":
        renamed = RENAMED.get(name)
        hint = f"it is now {renamed}." if renamed in set(known) else did_you_mean(name, known)
        return ConfigError(f"{settings} has no setting {name!r}: {hint}")
    if first["type"] == "missing":
        return ConfigError(f"{settings} must have a value for {name!r}; it is missing.")
    must = first["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    got = "" if isinstance(first["input"], dict) else f"; got {repr(first['input'])[:_MOST_SHOWN]}"
    if not name:  # the problem is with all settings together
        return ConfigError(f"{settings} {must}{got}.")
    return WrongValueError(settings, name, f"{must}{got}.")
