"""The documentation site: its navigation names every page, and its reference every name, command and route.

`make docs` builds the site, and fails for a broken link. These tests need no builder.
"""

from __future__ import annotations

import inspect
import re

import pytest

import caser
from caser.cli.app import build_app
from tests.documents.test_documents import NAVIGATION, _pages
from tools import docstrings, site, site_http

ROOT = site.ROOT
NAMED = list(_pages(NAVIGATION))


@pytest.fixture(scope="module")
def generated() -> dict[str, str]:
    """The pages that are written from the code."""
    return site.generated()


def test_the_navigation_names_every_page_once_and_no_other(generated: dict[str, str]) -> None:
    pages = {*site.documents(), *generated}
    assert sorted(NAMED) == sorted(page for page in pages if not re.match(r"decisions/\d", page))


def test_the_list_of_decisions_names_every_decision(generated: dict[str, str]) -> None:
    found = re.findall(r"\((\d{4}-[\w-]+\.md)\)", generated["decisions/index.md"])
    assert sorted(found) == sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))


def test_the_reference_shows_and_lists_every_public_name_once(generated: dict[str, str]) -> None:
    pages = [text for name, text in generated.items() if name.startswith("reference/")]
    shown = [name for text in pages for name in re.findall(r"^::: caser\.(\w+)$", text, re.MULTILINE)]
    listed = re.findall(r"^\| \[`(\w+)`\]", generated["reference/python.md"], re.MULTILINE)
    assert sorted(shown) == sorted(listed) == sorted(caser.__all__)


def test_the_reference_shows_every_command_with_its_flags(generated: dict[str, str]) -> None:
    page = generated["reference/commands.md"]
    headings = set(re.findall(r"^#+ (caser.*)$", page, re.MULTILINE))
    app = build_app()
    names = [name for name in app if not name.startswith("-")]
    assert {f"caser {name}" for name in names} <= headings
    assert {f"caser data {name}" for name in app["data"] if not name.startswith("-")} <= headings
    assert "`--min-rating" in page


def test_the_reference_shows_every_route_every_object_and_every_field(generated: dict[str, str]) -> None:
    page, document = generated["reference/http.md"], site_http.openapi()
    assert len(document["paths"]) > 10
    for path, own in document["paths"].items():
        assert [method for method in own if f"\n## {method.upper()} {path}\n" not in page] == []
    for name, schema in document["components"]["schemas"].items():
        section = page.split(f"\n### {name}\n")[1].split("\n### ")[0]
        assert [field for field in schema.get("properties", {}) if f"\n| `{field}` | " not in section] == []


def test_links_lead_to_pages_of_the_site_or_become_text_and_a_broken_one_stays() -> None:
    where = {"docs/a.md": "a.md", "README.md": "project/readme.md"}

    def moved(text: str) -> str:
        return site.with_links(text, "README.md", where)

    assert moved("[![image](docs/a.png)](docs/a.md#x)") == "[![image](../a.png)](../a.md#x)"
    assert moved("[web](https://a.example) [file](pyproject.toml)") == "[web](https://a.example) file"
    assert moved("[gone](docs/gone.md) [gone](gone.md)") == "[gone](../gone.md) [gone](../gone.md)"  # fails the build


FUNCTIONS = sorted(name for name in caser.__all__ if inspect.isfunction(getattr(caser, name)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_parameter_of_a_public_function_is_shown(name: str) -> None:
    function = getattr(caser, name)
    text = docstrings.as_google(inspect.getdoc(function) or "")
    shown = re.findall(r"^    \*{0,2}(\w+): \S", text, re.MULTILINE)
    assert set(inspect.signature(function).parameters) <= set(shown)
    assert (">>> " in text) == ("```pycon\n>>> " in text)
