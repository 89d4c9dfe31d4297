"""Measure what the tests see: put small faults into the code, one at a time, and count those that a test catches.

    python tools/dev.py mutate                 150 mutants of all modules in ROOMS, drawn with seed 0
    python tools/dev.py mutate --number 40 --seed 3 --module data/tape.py

A mutant is a copy of a module with one fault (`mutants.py` makes them). For each, the tests that belong to the module
run in a copy of the checkout until one fails. A mutant that survives is shown, unless `equivalent_mutants.toml` says
why nobody can tell it from the code. The exit status is 1 if fewer than 90 % of the others are caught.

The tests run in a fork of this process, which has loaded the large libraries once. So this needs an operating system
with `fork`; it takes about ten seconds per mutant on one core.
"""

from __future__ import annotations

import argparse
import compileall
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EQUIVALENT = ROOT / "tools" / "equivalent_mutants.toml"
WANTED = 0.9
"""The share of mutants that the tests must catch."""
MOST_SECONDS = 600
"""Tests without a fault must end within this time."""
TIMES_AS_LONG, MORE_SECONDS = 3, 30
"""Tests that take so many times as long as without a fault, and so many seconds more, count as failed: the fault made a
loop without end."""

ROOMS: dict[str, tuple[str, ...]] = {
    "data/tape.py": ("tests/data/test_tape.py", "tests/contracts/test_blocks.py", "tests/data/test_user_sessions.py"),
    "data/split.py": ("tests/data/test_split.py", "tests/properties/test_split.py"),
    "training/negatives.py": ("tests/training/test_negatives.py", "tests/contracts/test_blocks.py"),
    "training/batches.py": ("tests/training/test_batches.py", "tests/properties/test_batches.py"),
    "evaluation/ranking.py": (
        "tests/evaluation/test_ranking.py",
        "tests/properties/test_ranking.py",
        "tests/contracts/test_blocks.py",
    ),
    "evaluation/fingerprint.py": ("tests/evaluation/test_fingerprint.py", "tests/evaluation/test_judge.py"),
    "evaluation/slices.py": ("tests/evaluation/test_slices.py", "tests/properties/test_slices.py"),
    "answering/best_items.py": ("tests/answering/test_best_items.py", "tests/answering", "tests/search"),
    "search/products.py": ("tests/search/test_products.py", "tests/answering"),
    "answering/recommender.py": ("tests/answering", "tests/search/test_cells.py", "tests/service/test_every_road.py"),
    "service/http/access.py": ("tests/service/test_access.py", "tests/service/test_middleware.py"),
    "study/keys.py": ("tests/study/test_keys.py", "tests/study/audit/test_keys.py"),
}
"""Each module that is mutated, and its tests, those that know it best first. Its doctests run too."""

HEAVY = ("numpy", "polars", "scipy.stats", "torch", "numba", "pytest", "fastapi", "httpx", "pydantic")


def main(words: Sequence[str]) -> int:
    """Run the tests on mutants, print those that survive and the score, and return the exit status."""
    asked = parsed(words)
    modules = [module for module in ROOMS if not asked.module or module in asked.module]
    with tempfile.TemporaryDirectory() as folder:
        copy = checkout(Path(folder) / "checkout")
        mutants = made(asked.python, modules, asked.number, asked.seed)
        for name in HEAVY:
            importlib.import_module(name)
        seconds = seconds_without_fault(copy, modules)
        survivors = [mutant for mutant in progress(mutants) if survives(copy, mutant, seconds)]
    return score(len(mutants), survivors)


def parsed(words: Sequence[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="tools/dev.py mutate", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--number", type=int, default=150, help="how many mutants to try")
    parser.add_argument("--seed", type=int, default=0, help="which ones are drawn")
    parser.add_argument("--module", action="append", choices=list(ROOMS), help="only this module; repeat for several")
    parser.add_argument("--python", default=sys.executable, help="a Python that has cosmic-ray")
    return parser.parse_args(words)


def checkout(folder: Path) -> Path:
    """Copy what git tracks, so that a fault never stands in the files that people edit; return the folder."""
    listing = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    # Compiled once: the tests of a mutant then compile only the module with the fault.
    compileall.compile_dir(folder / "src", quiet=2)
    return folder


def made(python: str, modules: Sequence[str], number: int, seed: int) -> list[dict[str, Any]]:
    """Return the mutants to try, as `mutants.py` prints them."""
    paths = [f"src/caser/{module}" for module in modules]
    command = [python, str(ROOT / "tools" / "mutants.py"), str(number), str(seed), str(ROOT), *paths]
    mutants: list[dict[str, Any]] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return mutants


def seconds_without_fault(copy: Path, modules: Sequence[str]) -> dict[str, float]:
    """Return how long the tests of each module take. Exits if they fail: then nothing could be learned."""
    seconds = {}
    for module in modules:
        remove_compiled(copy, module)
        start = time.monotonic()
        if not passes(copy, module, MOST_SECONDS):
            sys.exit(f"the tests of {module} must pass before faults are made; type: pytest {' '.join(ROOMS[module])}")
        seconds[module] = time.monotonic() - start
    return seconds


def progress(mutants: Sequence[dict[str, Any]]) -> Any:
    """Yield the mutants, and print one line for each ten."""
    start = time.monotonic()
    for number, mutant in enumerate(mutants):
        if number % 10 == 0:
            print(f"  {number} of {len(mutants)} mutants, {time.monotonic() - start:.0f} s", flush=True)
        yield mutant


def survives(copy: Path, mutant: dict[str, Any], seconds: dict[str, float]) -> bool:
    """Whether the tests pass although the code has the fault; without it they take so many `seconds`."""
    path = copy / mutant["module"]
    module = mutant["module"].removeprefix("src/caser/")
    true = path.read_text(encoding="utf-8")
    path.write_text(mutant["code"], encoding="utf-8")
    try:
        return passes(copy, module, TIMES_AS_LONG * seconds[module] + MORE_SECONDS)
    finally:
        path.write_text(true, encoding="utf-8")


def passes(copy: Path, module: str, most_seconds: float) -> bool:
    """Whether the tests of a module pass in the copy within a time, in a fork of this process."""
    child = os.fork()
    if child == 0:
        os._exit(run_tests(copy, [f"src/caser/{module}", *(name for name in ROOMS[module] if (copy / name).exists())]))
    end = time.monotonic() + most_seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def run_tests(copy: Path, names: Sequence[str]) -> int:
    """Run tests until one fails, in silence, and return pytest's exit status. Writes no compiled file."""
    os.setpgid(0, 0)
    os.chdir(copy)
    sys.dont_write_bytecode = True
    sys.path[:0] = [str(copy / "src"), str(copy)]
    os.environ.update(PYTHONPATH=str(copy / "src"), PYTHONDONTWRITEBYTECODE="1")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    import pytest

    # Plugins that this process has imported already, such as anyio's, cannot be rewritten, which would be an error.
    quiet = ("-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
    try:
        return int(pytest.main(["-x", *quiet, *names]))
    except BaseException:  # whatever a fault raises while tests are collected
        return 1


def remove_compiled(copy: Path, module: str) -> None:
    """Remove the compiled file of a module, which could hide a fault of the same size."""
    path = copy / "src" / "caser" / module
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()


def score(number: int, survivors: Sequence[dict[str, Any]]) -> int:
    """Print the mutants that survived and the score; return 0 if enough were caught."""
    reasons = {(one["module"], one["was"], one["is"]): one["why"] for one in known_equivalents()}
    equivalent = 0
    for mutant in survivors:
        module = mutant["module"].removeprefix("src/caser/")
        why = reasons.get((module, mutant["was"], mutant["is"])) or reasons.get((module, mutant["was"], "*"))
        equivalent += why is not None
        label = f"equivalent ({why})" if why else "SURVIVED"
        print(f"{label}: {module}:{mutant['line']} {mutant['fault']}\n    - {mutant['was']}\n    + {mutant['is']}")
    real, caught = number - equivalent, number - len(survivors)
    share = caught / max(real, 1)
    print(f"{caught} of {real} mutants were caught ({share:.1%}); {equivalent} more cannot be told from the code")
    return 0 if share >= WANTED else 1


def known_equivalents() -> list[dict[str, str]]:
    """Return the mutants that nobody can tell from the code, each with the reason."""
    if not EQUIVALENT.exists():
        return []
    found: list[dict[str, str]] = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))["mutant"]
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
