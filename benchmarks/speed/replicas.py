"""Seconds and bytes of a step with one worker and with two, which train replicas of a network on the same two lanes.

Each worker computes with one thread. The bytes are counted by the exchange (what each worker of a ring sends), and
measured at the loopback interface, where the packets of everything else on the machine count too. To have the interface
to itself: `unshare --map-root-user --net sh -c 'ip link set lo up; python tools/dev.py bench replicas'`.
"""

from __future__ import annotations

import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed import _rounds
from benchmarks.speed._steps import StopTraining
from benchmarks.speed._world import LENGTH, simulate
from caser.config import Training
from caser.data.tape import Tape
from caser.fitting.workers import in_workers
from caser.models.caser.caser import Caser

MODEL = Caser(L=5, T=3, d=50, reach=5, heights=(1, 2, 3, 4, 5))
TRAINING = Training(batch_size=2048, lanes=2, device="cpu", precision="float32")
WORLDS: dict[str, tuple[int, int, Training]] = {
    "3,600 items, whole tables, softmax": (3_600, 6_000, TRAINING.replace(loss="softmax")),
    "120,000 items, by rows, bce": (120_000, 120_000, TRAINING.replace(loss="bce")),
}
"""The number of items and of users, and the training."""
WORKERS = (1, 2)
WARM_UP = 3


def measured(num_items: int, num_users: int, training: Training, steps: int, exchange: Any) -> dict[str, float]:
    """Train some steps; return the seconds and bytes of one. Each worker does this."""
    from caser.training.lanes import batches_of
    from caser.training.loop import start, train

    items = simulate(num_items, num_users, seed=0).ravel()
    tape = Tape(items, np.concatenate([[0], np.arange(num_users + 1) * LENGTH]), num_items)
    state = start(MODEL.build(num_users, num_items, seed=0), training)
    lanes = batches_of(tape, state.network, training, num_targets=MODEL.T, exchange=exchange)
    marks: list[tuple[float, float, int, dict[str, int]]] = []

    def on_batch(batch: int, _: int) -> None:
        if batch in (WARM_UP, WARM_UP + steps):
            sent = dict(exchange.bytes) if exchange else {}
            marks.append((time.perf_counter(), time.process_time(), on_loopback(), sent))
        if batch == WARM_UP + steps:
            raise StopTraining

    try:
        next(train(state, lanes, training, exchange=exchange, on_batch=on_batch))
    except StopTraining:
        (began, idle, before, none), (ended, worked, after, sent) = marks
    return {
        "ms": 1000 * (ended - began) / steps,
        "CPU ms of a worker": 1000 * (worked - idle) / steps,
        "loopback, KB": (after - before) / steps / 1000,
        **{f"{kind}, KB": (sent[kind] - none.get(kind, 0)) / steps / 1000 for kind in sent},
    }


def on_loopback() -> int:
    """How many bytes the loopback interface has sent so far."""
    lines = Path("/proc/net/dev").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[9]) for line in lines if line.split()[0] == "lo:")


def main() -> None:
    """Measure both numbers of workers in turn."""
    parser = _rounds.parser(__doc__, rounds=3)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    rows = []
    for world, (num_items, num_users, training) in WORLDS.items():
        found: dict[int, list[dict[str, float]]] = {number: [] for number in WORKERS}
        for _ in range(options.rounds):
            for number in WORKERS:
                task = partial(measured, num_items, num_users, training, options.steps)
                found[number].append(in_workers(task, number) or {})
        for number, rounds in found.items():
            kinds = ("ms", "CPU ms of a worker", "dense, KB", "rows, KB", "numbers, KB", "loopback, KB")
            a_step = {kind: statistics.median(each.get(kind, 0.0) for each in rounds) for kind in kinds}
            rows.append({"a step of": world, "workers": number, **a_step})
    _rounds.publish("replicas", rows, model=MODEL.model_dump(), steps=options.steps, batch_size=2048)


if __name__ == "__main__":
    main()
