"""Imports the packages of the extra `report` (matplotlib, plotly) only when a report is written."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from caser.errors import MissingDependencyError


def check_installed() -> None:
    """Check that a report can be written; call it before a study that takes hours.

    Raises MissingDependencyError if a package of the extra `report` is not installed.
    """
    for module in ("matplotlib.figure", "plotly.offline"):
        extra(module)


def extra(module: str) -> Any:
    """Import `module`, a dotted name inside a package of the extra, and return it.

    Raises MissingDependencyError, with the command that installs the extra, if the package is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise MissingDependencyError(
            f"writing a report needs {package}, which is not installed. Run: pip install 'caser[report]'"
        ) from None
