"""Tables of named rows that can be extended by this library, by installed packages, and by a running program.

A row may be given as text, "module:attribute". It is then imported when it is first asked for, so listing the names
imports nothing. An installed package adds rows through an entry-point group; a program adds them with `register`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from caser.errors import ConfigError, did_you_mean

Row = TypeVar("Row")


class Registry(Mapping[str, Row], Generic[Row]):
    """A read-only mapping from names to rows, with `register` to add a row. Rows themselves must not be text.

    >>> registry: Registry[int] = Registry("a number", "caser.numbers", {"two": 2})
    >>> registry.register("three", 3)
    >>> list(registry), registry["three"]
    (['two', 'three'], 3)
    """

    def __init__(self, what: str, group: str, rows: Mapping[str, Row | str]) -> None:
        """Make a registry with the library's own rows.

        what   what a row is, with its article, for messages such as "a loss must be a known name"
        group  the entry-point group through which installed packages add rows
        rows   the library's own rows, or where to import them from as "module:attribute"
        """
        self.what, self.group = what, group
        self._rows: dict[str, Row | str] = dict(rows)
        self._has_packages = False

    def __getitem__(self, name: str) -> Row:
        """Return a row, imported if needed. Raises ConfigError, with the nearest known name, for an unknown name."""
        if name not in self:
            raise _UnknownNameError(f"{self.what} must be a known name; got {name!r}: {did_you_mean(name, self)}")
        row = self._rows[name]
        if isinstance(row, str):
            loaded: Row = EntryPoint(name, row, self.group).load()
            self._rows[name] = row = loaded
        return row

    def __contains__(self, name: object) -> bool:
        # The library's own names are looked up first: searching the installed packages takes time.
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
        """Add a row.

        name  a name that no other row has
        row   the row; a class or function that was defined again, as in a notebook cell, replaces its older version

        Raises ConfigError if another row has this name. Registering the same row twice changes nothing.
        """
        if name in self and self[name] is not row and not _is_redefinition(self[name], row):
            raise ConfigError(f"{self.what} must have a new name; got {name!r}, which is taken. Choose another name.")
        self._rows[name] = row

    def _add_packages(self) -> None:
        """Add the rows of installed packages, once. A package cannot replace a row that exists."""
        if not self._has_packages:
            self._has_packages = True
            for point in entry_points(group=self.group):
                self._rows.setdefault(point.name, point.value)


class _UnknownNameError(ConfigError, KeyError):
    """A KeyError too, because `Mapping.get` relies on one."""

    __str__ = Exception.__str__


def _is_redefinition(old: object, new: object) -> bool:
    """Return whether both were defined under the same name in the same module, as when a notebook cell runs again.

    A row with an attribute `function`, such as a loss, is identified by that function.
    """
    defined = [getattr(row, "function", row) for row in (old, new)]
    names = [(getattr(one, "__module__", None), getattr(one, "__qualname__", None)) for one in defined]
    return None not in names[0] and names[0] == names[1]
