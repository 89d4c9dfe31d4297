"""Imports point downwards: a file imports its own layer or a lower one, never a higher one, inside functions too."""

from __future__ import annotations

import pytest

from tests.architecture.source import SourceFile, source_files

# The longest row that fits a module's name decides, so that a new file in a folder needs no row of its own.
LAYERS = {
    "errors": 0,
    "config": 0,
    "randomness": 0,
    "storage": 0,
    "memory": 0,
    "data": 1,
    "data.batches": 2,
    "data.negatives": 2,
    "models": 3,
    "losses": 3,
    "training": 4,
    "evaluation": 5,
    "artefact": 6,
    "manifest": 6,
    "answers": 6,
    "catalogue": 6,
    "nearest": 6,
    "fold_in": 6,
    "questions": 7,
    "recommender": 7,
    "explain": 7,
    "exported": 7,
    "patterns": 7,
    "network_run": 8,
    "fitting": 8,
    "judging": 8,
    "study": 8,
    "service": 9,
    "cli": 9,
    "__main__": 9,
}
# What the layers alone would allow: what answers needs no torch.
FORBIDDEN = [
    ("service", "caser.training"),
    ("service", "torch"),
    ("exported", "caser.training"),
    ("exported", "torch"),
]

# caser/__init__.py offers names of every layer, lazily; test_exports.py is about it.
FILES = [file for file in source_files() if file.module]


def rows_for(module: str) -> list[str]:
    return [row for row in LAYERS if f"{module}.".startswith(f"{row}.")]


def layer(module: str) -> int:
    return LAYERS[max(rows_for(module), key=len)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.module)
def test_every_module_has_a_layer(file: SourceFile) -> None:
    assert rows_for(file.module), f"give {file.module} a row in LAYERS"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.module)
def test_no_module_imports_a_higher_layer(file: SourceFile) -> None:
    own = layer(file.module)
    below_caser = [(name.removeprefix("caser."), line) for name, line in file.imports if name.startswith("caser.")]
    upward = [f"line {line}: {name}" for name, line in below_caser if rows_for(name) and layer(name) > own]
    assert not upward, f"{file.module} is in layer {own}"


@pytest.mark.parametrize(("folder", "forbidden"), FORBIDDEN)
def test_what_answers_needs_nothing_that_trains(folder: str, forbidden: str) -> None:
    names = [name for file in FILES if folder in rows_for(file.module) for name, _ in file.imports]
    assert not [name for name in names if f"{name}.".startswith(f"{forbidden}.")]


def test_a_longer_row_wins() -> None:
    assert layer("data.tape") == 1
    assert layer("data.batches") == 2
