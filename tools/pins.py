#!/usr/bin/env python3
"""The pinned packages: what constraints.txt pins, what an extra needs of it, and how the file is renewed.

    python tools/pins.py EXTRA [...]      print the packages of these extras, with hashes, for `pip install -r`
    python tools/pins.py --renew [WHEEL]  write constraints.txt again, with the hashes of these wheels as well

constraints.txt holds every package of every extra and of every platform once: its version and the SHA-256 of each of
its files. pip accepts a file only if its hash is there. pip alone knows which packages one machine needs, because this
depends on the platform and on the build of torch; so pip resolves first (nothing is installed), and then installs
exactly these packages, with their hashes and without resolving again.

Names of extras and of the dependency groups of pyproject.toml are equal here. Like tools/dev.py, this file needs only
the standard library, keeps to the syntax of Python 3.8, and names no package index.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = "3.11"
PIN = re.compile(r"^([\w.-]+)==([\w.]+)(.*?)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)
"""One pin: a name, a version, the platforms that it is for, and its hashes."""


class Pin:
    """One package of constraints.txt.

    name     its name, as package indexes compare names
    version  its only version
    marker   which platforms and Pythons it is for, as text that follows the version
    hashes   the SHA-256 of each of its files
    """

    def __init__(self, name: str, version: str, marker: str, hashes: Iterable[str]) -> None:
        self.name, self.version, self.marker, self.hashes = canonical(name), version, marker, sorted(set(hashes))

    def lines(self, with_marker: bool) -> str:
        r"""Return the pin as pip reads it.

        with_marker  False where it is known that this machine needs the package

        >>> print(Pin("Rich", "15.0.0", " ; sys_platform == 'linux'", ["ab"]).lines(with_marker=True))
        rich==15.0.0 ; sys_platform == 'linux' \
            --hash=sha256:ab
        """
        first = f"{self.name}=={self.version}{self.marker if with_marker else ''}"
        return " \\\n    ".join([first, *(f"--hash=sha256:{digest}" for digest in self.hashes)])


class PinError(Exception):
    """The pins do not hold what is needed; the message says what is missing, and what to type."""


def canonical(name: str) -> str:
    """Return a package's name in the form in which indexes compare names.

    >>> canonical("ml_dtypes")
    'ml-dtypes'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def read(text: str) -> dict[str, Pin]:
    """Read pins from the text of constraints.txt, by canonical name.

    Raises PinError for a line that is neither a comment nor part of a pin with hashes.
    """
    rest = PIN.sub(lambda match: "\n" * match[0].count("\n"), text).splitlines()
    wrong = [(number, line) for number, line in enumerate(rest, start=1) if line.strip() and not line.startswith("#")]
    if wrong:
        raise PinError(
            f"constraints.txt must hold comments and pins with hashes only; line {wrong[0][0]} is {wrong[0][1]!r}; "
            "type: git checkout constraints.txt, or delete that line and type: python tools/pins.py --renew"
        )
    found = (match.groups() for match in PIN.finditer(text))
    pins = [Pin(name, version, marker, re.findall("[0-9a-f]{64}", hashes)) for name, version, marker, hashes in found]
    return {pin.name: pin for pin in pins}


def read_all(root: Path = ROOT) -> dict[str, Pin]:
    """Read the pins of a checkout."""
    return read((root / "constraints.txt").read_text(encoding="utf-8"))


def project_settings(root: Path = ROOT) -> dict[str, Any]:
    """Read pyproject.toml."""
    import tomllib  # Python 3.11

    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def requirements(extra: str, root: Path = ROOT) -> list[str]:
    """Return what an extra requires directly, and what the project requires without any extra.

    extra  the name of an extra of pyproject.toml, or of a dependency group

    Extras that refer to others ("caser[train,tune]") are replaced with what the others require. A group stands alone;
    the group "build" contains what building the project requires. Raises PinError for an unknown extra; pip would only
    warn.
    """
    settings = project_settings(root)
    groups, extras = settings["dependency-groups"], settings["project"]["optional-dependencies"]
    if extra not in groups and extra not in extras:
        raise PinError(
            f"caser has no extra {extra!r}; known: {', '.join(extras)}; type: python tools/dev.py setup train"
        )
    if extra in groups:
        return [*groups[extra], *(settings["build-system"]["requires"] if extra == "build" else [])]
    project = settings["project"]
    waiting, found = [extra], list(project["dependencies"])
    while waiting:
        for requirement in extras[waiting.pop()]:
            others = re.fullmatch(rf"{project['name']}\[(.+)\]", requirement)
            if others:
                waiting += others[1].replace(" ", "").split(",")
            else:
                found.append(requirement)
    return found


def package(requirement: str) -> str:
    """Return the canonical name of the package that a requirement names.

    >>> package("uvloop>=0.22; sys_platform != 'win32'")
    'uvloop'
    """
    return canonical(re.split(r"[^\w.-]", requirement, maxsplit=1)[0])


def floors(extras: Sequence[str], root: Path = ROOT) -> list[str]:
    """Return the lowest versions that pyproject.toml allows of what extras require directly, as constraints of pip.

    extras  names of extras of pyproject.toml

    Raises PinError for a requirement without a floor.
    """
    wanted = dict.fromkeys(requirement for extra in extras for requirement in requirements(extra, root))
    return [floor(requirement) for requirement in wanted]


def floor(requirement: str) -> str:
    """Return the constraint that holds a requirement at its lowest version. Raises PinError if it has none.

    >>> floor("uvloop>=0.22.1,<2; sys_platform != 'win32'"), floor("psycopg[binary]>=3.2")
    ("uvloop==0.22.1; sys_platform != 'win32'", 'psycopg==3.2')
    """
    lowest, (_, semicolon, marker) = re.search(r">=\s*([\w.]+)", requirement), requirement.partition(";")
    if lowest is None:
        raise PinError(f"a requirement of an extra must have a lowest version, such as numpy>=2.0; got {requirement!r}")
    return f"{package(requirement)}=={lowest[1]}{semicolon}{marker}"


def resolving(wanted: Sequence[str], pins: Mapping[str, Pin], folder: Path) -> tuple[list[str], Path]:
    """Return the arguments with which pip finds the packages that requirements need and that are not installed yet.

    wanted  requirements
    pins    the only versions that are allowed
    folder  where the versions go, and pip's report

    Returns the arguments of `pip install`, and the path of the report that it will write. pip builds nothing:
    no code of a package runs before its hash was compared.
    """
    versions, report = folder / "versions.txt", folder / "report.json"
    versions.write_text("".join(f"{pin.name}=={pin.version}\n" for pin in pins.values()), encoding="utf-8")
    words = ["--dry-run", "--report", str(report), "--constraint", str(versions), "--only-binary", ":all:", *wanted]
    return words, report


def resolved(report: Path, pins: Mapping[str, Pin]) -> list[Pin]:
    """Return the pins of the packages that pip's report names. Raises PinError for a package without a pin."""
    packages = json.loads(report.read_text(encoding="utf-8"))["install"]
    return chosen(sorted(canonical(one["metadata"]["name"]) for one in packages), pins)


def chosen(names: Sequence[str], pins: Mapping[str, Pin]) -> list[Pin]:
    """Return the pins of packages, by canonical name. Raises PinError for a package without a pin."""
    missing = [name for name in names if name not in pins]
    if missing:
        raise PinError(
            f"constraints.txt must name the hashes of every package; it has none of {', '.join(missing)}; "
            "type: python tools/pins.py --renew"
        )
    return [pins[name] for name in names]


def as_requirements(pins: Iterable[Pin]) -> str:
    """Return pins as the text of a file for `pip install --require-hashes --no-deps -r`."""
    return "".join(f"{pin.lines(with_marker=False)}\n" for pin in pins)


def needed(extras: Sequence[str], root: Path = ROOT) -> list[Pin]:
    """Return the pins of all packages that some extras need and that the running Python does not have yet."""
    pins = read_all(root)
    wanted = [requirement for extra in extras for requirement in requirements(extra, root)]
    with tempfile.TemporaryDirectory() as folder:
        words, report = resolving(wanted, pins, Path(folder))
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *words], check=True)
        return resolved(report, pins)


def renew(wheels: Sequence[Path], root: Path = ROOT) -> None:
    """Write constraints.txt again: the versions as they are, where they still fit, and the hashes of all their files.

    wheels  files that no index has, such as a build of torch of your own; their hashes are added

    To take newer versions, delete the lines of their packages first. Hashes of a version that stays are kept. Needs uv
    on the path; its own configuration decides which index is asked.
    """
    path = root / "constraints.txt"
    old = read_all(root)
    head = "".join(line for line in path.read_text(encoding="utf-8").splitlines(True) if line.startswith("#"))
    groups = [word for group in project_settings(root)["dependency-groups"] for word in ("--group", group)]
    asked = ["--extra", "dev", *groups, "--python-version", OLDEST_PYTHON]
    quiet = ["--no-annotate", "--no-header", "--no-emit-index-url", "--no-emit-find-links", "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "pins.txt"
        output.write_text("".join(f"{pin.lines(with_marker=True)}\n" for pin in old.values()), encoding="utf-8")
        words = ["uv", "pip", "compile", "--universal", "--generate-hashes", *asked, *quiet, "pyproject.toml"]
        subprocess.run([*words, "--output-file", str(output)], cwd=root, check=True)
        new = read(output.read_text(encoding="utf-8"))
    for name, pin in new.items():
        if name in old and old[name].version == pin.version:
            pin.hashes = sorted({*pin.hashes, *old[name].hashes})
    for wheel in wheels:
        add(wheel, new)
    path.write_text(head + "".join(f"{pin.lines(with_marker=True)}\n" for pin in new.values()), encoding="utf-8")


def add(wheel: Path, pins: Mapping[str, Pin]) -> None:
    """Add the hash of a wheel to its pin. Raises PinError where the pins do not have the package in this version."""
    name, version = wheel.name.split("-")[:2]
    pin = pins.get(canonical(name))
    if pin is None or pin.version != version.partition("+")[0]:
        has = f"pins {pin.version}" if pin else "does not pin the package"
        raise PinError(f"A wheel must be of a version that constraints.txt pins; {wheel} is {version}, the file {has}")
    pin.hashes = sorted({*pin.hashes, hashlib.sha256(wheel.read_bytes()).hexdigest()})


def main(words: Sequence[str]) -> int:
    """Print the packages of extras, or renew constraints.txt; return the exit status."""
    if not words:
        print(__doc__)
        return 2
    try:
        if words[0] == "--renew":
            renew([Path(word) for word in words[1:]])
        else:
            sys.stdout.write(as_requirements(needed(words)))
    except (PinError, OSError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
