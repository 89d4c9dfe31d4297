"""A hash of the code that decides a result. A kept result is used again only while that code stays the same.

The code is found from imports. The search starts at the module that computes the result, at the module of the model's
settings class, and at the module of the loss. It follows every import of each file, also those inside functions. There
is no list of file names that could go out of date, and a moved module is found at its new place.

Some imports are not followed:

- those under `if TYPE_CHECKING:`, because they never run;
- those of the rooms (subpackages) in `NOT_FOLLOWED`, which work with a result but do not change it;
- those of other packages, such as torch.

The tables MODELS and LOSSES name their rows in strings, not in imports. So a model's own files count only for that
model. For a model from outside this package, its file counts, and so do the files that it imports from the same
top-level package. If its file is in no package, the files that it imports from the same folder count.

Comments, docstrings and layout do not count. The name of a module counts, but the folder that it is in does not.
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

NOT_FOLLOWED = {
    "caser.answering": "answers questions with a fitted model; a study ranks with the model's scorer itself",
    "caser.artefact": "saves and loads what was fitted, under a format version of its own",
}
"""Rooms whose imports are not followed, each with the reason why it changes no result."""

MAIN = ("__main__", "__mp_main__")
"""Names of the script that was started: in its own process, and in the worker processes of a study."""


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
    """Return some modules and all that they import, directly or through other modules, each with its file.

    entries  as for `code_digest`, which raises the same errors
    """
    reached: dict[str, Path] = {}
    for entry in entries:
        start, home = _home_of(entry)
        homes = tuple(dict.fromkeys((_own_home(), home)))
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

    model     settings; the modules of their class and its bases are returned, and the same for each part of the model
    training  the module of its loss is returned; None for a counting model
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
    """The module of the loss function, which the table names as "module:function" or holds as an object."""
    function = training.loss_row.function
    if isinstance(function, str):
        return function.partition(":")[0]
    while isinstance(function, partial):
        function = function.func
    return function.__module__


@dataclass(frozen=True)
class _Home:
    """A folder whose modules count: that of this package, or that of a model from outside.

    folder  the folder that holds the top-level package
    top     only the modules of this top-level package count; None if every module in the folder counts
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
    # Find the file of the module.
    module = sys.modules.get(entry)
    file = getattr(module, "__file__", None)
    if file is None or not file.endswith(".py"):
        raise UnreadableCodeError(f"a model's class must be in a .py file for its results to be kept; {entry} is none.")
    path = Path(file).resolve()
    # Find the name. A script that runs is called `__main__`; other modules import it under the name of its file.
    spec = getattr(module, "__spec__", None)
    name = spec.name if entry in MAIN and spec is not None else entry
    parts = name.split(".") + (["__init__"] if path.stem == "__init__" else [])
    if name in MAIN or path.with_suffix("").parts[-len(parts) :] != tuple(parts):
        name, parts = path.stem, [path.stem]
    # Find the folder. All modules of the folder count for a file in no package, unless the folder holds installed
    # packages.
    folder = path.parents[len(parts) - 1]
    installed = {Path(place).resolve() for place in sysconfig.get_paths().values()}
    is_lone = len(parts) == 1 and folder not in installed
    return name, _Home(folder, None if is_lone else parts[0])


def _find(module: str, homes: Iterable[_Home]) -> Path | None:
    """The file of a module; None for a name that is no module, for another package, or for a folder without code."""
    for home in homes:
        if home.owns(module):
            place = home.folder.joinpath(*module.split("."))
            candidates = [place / "__init__.py", *(Path(f"{place}{end}") for end in (".py", *EXTENSION_SUFFIXES))]
            if found := next((path for path in candidates if path.is_file()), None):
                return found
    return None


@cache
def _followed(module: str, path: Path, homes: tuple[_Home, ...]) -> tuple[str, ...]:
    """The modules that a module imports and that may count."""
    followed: list[str] = []
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    for base, names in _parse(path).imports:
        imported = _absolute(base, package)
        _refuse_missing(imported, module, homes)
        for name in (imported, *(f"{imported}.{one}" for one in names)):
            followed += _with_packages(name)
    return tuple(followed)


def _with_packages(module: str) -> list[str]:
    """A module and the packages that hold it, because their `__init__` runs too; none that is not followed."""
    parts = module.split(".")
    names = [".".join(parts[: length + 1]) for length in range(len(parts))]
    return [name for name in names if name != "caser" and not _is_skipped(name)]  # caser itself only lists names


def _absolute(base: str, package: str) -> str:
    """The full name of an imported module; `base` begins with a dot for each level of a relative import."""
    name = base.lstrip(".")
    levels = len(base) - len(name)
    if not levels:
        return name
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - levels + 1], *([name] if name else [])])


def _is_skipped(module: str) -> bool:
    return any(f"{module}.".startswith(f"{room}.") for room in NOT_FOLLOWED)


def _refuse_missing(imported: str, module: str, homes: Iterable[_Home]) -> None:
    """Raise an error if an imported module cannot be found. Otherwise the hash would silently leave out its code."""
    for home in homes:
        if home.top is not None and home.owns(imported):
            if _find(imported, [home]) or home.folder.joinpath(*imported.split(".")).is_dir():
                return
            error = CaserError if home.top == "caser" else UnreadableCodeError
            raise error(f"the code of {module} must be found by its imports; {imported} is in no file.")


@dataclass(frozen=True)
class _Parsed:
    """What counts of a file: a hash of its code, and its imports as pairs (module, names)."""

    digest: str
    imports: tuple[tuple[str, tuple[str, ...]], ...]


@cache
def _parse(path: Path) -> _Parsed:
    content = path.read_bytes()
    if path.suffix != ".py":  # a compiled module: only its bytes can be compared
        return _Parsed(hashlib.sha256(content).hexdigest(), ())
    tree = ast.parse(content)
    imports = tuple(_imports(tree))
    code = ast.dump(_without_docstrings(tree))
    return _Parsed(hashlib.sha256(code.encode()).hexdigest(), imports)


def _imports(node: ast.AST) -> Iterator[tuple[str, tuple[str, ...]]]:
    """All imports in a node and below it, except those that never run."""
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
