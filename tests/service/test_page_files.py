"""Tests of the page's files without a browser: no markup from titles, one palette, no file from another server."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import caser
from caser.data.id_text import MAX_ID_LENGTH
from caser.service.answers.answer import MAX_REMOVED_LISTED
from caser.service.request_schemas import MAX_LIST_LENGTH, MAX_VALUE_LENGTH
from caser.study.report.palette import DARK, LIGHT

PAGE = Path(caser.__file__).parent / "service" / "page"
SCRIPTS = sorted(PAGE.glob("*.js"))
LONGEST = 300


def test_colours_are_those_of_the_reports() -> None:
    style = (PAGE / "style.css").read_text(encoding="utf-8")
    light, dark = (
        dict(re.findall(r"--([\w-]+): ([^;]+);", part)) for part in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    )
    assert light.keys() == dark.keys()
    assert light.items() <= LIGHT.items()
    assert dark.items() <= DARK.items()


def test_every_colour_that_is_used_is_defined() -> None:
    style = (PAGE / "style.css").read_text(encoding="utf-8")
    assert set(re.findall(r"var\(--([\w-]+)[,)]", style)) - {"strength"} <= LIGHT.keys()


@pytest.mark.parametrize(
    ("foreground", "background", "least"),
    [
        *[(role, ground, 4.5) for role in ("ink", "quiet", "accent") for ground in ("background", "raised")],
        ("second", "background", 4.5),
        ("third", "background", 4.5),
        ("neutral", "background", 3.0),
    ],
)
@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_have_enough_contrast(colours: dict[str, str], foreground: str, background: str, least: float) -> None:
    lights = sorted(_luminance(colours[role]) for role in (foreground, background))
    assert (lights[1] + 0.05) / (lights[0] + 0.05) >= least


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_never_turn_text_into_markup(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|new Function|localStorage"
    assert not re.findall(forbidden, text)
    assert len(text.splitlines()) < LONGEST


def test_the_page_loads_only_its_own_files_and_has_no_inline_code() -> None:
    found = _Found()
    found.feed((PAGE / "index.html").read_text(encoding="utf-8"))
    assert [name for _, name in found.attributes if name == "style" or name.startswith("on")] == []
    assert {name for name in found.files if not (PAGE / name).is_file()} == {"data:,", "openapi.json", "#answers"}
    assert found.texts_in_code == []
    for script in SCRIPTS:
        for name in re.findall(r'(?:from|import\()\s*"([^"]+)"', script.read_text(encoding="utf-8")):
            assert name.startswith("./")
            assert (PAGE / name).is_file()


def test_every_element_that_a_script_looks_up_exists() -> None:
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    texts = "".join(script.read_text(encoding="utf-8") for script in SCRIPTS)
    there = set(re.findall(r'\bid="([\w-]+)"', page)) | set(re.findall(r'\bid: "([\w-]+)"', texts))
    assert set(re.findall(r'(?:byId|setVisible)\("([\w-]+)"', texts)) <= there


def test_limits_of_the_page_are_those_of_the_service() -> None:
    text = {path.name: path.read_text(encoding="utf-8") for path in (*SCRIPTS, PAGE / "index.html")}
    assert f"const MAX_HISTORY = {MAX_LIST_LENGTH};" in text["request.js"]
    assert f"const MAX_REMOVED_LISTED = {MAX_REMOVED_LISTED};" in text["answers.js"]
    assert f"maxlength: {MAX_VALUE_LENGTH}" in text["rules.js"]
    assert set(re.findall(r'maxlength="(\d+)"', text["index.html"])) == {str(MAX_ID_LENGTH), str(MAX_VALUE_LENGTH)}


class _Found(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str]] = []
        self.files: set[str] = set()
        self.texts_in_code: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name) for name, _ in attrs]
        self.files |= {value or "" for name, value in attrs if name in ("href", "src")}

    def handle_data(self, data: str) -> None:
        if self.cdata_elem and data.strip():
            self.texts_in_code.append(data)


def _luminance(colour: str) -> float:
    """Relative luminance as in WCAG 2."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
