"""No option is taken and then ignored: every parameter is read, and so is every setting."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from caser.config import Settings
from caser.service.settings import ServiceSettings
from caser.study.engine import Plan
from tests.architecture.source import SourceFile, source_files

INTERFACES = {
    "num_users", "log",  # settings of a model: `shapes`, `scorer` and `suited_to`
    "users_B", "histories_BH", "users_CW",  # scorers and encoders
    "num_targets_U", "num_candidates_U",  # metrics
    "config",  # networks that are exported
    "layout",  # readers of a format
    "length", "report",  # lambdas in a table
    "request", "sig", "frame",  # routes and handlers of signals
}  # fmt: skip
"""Parameters that every function of a table takes, also those that need no such value."""
BY_SIGNATURE = {"cli/auto.py": {"model"}, "cli/study.py": {"model"}}
"""Parameters that are read from the command line before the function is called."""


def unread(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> set[str]:
    """The parameters of a function that nothing inside it reads."""
    arguments = function.args
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    named = {one.arg for one in listed} - {"self", "cls"}
    body = function.body if isinstance(function.body, list) else [function.body]
    read = {node.id for part in body for node in ast.walk(part) if isinstance(node, ast.Name)}
    return {name for name in named - read if not name.startswith("_")}


def is_only_declared(function: ast.AST) -> bool:
    """Whether a function has no code of its own: a method of a protocol, an overload, an abstract method."""
    body = [] if isinstance(function, ast.Lambda) else getattr(function, "body", [])
    code = [part for part in body if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))]
    return not isinstance(function, ast.Lambda) and all(isinstance(part, ast.Pass | ast.Raise) for part in code)


def ignored(file: SourceFile) -> Iterator[str]:
    allowed = INTERFACES | BY_SIGNATURE.get("/".join(file.path.parts[-2:]), set())
    for node in ast.walk(file.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not is_only_declared(node):
            yield from (f"line {node.lineno}: {name}" for name in sorted(unread(node) - allowed))


@pytest.mark.parametrize("file", source_files(), ids=lambda file: file.module or "caser")
def test_every_parameter_is_read(file: SourceFile) -> None:
    assert not list(ignored(file)), "pass the option on, or take it away; an interface belongs into INTERFACES"


def test_the_check_sees_a_parameter_that_is_not_passed_on() -> None:
    tree = ast.parse("def f(a, *, seed):\n    '''Use a.'''\n    return g(a)")
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef)
    assert unread(function) == {"seed"}


@pytest.mark.parametrize("settings", [ServiceSettings, Plan], ids=lambda settings: settings.__name__)
def test_every_setting_is_read(settings: type) -> None:
    names = settings.model_fields if issubclass(settings, Settings) else settings.__dataclass_fields__  # type: ignore[attr-defined]
    read = {node.attr for file in source_files() for node in ast.walk(file.tree) if isinstance(node, ast.Attribute)}
    assert not set(names) - read
