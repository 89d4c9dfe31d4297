"""Tables of named rows that can be extended by this library, by installed packages, and by a running program.

A row may be given as text, "module:attribute". It is then imported when it is first asked for, so listing the names
imports nothing. An installed package adds rows through an entry-point group; a program adds them with `register`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeAlias, TypeVar

from caser.errors import ConfigError, MissingDependencyError, did_you_mean

Row = TypeVar("Row")

Check: TypeAlias = Callable[[object], str | None]
"""Returns None for a good row, and for another object what a row must be, such as "a caser.config.Loss"."""


def instance_of(kind: type) -> Check:
    """Make the check that a row is an object of one class.

    kind  the class of every row

    >>> instance_of(dict)(print)
    'a builtins.dict'
    """
    return lambda row: None if isinstance(row, kind) else f"a {kind.__module__}.{kind.__name__}"


def in_one_line(error: Exception) -> str:
    """Return an error of foreign code in one line, without a full stop, to go into a sentence.

    error  what the code raised

    >>> in_one_line(ImportError("no such module."))
    'ImportError: no such module'
    """
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")


class Registry(Mapping[str, Row], Generic[Row]):
    """A read-only mapping from names to rows, with `register` to add a row. Rows themselves must not be text.

    >>> registry: Registry[int] = Registry("a number", "caser.numbers", {"two": 2})
    >>> registry.register("three", 3)
    >>> list(registry), registry["three"]
    (['two', 'three'], 3)
    """

    def __init__(self, what: str, group: str, rows: Mapping[str, Row | str], check: Check = lambda _: None) -> None:
        """Make a registry with the library's own rows.

        what   what a row is, with its article, for messages such as "a loss must be a known name"
        group  the entry-point group through which installed packages add rows
        rows   the library's own rows, or where to import them from as "module:attribute"
        check  decides whether an object is a row; it is called for rows that are imported or registered
        """
        self.what, self.group, self.check = what, group, check
        self._rows: dict[str, Row | str] = dict(rows)
        self._has_packages = False

    def __getitem__(self, name: str) -> Row:
        """Return a row, imported if needed.

        Raises ConfigError, with the nearest known name, for an unknown name; and with its place for a row that cannot
        be imported or is no row.
        """
        if name not in self:
            raise _UnknownNameError(f"{self.what} must be a known name; got {name!r}: {did_you_mean(name, self)}")
        row = self._rows[name]
        if isinstance(row, str):
            self._rows[name] = row = self._imported(name, row)
        return row

    def usable(self) -> dict[str, Row]:
        """Return all rows by name, imported, without the rows of installed packages that are broken."""
        rows: dict[str, Row] = {}
        for name in self:
            with suppress(ConfigError):
                rows[name] = self[name]
        return rows

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

        Raises ConfigError if another row has this name, or if the name or the row is of the wrong kind. Registering the
        same row twice changes nothing.
        """
        if not isinstance(name, str) or not name.strip():
            raise ConfigError(f"the name of {self.what} must be text; got {name!r}.")
        if needed := self.check(row):
            raise ConfigError(f"{self.what} must be {needed}; got {row!r} for {name!r}.")
        if name in self and self._differs(name, row):
            raise ConfigError(f"{self.what} must have a new name; got {name!r}, which is taken. Choose another name.")
        self._rows[name] = row

    def _differs(self, name: str, row: Row) -> bool:
        """Whether the row that has this name is another one. A broken row of a package keeps its name."""
        try:
            return self[name] is not row and not _is_redefinition(self[name], row)
        except ConfigError:
            return True

    def _imported(self, name: str, place: str) -> Row:
        """Import and check a row. Any error may occur here, because the code of a package runs."""
        needed = self.check(None) or self.what
        described = f"{name} of the entry-point group {self.group} must be {needed}, at {place}"
        try:
            row: Row = EntryPoint(name, place, self.group).load()
        except MissingDependencyError:
            raise
        except Exception as error:
            raise ConfigError(
                f"{described}; it cannot be imported: {in_one_line(error)}. Mend or remove its package."
            ) from error
        if self.check(row):
            raise ConfigError(f"{described}; got {row!r}. Mend or remove its package.")
        return row

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
