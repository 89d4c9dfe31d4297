"""How parameters of commands become flags, and the types and defaults that several commands share.

A command is a function whose parameters cyclopts turns into flags. Its docstring is its `--help`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from cyclopts import Parameter, Token

from caser.data.filters import LogFilters
from caser.data.readers import Reading
from caser.errors import ConfigError

Command: TypeAlias = Callable[..., None]
"""The function behind a command."""

DEFAULT_MODEL = "caser"
"""The model of every command, unless another is named."""

AUTO = "auto"
"""The value of --model that tries every model."""

DEFAULT_K = 10
"""How many items an answer has, unless another number is named."""


def flag_name(name: str) -> str:
    """Turn the name of a parameter into its flag. The paper's one-letter names keep their case.

    >>> flag_name("batch_size"), flag_name("L"), flag_name("n_v")
    ('batch-size', 'L', 'n-v')
    """
    return name if len(name) == 1 else name.strip("_").replace("_", "-").lower()


def flat(heading: str) -> Parameter:
    """Turn every field of a settings class into a flag of its own.

    heading  the heading of these flags in the help
    """
    return Parameter(name="*", group=heading, name_transform=flag_name)


def one_of(names: Iterable[str], *, several: bool = False) -> Parameter:
    """Accept only these names. The help lists them, and the error for another name suggests the nearest one.

    names    such as MODELS; read when the command line is built, so that registered models are among them
    several  whether one flag may be followed by several names
    """
    return Parameter(choices=tuple(names), consume_multiple=several or None)


def shown_default(value: Any) -> Any:
    """Return what the help shows as the default: nothing for a flag that is off or a list that is empty.

    >>> shown_default(0), shown_default(False), shown_default(())
    (0, None, None)
    """
    return None if value is False or value == () or value == {} else value


DEFAULTS = Parameter(negative_iterable=(), show_default=shown_default)
"""What holds for every parameter of every command."""

Switch: TypeAlias = Annotated[bool, Parameter(negative=())]
"""A flag without a value that is off unless it is typed."""

ReadingFlags: TypeAlias = Annotated[Reading, flat("Reading the log")]
FilterFlags: TypeAlias = Annotated[LogFilters, flat("Filtering the log")]


def _check_ending(_: Any, file: Path | None) -> None:
    if file is not None and file.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"a table must go into a .csv or .parquet file; got {file.name!r}.")


TableFile: TypeAlias = Annotated[Path, Parameter(validator=_check_ending)]
"""A file for a table. Another ending than .csv or .parquet is refused before any work begins."""


def _to_whole_number(_: Any, tokens: Sequence[Token]) -> int:
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ConfigError(f"{tokens[0].keyword} must be a whole number; got {tokens[0].value!r}.") from None


Whole: TypeAlias = Annotated[int, Parameter(converter=_to_whole_number)]
"""A whole number. 1.5 is refused and not rounded."""
