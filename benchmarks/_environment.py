"""Environments of other programs: each has its own packages, and is made in runs/benchmarks on first use."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks._tables import STORE


def environment(name: str, packages: Sequence[str]) -> Path:
    """Return the Python of an environment, which is made if it does not exist or has other packages.

    name      of the environment's folder in runs/benchmarks
    packages  what pip installs, such as "recbole==1.2.1"; torch, in the version of this process, comes first

    A file in the folder names the packages. It is written last, so a set-up that was interrupted starts from scratch.
    Raises CalledProcessError if the folder cannot be made, or if pip fails; its message is on stderr.
    """
    folder = STORE / name
    python, stamp = folder / "bin" / "python", folder / "packages.txt"
    # torch first and pinned: with a range, pip might choose another, larger build.
    torch = f"torch=={version('torch').partition('+')[0]}"
    wanted = "\n".join([torch, *packages])
    if not (python.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted):
        print(f"Installing {', '.join(packages)} into {folder} ...", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        for chosen in ([torch], [torch, *packages]):
            subprocess.run([python, "-m", "pip", "install", "--quiet", *chosen], check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return python.absolute()
