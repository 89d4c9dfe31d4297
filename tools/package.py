"""The package as a user gets it: built like a release, looked into, and tried by its name. Part of tools/dev.py.

Every package that takes part comes by its hash (constraints.txt), also those that only build. A wheel is tried in
environments that hold nothing but itself and one extra; `tools/smoke.py` runs there. This file needs only the standard
library, and names no package index.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools import installing, pins

NO_EXTRA = "none"
"""The word for the package without an extra."""
METADATA = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
"""What a wheel holds beside the package."""
HEADING = re.compile(r"^## (\S+) - (unreleased|\d{4}-\d\d-\d\d)$", re.MULTILINE)
"""A version in CHANGELOG.md."""


class PackageError(Exception):
    """The package must not be published as it is; the message says why, and what to do."""


def extras(root: Path) -> list[str]:
    """Return what the wheel is tried with: no extra, and each extra of pyproject.toml but the one for developers."""
    return [
        NO_EXTRA,
        *(name for name in pins.project_settings(root)["project"]["optional-dependencies"] if name != "dev"),
    ]


def check(tools: Path, wanted: Sequence[str], root: Path) -> None:
    """Build the package into dist/, check what it holds, and try the wheel with each extra.

    tools   the Python that has the packages of the group "package"
    wanted  names of extras, or "none" for the wheel alone; all of them if there is no name
    root    the checkout

    Raises PackageError or SetupError at the first step that fails.
    """
    known = extras(root)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise PackageError(f"package takes names of extras; got {unknown[0]!r}; known: {', '.join(known)}")
    sdist, wheel = build(tools, root)
    check_sdist(sdist, root)
    check_wheel(wheel, root)
    print(f"{sdist.name} holds the checkout, {wheel.name} the package, and nothing else", flush=True)
    installing.run_quietly(
        "Checking the metadata", [str(tools), "-m", "twine", "check", "--strict", str(sdist), str(wheel)], root
    )
    for extra in wanted or known:
        try_out(wheel, extra, root)


def build(tools: Path, root: Path) -> tuple[Path, Path]:
    """Build the source distribution and, from it, the wheel, each in an environment of its own.

    tools  the Python that has `build`
    root   the checkout

    Returns both files, which are in dist/. Raises SetupError if a build fails, and PackageError if the wheel from the
    checkout is another one than that from the source distribution.
    """
    target = root / "dist"
    for old in target.glob("caser-*"):
        old.unlink()
    # pip reads these variables also where `build` calls it: the build backend comes by its hash, like all else.
    pinned = {"PIP_CONSTRAINT": str(root / "constraints.txt"), "PIP_REQUIRE_HASHES": "1", "PIP_ONLY_BINARY": ":all:"}
    with tempfile.TemporaryDirectory() as folder:
        both = [str(tools), "-m", "build", "--outdir", str(target), str(root)]
        direct = [str(tools), "-m", "build", "--wheel", "--outdir", folder, str(root)]
        installing.run_quietly("Building the source distribution, and the wheel from it", both, root, pinned)
        installing.run_quietly("Building the wheel from the checkout", direct, root, pinned)
        (sdist,), (wheel,) = target.glob("caser-*.tar.gz"), target.glob("caser-*.whl")
        if wheel.read_bytes() != (Path(folder) / wheel.name).read_bytes():
            raise PackageError(
                f"the source distribution must give the same wheel as the checkout; {wheel.name} differs; compare "
                "what both hold (python -m zipfile --list FILE)"
            )
    return sdist, wheel


def tracked(folder: str, root: Path) -> dict[str, bytes]:
    """Return the content of the files that git tracks, by their path in the checkout. Raises PackageError without git.

    folder  a folder of the checkout, such as "src/caser"; "" for all of it
    root    the checkout
    """
    words = ["git", "ls-files", "-z", "--", folder or "."]
    listing = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        raise PackageError("a package must be built in a git checkout, which says what belongs to it; type: git clone")
    return {name: (root / name).read_bytes() for name in listing.stdout.split("\0") if (root / name).is_file()}


def check_sdist(sdist: Path, root: Path) -> None:
    """Raise PackageError unless a source distribution holds what git tracks, and its metadata.

    sdist  the .tar.gz
    root   the checkout
    """
    with tarfile.open(sdist) as archive:
        files = [(one.name.partition("/")[2], archive.extractfile(one)) for one in archive.getmembers()]
        found = {name: file.read() for name, file in files if file is not None}
    found.pop("PKG-INFO", None)
    refuse_differences(sdist.name, found, tracked("", root))


def check_wheel(wheel: Path, root: Path) -> None:
    """Raise PackageError unless a wheel holds the package as git tracks it, and metadata that name no place here.

    wheel  the .whl
    root   the checkout
    """
    with zipfile.ZipFile(wheel) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    folder = "-".join(wheel.name.split("-")[:2]) + ".dist-info/"
    metadata = {name[len(folder) :]: found.pop(name) for name in list(found) if name.startswith(folder)}
    if metadata.keys() != METADATA:
        raise PackageError(
            f"the metadata of {wheel.name} must be {', '.join(sorted(METADATA))}; got {', '.join(sorted(metadata))}; "
            "see [tool.hatch] in pyproject.toml"
        )
    refuse_differences(wheel.name, found, {name[4:]: data for name, data in tracked("src/caser", root).items()})
    named = [name for name, data in metadata.items() if str(root).encode() in data]
    if named:
        raise PackageError(f"a wheel must name no place on this machine; {named[0]} of {wheel.name} names {root}")


def refuse_differences(what: str, found: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> None:
    """Raise PackageError for files that are too many, missing or changed.

    what    the name of the archive
    found   its files, by path
    wanted  the files of the checkout that belong into it, by path
    """
    differences = {
        "holds also": found.keys() - wanted.keys(),
        "lacks": wanted.keys() - found.keys(),
        "has another content of": {name for name in wanted if found.get(name, wanted[name]) != wanted[name]},
    }
    for how, names in differences.items():
        if names:
            raise PackageError(
                f"{what} must hold the files that git tracks; it {how} {', '.join(sorted(names)[:5])} "
                f"({len(names)} in all); commit or delete these files, or see [tool.hatch] in pyproject.toml"
            )


def try_out(wheel: Path, extra: str, root: Path) -> None:
    """Install a wheel by its name, with an extra and nothing else, and use it there.

    wheel  the wheel
    extra  an extra, or "none"
    root   the checkout

    Raises SetupError if the installation fails, or a step of tools/smoke.py.
    """
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "environment"
        python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        what = "caser" if extra == NO_EXTRA else f"caser[{extra}]"
        installing.run_quietly(f"Trying {what}: environment", [sys.executable, "-m", "venv", str(environment)], root)
        installing.install_hashed("  pip", python, pins.chosen(["pip"], pins.read_all(root)), root)
        install_by_name(what, wheel, python, root)
        installing.run_quietly("  pip check", [str(python), "-m", "pip", "check"], root)
        place = Path(folder) / "place"
        place.mkdir()
        run = root / "tests" / "parity" / "data" / "recorded" / "before-0.1.0" / "gru4rec"
        shutil.copytree(run, place / "network")
        # -I: neither PYTHONPATH nor the working folder may lend it a module.
        installing.run_quietly("  smoke test", [str(python), "-I", str(root / "tools" / "smoke.py"), extra], place)


def install_by_name(what: str, wheel: Path, python: Path, root: Path) -> None:
    """Let pip find a wheel by its name, as in an index, and the packages it needs by their hashes.

    what    the requirement without a version, such as "caser[train]"
    wheel   the wheel
    python  the Python of the environment
    root    the checkout

    Raises SetupError if pip fails or finds a file with another hash.
    """
    version = wheel.name.split("-")[1]
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "requirements.txt"
        path.write_text(f"{what}=={version} --hash=sha256:{digest}\n", encoding="utf-8")
        words = ["--only-binary", ":all:", "--find-links", str(wheel.parent), "--constraint", "constraints.txt"]
        installing.pip("  installation", python, [*words, "--requirement", str(path)], root)


def check_release(tag: str, root: Path, today: datetime.date) -> None:
    """Raise PackageError unless a tag, the version and the changelog agree that this is a release.

    tag    the tag of the commit, such as v0.1.0
    root   the checkout
    today  the date
    """
    version = version_of(root)
    if tag != f"v{version}":
        raise PackageError(f"a release must have the tag v{version}, as in src/caser/__init__.py; got {tag}")
    heading = HEADING.search((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    if heading is None or heading[1] != version or heading[2] == "unreleased":
        got = heading[0] if heading else "no such heading"
        raise PackageError(f"the first heading of CHANGELOG.md must be '## {version} - {today}'; got {got!r}")
    if datetime.date.fromisoformat(heading[2]) > today:
        raise PackageError(f"the date of {version} in CHANGELOG.md must not be later than {today}; got {heading[2]}")


def version_of(root: Path) -> str:
    """Return the version, from the one place where it is written."""
    text = (root / "src" / "caser" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(\S+)"$', text, re.MULTILINE)
    if found is None:
        raise PackageError('src/caser/__init__.py must hold a line such as: __version__ = "0.1.0"')
    return found[1]
