"""Run benchmarks one after another, each in a process of its own.

    python tools/dev.py bench               run all benchmarks of speed (benchmarks/speed), except those of the service
    python tools/dev.py bench NAME ...      run the named benchmarks; a name may also be that of a published table
    python tools/dev.py bench --list        list all names
    python tools/dev.py bench --page        print the last results in the form of docs/performance.md
    python tools/dev.py bench-serve         run the benchmarks of the service, which take long

A benchmark is a file of this folder or of `speed`, and the two folders share no name. The list shows the first line of
each file's docstring.
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
"""The benchmarks whose rows docs/performance.md shows; it shows the bars of all."""


def main(words: list[str]) -> int:
    """Run the named benchmarks, or all benchmarks of speed; return the highest exit status."""
    if words == ["--list"]:
        for title, names in (("Published tables, docs/results.md", TABLES), ("Speed, docs/performance.md", SPEED)):
            print(f"{title}:")
            for name, module in names.items():
                print(f"  {name:24} {first_line(HERE.parent.joinpath(*module.split('.')).with_suffix('.py'))}")
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
    """Return the first line of a script's docstring."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def run(name: str) -> int:
    """Run one benchmark and return its exit status."""
    # One thread, unless a benchmark says otherwise; and threads that wait must not keep a core busy.
    environment = {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "1", **os.environ}
    return subprocess.run([sys.executable, "-m", BENCHMARKS[name]], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
