"""What the source may not do: run what it reads, draw from global random streams, assert, or grow without end."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.source import PACKAGE, SourceFile, source_files

MOST_LINES = 350
MOST_FUNCTION_LINES = 45
# Full dotted names; a name forbids all names below it.
FORBIDDEN = [
    "pickle",
    "cPickle",
    "dill",
    "joblib",
    "marshal",
    "shelve",
    "builtins.eval",
    "builtins.exec",
    "random",
    "torch.load",
    "torch.save",
    "torch.manual_seed",
    "torch.cuda.manual_seed",
    "torch.cuda.manual_seed_all",
    "torch.random",
    "yaml.load",
    "yaml.unsafe_load",
]
NUMPY_RANDOM_ALLOWED = r"(Generator|default_rng|SeedSequence|BitGenerator|PCG64|Philox)\b"


def forbidden_in(file: SourceFile) -> list[str]:
    """Name each forbidden thing in a file, with its line."""
    names = [*file.imports, *file.uses]
    found = [(name, line) for name, line in names if any(f"{name}.".startswith(f"{bad}.") for bad in FORBIDDEN)]
    found += [(name, line) for name, line in names if re.match(rf"numpy\.random\.(?!{NUMPY_RANDOM_ALLOWED})", name)]
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Assert):
            found.append(("assert: raise an error of caser.errors", node.lineno))
        elif isinstance(node, ast.keyword) and node.arg in {"allow_pickle", "weights_only"}:
            found.append((node.arg, node.lineno))
    return sorted({f"line {line}: {name}" for name, line in found})


@pytest.mark.parametrize("file", source_files(), ids=lambda file: file.module or "caser")
def test_no_file_does_what_is_forbidden(file: SourceFile) -> None:
    assert not forbidden_in(file)


@pytest.mark.parametrize("file", source_files(), ids=lambda file: file.module or "caser")
def test_every_file_can_be_read_in_one_sitting(file: SourceFile) -> None:
    assert len(file.path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("file", source_files(), ids=lambda file: file.module or "caser")
def test_every_function_can_be_seen_whole(file: SourceFile) -> None:
    functions = [node for node in ast.walk(file.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert not [f"line {one.lineno}: {one.name}" for one in functions if code_lines(one) > MOST_FUNCTION_LINES]


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a body, without its docstring."""
    docstring = ast.get_docstring(function, clean=False) or ""
    return (function.end_lineno or 0) - function.body[0].lineno + 1 - len(docstring.splitlines())


@pytest.mark.parametrize("file", source_files(), ids=lambda file: file.module or "caser")
def test_every_file_says_what_it_is_for(file: SourceFile) -> None:
    assert ast.get_docstring(file.tree) or not file.tree.body


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from torch import load",
        "import torch as t; t.load('x')",
        "import torch; torch.manual_seed(1)",
        "import numpy as np; np.random.seed(1)",
        "from numpy import random as r; r.rand(3)",
        "import numpy; numpy.load('x', allow_pickle=True)",
        "eval('1')",
        "def f(x):\n    from yaml import load\n    assert x",
    ],
)
def test_the_search_finds_what_it_looks_for(code: str, tmp_path: Path) -> None:
    assert forbidden_in(written(code, tmp_path))


@pytest.mark.parametrize(
    "code",
    [
        "import numpy as np; np.random.default_rng(1)",
        "import torch; torch.Generator().manual_seed(1)",
        "model.eval()",
        "random = order(3); random.integers(3)",
        "import json; json.load(file)",
    ],
)
def test_the_search_finds_nothing_in_what_is_allowed(code: str, tmp_path: Path) -> None:
    assert not forbidden_in(written(code, tmp_path))


def written(code: str, folder: Path) -> SourceFile:
    path = folder / "code.py"
    path.write_text(code)
    return SourceFile(path)


def test_the_package_is_where_the_tests_look_for_it() -> None:
    assert (PACKAGE / "__init__.py").is_file()
