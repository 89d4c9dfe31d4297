"""The tests on other Pythons, and with the lowest and the newest packages that pyproject.toml allows.

    python tools/dev.py versions             every session that this machine has a Python for
    python tools/dev.py versions floors      one of them: tests-3.11, ..., tests-3.14, floors, newest
    python tools/dev.py versions tests-3.12 -- --cuda -k tape    words for the session, then for pytest

A Python that is not here is skipped with a line that says so. Where pip finds only a build of torch for CUDA (about
3 GB), a session runs the tests that need no torch, and says so; `--cuda` takes that build.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from tools import installing, package, pins  # noqa: E402

ROOMS_WITHOUT_TORCH = ("arrays", "artefact", "data", "evaluation", "search", "system")
WITH_TORCH = ("data/test_target_events.py", "system/test_randomness.py")
"""Rooms whose tests need no torch, and the files in them that need it."""
FITTING = ("artefact", "cli", "data", "exported", "fitting", "search", "study/report")
"""Rooms that call the packages whose versions vary."""

nox.needs_version = ">=2025.11"
nox.options.envdir = "build/nox"
nox.options.stop_on_first_error = False


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def tests(session: nox.Session) -> None:
    """Run the quick suite on one Python, with the pinned packages."""
    light = has_light_torch(session)
    wanted = [one for one in pins.requirements("dev") if light or pins.package(one) != "torch"]
    installing.install_requirements(python_of(session), [*wanted, *pins.requirements("build")], ROOT)
    rest = [*folders(ROOMS_WITHOUT_TORCH), *(f"--ignore=tests/{name}" for name in WITH_TORCH)]
    run_tests(session, [] if light else rest)


@nox.session(python="3.11")
def floors(session: nox.Session) -> None:
    """Run fitting tests with the lowest version of everything that an extra names."""
    vary(session, pins.floors([name for name in package.extras(ROOT) if name != package.NO_EXTRA]))


@nox.session(python="3.11")
def newest(session: nox.Session) -> None:
    """Run fitting tests with the newest versions, but torch as it is pinned: its range is one minor version."""
    vary(session, [f"torch=={pins.read_all(ROOT)['torch'].version}"])


def vary(session: nox.Session, constraints: list[str]) -> None:
    """Run fitting tests with packages that pip chooses within constraints."""
    if not has_light_torch(session):
        session.skip("needs a build of torch for CPUs; with --cuda it takes the one for CUDA, about 3 GB")
    path = Path(session.create_tmp()) / "constraints.txt"
    path.write_text("".join(f"{line}\n" for line in constraints), encoding="utf-8")
    installing.install_requirements(python_of(session), pins.requirements("build"), ROOT)
    words = ["--only-binary", ":all:", "--constraint", str(path), *pins.requirements("dev")]
    installing.pip("Installing what pip chooses", python_of(session), words, ROOT)
    run_tests(session, folders(FITTING))


def folders(rooms: tuple[str, ...]) -> list[str]:
    """Return where the tests of rooms are."""
    return [f"tests/{room}" for room in rooms]


def run_tests(session: nox.Session, chosen: list[str]) -> None:
    """Run the quick suite, or only what is chosen; the words after `--` go to pytest."""
    python = python_of(session)
    installing.install_project(python, ROOT)
    words = [word for word in session.posargs if word != "--cuda"]
    session.run(str(python), "-m", "pytest", "-q", "-n", "2", *chosen, *words)


def has_light_torch(session: nox.Session) -> bool:
    """Return whether torch is to be installed: --cuda is given, or pip finds a build that needs no CUDA."""
    if "--cuda" in session.posargs:
        return True
    report = Path(session.create_tmp()) / "torch.json"
    torch = f"torch=={pins.read_all(ROOT)['torch'].version}"
    words = ["install", "--quiet", "--dry-run", "--only-binary", ":all:", "--report", str(report), torch]
    found = session.run(str(python_of(session)), "-m", "pip", *words, silent=True, success_codes=[0, 1])
    packages = json.loads(report.read_text(encoding="utf-8"))["install"] if report.exists() else []
    names = [one["metadata"]["name"] for one in packages]
    light = bool(names) and not any(name.startswith("nvidia") for name in names)
    if not light:
        why = "has a build for CUDA only" if names else f"has no build ({str(found).strip().splitlines()[-1:]})"
        session.warn(f"{torch} {why} for Python {session.python}; the tests that need torch do not run (-- --cuda)")
    return light


def python_of(session: nox.Session) -> Path:
    """Return the Python of a session's environment."""
    return Path(session.bin) / "python"
