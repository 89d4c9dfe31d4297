"""Installation by hash: pip accepts a file only if constraints.txt holds its SHA-256. Part of tools/dev.py.

It needs only the standard library, keeps to the syntax of Python 3.8, and names no package index: pip's own
configuration decides where packages come from.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from tools import pins


class SetupError(Exception):
    """Set-up cannot go on; the message says why, and what to type instead."""


def needs_torch(requirements: Sequence[str]) -> bool:
    """Return whether requirements name torch.

    >>> needs_torch(["numpy>=2", "torch>=2.13"]), needs_torch(["numpy>=2"])
    (True, False)
    """
    return "torch" in [pins.package(requirement) for requirement in requirements]


def install_pinned(python: Path, extras: Sequence[str], root: Path) -> None:
    """Install everything that extras need, each file by its hash, into the environment of a Python.

    python  the environment's Python
    extras  extras of pyproject.toml, or dependency groups
    root    the checkout

    Raises SetupError if pip fails or finds a file with another hash, and PinError for a package without a pin.
    """
    install_requirements(python, [one for extra in extras for one in pins.requirements(extra, root)], root)


def install_requirements(python: Path, wanted: Sequence[str], root: Path) -> None:
    """Install requirements and what they need, each file by its hash, into the environment of a Python.

    python  the environment's Python
    wanted  requirements, as in pyproject.toml
    root    the checkout

    Raises SetupError if pip fails or finds a file with another hash, and PinError for a package without a pin.
    """
    all_pins = pins.read_all(root)
    # pip itself comes first: an old one downloads whole packages to find out what they need.
    install_hashed("Installing pip", python, pins.chosen(["pip"], all_pins), root)
    # Before the rest: what has no wheel, because pip would run its code to resolve it; and torch, because its build
    # (for CPUs, for CUDA) decides what else is needed.
    names = [pins.package(requirement) for requirement in wanted]
    for name, builder in pins.project_settings(root)["tool"]["caser"]["from-source"].items():
        if name in names:
            install_hashed(f"Installing {builder}", python, pins.chosen([builder], all_pins), root)
            install_hashed(f"Building {name}", python, pins.chosen([name], all_pins), root, ["--no-build-isolation"])
    if needs_torch(wanted):
        install_hashed("Installing torch, the largest part", python, pins.chosen(["torch"], all_pins), root)
    with tempfile.TemporaryDirectory() as folder:
        words, report = pins.resolving(wanted, all_pins, Path(folder))
        pip("Finding the packages that are missing", python, words, root)
        missing = pins.resolved(report, all_pins)
    if missing:
        install_hashed(f"Installing {len(missing)} packages", python, missing, root)


def install_hashed(
    what: str, python: Path, chosen: Sequence[pins.Pin], root: Path, form: Sequence[str] = ("--only-binary", ":all:")
) -> None:
    """Install exactly these pins.

    what    what is installed, for people
    python  the environment's Python
    chosen  the packages
    root    the checkout
    form    arguments of pip that say which form of a package it takes; by default wheels, so that no code is run

    Raises SetupError if pip fails or finds a file with another hash.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "packages.txt"
        path.write_text(pins.as_requirements(chosen), encoding="utf-8")
        pip(what, python, ["--require-hashes", "--no-deps", *form, "--requirement", str(path)], root)


def install_project(python: Path, root: Path) -> None:
    """Install the checkout itself, editable, with the build tools that the environment has. Raises SetupError."""
    pip("Installing caser", python, ["--no-deps", "--no-build-isolation", "--editable", "."], root)


def pip(what: str, python: Path, words: Sequence[str], root: Path) -> None:
    """Run `pip install` in the checkout.

    what    what is installed, for people
    python  the environment's Python
    words   arguments of `pip install`
    root    the checkout

    Raises SetupError if pip fails.
    """
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check"]
    run_quietly(what, [str(python), "-m", "pip", "install", *quiet, *words], root)


def run_quietly(
    what: str, command: Sequence[str], root: Path, variables: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Run a command, print a dot every five seconds, and show the end of its output only if it fails.

    what       what the command does, for people
    command    the program and its arguments
    root       the folder to run it in
    variables  what its environment holds beside that of this process

    Raises SetupError if the command fails.
    """
    start = time.monotonic()
    print(f"{what} ", end="", flush=True)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        environment = {**os.environ, **variables}
        with subprocess.Popen(command, cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT) as process:
            while True:
                try:
                    status = process.wait(timeout=5)
                    break
                except subprocess.TimeoutExpired:
                    print(".", end="", flush=True)
        if status == 0:
            print(f" {time.monotonic() - start:.0f} s", flush=True)
            return
        output.seek(0)
        lines = output.readlines()
        print(" failed\n" + "".join(lines[-15:]), file=sys.stderr)
    wrong = package_with_wrong_hash("".join(lines))
    if wrong:
        raise SetupError(
            f"The file of {wrong} must have one of the hashes in constraints.txt; the file that pip found has another, "
            "and was not installed (its address and hash are printed above); check where pip looks (pip config list), "
            "or, if you built or trust this file, type: python tools/pins.py --renew FILE"
        )
    raise SetupError(
        f"{what} must succeed; it ended with status {status}, as printed above; "
        "check the network and pip's configuration (pip config list), then run the same command again"
    )


def package_with_wrong_hash(output: str) -> str | None:
    r"""Return the package of which pip says that its file has none of the hashes that it must have.

    output  what pip printed

    >>> package_with_wrong_hash("ERROR: ... DO NOT MATCH THE HASHES ...\n    rich==15.0.0 from file:///r.whl:")
    'rich==15.0.0'
    >>> package_with_wrong_hash("ERROR: no network")
    """
    found = re.search(r"DO NOT MATCH THE HASHES.*?\n\s+(\S+) from ", output, re.DOTALL)
    return found[1] if found else None
