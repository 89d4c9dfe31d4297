"""How the parameters of a command become flags, and the types and defaults that several commands share.

A command is a function whose parameters cyclopts turns into flags. Its docstring is its `--help`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from cyclopts import Parameter, Token

from caser.data.filters import LogFilters
from caser.data.readers import Reading
from caser.errors import ConfigError
from caser.study.result_table import check_table_file
from caser.system.frames import table_ending

Command: TypeAlias = Callable[..., None]
"""The function behind a command."""

DEFAULT_MODEL = "caser"
"""The model that a command uses if the user names none."""

AUTO = "auto"
"""The value of --model that tries every model."""

DEFAULT_K = 10
"""The number of items in an answer if the user gives no number."""


def flag_name(name: str) -> str:
    """Turn the name of a parameter into the name of its flag. One-letter names, such as the paper's L, keep their case.

    >>> flag_name("batch_size"), flag_name("L"), flag_name("n_v")
    ('batch-size', 'L', 'n-v')
    """
    return name if len(name) == 1 else name.strip("_").replace("_", "-").lower()


def flat(heading: str) -> Parameter:
    """Give every field of a settings class its own flag, without the name of the class as a prefix.

    heading  the heading above these flags in the help
    """
    return Parameter(name="*", group=heading, name_transform=flag_name)


def one_of(names: Iterable[str], *, several: bool = False) -> Parameter:
    """Accept only these names. The help lists them, and the error for another name suggests the nearest one.

    names    the accepted names, such as MODELS. They are read when the command line is built, so they include models
             that were registered before
    several  whether several names may follow one flag
    """
    # None leaves cyclopts at its default: one value per flag.
    return Parameter(choices=tuple(names), consume_multiple=several or None)


LocalOrRay: TypeAlias = Annotated[Literal["local", "ray"], one_of(("local", "ray"))]
"""What does the work: this process, or a Ray cluster."""


def shown_default(value: Any) -> Any:
    """Return the default that the help shows. Returns None, so that it shows nothing, for False and empty collections.

    >>> shown_default(0), shown_default(False), shown_default(())
    (0, None, None)
    """
    return None if value is False or value == () or value == {} else value


DEFAULTS = Parameter(negative_iterable=(), show_default=shown_default)
"""Options that apply to every parameter of every command."""

Switch: TypeAlias = Annotated[bool, Parameter(negative=())]
"""A flag that takes no value. It is off by default, and has no --no-... form."""

ReadingFlags: TypeAlias = Annotated[Reading, flat("Reading the log")]
FilterFlags: TypeAlias = Annotated[LogFilters, flat("Filtering the log")]


def _check_ending(_: Any, file: Path | None) -> None:
    if file is not None:
        table_ending(file)


TableFile: TypeAlias = Annotated[Path, Parameter(validator=_check_ending)]
"""A file to write a table to. Its ending, .csv, .parquet or another of SINKS, is checked before any work begins."""


def _check_table(_: Any, file: Path | None) -> None:
    if file is not None:
        check_table_file(file)


ResultFile: TypeAlias = Annotated[Path, Parameter(validator=_check_table)]
"""A file for the table of a report: .tex, .md, or an ending of SINKS. It is checked before any work begins."""


def _check_ending_if_any(_: Any, out: Path | None) -> None:
    if out is not None and out.suffix:
        table_ending(out)


TableFileOrFolder: TypeAlias = Annotated[Path, Parameter(validator=_check_ending_if_any)]
"""The same, or a folder of several tables, whose name has no ending."""


def _to_whole_number(_: Any, tokens: Sequence[Token]) -> int:
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ConfigError(f"{tokens[0].keyword} must be a whole number; got {tokens[0].value!r}.") from None


Whole: TypeAlias = Annotated[int, Parameter(converter=_to_whole_number)]
"""A whole number. A value such as 1.5 is refused; it is not rounded."""
