"""Imports the packages of the extra `report` (matplotlib, plotly) only when a report is written."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from caser.system.extras import require


def check_installed() -> None:
    """Check that a report can be written; call it before a study that takes hours.

    Raises MissingDependencyError if a package of the extra `report` is not installed.
    """
    require("report", "the page of a report")


def extra(module: str) -> Any:
    """Import `module`, a dotted name inside a package of the extra, and return it.

    Raises MissingDependencyError, with the command that installs the extra, if the package is not installed.
    """
    check_installed()
    return import_module(module)
