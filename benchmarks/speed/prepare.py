"""Time and memory to prepare a log on disk, with bounded memory, beside reading the same log in memory.

The files are those of `ingestion`: users grow with the file, item popularity follows a power law, times are in random
order. Every measurement is a new process. The peak is that of the whole process; `start` is what the process has before
it begins: Python, NumPy and polars. What it prepares is removed again.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.speed import _rounds
from benchmarks.speed.ingestion import simulated

KINDS = ("integers.csv", "integers.parquet")
SIZES = (10**6, 10**7)
MEMORY_MB = (500, 1000)

PROBE = r"""
import json, pathlib, re, sys, time

def peak_mb():  # that of this program: getrusage also knows the memory of the process that it was started from
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path("/proc/self/status").read_text())[1]) / 1024
"""

IN_MEMORY = """
from caser.data.readers import read_log
start = peak_mb()
began, cpu = time.perf_counter(), time.process_time()
log = read_log(sys.argv[1])
"""

PREPARED = """
from caser.data.prepared.prepare import prepare_log
start = peak_mb()
began, cpu = time.perf_counter(), time.process_time()
log = prepare_log(sys.argv[1], sys.argv[2], memory_mb=int(sys.argv[3])).log
"""

REPORT = """
seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
print(json.dumps({"rows": len(log), "seconds": seconds, "cpu": cpu, "peak_mb": peak_mb(), "start_mb": start}))
"""


def main() -> None:
    """Read every file in memory, and prepare it with each amount of memory."""
    parser = _rounds.parser(__doc__, rounds=1)
    parser.add_argument("--sizes", type=lambda word: int(float(word)), nargs="+", default=SIZES)
    parser.add_argument("--kinds", nargs="+", default=KINDS)
    parser.add_argument("--folder", type=Path, help="where to write the result of a try that is not published")
    parser.add_argument("--memory-mb", type=int, nargs="+", default=MEMORY_MB)
    parser.add_argument("--no-in-memory", action="store_true", help="leave out reading in memory")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for size in options.sizes:
        for kind in options.kinds:
            path = simulated(kind, size)
            ways = [] if options.no_in_memory else [("in memory", IN_MEMORY, 0)]
            ways += [(f"--memory-mb {memory}", PREPARED, memory) for memory in options.memory_mb]
            for name, work, memory in ways:
                found = min(
                    (measured(work, path, memory) for _ in range(options.rounds)), key=lambda one: one["seconds"]
                )
                if found["rows"] != size:
                    raise ValueError(f"every interaction must be read; got {found['rows']} of {size} from {path}.")
                rows.append(
                    {
                        "file": kind,
                        "rows": f"{size:,}",
                        "MB": path.stat().st_size / 1e6,
                        "how": name,
                        "seconds": found["seconds"],
                        "CPU seconds": found["cpu"],
                        "rows per second": size / found["seconds"],
                        "peak MB": found["peak_mb"],
                        "start MB": found["start_mb"],
                    }
                )
                print(json.dumps(rows[-1]), flush=True)
    _rounds.publish("prepare", rows, folder=options.folder)


def measured(work: str, path: Path, memory_mb: int) -> dict[str, float]:
    """Do the work in a new process; return its seconds and its peak memory."""
    out = path.with_name(f"{path.name}.prepared")
    command = [sys.executable, "-c", PROBE + work + REPORT, str(path), str(out), str(memory_mb)]
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    finally:
        shutil.rmtree(out, ignore_errors=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
