"""The same training on three roads: the command line, `import caser`, and torch loaded before caser, on shared cores.

A process beside them keeps one core busy, as on a machine that others use too. Each road is a process of its own that
trains Caser on a simulated log for a fixed number of epochs; the roads take turns. The third road shows what the first
two avoid: threads of torch that spin while they wait.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.speed import _rounds

EPOCHS = 2
FIT = f"""
split = caser.leave_one_out(caser.read_log(LOG))
caser.fit(caser.Caser(), split, caser.Training(epochs={EPOCHS}, device="cpu", schedule="constant"), epochs={EPOCHS})
"""
PYTHON = "import caser" + FIT
TORCH_FIRST = "import warnings; warnings.simplefilter('ignore'); import torch, caser" + FIT


@contextmanager
def a_busy_neighbour() -> Iterator[None]:
    """Keep one core busy with another process."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as neighbour:
        try:
            yield
        finally:
            neighbour.kill()


def seconds(command: list[str]) -> float:
    """Run a command with the default number of threads, and return the seconds that it took."""
    hidden = ("OMP_WAIT_POLICY", "OMP_NUM_THREADS")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    began = time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    """Measure the roads in turns, print them, and write the results."""
    arguments = _rounds.parser(__doc__, rounds=5).parse_args()
    with tempfile.TemporaryDirectory() as folder, a_busy_neighbour():
        log = Path(folder) / "log.csv"
        caser = [sys.executable, "-m", "caser"]
        simulate = ["data", "simulate", "union", "--num-users", "300", "--num-items", "100", "--length", "30"]
        seconds([*caser, *simulate, "--out", str(log)])
        train = ["train", str(log), "--model", "caser", "--no-choose", "--epochs", str(EPOCHS), "--device", "cpu"]
        train += ["--schedule", "constant", "--out", f"{folder}/run"]
        roads = {
            "command line": [*caser, *train],
            "import caser": [sys.executable, "-c", f"LOG = {str(log)!r}\n{PYTHON}"],
            "torch first": [sys.executable, "-c", f"LOG = {str(log)!r}\n{TORCH_FIRST}"],
        }

        def contender(command: list[str]) -> _rounds.Contender:
            return lambda: (seconds(command), float(EPOCHS))[1]

        found = _rounds.rates({name: contender(command) for name, command in roads.items()}, arguments.rounds)
    ratio = found.ratio("import caser", "command line")
    bars = [_rounds.Bar("import caser, against the command line", ratio, "times as fast", at_least=0.8, aim=0.95)]
    rows = [{"road": name, "seconds": round(EPOCHS / found.median(name), 2)} for name in roads]
    _rounds.publish("roads", rows, bars)


if __name__ == "__main__":
    main()
