"""What a person types next: commands of this library, and lines that install a package, as they work here.

The command `caser` is often not on PATH, because it is in an environment that is not active. The package is often not
on an index, because it was installed from a folder. So every line that is printed comes from this file.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

PACKAGE = "caser"
CHECKOUT = Path(__file__).resolve().parents[3]
"""The folder that holds pyproject.toml where the library runs from a checkout."""

_script: str | None = None
"""The script of a user whose command line this is, because it registers models; None for `caser` itself."""


def run_by(program: str) -> None:
    """Remember the program that runs the command line, so that `command_line` names it.

    program  the first word that was typed, as in `sys.argv`

    A Python file other than the entry points of this library is a script that imports models of a user: commands that
    are typed next need it too.
    """
    global _script
    path = Path(program)
    is_own = path.suffix != ".py" or path.name == "__main__.py"
    _script = None if is_own else shlex.quote(program)


def command_line(*words: str) -> str:
    """Return a command of this library as it can be typed in the current folder.

    words  the words after the name of the command

    >>> command_line("recommend", "runs/my run").endswith(" recommend 'runs/my run'")
    True
    """
    own = _program(PACKAGE) or f"{python()} -m {PACKAGE}"
    return f"{own if _script is None else f'{python()} {_script}'} {shlex.join(words)}"


def python() -> str:
    """Return the name of the running Python as it can be typed in the current folder."""
    return _program(Path(sys.executable).name) or shlex.quote(sys.executable or "python")


def install_line(extra: str) -> str:
    """Return the line that installs an extra of this library from where the library was installed.

    extra  a name in pyproject.toml, such as "serve"

    >>> "install" in install_line("serve") and "[serve]" in install_line("serve")
    True
    """
    return f"{_pip()} install {_requirement(extra)}"


def install_package(name: str) -> str:
    """Return the line that installs another package.

    name  its name on the package index
    """
    return f"{_pip()} install {name}"


def _pip() -> str:
    return _program("pip") if _is_on_path("pip") else f"{python()} -m pip"


def _program(name: str) -> str:
    """The program of the running environment: its name if PATH finds it, else its path; empty if there is none."""
    if _is_on_path(name):
        return name
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    return shlex.quote(_from_here(Path(found))) if found else ""


def _is_on_path(name: str) -> bool:
    """Whether a shell that looks for a program finds that of the running environment."""
    found = shutil.which(name)
    return found is not None and Path(found).absolute().parent == Path(sys.executable).absolute().parent


def _from_here(path: Path) -> str:
    """A path as it can be typed here: relative to the current folder if it is inside, and never a bare name."""
    try:
        inside = path.relative_to(Path.cwd())
    except (ValueError, OSError):  # elsewhere, or the current folder is gone
        return str(path)
    return str(Path(inside)) if len(inside.parts) != 1 else f".{os.sep}{inside}"


def _requirement(extra: str) -> str:
    """The library with an extra, as pip finds it where the installed library came from."""
    if (CHECKOUT / "pyproject.toml").is_file():
        return f'-e "{_from_here(CHECKOUT)}[{extra}]"'
    source = _source()
    if source is None:
        return f'"{PACKAGE}[{extra}]"'
    return f'"{PACKAGE}[{extra}] @ {source}"' if "://" in source else f'"{_from_here(Path(source))}[{extra}]"'


def _source() -> str | None:
    """The folder, the file or the URL that the library was installed from; None for a package index."""
    try:
        text = distribution(PACKAGE).read_text("direct_url.json")
        facts = json.loads(text) if text else {}
    except (PackageNotFoundError, ValueError):
        return None
    url = facts.get("url", "")
    if url.startswith("file:"):
        return url2pathname(urlsplit(url).path)
    if vcs := facts.get("vcs_info"):
        revision = vcs.get("requested_revision") or vcs["commit_id"]
        return f"{vcs['vcs']}+{url}@{revision}"
    return url or None
