"""A test that is skipped says what to type so that it runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import skips
from tests.architecture.source import ROOT

FILES = sorted((ROOT / "tests").rglob("*.py"))
WITH_REASON = ("skip", "skipif", "importorskip", "xfail")


def skipping_calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Every call of pytest that can skip a test."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).startswith("pytest.")
            and _name(node.func) in WITH_REASON
        ):
            yield node


def reason_of(call: ast.Call) -> str:
    """The code of a call's reason; empty if it has none."""
    named = [keyword.value for keyword in call.keywords if keyword.arg == "reason"]
    first = call.args[:1] if _name(call.func) == "skip" else []
    return ast.unparse((named or first)[0]) if named or first else ""


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else ""


def says_what_to_type(reason: str) -> bool:
    """Whether a reason comes from tests/skips.py, which says it."""
    name = reason.partition("(")[0]
    return name in vars(skips) or reason == "reason"  # "reason" is the variable in tests/conftest.py


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_reason_to_skip_says_what_to_type(path: Path) -> None:
    calls = skipping_calls(ast.parse(path.read_text(encoding="utf-8")))
    unclear = [f"line {call.lineno}: {ast.unparse(call)}" for call in calls if not says_what_to_type(reason_of(call))]
    assert not unclear, "take the reason from tests/skips.py"


def test_the_check_sees_a_reason_without_a_command() -> None:
    code = "pytest.skip('no file')\npytest.importorskip('x')\npytest.mark.skipif(True, reason=SLOW)\n"
    reasons = [reason_of(call) for call in skipping_calls(ast.parse(code))]
    assert [says_what_to_type(reason) for reason in reasons] == [False, False, True]


def test_every_reason_has_a_command() -> None:
    constants = [value for name, value in vars(skips).items() if name.isupper()]
    assert all("; type: " in reason for reason in [*constants, skips.without_log("a"), skips.on_another_system("b")])
