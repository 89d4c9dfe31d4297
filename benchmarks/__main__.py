"""Run benchmarks by name, one after another, each in a process of its own; without a name, all those of speed.

Those of the service take long and have a verb of their own, bench-serve.

    python tools/dev.py bench               every measurement of speed (benchmarks/speed)
    python tools/dev.py bench NAME ...      some of them, or a published table
    python tools/dev.py bench --list        what there is
    python tools/dev.py bench --page        what the last results say, as docs/performance.md has it

A benchmark is a file of this folder or of `speed`; the list shows the first line of its docstring.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.speed._rounds import bars_as_markdown, rows_as_markdown
from caser.errors import did_you_mean

HERE = Path(__file__).parent
TABLES = {path.stem: f"benchmarks.{path.stem}" for path in sorted(HERE.glob("[!_]*.py"))}
SPEED = {path.stem: f"benchmarks.speed.{path.stem}" for path in sorted((HERE / "speed").glob("[!_]*.py"))}
BENCHMARKS = {**TABLES, **SPEED}
ON_THE_PAGE = ("step", "growth")
"""Whose rows docs/performance.md shows, beside all bars."""


def main(words: list[str]) -> int:
    """Run the named benchmarks, or all those of speed, and return the highest exit status; or list what there is."""
    if words == ["--list"]:
        for name, module in BENCHMARKS.items():
            print(f"{name:24} {first_line(HERE.parent.joinpath(*module.split('.')).with_suffix('.py'))}")
        return 0
    if words == ["--page"]:
        print(bars_as_markdown(), *map(rows_as_markdown, ON_THE_PAGE), sep="\n\n")
        return 0
    for name in words:
        if name not in BENCHMARKS:
            print(f"There is no benchmark {name!r}: {did_you_mean(name, BENCHMARKS)}", file=sys.stderr)
            return 2
    return max(run(name) for name in words or [name for name in SPEED if not name.startswith("serving")])


def first_line(path: Path) -> str:
    """Return what a script says that it is for."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def run(name: str) -> int:
    """Run one benchmark and return its exit status."""
    # Threads that spin while they wait would be measured instead; what uses more threads than one says so.
    environment = {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "1", **os.environ}
    return subprocess.run([sys.executable, "-m", BENCHMARKS[name]], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
