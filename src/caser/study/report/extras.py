"""What the extra `report` installs, loaded when a report is written."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from caser.errors import MissingDependencyError


def check_installed() -> None:
    """Raise MissingDependencyError now, before hours of a study, if its report could not be written."""
    for module in ("matplotlib.figure", "plotly.offline"):
        extra(module)


def extra(module: str) -> Any:
    """Import a module of the extra. Raises MissingDependencyError naming the extra if it is not installed."""
    try:
        return import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise MissingDependencyError(
            f"writing a report needs {package}, which is not installed. Run: pip install 'caser[report]'"
        ) from None
