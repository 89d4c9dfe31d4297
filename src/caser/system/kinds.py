"""Refuses an argument of the wrong kind, with one sentence in place of a bare AttributeError or TypeError."""

from __future__ import annotations

from types import UnionType

from caser.errors import CaserError, ConfigError


def must_be(
    name: str,
    value: object,
    kind: type | UnionType | tuple[type, ...],
    wanted: str,
    advice: str = "",
    error: type[CaserError] = ConfigError,
) -> None:
    """Check that a value is of a kind. Raises `error` where it is not.

    name    the name of the argument
    value   what the caller gave
    kind    the type that it must have, or several
    wanted  that kind in words, with its article
    advice  what to do, as a sentence; may be empty
    error   the class of the error

    >>> must_be("log", "events.csv", int, "a log", "Read it with caser.read_log.")
    Traceback (most recent call last):
    caser.errors.ConfigError: log must be a log; got 'events.csv' (str). Read it with caser.read_log.
    """
    if not isinstance(value, kind):
        raise error(f"{name} must be {wanted}; got {_shown(value)}. {advice}".rstrip())


def _shown(value: object) -> str:
    """A short value with its type; the type alone where the value is long, as that of an array or a log is."""
    text = repr(value)
    kind = type(value).__name__
    if value is None:
        return "None"
    return f"{text} ({kind})" if len(text) <= 40 and "\n" not in text else f"a value of type {kind}"
