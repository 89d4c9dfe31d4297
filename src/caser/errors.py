"""The exceptions a user can meet, as one tree.

    CaserError
    ├── ConfigError          a setting has a value it cannot have
    ├── DataError            a log cannot be read, filtered or split
    │   └── DownloadError    no source of a public data set answered with the right bytes
    ├── UnknownIdError       a raw id is not in the vocabulary where one is required
    ├── NumericalError       a loss, gradient or score is not finite
    ├── ArtefactError        a saved folder is damaged, foreign or newer than this library
    ├── MissingDependencyError   an extra is not installed
    ├── StoreError           events cannot be read or kept
    └── BusyError            more waits to be done than may wait; the same again will do in a moment

Every message has one form: what must hold; what was got; where; what to do.
The command line prints the message and exits with `exit_code`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CaserError(Exception):
    """Base class of everything this library raises on purpose."""

    exit_code = 1


class ConfigError(CaserError, ValueError):
    """A setting has a value it cannot have."""

    exit_code = 2


class DataError(CaserError, ValueError):
    """A log cannot be read, filtered or split as asked."""

    exit_code = 3


class DownloadError(DataError):
    """No source of a public data set answered with the right bytes."""

    exit_code = 4


class UnknownIdError(CaserError, KeyError):
    """A raw id is not in the vocabulary where one is required."""

    exit_code = 5

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class NumericalError(CaserError, ArithmeticError):
    """A loss, gradient or score is not finite."""

    exit_code = 6


class ArtefactError(CaserError):
    """A saved folder is damaged, foreign, or newer than this library."""

    exit_code = 7


class MissingDependencyError(CaserError, ImportError):
    """A part of the library needs an extra that is not installed."""

    exit_code = 8


class StoreError(CaserError):
    """Events cannot be read or kept."""

    exit_code = 9


class BusyError(CaserError):
    """More waits to be done than may wait; the same again will do in a moment."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """End a sentence about an unknown name: the nearest known one, or all of them.

    >>> did_you_mean("ppopularity", ["popularity", "markov"])
    'did you mean popularity?'
    >>> did_you_mean("zzz", ["popularity", "markov"])
    'known: markov, popularity'
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}"
