"""Imports point downwards: a file imports its own room or a lower one, never a higher one, inside functions too."""

from __future__ import annotations

import pytest

from tests.architecture.source import SourceFile, source_files

# A room on one floor imports rooms on lower floors only. The longest row that fits a module's name decides, so that a
# new file in a room needs no row of its own. Rooms that share a floor do not know each other.
FLOORS = {
    "errors": 0,
    "arrays": 1,
    "system": 1,
    "config": 2,
    "data": 3,
    "search": 3,
    "models": 4,
    "training": 5,
    "evaluation": 5,
    "artefact": 6,
    "answering": 7,
    "exported": 8,
    "fitting": 8,
    "study": 9,
    "service": 9,
    "service.events": 9.1,
    "service.answers": 9.2,
    "service.http": 9.3,
    "service.workers": 9.4,
    "cli": 10,
    "__main__": 11,
}
# What the floors alone would allow. Who reads logs, or answers, needs no torch and nothing that trains.
FORBIDDEN = [
    *((room, "torch") for room in ("arrays", "data", "search", "artefact", "answering", "exported", "service")),
    *((room, "caser.training") for room in ("evaluation", "artefact", "answering", "exported", "service")),
    ("service", "caser.study"),
    ("service", "caser.fitting"),
]

# caser/__init__.py offers names of every room, lazily; test_exports.py is about it.
FILES = [file for file in source_files() if file.module]


def rows_for(module: str) -> list[str]:
    return [row for row in FLOORS if f"{module}.".startswith(f"{row}.")]


def room(module: str) -> str:
    return max(rows_for(module), key=len)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.module)
def test_every_module_is_in_a_room(file: SourceFile) -> None:
    assert rows_for(file.module), f"give {file.module} a row in FLOORS"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.module)
def test_no_module_imports_a_room_on_its_own_floor_or_higher(file: SourceFile) -> None:
    own = room(file.module)
    below_caser = [(name.removeprefix("caser."), line) for name, line in file.imports if name.startswith("caser.")]
    upward = [
        f"line {line}: {name}"
        for name, line in below_caser
        if rows_for(name) and room(name) != own and FLOORS[room(name)] >= FLOORS[own]
    ]
    assert not upward, f"{file.module} is in {own}, on floor {FLOORS[own]}"


@pytest.mark.parametrize(("folder", "forbidden"), FORBIDDEN)
def test_what_reads_and_answers_needs_nothing_that_trains(folder: str, forbidden: str) -> None:
    names = [name for file in FILES if folder in rows_for(file.module) for name, _ in file.imports]
    assert not [name for name in names if f"{name}.".startswith(f"{forbidden}.")]


def test_few_files_lie_beside_the_rooms() -> None:
    beside = {file.path.name for file in source_files() if file.path.parent.name == "caser" and "." not in file.module}
    beside = {name for name in beside if name != "caser.py"}
    assert beside <= {"__init__.py", "__main__.py", "config.py", "errors.py"}


def test_a_longer_row_wins() -> None:
    assert room("service.events.sqlite") == "service.events"
    assert room("service.settings") == "service"
