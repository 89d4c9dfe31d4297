"""Tables of named things that can be added to: by this library, by installed packages, and by a running program.

A row may be written as "module:attribute"; it is then imported when it is first asked for, so that listing the names
imports nothing. Packages add rows through an entry-point group; a program adds them with `register`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from caser.errors import ConfigError, did_you_mean

Row = TypeVar("Row")


class Registry(Mapping[str, Row], Generic[Row]):
    """Rows by name.

    >>> registry: Registry[int] = Registry("number", "caser.numbers", {"two": 2})
    >>> registry.register("three", 3)
    >>> list(registry), registry["three"]
    (['two', 'three'], 3)
    """

    def __init__(self, what: str, group: str, rows: Mapping[str, Row | str]) -> None:
        """`what` names a row in messages; `group` is the entry-point group of installed packages."""
        self.what, self.group = what, group
        self._rows: dict[str, Row | str] = dict(rows)
        self._has_packages = False

    def __getitem__(self, name: str) -> Row:
        """Raises ConfigError, with the nearest known name, for a name that no row has."""
        if name not in self._rows:
            self._add_packages()
        if name not in self._rows:
            raise ConfigError(f"{self.what} must be one that is known; got {name!r}: {did_you_mean(name, self)}")
        row = self._rows[name]
        if isinstance(row, str):
            module, _, attribute = row.partition(":")
            found: Row = getattr(import_module(module), attribute)
            self._rows[name] = row = found
        return row

    def __contains__(self, name: object) -> bool:
        if name not in self._rows:
            self._add_packages()
        return name in self._rows

    def __iter__(self) -> Iterator[str]:
        self._add_packages()
        return iter(self._rows)

    def __len__(self) -> int:
        self._add_packages()
        return len(self._rows)

    def register(self, name: str, row: Row) -> None:
        """Add a row. Raises ConfigError if the name belongs to another row; the same row again changes nothing."""
        if name in self and self[name] is not row and not _is_newer_version(self[name], row):
            raise ConfigError(f"{self.what} must have a name of its own; got {name!r}, which there is. Choose another.")
        self._rows[name] = row

    def _add_packages(self) -> None:
        """Add the rows of installed packages, once; the library's own names cannot be taken."""
        if not self._has_packages:
            self._has_packages = True
            for point in entry_points(group=self.group):
                self._rows.setdefault(point.name, f"{point.module}:{point.attr}")


def _is_newer_version(old: object, new: object) -> bool:
    """Whether both were defined under the same name in the same module, as when a notebook cell runs again.

    A row that holds a function, such as a loss, is known by that function.
    """
    definitions = [getattr(row, "function", row) for row in (old, new)]
    names = [(getattr(one, "__module__", None), getattr(one, "__qualname__", None)) for one in definitions]
    return None not in names[0] and names[0] == names[1]
