"""Errors about a file: whatever goes wrong while one is read becomes a single ArtefactError that names the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
from safetensors import SafetensorError

from caser.errors import ArtefactError, CaserError

_CONTENT_ERRORS = (
    ValueError,
    KeyError,
    TypeError,
    SafetensorError,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
)


@contextmanager
def naming_file(
    path: Path,
    content: str = "what a saved run holds",
    advice: str = "Train again.",
    *,
    reword_all: bool = False,
) -> Iterator[None]:
    """Within, turn an error into an ArtefactError that names the file.

    path        the file or folder that is read
    content     what the file must hold, in words
    advice      a sentence that says what to do
    reword_all  whether errors of this library get the same sentence too; otherwise they only get the name of the file

    >>> with naming_file(Path("runs/a/choice.json"), "what a study wrote", "Remove it."):
    ...     raise ValueError("no JSON")
    Traceback (most recent call last):
    caser.errors.ArtefactError: runs/a/choice.json must hold what a study wrote; got: no JSON. Remove it.
    """
    try:
        yield
    except CaserError as error:
        if reword_all:
            raise _wrong_content(path, content, error, advice) from None
        raise ArtefactError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    except OSError as error:
        raise ArtefactError(f"{path} must be readable; got: {_first_line(error)}. {advice}") from None
    except _CONTENT_ERRORS as error:
        raise _wrong_content(path, content, error, advice) from None


def _wrong_content(path: Path, content: str, error: BaseException, advice: str) -> ArtefactError:
    got = _first_line(error).removesuffix(".")
    return ArtefactError(f"{path} must hold {content}; got: {got}. {advice}")


def _first_line(error: BaseException) -> str:
    """The first line of a message; the class of the error if it has no message."""
    return str(error).partition("\n")[0] or type(error).__name__
