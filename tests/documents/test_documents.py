"""The code in README.md and docs/ works: each document runs from top to bottom, in a folder of its own.

The Python blocks of a document share one namespace. Only the quick console blocks, marked `<!-- runs -->`, are run.
What a document says that a block prints, in a block marked `<!-- prints -->`, is compared with what it printed.
Links and paths must lead to files that exist, and names of the library to objects that exist.
"""

from __future__ import annotations

import pkgutil
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from caser.cli.app import run
from caser.config import LOSSES
from caser.evaluation.metrics import METRICS
from caser.exported.networks import NETWORKS
from caser.models import MODELS
from tests.documents.blocks import Block, blocks
from tests.documents.printed import difference

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
"""It trains for half a minute."""


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
def test_a_document_runs_from_top_to_bottom_and_prints_what_it_says(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run_document(path.read_text(encoding="utf-8"), path, lambda: capsys.readouterr().out)


def run_document(text: str, path: Path, printed: Callable[[], str]) -> None:
    """Run the blocks of a document in order, and compare outputs; `printed` returns the text since its last call."""
    namespace: dict[str, Any] = {"__name__": "document"}
    last = None
    for block in blocks(text):
        if block.prints_within is not None:
            assert last is not None, f"{path.name}:{block.line}: no block that runs is before this output"
            found = difference(block.text, last, block.prints_within)
            assert found is None, f"{path.name}:{block.line}: {found}; all of it:\n{last}"
        last = None
        if block.runs:
            run_python(block, path, namespace) if block.language == "python" else run_commands(block, path)
            last = printed()


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
        program, *words = shlex.split(command, comments=True)
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


DOCUMENT = """
```python
print("trained to", 0.5 + {off}, "on", {users}, "users")
```

<!-- {mark} -->
```text
trained to 0.5 on 3 users
```
"""


@pytest.mark.parametrize(
    ("off", "users", "mark", "holds"),
    [
        (0.0, 3, "prints", True),
        (0.01, 3, "prints", False),
        (0.01, 3, "prints, within 0.05", True),
        (-0.06, 3, "prints, within 0.05", False),
        (0.0, 4, "prints, within 0.05", False),
        (0.0, 4, "not an output", True),
    ],
)
def test_an_output_beside_the_code_must_be_what_the_code_prints(
    off: float, users: int, mark: str, holds: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = DOCUMENT.format(off=off, users=users, mark=mark)

    def run() -> None:
        run_document(text, tmp_path / "page.md", lambda: capsys.readouterr().out)

    if holds:
        run()
    else:
        with pytest.raises(AssertionError, match=r"page.md:8: line 1 says 'trained to 0.5 on 3 users'"):
            run()


def test_an_output_that_no_code_precedes_or_that_lacks_lines_is_a_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = "<!-- prints -->\n```text\none\n```\n"
    for text, fault in (
        (output, "no block that runs"),
        (f"<!-- not run -->\n```python\nprint('one')\n```\n\n{output}", "no block that runs"),
        (f"```python\nprint('one')\nprint('two')\n```\n\n{output}", "line 2 says None"),
        (f"```python\npass\n```\n\n{output}", "the block printed None"),
    ):
        with pytest.raises(AssertionError, match=fault):
            run_document(text, tmp_path / "page.md", lambda: capsys.readouterr().out)
