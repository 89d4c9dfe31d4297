"""A hash of the code that decides a result: a kept result is used again only while that code stays the same.

The code is found from imports. The search starts at the module that computes the result, at the module of the model's
settings class, and at the module of the loss. It follows every import of each file, also those inside functions. There
is no list of file names that could go out of date, and a module that is moved is found at its new place.

Some imports are not followed:

- those under `if TYPE_CHECKING:`, because they never run;
- those of the rooms in `UNDECIDING`, which work with a result but do not change it;
- those of other packages, such as torch.

The tables MODELS and LOSSES name their rows in strings, not in imports. So a model's own files count only for that
model. A model from outside this package counts with its file, and with the files of the same top-level package (or, for
a file outside any package, of the same folder) that it imports.

Comments, docstrings and layout do not count. The name of a module counts, its folder on the machine does not.
"""

from __future__ import annotations

import ast
import hashlib
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import caser
from caser.config import Training
from caser.errors import CaserError
from caser.models.settings import ModelSettings

UNDECIDING = {
    "caser.answering": "answers questions with a fitted model; a study ranks with the model's scorer itself",
    "caser.artefact": "saves and loads what was fitted, under a format version of its own",
}
"""Rooms that are not followed, each with the reason why it changes no result."""

MAIN = ("__main__", "__mp_main__")
"""Names of the script that runs: in the process that was started, and in the workers of a study."""


class UnreadableCodeError(Exception):
    """The code of a model from outside this package cannot be read, so it cannot be compared with earlier code."""


@cache
def code_digest(*entries: str) -> str:
    """Return a hash of the code that some modules reach by imports.

    entries  names of modules, such as "caser.study.runs"

    Raises UnreadableCodeError for a module from outside this package without a file, such as a class that was defined
    in a notebook. Raises CaserError for a module of this package that cannot be found.
    """
    hasher = hashlib.sha256()
    for name, path in sorted(modules_reached(*entries).items()):
        hasher.update(f"{name} {_parse(path).digest}\n".encode())
    return hasher.hexdigest()


def modules_reached(*entries: str) -> dict[str, Path]:
    """Return every module that some modules import, directly or through others, with its file; themselves included.

    entries  as for `code_digest`, which raises the same errors
    """
    reached: dict[str, Path] = {}
    for entry in entries:
        start, home = _home_of(entry)
        homes = (_own_home(), home)
        waiting = _with_packages(start)
        while waiting:
            name = waiting.pop()
            path = _find(name, homes)
            if name in reached or path is None:
                continue
            reached[name] = path
            waiting += _followed(name, path, homes)
    return reached


def entries_of(model: ModelSettings, training: Training | None = None) -> set[str]:
    """Return the modules where the search for the code of a model begins.

    model     its settings class, the bases of that class, and those of its parts count
    training  the loss that it names counts; None for a counting model
    """
    modules = {
        base.__module__ for base in type(model).__mro__ if issubclass(base, ModelSettings) and base is not ModelSettings
    }
    for part in model.parts.values():
        modules |= entries_of(part)
    if training is not None:
        modules.add(_module_of_loss(training))
    return modules


def _module_of_loss(training: Training) -> str:
    function = training.loss_row.function
    if isinstance(function, str):
        return function.partition(":")[0]
    while isinstance(function, partial):
        function = function.func
    return function.__module__


@dataclass(frozen=True)
class _Home:
    """A folder whose modules count: this package's, or that of a model from outside.

    top  only modules of this top-level package count; None if every module in the folder does
    """

    folder: Path
    top: str | None

    def owns(self, module: str) -> bool:
        return self.top in (None, module.partition(".")[0])


def _own_home() -> _Home:
    return _Home(Path(caser.__file__).parent.parent, "caser")


def _home_of(entry: str) -> tuple[str, _Home]:
    """The name of a module as others import it, and the folder that it is found in."""
    if _own_home().owns(entry):
        return entry, _own_home()
    module = sys.modules.get(entry)
    file = getattr(module, "__file__", None)
    if file is None or not file.endswith(".py"):
        raise UnreadableCodeError(f"a model's class must be in a .py file for its results to be kept; {entry} is none.")
    path = Path(file).resolve()
    spec = getattr(module, "__spec__", None)
    name = spec.name if entry in MAIN and spec is not None else entry
    parts = name.split(".") + (["__init__"] if path.stem == "__init__" else [])
    if name in MAIN or path.with_suffix("").parts[-len(parts) :] != tuple(parts):
        name, parts = path.stem, [path.stem]
    folder = path.parents[len(parts) - 1]
    installed = {Path(place).resolve() for place in sysconfig.get_paths().values()}
    is_lone = len(parts) == 1 and folder not in installed
    return name, _Home(folder, None if is_lone else parts[0])


def _find(module: str, homes: Iterable[_Home]) -> Path | None:
    """The file of a module; None for a name in a module, for another package, and for a folder without code."""
    for home in homes:
        if home.owns(module):
            place = home.folder.joinpath(*module.split("."))
            candidates = [place / "__init__.py", *(Path(f"{place}{end}") for end in (".py", *EXTENSION_SUFFIXES))]
            if found := next((path for path in candidates if path.is_file()), None):
                return found
    return None


def _followed(module: str, path: Path, homes: Iterable[_Home]) -> Iterator[str]:
    """The modules that a module imports and that may count."""
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    for base, names in _parse(path).imports:
        imported = _absolute(base, package)
        _refuse_missing(imported, module, homes)
        for name in (imported, *(f"{imported}.{one}" for one in names)):
            yield from _with_packages(name)


def _with_packages(module: str) -> list[str]:
    """A module and the packages around it, whose `__init__` runs too; without rooms that decide nothing."""
    parts = module.split(".")
    names = [".".join(parts[: length + 1]) for length in range(len(parts))]
    return [name for name in names if name != "caser" and not _is_undeciding(name)]  # caser itself only lists names


def _absolute(base: str, package: str) -> str:
    """The full name of an imported module; `base` begins with a dot for each level of a relative import."""
    name = base.lstrip(".")
    levels = len(base) - len(name)
    if not levels:
        return name
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - levels + 1], *([name] if name else [])])


def _is_undeciding(module: str) -> bool:
    return any(f"{module}.".startswith(f"{room}.") for room in UNDECIDING)


def _refuse_missing(imported: str, module: str, homes: Iterable[_Home]) -> None:
    """Raise if a module that must be there is not: its code would silently drop out of the hash."""
    for home in homes:
        if home.top is not None and home.owns(imported):
            if _find(imported, [home]) or home.folder.joinpath(*imported.split(".")).is_dir():
                return
            error = CaserError if home.top == "caser" else UnreadableCodeError
            raise error(f"the code of {module} must be found by its imports; {imported} is in no file.")


@dataclass(frozen=True)
class _Parsed:
    """A file as it counts: a hash of its code, and what it imports, as (module, names)."""

    digest: str
    imports: tuple[tuple[str, tuple[str, ...]], ...]


@cache
def _parse(path: Path) -> _Parsed:
    content = path.read_bytes()
    if path.suffix != ".py":  # compiled: its bytes are all there is to compare
        return _Parsed(hashlib.sha256(content).hexdigest(), ())
    tree = ast.parse(content)
    imports = tuple(_imports(tree))
    code = ast.dump(_without_docstrings(tree))
    return _Parsed(hashlib.sha256(code.encode()).hexdigest(), imports)


def _imports(node: ast.AST) -> Iterator[tuple[str, tuple[str, ...]]]:
    """All imports below a node that may run."""
    if isinstance(node, ast.Import):
        yield from ((one.name, ()) for one in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield "." * node.level + (node.module or ""), tuple(one.name for one in node.names if one.name != "*")
    children: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        children = node.orelse
    for child in children:
        yield from _imports(child)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [part for part in node.body if not _is_text(part)] or [ast.Pass()]
    return tree


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
