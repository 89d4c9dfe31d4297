"""Windows trained per second on MovieLens-100K with the full softmax: our Caser against RecBole 1.2.1's, at L=5 and 50.

RecBole runs in an environment of its own (about 2 GB, made in runs/benchmarks on first use), in a process that takes
turns with ours. It uses its own loader, trainer and default sizes (d=64, n_v=4, n_h=8, dropout .4). Both use batches of
2048 and one thread per core. Our Caser has the paper's wider state [z; p_u], so its softmax is twice as wide. Both
predict one target per window, and only windows with a target count.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import torch

from benchmarks._environment import environment
from benchmarks.speed import _rounds
from benchmarks.speed._steps import some_steps
from caser.config import Training
from caser.data import datasets
from caser.data.log import InteractionLog
from caser.data.tape import Tape
from caser.evaluation import protocols
from caser.models.caser.caser import Caser
from caser.training.loop import start

PACKAGES = ("recbole==1.2.1", "numpy<2", "pandas<2.3", "scipy<1.14", "setuptools<80", "ray==2.6.3")
BATCH_SIZE = 2048
STEPS = {5: 20, 50: 1}
AT_LEAST = {5: (4, 10), 50: (60, 120)}


@contextmanager
def their_contender(log: InteractionLog, length: int, threads: int) -> Iterator[Callable[[int], float]]:
    """Yield a function that trains RecBole's model for a number of steps, and returns the number of windows."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "log").mkdir()
        frame = pl.DataFrame(
            {"user_id:token": log.users, "item_id:token": log.items, "timestamp:float": log.times / 1e6}
        )
        frame.write_csv(Path(folder) / "log" / "log.inter", separator="\t")
        script = Path(__file__).with_name("_recbole_process.py").absolute()
        command = [environment("recbole", PACKAGES), "-P", "-W", "ignore", script]
        process = subprocess.Popen(
            [*map(str, command), folder, str(length), str(BATCH_SIZE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )
        with process:
            _read_answer(process, "ready")

            def run(steps: int) -> float:
                print(steps, file=process.stdin, flush=True)
                return float(_read_answer(process))

            yield run
            process.kill()


def _read_answer(process: subprocess.Popen[str], start: str = "") -> str:
    """Return the next line of output that is an answer; other lines are remarks of RecBole."""
    for line in process.stdout or ():
        if line.startswith(start) if start else line.strip().isdigit():
            return line.strip()
    raise RuntimeError("RecBole's process ended by itself; its error is printed above.")


def our_contender(tape: Tape, length: int) -> Callable[[int], float]:
    """Return a function that trains our model for a number of steps, and returns the number of windows."""
    model = Caser(L=length, T=1, d=64, n_v=4, n_h=8, dropout=0.4)
    training = Training(loss="softmax", batch_size=BATCH_SIZE, learning_rate=1e-3, epochs=10**5)
    state = start(model.build(tape.num_users, tape.num_items, seed=0), training)
    return lambda steps: len(tape) * some_steps(state, tape, training, 1, steps)


def main() -> None:
    """Measure both window lengths in rounds, and print medians."""
    options = _rounds.parser(__doc__, rounds=5).parse_args()
    threads = os.cpu_count() or 1
    torch.set_num_threads(threads)
    log = datasets.load("ml-100k")
    tape = protocols.apply("leave-one-out", log).fit
    rows: list[dict[str, Any]] = []
    bars = []
    for length, steps in STEPS.items():
        with ExitStack() as stack:
            theirs = stack.enter_context(their_contender(log, length, threads))
            contenders = {"caser": partial(our_contender(tape, length), 20), "RecBole": partial(theirs, steps)}
            rates = _rounds.rates(contenders, options.rounds if steps > 1 else min(3, options.rounds))
        ratio = rates.ratio("caser", "RecBole")
        rows.append({"L": length, "caser": rates.median("caser"), "RecBole": rates.median("RecBole"), "ratio": ratio})
        at_least, aim = AT_LEAST[length]
        bars.append(_rounds.Bar(f"full softmax against RecBole, L={length}", ratio, "x", at_least, aim))
    _rounds.publish("against_recbole", rows, bars, partial(_draw, rows), threads=threads, batch_size=BATCH_SIZE)


def _draw(rows: list[dict[str, Any]], axes: Any) -> None:
    labels = [f"{name}, L={row['L']}" for row in rows for name in ("caser", "RecBole")]
    axes.barh(labels, [row[name] for row in rows for name in ("caser", "RecBole")])
    axes.set(xscale="log", xlabel="windows trained per second", title="MovieLens-100K, full softmax, d = 64")
    axes.invert_yaxis()


if __name__ == "__main__":
    main()
