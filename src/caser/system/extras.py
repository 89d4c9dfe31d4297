"""The optional packages: what needs them, whether they are installed, and how to install them.

Whoever needs an extra calls `require` before the work begins, and not when the package is first imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from caser.errors import MissingDependencyError
from caser.system.hints import install_line

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "train": ("torch",),
    "tune": ("optuna",),
    "report": ("matplotlib", "plotly"),
    "ann": ("faiss",),
    "export": ("onnx",),
    "tensorboard": ("tensorboardX",),
    "mlflow": ("mlflow",),
    "scale": ("ray",),
    "sql": ("adbc_driver_manager",),
    "serve": ("fastapi", "uvicorn", "orjson", "prometheus_client"),
    "postgres": ("psycopg", "psycopg_pool"),
}
"""The modules that each extra brings, and without which its work is impossible."""


def missing(extra: str) -> str | None:
    """Return the first module of an extra that is not installed; None if all are.

    extra  a key of EXTRAS
    """
    return next((module for module in EXTRAS[extra] if find_spec(module) is None), None)


def require(extra: str, purpose: str, instead: str = "", *, module: str | None = None) -> None:
    """Check that an extra is installed.

    extra    a key of EXTRAS
    purpose  what needs it, in a few words, such as "serving"
    instead  what can be done without it, such as "leave --budget at 0"; may be empty
    module   a module of the extra that only this purpose needs; None checks those of EXTRAS

    Raises MissingDependencyError, with the line that installs the extra, if a module is missing.

    >>> require("serve", "counting", module="json")
    """
    absent = missing(extra) if module is None else module if find_spec(module) is None else None
    if absent:
        raise MissingDependencyError(
            f"{purpose} needs {absent}, which is not installed. Type: {install_line(extra)}"
            + (f", or {instead}" if instead else "")
        )
