"""How parameters become flags, in one place for all commands."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

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


def shown_default(value: Any) -> Any:
    """Show in the help what holds when a flag is not named, unless that is nothing.

    >>> shown_default(0), shown_default(False), shown_default(())
    (0, None, None)
    """
    return None if value is False or value == () else value


DEFAULTS = Parameter(negative_iterable=(), show_default=shown_default)
"""What holds for every parameter of every command."""

Switch: TypeAlias = Annotated[bool, Parameter(negative=())]
"""A flag that is off unless named."""
