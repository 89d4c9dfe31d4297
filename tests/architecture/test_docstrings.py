"""Docstrings say what a caller must know: every parameter, the shape of every array, and when a function raises.

The public names of `caser` say all of it. The rest of the package is measured, and must not fall below the floors here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import caser
from caser import _HOME
from tests.architecture.source import SourceFile, source_files

FLOORS = {"parameters": 0.95, "arrays": 0.84, "raises": 0.91}
ARRAYS = re.compile(r"\b(NDArray|Int32|Int64|Scores|Floats|Tensor|Values|Mask|Weights)\b")
SHAPE = re.compile(r"\([A-Z0-9_a-z +*,'-]*[A-Z0-9d][A-Z0-9_a-z +*,'-]*,?\)|\bone (number|value) (for|per)\b")


@dataclass(frozen=True)
class Function:
    """A function or method that people outside its file may call."""

    file: SourceFile
    owner: str
    node: ast.FunctionDef | ast.AsyncFunctionDef

    @property
    def name(self) -> str:
        return f"{self.file.module}:{self.owner}{self.node.name}"

    @property
    def text(self) -> str:
        """Its docstring, and that of the method of a model's interface that it carries out."""
        own = ast.get_docstring(self.node) or ""
        return f"{own} {INTERFACES.get(self.node.name, '')}" if self.owner and own else own

    @property
    def parameters(self) -> list[str]:
        arguments = self.node.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        return [one.arg for one in named if one.arg not in ("self", "cls", "_", "__") and not one.arg.startswith("_")]

    def unnamed(self) -> list[str]:
        """Parameters that the docstring does not name, by itself or without the letters of its shape."""
        bare = [re.sub(r"_[A-Z0-9]+[a-z]?$", "", one) for one in self.parameters]
        return [
            one
            for one, plain in zip(self.parameters, bare, strict=True)
            if not re.search(rf"\b({re.escape(one)}|{re.escape(plain)})\b", self.text)
        ]

    def returns_an_array(self) -> bool:
        returned = "" if self.node.returns is None else ast.unparse(self.node.returns)
        return bool(ARRAYS.search(returned)) and not returned.startswith("Callable")

    def says_shape(self) -> bool:
        return bool(SHAPE.search(self.text))

    def raises(self) -> bool:
        """Whether its own body raises an error of the library."""
        return any(
            isinstance(node, ast.Raise) and node.exc is not None and re.match(r"\w*Error\b", ast.unparse(node.exc))
            for node in ast.walk(self.node)
        )


def functions(file: SourceFile) -> Iterator[Function]:
    """Yield the public functions of a file, and the public methods of its public classes."""
    for node in file.tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield Function(file, "", node)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for method in node.body:
                if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and not method.name.startswith("_"):
                    yield Function(file, f"{node.name}.", method)


def interfaces() -> dict[str, str]:
    """What the interfaces of models say of their methods: every model has these, and need not say it again."""
    files = [file for file in source_files() if file.module in ("models.base", "models.settings")]
    classes = [node for file in files for node in file.tree.body if isinstance(node, ast.ClassDef)]
    methods = [node for one in classes for node in one.body if isinstance(node, ast.FunctionDef)]
    return {
        name: " ".join(ast.get_docstring(one) or "" for one in methods if one.name == name)
        for name in {one.name for one in methods}
    }


INTERFACES = interfaces()
EVERY = [function for file in source_files() for function in functions(file)]
PUBLIC = {(home.partition(":")[0], home.partition(":")[2] or name) for name, home in _HOME.items()}
FACE = [
    function
    for function in EVERY
    if (f"caser.{function.file.module}", function.owner.removesuffix(".") or function.node.name) in PUBLIC
]


def test_the_public_face_is_what_is_measured() -> None:
    assert len(FACE) > len(caser.__all__) / 2


@pytest.mark.parametrize("function", FACE, ids=lambda function: function.name)
def test_a_public_name_explains_each_parameter_each_array_and_each_error(function: Function) -> None:
    assert function.unnamed() == []
    assert function.says_shape() or not function.returns_an_array()
    assert re.search(r"\bRaises?\b", function.text) or not function.raises()


def measured() -> dict[str, float]:
    """Share of parameters that are named, of array returns with a shape, and of raising functions that say so."""
    parameters = [(len(one.parameters), len(one.unnamed())) for one in EVERY]
    arrays = [one.says_shape() for one in EVERY if one.returns_an_array()]
    raising = [bool(re.search(r"\bRaises?\b", one.text)) for one in EVERY if one.raises()]
    return {
        "parameters": 1 - sum(missing for _, missing in parameters) / sum(number for number, _ in parameters),
        "arrays": sum(arrays) / len(arrays),
        "raises": sum(raising) / len(raising),
    }


def test_the_package_does_not_fall_below_what_its_docstrings_say_today() -> None:
    shares = measured()
    assert {name: share for name, share in shares.items() if share < FLOORS[name]} == {}


if __name__ == "__main__":  # python -m tests.architecture.test_docstrings: the shares, and what is missing
    for name, share in measured().items():
        print(f"{name}: {share:.1%}")
    for one in EVERY:
        if missing := one.unnamed():
            print(f"{one.name}: {', '.join(missing)}")
