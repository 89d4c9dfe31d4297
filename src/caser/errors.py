"""The exceptions that a user can meet, as one tree.

    CaserError
    ├── ConfigError          a setting has a value that is not allowed
    ├── DataError            a log cannot be read, filtered or split
    │   └── DownloadError    no source of a public data set answered with the right bytes
    ├── UnknownIdError       a raw id is not in the vocabulary
    ├── NumericalError       a loss, gradient or score is not finite
    ├── ArtefactError        a file or saved folder cannot be read or written, is damaged, or is too new
    ├── MissingDependencyError   a package of an optional extra is not installed
    ├── WorkerError          a worker of a training was lost, or its replica differs from the others
    ├── StoreError           events cannot be read or stored
    ├── HeldBackError        a new run is not shown to be good enough to be served
    └── BusyError            the queue of waiting requests is full; the same request may succeed a moment later

Every message has one form: what must hold; what was found instead; where; what to do.
The command line prints the message and exits with `exit_code`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CaserError(Exception):
    """Base class of all errors that this library raises on purpose."""

    exit_code = 1


class ConfigError(CaserError, ValueError):
    """A setting has a value that is not allowed."""

    exit_code = 2


class DataError(CaserError, ValueError):
    """A log cannot be read, filtered or split as asked."""

    exit_code = 3


class DownloadError(DataError):
    """No source of a public data set answered with the right bytes."""

    exit_code = 4


class UnknownIdError(CaserError, KeyError):
    """A raw id is not in the vocabulary, and the question has no answer without it."""

    exit_code = 5

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class NumericalError(CaserError, ArithmeticError):
    """A loss, gradient or score is not finite."""

    exit_code = 6


class ArtefactError(CaserError):
    """A file or saved folder cannot be read or written, is damaged, or was made by a newer version of this library."""

    exit_code = 7


class MissingDependencyError(CaserError, ImportError):
    """A part of the library needs a package of an optional extra that is not installed."""

    exit_code = 8


class StoreError(CaserError):
    """Events cannot be read or stored.

    message     the sentence
    is_lasting  whether this stays until somebody repairs the store: it is gone, replaced, or cannot be read or written
    is_away     whether the server of the store cannot be reached now; it is tried again
    """

    exit_code = 9

    def __init__(self, message: str = "", *, is_lasting: bool = False, is_away: bool = False) -> None:
        super().__init__(message)
        self.is_lasting = is_lasting
        self.is_away = is_away


class WorkerError(CaserError):
    """A worker of a training was lost, or its replica differs from those of the others."""

    exit_code = 10


class HeldBackError(CaserError):
    """A new run is not shown to be good enough to take the place of the one that is served."""

    exit_code = 11


class BusyError(CaserError):
    """The queue of waiting requests is full; the same request may succeed a moment later."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown name: the most similar known name, or else all known names.

    It has no colon, because a colon comes before it. A known name that differs only in upper and lower case is the most
    similar.

    name   what was asked for        known  the names that exist

    >>> did_you_mean("ppopularity", ["popularity", "markov"])
    'did you mean popularity?'
    >>> did_you_mean("zzz", ["popularity", "markov"])
    'the known names are markov, popularity.'
    >>> did_you_mean("zzz", ["markov"])
    'the only known name is markov.'
    >>> did_you_mean("l", ["L", "T"])
    'did you mean L?'
    """
    names = sorted(known)
    near = [other for other in names if other.lower() == name.lower()]
    near = near or difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    return f"the {'only known name is' if len(names) == 1 else 'known names are'} {', '.join(names)}."
