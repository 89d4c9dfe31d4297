#!/usr/bin/env python3
"""The pages of the documentation site: those of docs/, and those that are generated from the code.

    python -m tools.site [FOLDER]   write them, by default to build/pages, from where zensical builds the site

The pages of docs/ are taken as they are. The reference comes from the package itself: `reference/*.md` from the public
names (mkdocstrings reads their docstrings), `reference/commands.md` from the command line, `reference/http.md` from the
OpenAPI document. Links between pages lead to pages of the site; links to other files of the repository become text.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import caser
from tools import site_http

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "build" / "pages"

TITLES = {
    "data": ("data", "Logs and splits"),
    "models": ("models", "Models"),
    "config": ("training", "Training"),
    "fitting": ("training", "Training"),
    "evaluation": ("judging", "Judging"),
    "answering": ("answers", "Answers"),
    "study": ("studies", "Studies"),
    "exported": ("export", "Export"),
    "errors": ("errors", "Errors"),
}
"""The page of the reference for each room or file of the package that has public names, and its title."""

PROJECT = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
"""Documents of the root, which are pages too."""

TEXT = r"(?P<text>(?:[^\[\]]|!\[[^\]]*\]\([^)]*\))*)"
LINK = re.compile(rf"(?P<image>!?)\[{TEXT}\]\((?P<target>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")
"""A link or an image of Markdown; the text of a link may be an image."""


def main(words: Sequence[str]) -> int:
    """Write the pages; return the exit status."""
    write(Path(words[0]) if words else PAGES)
    return 0


def write(folder: Path) -> None:
    """Write all pages and images into a folder, which is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    for path in sorted((ROOT / "docs").rglob("*")):
        if path.is_file() and path.suffix != ".md" and path.name != "ruff.toml":
            put(folder, str(path.relative_to(ROOT / "docs")), path.read_bytes())
    for name, text in {**documents(), **generated()}.items():
        put(folder, name, text.encode())


def put(folder: Path, name: str, content: bytes) -> None:
    """Write one file of the site."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def places() -> dict[str, str]:
    """Return where each document of the repository is on the site, by its path in the repository."""
    pages = {path.relative_to(ROOT).as_posix(): path for path in sorted((ROOT / "docs").rglob("*.md"))}
    return {
        **{name: name.removeprefix("docs/") for name in pages},
        **{name: f"project/{name.lower()}" for name in PROJECT},
    }


def documents() -> dict[str, str]:
    """Return the documents of the repository by their place on the site, with their links made to fit."""
    where = places()
    return {place: with_links((ROOT / name).read_text(encoding="utf-8"), name, where) for name, place in where.items()}


def with_links(text: str, name: str, where: dict[str, str]) -> str:
    """Return a document whose links lead to pages of the site.

    text   the document
    name   its path in the repository
    where  the places of all documents

    >>> places = {"README.md": "project/readme.md", "docs/logs.md": "logs.md"}
    >>> with_links("[a](docs/logs.md#x) [b](LICENSE)", "README.md", places)
    '[a](../logs.md#x) b'
    """

    def moved(found: re.Match[str]) -> str:
        inner = LINK.sub(moved, found["text"])
        target, anchor = found["target"], found["anchor"] or ""
        if re.match(r"\w+:", target):
            return f"{found['image']}[{inner}]({target}{anchor})"
        path = os.path.normpath(PurePosixPath(name).parent / target)
        if path not in where and not path.startswith("docs/") and (ROOT / path).exists():
            return inner  # a file that is not on the site
        place = where.get(path, path.removeprefix("docs/"))
        return f"{found['image']}[{inner}]({os.path.relpath(place, PurePosixPath(where[name]).parent)}{anchor})"

    return LINK.sub(moved, text)


def generated() -> dict[str, str]:
    """Return the pages that are generated, by their place."""
    return {
        **reference(),
        "reference/commands.md": commands(),
        "reference/http.md": site_http.page(),
        "decisions/index.md": decisions(),
    }


def page_of(name: str) -> tuple[str, str]:
    """Return the page of the reference on which a public name is, and its title.

    >>> page_of("leave_one_out")
    ('data', 'Logs and splits')
    """
    return TITLES[caser._HOME[name].partition(":")[0].split(".")[1]]


def reference() -> dict[str, str]:
    """Return the pages with the public names: one for each subject, and one that lists all of them."""
    names: dict[tuple[str, str], list[str]] = {}
    for name in caser.__all__:
        names.setdefault(page_of(name), []).append(name)
    found = {}
    rows = ["# All public names", "", "`import caser` gives these names. Each is loaded when it is first used.", ""]
    for page, title in dict.fromkeys(TITLES.values()):
        ours = names[page, title]
        found[f"reference/{page}.md"] = "\n\n".join([f"# {title}", *(f"::: caser.{name}" for name in ours)]) + "\n"
        rows += [f"## {title}", "", "| name | what it is |", "|---|---|"]
        rows += [f"| [`{name}`]({page}.md#caser.{name}) | {first_sentence(name)} |" for name in ours]
        rows.append("")
    found["reference/python.md"] = "\n".join(rows)
    return found


def first_sentence(name: str) -> str:
    """Return the first line of the docstring of a public name.

    >>> first_sentence("load")
    'Read a recommender back from the folder that `Recommender.save` wrote. Needs no torch.'
    """
    text = getattr(caser, name).__doc__ or ""
    return re.sub(r"\s+", " ", text.strip().split("\n\n")[0]).replace("|", r"\|")


def commands() -> str:
    """Return the page of the command line, as the commands describe themselves."""
    from caser.cli.app import EPILOGUE, build_app

    text: str = build_app().generate_docs(output_format="markdown")
    head, _, rest = text.partition("## Table of Contents")
    rest = rest[rest.index("**Commands**") :]
    notes = [
        EPILOGUE.partition(".")[0] + ": [what to do](../operations.md#exit-codes).",
        "`train` and `sweep` are shown with the settings of Caser. `--model NAME --help` shows those of another model; "
        "[models](models.md) has all of them.",
    ]
    return "\n\n".join([head.strip().replace("# caser", "# Command line", 1), *notes, rest])


def decisions() -> str:
    """Return the list of decisions."""
    lines = ["# Decisions", "", "Each page gives one decision whose reason is not obvious, and its reason.", ""]
    for path in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        title = path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
        lines.append(f"- [{title}]({path.name})")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
