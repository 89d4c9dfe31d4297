"""How parameters become flags, in one place for all commands."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from cyclopts import Parameter, Token
from pydantic import create_model

from caser.config import Training
from caser.errors import ConfigError
from caser.models.settings import ModelSettings, NetworkSettings


def flag_name(name: str) -> str:
    """Turn a parameter's name into its flag; the paper's one-letter names keep their case.

    >>> flag_name("batch_size"), flag_name("L"), flag_name("n_v")
    ('batch-size', 'L', 'n-v')
    """
    return name if len(name) == 1 else name.strip("_").replace("_", "-").lower()


def flat(group: str) -> Parameter:
    """The fields of a settings class as flags of their own, under one heading of the help."""
    return Parameter(name="*", group=group, name_transform=flag_name)


def shown_default(value: Any) -> Any:
    """Show in the help what holds when a flag is not named, unless that is nothing.

    >>> shown_default(0), shown_default(False), shown_default(())
    (0, None, None)
    """
    return None if value is False or value in ((), {}) else value


def training_flags(model: type[ModelSettings]) -> type[Training]:
    """The settings of training as flags whose defaults are those of a model; what comes of them holds what was typed.

    >>> from caser.models.factors.bpr_mf import BPRMF
    >>> training_flags(BPRMF)().loss
    'bpr'
    """
    own = model.training.model_dump(exclude_unset=True) if issubclass(model, NetworkSettings) else {}
    changed: dict[str, Any] = {}
    for name, value in own.items():
        field = copy(Training.model_fields[name])
        field.default = value
        changed[name] = (field.annotation, field)
    flags: type[Training] = create_model("Training", __base__=Training, __module__=__name__, **changed)
    return flags


def typed(model: ModelSettings, flags: Training) -> Training:
    """The training that a model and the flags typed for it amount to."""
    default = model.training if isinstance(model, NetworkSettings) else Training()
    return default.replace(**flags.model_dump(exclude_unset=True))


DEFAULTS = Parameter(negative_iterable=(), show_default=shown_default)
"""What holds for every parameter of every command."""

Switch: TypeAlias = Annotated[bool, Parameter(negative=())]
"""A flag that is off unless named."""


def _is_table(_: Any, file: Path | None) -> None:
    if file is not None and file.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"a table must go into a .csv or .parquet file; got {file.name!r}.")


TableFile: TypeAlias = Annotated[Path, Parameter(validator=_is_table)]
"""A file for a table, refused before any work if its ending names no kind of file that is written."""


def _whole(_: Any, tokens: Sequence[Token]) -> int:
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ConfigError(f"{tokens[0].keyword} must be a whole number; got {tokens[0].value!r}.") from None


Whole: TypeAlias = Annotated[int, Parameter(converter=_whole)]
"""A whole number; 1.5 is refused, not rounded."""
