"""docs/security.md names every route, and every limit with the value that it has in the code.

The rows of both tables of limits are computed: `python -m tests.documents.test_security` writes them into the page.
"""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic.fields import FieldInfo

from caser.artefact.folder import save
from caser.service.http.server import app_for_run
from caser.service.settings import ServiceSettings
from tests.runs import caser_run

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
PATH = ROOT / "docs" / "security.md"
PAGE = PATH.read_text(encoding="utf-8")
FILES = [
    *sorted((SOURCE / "caser" / "service").rglob("*.py")),
    SOURCE / "caser" / "answering" / "wanted_items.py",
    SOURCE / "caser" / "data" / "id_text.py",
    SOURCE / "caser" / "exported" / "read.py",
    SOURCE / "caser" / "system" / "parsing.py",
]
"""Where the limits of requests and of files are."""


def rows(heading: str) -> list[str]:
    """Return the rows of the table under a heading of the page."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| `")]


def shown(value: object) -> str:
    """Return a value as the page writes it."""
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}" if isinstance(value, float) else str(value)


def row_of_setting(name: str, field: FieldInfo) -> str:
    return f"| `--{name.replace('_', '-')}` | {shown(field.default)} | {one_line(field.description)} |"


def one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def is_number(field: FieldInfo) -> bool:
    return bool({int, float} & {field.annotation, *get_args(field.annotation)})


def constants(path: Path) -> list[str]:
    """Return a row for each limit of a module: a public number with a docstring and a name that says so."""
    module = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    body = ast.parse(path.read_text(encoding="utf-8")).body
    found = []
    for statement, after in itertools.pairwise(body):
        if not (isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)):
            continue
        name = statement.targets[0].id
        is_limit = re.match(r"(MAX|MOST|LONGEST|LARGEST|MIN_TOKEN)_|[A-Z]\w*_SECONDS$", name)
        if is_limit and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            value = eval(compile(ast.Expression(statement.value), str(path), "eval"))
            found.append(f"| `{module}.{name}` | {shown(value)} | {one_line(ast.literal_eval(after.value))} |")
    return found


def limits() -> dict[str, list[str]]:
    """Return the rows that the tables of limits must have, by heading."""
    fields = ServiceSettings.model_fields.items()
    return {
        "Limits that you set": [row_of_setting(name, field) for name, field in fields if is_number(field)],
        "Limits that are fixed": [row for path in FILES for row in constants(path)],
    }


@pytest.mark.parametrize("heading", ["Limits that you set", "Limits that are fixed"])
def test_the_page_names_every_limit_with_the_value_in_the_code(heading: str) -> None:
    expected = limits()[heading]
    assert len(expected) >= 7
    assert rows(heading) == expected, "to write them into the page, type: python -m tests.documents.test_security"


def test_the_page_names_every_route_and_whether_it_needs_a_token(tmp_path: Path) -> None:
    save(caser_run(), tmp_path / "run")
    app = app_for_run(tmp_path / "run", ServiceSettings())
    paths = app.openapi()["paths"].items()
    app.state.service.close()
    expected = {
        f"| `{method.upper()} {path}` | {'token' if 'security' in operation else 'open'}"
        for path, operations in paths
        for method, operation in operations.items()
    }
    assert {row.rpartition(" | ")[0] for row in rows("Who may do what")} == expected


@pytest.mark.parametrize("path", ["README.md", "SECURITY.md", "docs/serving.md"])
def test_the_page_can_be_found(path: str) -> None:
    assert re.search(r"\]\((docs/)?security\.md", (ROOT / path).read_text(encoding="utf-8"))


def test_the_page_gives_addresses_of_no_file_that_is_gone() -> None:
    anchors = set(re.findall(r"\]\(#([\w-]+)\)", PAGE))
    headings = {line.lstrip("# ").lower().replace(" ", "-") for line in PAGE.splitlines() if line.startswith("## ")}
    assert anchors <= headings


def write_limits() -> None:
    """Write the rows of the tables of limits into the page."""
    text = PAGE
    for heading, expected in limits().items():
        text = text.replace("\n".join(rows(heading)), "\n".join(expected))
    PATH.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_limits()
