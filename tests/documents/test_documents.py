"""What README.md and docs/ show can be typed: each document runs from top to bottom, in a folder of its own.

Python blocks share one namespace. Of the console blocks only the quick ones, marked `<!-- runs -->`, are run.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.documents.blocks import Block, blocks

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_document_runs_from_top_to_bottom(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "document"}
    for block in blocks(path.read_text(encoding="utf-8")):
        if block.runs and block.language == "python":
            run_python(block, path, namespace)
        elif block.runs:
            run_commands(block, path)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_a_document_links_to_is_there(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", path.read_text(encoding="utf-8"))
    assert not [link for link in links if not (path.parent / link).exists()]


def run_python(block: Block, path: Path, namespace: dict[str, Any]) -> None:
    # Empty lines in front, so that a traceback shows the line of the document.
    exec(compile("\n" * (block.line - 1) + block.text, str(path), "exec"), namespace)


def run_commands(block: Block, path: Path) -> None:
    for command in block.commands:
        program, *words = shlex.split(command)
        assert program == "caser", f"{path.name}:{block.line}: only commands of caser are run; got {command!r}"
        done = subprocess.run([sys.executable, "-m", "caser", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{path.name}:{block.line}: {command}\n{done.stdout}{done.stderr}"


def test_a_python_block_runs_unless_it_says_otherwise() -> None:
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
