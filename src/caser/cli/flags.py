"""How parameters become flags, in one place for all commands."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from cyclopts import Parameter


def flag_name(name: str) -> str:
    """Turn a parameter's name into its flag; the paper's one-letter names keep their case.

    >>> flag_name("batch_size"), flag_name("L"), flag_name("n_v")
    ('batch-size', 'L', 'n-v')
    """
    return name if len(name) == 1 else name.strip("_").replace("_", "-").lower()


def flat(group: str) -> Parameter:
    """The fields of a settings class as flags of their own, under one heading of the help."""
    return Parameter(name="*", group=group, name_transform=flag_name)


Switch: TypeAlias = Annotated[bool, Parameter(negative=())]
"""A flag that is off unless named."""

Many: TypeAlias = Annotated[list[str], Parameter(negative_iterable=())]
"""A flag that may be repeated."""
