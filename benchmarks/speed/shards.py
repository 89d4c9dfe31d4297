"""Memory and time of splitting, training, judging and answering from a log in shards on disk, by the size of the log.

The log is simulated straight into memory-mapped arrays, as those of a prepared log are. There are as many users and
items at every size, so that tables, moments and what is kept for each user stay equal. Every size is a new process, and
the peak of each stage is that of the whole process. The log in memory in one piece stands beside it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from benchmarks.speed import _rounds
from caser.answering.recommender import load
from caser.config import Training
from caser.data.log import InteractionLog, Vocabulary
from caser.data.shard_parts import cut_for
from caser.data.shards import ShardedLog
from caser.data.split import leave_one_out
from caser.fitting.evaluate import evaluate
from caser.fitting.fit import fit
from caser.models.caser.caser import Caser
from caser.system.memory import peak_memory

SIZES = (10**6, 5 * 10**6)
_BLOCK = 2**22
_DTYPES = {"users": np.int32, "items": np.int32, "times": np.int64, "rows": np.int64}


def simulated(folder: Path, num_interactions: int, num_users: int, num_items: int) -> None:
    """Write the arrays of a log with users of equal length, in blocks; item popularity follows a power law."""
    generator = np.random.default_rng(0)
    arrays = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, (num_interactions,))
        for name, dtype in _DTYPES.items()
    }
    length = num_interactions // num_users
    for begin in range(0, num_interactions, _BLOCK):
        rows = np.arange(begin, min(begin + _BLOCK, num_interactions))
        arrays["users"][rows] = np.minimum(rows // length, num_users - 1) + 1
        arrays["items"][rows] = 1 + num_items * generator.random(len(rows)) ** 3 * (1 - 1e-9)
        arrays["times"][rows] = rows * 1_000_000
        arrays["rows"][rows] = rows


def opened(folder: Path, num_users: int, num_items: int, *, mapped: bool) -> InteractionLog:
    """Open the arrays as a log: mapped, or in memory."""
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r" if mapped else None) for name in _DTYPES}
    users, items = (Vocabulary(pl.int_range(number, eager=True)) for number in (num_users, num_items))
    return InteractionLog(**arrays, user_vocabulary=users, item_vocabulary=items)


def stages(folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Carry out all stages, and return the peak of the process in megabytes and the seconds of each."""
    num_users, num_items, memory_mb = options["users"], options["items"], options["memory_mb"]
    log = opened(folder, num_users, num_items, mapped=bool(memory_mb))
    vars(log)["digest"] = "0" * 64  # as a prepared log, which knows it
    made: dict[str, Any] = {}

    def split() -> None:
        made["split"] = leave_one_out(cut_for(ShardedLog.of(log), memory_mb) if memory_mb else log)

    def train() -> None:
        model = Caser(L=5, T=1, d=options["d"], n_v=1, n_h=4)
        training = Training(loss="bce", num_negatives=3, epochs=1, batch_size=4096, device="cpu", averaging=0)
        made["rec"] = fit(model, made["split"], training, epochs=1)

    def judge() -> None:
        evaluate(made["rec"], made["split"], baselines=options["baselines"])

    def save() -> None:
        made.pop("rec").save(folder / "run")

    def answer() -> None:
        load(folder / "run").recommend_all(folder / "answers.parquet")

    work: dict[str, Callable[[], None]] = {"split": split, "train": train, "judge": judge, "save": save, "all": answer}
    found: dict[str, Any] = {}
    for name, one in work.items():
        if name in options["stages"]:
            began = time.perf_counter()
            base = _resident()
            with peak_memory() as peak:
                one()
            found[name] = {"peak_mb": base + (peak.megabytes or 0), "seconds": time.perf_counter() - began}
    return found


def _resident() -> float:
    """The memory of this process now, in megabytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


def in_a_process(options: dict[str, Any]) -> dict[str, Any]:
    """Simulate a log, and return what `stages` measures in a new process."""
    with TemporaryDirectory() as folder:
        simulated(Path(folder), options["interactions"], options["users"], options["items"])
        command = [sys.executable, "-m", "benchmarks.speed.shards", "--alone", json.dumps([folder, options])]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure every size, in shards and in one piece."""
    parser = _rounds.parser(__doc__, rounds=1)
    parser.add_argument("--sizes", type=lambda word: int(float(word)), nargs="+", default=SIZES)
    parser.add_argument("--users", type=lambda word: int(float(word)), default=20_000)
    parser.add_argument("--items", type=lambda word: int(float(word)), default=2_000)
    parser.add_argument("--d", type=int, default=16)
    parser.add_argument("--memory-mb", type=int, default=1000)
    parser.add_argument("--stages", nargs="+", default=["split", "train", "judge", "save", "all"])
    parser.add_argument("--baselines", action="store_true", help="judge the counting models too")
    parser.add_argument("--no-whole", action="store_true", help="leave out the log in one piece")
    parser.add_argument("--folder", type=Path, help="where to write the result of a try that is not published")
    parser.add_argument("--alone", help="measure one size and print it; for internal use")
    options = parser.parse_args()
    if options.alone:
        folder, given = json.loads(options.alone)
        print(json.dumps(stages(Path(folder), given)))
        return
    rows: list[dict[str, Any]] = []
    for size in options.sizes:
        for memory_mb in [options.memory_mb] if options.no_whole else [options.memory_mb, 0]:
            shared = {name: getattr(options, name) for name in ("users", "items", "d", "stages", "baselines")}
            found = in_a_process({"interactions": size, "memory_mb": memory_mb, **shared})
            how = f"shards, --memory-mb {memory_mb}" if memory_mb else "one piece in memory"
            rows.append({"interactions": f"{size:,}", "how": how})
            for stage, facts in found.items():
                rows[-1] |= {f"{stage}: peak MB": facts["peak_mb"], f"{stage}: s": facts["seconds"]}
            print(json.dumps(rows[-1]), flush=True)
    _rounds.publish("shards", rows, folder=options.folder, users=options.users, items=options.items, d=options.d)


if __name__ == "__main__":
    main()
