#!/usr/bin/env python3
"""Make docs/tutorial.ipynb from docs/tutorial.md. This script needs nothing but Python's standard library.

    python tools/notebook.py

Every fenced Python block becomes a code cell, and the text between two blocks becomes a text cell. So what a block
should print is below what it printed. A first cell that says how to install is added. The notebook has no outputs, and
the same page always gives the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE, NOTEBOOK = DOCS / "tutorial.md", DOCS / "tutorial.ipynb"

PRINTS = re.compile(r"^<!-- prints(?:, within ([\d.]+))? -->\n", flags=re.MULTILINE)
"""The mark of what the code before it prints."""

CODE = re.compile(r"^```python\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)

INSTALL = """\
Made from [tutorial.md](tutorial.md) by `python tools/notebook.py`: change the page, not the notebook.

To install, in the folder of the repository (Python 3.11 or newer):

    python -m pip install ".[train]" notebook
    python -m notebook docs/tutorial.ipynb

Run the cells from top to bottom. The studies keep finished runs in `runs/store`, beside this file.
"""


def main() -> None:
    """Write docs/tutorial.ipynb."""
    NOTEBOOK.write_text(notebook(PAGE.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")


def notebook(page: str) -> str:
    r"""Return a notebook as JSON, nbformat 4.5.

    page  the text of a Markdown page

    >>> cells = json.loads(notebook("# One\n\n```python\nx = 1\n```\n"))["cells"]
    >>> [(cell["cell_type"], cell["source"]) for cell in cells[1:]]
    [('markdown', ['# One']), ('code', ['x = 1'])]
    """
    cells = [("markdown", INSTALL), *parts(page)]
    document = {
        "cells": [cell(number, kind, text.strip("\n")) for number, (kind, text) in enumerate(cells)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def parts(page: str) -> Iterator[tuple[str, str]]:
    """Yield the kind and the text of every cell of a page that is not empty."""
    for place, text in enumerate(CODE.split(labelled(page))):  # text and code alternate, and text comes first
        if text.strip():
            yield ("code" if place % 2 else "markdown"), text


def labelled(page: str) -> str:
    r"""Return a page with words in place of the marks of outputs, which a notebook shows below its own outputs.

    >>> labelled("<!-- prints, within 0.05 -->\n```text\n0.51\n```\n")
    'It should print, with decimals within 0.05:\n\n```text\n0.51\n```\n'
    """
    return PRINTS.sub(
        lambda mark: f"It should print{f', with decimals within {mark[1]}' if mark[1] else ''}:\n\n", page
    )


def cell(number: int, kind: str, text: str) -> dict[str, Any]:
    """Return one cell; its number makes its id."""
    content = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": text.splitlines(keepends=True)}
    return {**content, "execution_count": None, "outputs": []} if kind == "code" else content


if __name__ == "__main__":
    main()
