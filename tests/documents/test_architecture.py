"""The architecture page is true: its rooms, files and public names exist, and no room is missing."""

from __future__ import annotations

import re

import pytest

import caser
from tests.architecture.source import PACKAGE, ROOT
from tests.architecture.test_layers import FLOORS

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
DRAWING = (ROOT / "docs" / "images" / "rooms.svg").read_text(encoding="utf-8")
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file())
CODE = re.findall(r"`([^`\n]+)`", PAGE)


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_on_the_page_and_in_the_drawing(room: str) -> None:
    assert f"| `{room}` |" in PAGE
    assert f">{room}</text>" in DRAWING


def test_every_room_on_the_page_and_in_the_drawing_exists() -> None:
    table = PAGE.partition("## The rooms")[2].partition("## The interfaces")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)) == ROOMS
    drawn = re.findall(r'font-weight="600">([\w.]+)</text>', DRAWING)
    assert sorted(drawn) == sorted([*ROOMS, "config.py", "errors.py"])


def test_the_drawing_has_the_floors_that_are_enforced() -> None:
    drawn = [(y, name) for y, name in re.findall(r'y="(\d+)" font-weight="600">([\w.]+)</text>', DRAWING)]
    rank = {name.removesuffix(".py"): -int(y) for y, name in drawn}
    for one, first in rank.items():
        for other, second in rank.items():
            assert (first < second) == (FLOORS[one] < FLOORS[other]), (one, other)


@pytest.mark.parametrize("path", sorted({one for one in CODE if re.fullmatch(r"[\w/]+\.pyi?", one)}))
def test_every_file_on_the_page_exists(path: str) -> None:
    assert (PACKAGE / path).is_file() or (ROOT / path).is_file()


@pytest.mark.parametrize("name", sorted({one for one in CODE if re.fullmatch(r"[A-Za-z]+_[a-z_]+|[A-Z][a-z]\w+", one)}))
def test_every_name_on_the_page_exists(name: str) -> None:
    """A public name, or a class, function, member or parameter that some file of the package defines."""
    defined = rf"(class|def) {name}\b|^{name}\b|[ (*]{name}: "
    files = PACKAGE.rglob("*.py")
    assert name in caser.__all__ or any(
        re.search(defined, one.read_text(encoding="utf-8"), re.MULTILINE) for one in files
    )
