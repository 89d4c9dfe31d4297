"""A configuration file: TOML with a table for each command, whose keys are the options of that command.

    [train]
    log = "events.csv"
    out = "runs/mine"
    epochs = 20

    [data.describe]
    log = "events.csv"

This file reads the text and knows where a key stands in it. What a key means is in `given.py`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caser.errors import ConfigError, did_you_mean

LARGEST = 1_000_000
"""Bytes that a configuration file may have."""


@dataclass(frozen=True)
class ConfigFile:
    """A configuration file that was read: its path, its text and its tables."""

    path: Path
    text: str
    tables: Mapping[str, Any]

    def table(self, command: Sequence[str], commands: Sequence[str]) -> Mapping[str, Any]:
        """Return the options of a command.

        command   the words that name the command, such as ("data", "describe")
        commands  the names of all commands, with a dot between two words

        Raises ConfigError for a table of no command, for a key outside of a table, and if the command has no table.
        """
        tables = dict(self._named_tables(commands))
        name = ".".join(command)
        if name not in tables:
            has = ", ".join(f"[{one}]" for one in tables) or "no table"
            raise ConfigError(f"{self.path} must have a table [{name}] for this command; it has {has}.")
        return tables[name]

    def _named_tables(self, commands: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield the name of each command that has a table, and the table."""
        folders = {name.partition(".")[0] for name in commands if "." in name}
        for first, values in self.tables.items():
            inside = values.items() if first in folders and isinstance(values, dict) else [("", values)]
            for second, table in inside:
                keys = (first, second) if second else (first,)
                if not isinstance(table, dict):
                    raise ConfigError(
                        f"{self.place(*keys)}: {keys[-1]!r} must be in the table of a command, such as [train]; it is "
                        "in none."
                    )
                name = ".".join(keys)
                if name not in commands:
                    raise ConfigError(
                        f"{self.place(*keys)}: a table must have the name of a command; got [{name}]: "
                        f"{did_you_mean(name, commands)}"
                    )
                yield name, table

    def place(self, *keys: str) -> str:
        """Return where a value stands, such as "run.toml, line 3"; without the line if it cannot be told.

        keys  the tables and the key
        """
        number = self._line_of(keys)
        return str(self.path) if number is None else f"{self.path}, line {number}"

    def _line_of(self, keys: Sequence[str]) -> int | None:
        """The line, from 1, with which the value is complete: the text up to there is TOML that has it."""
        lines = self.text.splitlines(keepends=True)
        for number, line in enumerate(lines, 1):
            if keys[-1] in line and _has("".join(lines[:number]), keys):
                return number
        return None


def read_config_file(path: Path) -> ConfigFile:
    """Read a configuration file.

    path  the file; it may be a pipe, because it is read only once

    Raises ConfigError if it cannot be read, is too large, is not in UTF-8 or is no TOML.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"--config must be a file that can be read; got {path}: {error.strerror}.") from None
    if len(content) > LARGEST:
        raise ConfigError(f"--config must be a file of at most {LARGEST:,} bytes; {path} is larger.")
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
        return ConfigFile(path, text, tomllib.loads(text))
    except UnicodeDecodeError:
        raise ConfigError(f"--config must be text in UTF-8; {path} is not.") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"--config must be TOML; {path} is not: {error}.") from None


def _has(text: str, keys: Sequence[str]) -> bool:
    """Whether the beginning of a TOML file is TOML already, and has a value."""
    try:
        found: Any = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    for key in keys:
        if not isinstance(found, dict) or key not in found:
            return False
        found = found[key]
    return True
