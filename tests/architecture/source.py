"""The source of caser as syntax trees: which names a file imports, which it uses, under their full dotted names."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "caser"


@dataclass(frozen=True)
class SourceFile:
    """One file of the package."""

    path: Path

    @property
    def module(self) -> str:
        """Its dotted name below caser: `data.log`, `models` for the folder's `__init__`, and "" for caser itself."""
        parts = self.path.relative_to(PACKAGE).with_suffix("").parts
        return ".".join(part for part in parts if part != "__init__")

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.path.read_text(encoding="utf-8"), filename=str(self.path))

    @property
    def imports(self) -> Iterator[tuple[str, int]]:
        """Yield every module or name imported, wherever it is imported, with its line."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)

    @property
    def uses(self) -> Iterator[tuple[str, int]]:
        """Yield every use of an imported or built-in name, in full (`numpy.load` for `np.load`), with its line."""
        full_names = self._full_names()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute | ast.Name) and (name := _dotted(node)):
                first, _, rest = name.partition(".")
                if first in full_names:
                    yield f"{full_names[first]}.{rest}".removesuffix("."), node.lineno

    def _full_names(self) -> dict[str, str]:
        names = {name: f"builtins.{name}" for name in dir(builtins)}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                tops = [alias.name.partition(".")[0] for alias in node.names if not alias.asname]
                names |= {top: top for top in tops} | {alias.asname: alias.name for alias in node.names if alias.asname}
            elif isinstance(node, ast.ImportFrom):
                names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        return names


def source_files() -> list[SourceFile]:
    """Return every file of the package."""
    return [SourceFile(path) for path in sorted(PACKAGE.rglob("*.py"))]


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := _dotted(node.value)):
        return f"{before}.{node.attr}"
    return None
