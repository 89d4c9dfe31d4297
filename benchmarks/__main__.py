"""Run benchmarks by name, one after another, each in a process of its own; without a name, list them.

    python tools/dev.py bench
    python tools/dev.py bench NAME ...

A benchmark is a file of this folder; the list shows the first line of its docstring.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from caser.errors import did_you_mean

BENCHMARKS = {path.stem: path for path in sorted(Path(__file__).parent.glob("[!_]*.py"))}


def main(names: list[str]) -> int:
    """Run the named benchmarks and return the highest exit status, or list what there is."""
    for name in names:
        if name not in BENCHMARKS:
            print(f"There is no benchmark {name!r}: {did_you_mean(name, BENCHMARKS)}", file=sys.stderr)
            return 2
    if not names:
        for name, path in BENCHMARKS.items():
            print(f"{name:24} {first_line(path)}")
    return max((run(name) for name in names), default=0)


def first_line(path: Path) -> str:
    """Return what a script says that it is for."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def run(name: str) -> int:
    """Run one benchmark and return its exit status."""
    return subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
