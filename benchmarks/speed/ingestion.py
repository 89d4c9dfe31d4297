"""Time and memory to turn a file of 10^7 interactions into a tape, beside polars reading the same file.

Files are simulated once: the number of users grows with the file, item popularity follows a power law, and times are in
random order. Every measurement is a new process that reads the log, splits it and makes the tape. It reports the time,
without imports, and its peak memory, with them. `floor` is polars reading the same file, and nothing more.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.speed import _rounds

FILES = Path(__file__).resolve().parents[2] / "runs" / "benchmarks" / "ingestion"
SIZES = (10**5, 10**6, 10**7)
KINDS = ("integers.csv", "text.csv", "quoted.csv", "integers.parquet", "text.parquet")
LARGEST_QUOTED = 10**6

OURS = """
from caser.data.readers import read_log
from caser.data.split import leave_one_out
began = time.perf_counter()
tape = leave_one_out(read_log(path)).everything
"""

FLOOR = """
import polars
began = time.perf_counter()
tape = polars.read_parquet(path) if path.endswith("parquet") else polars.read_csv(path)
"""

PROBE = """
import json, resource, sys, time
path = sys.argv[1]
{work}
seconds = time.perf_counter() - began
unit = 1 if sys.platform == "darwin" else 1024
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
print(json.dumps({{"rows": len(tape), "seconds": seconds, "peak_gb": peak}}))
"""


def main() -> None:
    """Measure every file in new processes, ours and the floor in turn; report the median time and the largest peak."""
    parser = _rounds.parser(__doc__, rounds=2)
    parser.add_argument("--sizes", type=lambda word: int(float(word)), nargs="+", default=SIZES)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    bars: list[_rounds.Bar] = []
    curves: dict[str, list[tuple[int, float]]] = {kind: [] for kind in KINDS}
    for size in options.sizes:
        for kind in KINDS:
            if kind.startswith("quoted") and size > LARGEST_QUOTED:
                continue
            path = simulated(kind, size)
            turns = [(measured(OURS, path, size), measured(FLOOR, path, size)) for _ in range(options.rounds)]
            ours, floor = zip(*turns, strict=True)
            seconds, floor_seconds = (statistics.median(one["seconds"] for one in each) for each in (ours, floor))
            peak, floor_peak = (max(one["peak_gb"] for one in each) for each in (ours, floor))
            rows.append(
                {"file": kind, "rows": f"{size:,}", "MB": path.stat().st_size / 1e6, "seconds": seconds,
                 "peak GB": peak, "floor seconds": floor_seconds, "floor peak GB": floor_peak}
            )  # fmt: skip
            curves[kind].append((size, seconds))
            if size == max(options.sizes):
                bars.append(_rounds.Bar(f"{kind} to a tape", seconds, "s", 30, 12, better="lower"))
                bars.append(_rounds.Bar(f"{kind}, peak memory", peak, "GB", 4, 2, better="lower"))

    def draw(axes: Any) -> None:
        for kind, curve in curves.items():
            axes.loglog(*zip(*curve, strict=True), marker="o", label=kind)
        axes.set(xlabel="interactions", ylabel="seconds to a tape")
        axes.legend(frameon=False)

    _rounds.publish("ingestion", rows, bars, draw)


def simulated(kind: str, size: int) -> Path:
    """Return a simulated file, which is made if it does not exist."""
    path = FILES / f"{size}.{kind}"
    if path.exists():
        return path
    FILES.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    users = generator.integers(100_000, 100_000 + max(size // 50, 10), size)
    num_items = max(size // 200, 10)
    items = 500_000 + np.minimum((generator.pareto(1.0, size) * num_items / 50).astype(np.int64), num_items - 1)
    times = generator.integers(1_500_000_000, 1_600_000_000, size)
    frame = pl.DataFrame({"user_id": users, "item_id": items, "timestamp": times})
    if not kind.startswith("integers"):
        text = [pl.format("user-{}", "user_id").alias("user_id"), pl.format("B{}X", "item_id").alias("item_id")]
        frame = frame.with_columns(text)
    unfinished = path.with_suffix(".unfinished")
    if kind.endswith("parquet"):
        frame.write_parquet(unfinished)
    else:
        frame.write_csv(unfinished, quote_style="always" if kind.startswith("quoted") else "necessary")
    unfinished.rename(path)
    return path


def measured(work: str, path: Path, size: int) -> dict[str, float]:
    """Do the work in a new process; return its seconds and its peak memory."""
    command = [sys.executable, "-c", PROBE.format(work=work), str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    if found["rows"] != size:
        raise ValueError(f"every interaction must be read; got {found['rows']} of {size} from {path}.")
    return found


if __name__ == "__main__":
    main()
