"""The code in README.md and docs/ works: each document runs from top to bottom, in a folder of its own.

The Python blocks of a document share one namespace. Only the quick console blocks, marked `<!-- runs -->`, are run.
Links and paths must lead to files that exist, and names of the library to objects that exist.
"""

from __future__ import annotations

import pkgutil
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from caser.cli.app import run
from caser.config import LOSSES
from caser.evaluation.metrics import METRICS
from caser.exported.networks import NETWORKS
from caser.models import MODELS
from tests.documents.blocks import Block, blocks

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PAGES = [path for path in DOCUMENTS if path.name != "CHANGELOG.md" and path.parent.name != "decisions"]
"""The documents that describe the library as it is now; a changelog and decisions may name what is gone."""


def _pages(part: Any) -> Iterator[str]:
    """Yield the pages of a part of the navigation of the site."""
    if isinstance(part, str):
        yield part
    else:
        for inner in part.values() if isinstance(part, dict) else part:
            yield from _pages(inner)


NAVIGATION = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
GENERATED = {ROOT / "docs" / page for page in _pages(NAVIGATION) if page.startswith("reference/")}
"""The pages of the site that tools/site.py makes: a link may lead there."""

LONG = "docs/tutorial.md"
"""It trains for about a minute."""


def _named(path: Path) -> Any:
    name = path.relative_to(ROOT).as_posix()
    return pytest.param(path, id=name, marks=pytest.mark.slow if name == LONG else ())


@pytest.fixture
def own_tables() -> Iterator[None]:
    """Give the models, losses and metrics that a document registers back afterwards."""
    before = [(table, dict(table._rows)) for table in (MODELS, LOSSES, METRICS)]
    yield
    for table, rows in before:
        table._rows.clear()
        table._rows.update(rows)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", [_named(path) for path in DOCUMENTS])
@pytest.mark.usefixtures("own_tables")
def test_a_document_runs_from_top_to_bottom(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "document"}
    for block in blocks(path.read_text(encoding="utf-8")):
        if block.runs and block.language == "python":
            run_python(block, path, namespace)
        elif block.runs:
            run_commands(block, path)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_links_of_a_document_lead_to_files(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", path.read_text(encoding="utf-8"))
    files = [(path.parent / link).resolve() for link in links]
    assert not [file for file in files if not file.exists() and file not in GENERATED]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_paths_in_a_document_exist(path: Path) -> None:
    paths = re.findall(r"`((?:src|tests|benchmarks|docs|tools)/[\w/.]*)`", path.read_text(encoding="utf-8"))
    assert not [one for one in paths if not (ROOT / one).exists()]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_library_names_in_a_document_exist(path: Path) -> None:
    names = re.findall(r"`(caser(?:\.\w+)+)[`(]", path.read_text(encoding="utf-8"))
    assert not [name for name in names if not exists(name)]


ENTRY_POINT_GROUPS = {registry.group for registry in (MODELS, LOSSES, METRICS, NETWORKS)}


def exists(name: str) -> bool:
    """Return whether a dotted name is a module, an attribute of one, or an entry-point group."""
    if name in ENTRY_POINT_GROUPS:
        return True
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


def run_python(block: Block, path: Path, namespace: dict[str, Any]) -> None:
    # Empty lines come before the code, so that a traceback shows the line of the document.
    exec(compile("\n" * (block.line - 1) + block.text, str(path), "exec", dont_inherit=True), namespace)


def run_commands(block: Block, path: Path) -> None:
    for command in block.commands:
        program, *words = shlex.split(command)
        assert program == "caser", f"{path.name}:{block.line}: only caser commands can be run; got {command!r}"
        assert run(words) == 0, f"{path.name}:{block.line}: {command}"


def test_a_python_block_runs_unless_it_is_marked() -> None:
    first, second = blocks("```python\n1\n```\n\n<!-- not run -->\n```python\n2\n```\n")
    assert (first.runs, second.runs) == (True, False)


def test_a_console_block_runs_only_when_it_is_marked() -> None:
    unmarked = "```console\n$ caser a\n```\n"
    marked = "<!-- runs -->\n\n```console\n$ caser b \\\n    --json\nout\n```\n"
    first, second = blocks(f"{unmarked}\n{marked}")
    assert (first.runs, second.runs) == (False, True)
    assert shlex.split(second.commands[0]) == ["caser", "b", "--json"]


def test_a_failing_block_names_the_line_of_the_document(tmp_path: Path) -> None:
    [block] = blocks("# Title\n\n```python\nx = 1\nraise ValueError(x)\n```\n")
    with pytest.raises(ValueError, match="1") as raised:
        run_python(block, tmp_path / "README.md", {})
    assert raised.traceback[-1].lineno == 4
