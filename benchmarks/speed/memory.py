"""Memory and time of training with large tables: memory beside the tables, and time of a step for growing tables.

Memory: a process of its own makes a simulated tape (by default 5 x 10^7 interactions of 10^6 users with 10^6 items),
the tables and Adam's moments, and touches every page of them. Then it trains some steps of an epoch. The result is how
much the peak grows in the second part: arrays of a step, the order of an epoch, and what draws negatives. Time: the
same step with tables of 10^4, 10^5 and 10^6 users and items, in turns.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial

import numpy as np

from benchmarks.speed import _rounds
from benchmarks.speed._steps import some_steps
from caser.config import Training
from caser.data.tape import Tape
from caser.models.caser.caser import Caser
from caser.system.memory import peak_memory
from caser.training.loop import TrainingState, start
from caser.training.rows import LargeTables

MODEL = Caser(L=5, T=3, d=50, n_v=4, n_h=16)
TRAINING = Training(loss="bce", num_negatives=3, batch_size=2048, epochs=10**5, device="cpu")
SIZES = (10**4, 10**5, 10**6)


def simulated(num_interactions: int, num_users: int, num_items: int) -> Tape:
    """Simulate users with very different numbers of interactions, and items of very different popularity."""
    generator = np.random.default_rng(0)
    ends = np.sort(generator.integers(0, num_interactions + 1, num_users - 1))
    offsets = np.concatenate([[0, 0], ends, [num_interactions]]).astype(np.int64)
    items = np.empty(num_interactions, dtype=np.int32)
    for block in np.array_split(items, max(1, num_interactions // 10**6)):
        block[:] = 1 + num_items * generator.random(len(block), dtype=np.float32) ** 3 * (1 - 1e-6)
    return Tape(items, offsets, num_items)


def positions(state: TrainingState, tape: Tape, steps: int) -> float:
    """Train the first steps of an epoch, and return the number of positions in them."""
    return len(tape) * some_steps(state, tape, TRAINING, MODEL.T, steps)


def memory_of_steps(training: Training, num_interactions: int, size: int, steps: int) -> float:
    """Return the megabytes that training needs beside the tape, the tables and the moments."""
    tape = simulated(num_interactions, size, size)
    state = start(MODEL.build(tape.num_users, tape.num_items, seed=0), training)
    LargeTables(state.network, state.optimiser, uses_every_item=False)
    for held in state.optimiser.state.values():
        for moment in ("exp_avg", "exp_avg_sq"):
            held[moment].fill_(1e-12)
    with peak_memory() as peak:
        some_steps(state, tape, training, MODEL.T, steps)
    if peak.megabytes is None:
        raise OSError("peak memory can be measured on Linux only; run this benchmark there.")
    return peak.megabytes


def in_a_process(training: Training, num_interactions: int, steps: int) -> float:
    """Return `memory_of_steps` with 10^6 users and items, measured in a new process."""
    arguments = json.dumps([training.model_dump(exclude_unset=True), num_interactions, steps])
    command = [sys.executable, "-m", "benchmarks.speed.memory", "--alone", arguments]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measure memory in new processes, then time in rounds."""
    parser = _rounds.parser(__doc__, rounds=5)
    parser.add_argument("--interactions", type=int, default=5 * 10**7)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--alone", help="measure memory once and print it; for internal use")
    options = parser.parse_args()
    if options.alone:
        settings, num_interactions, steps = json.loads(options.alone)
        print(memory_of_steps(Training(**settings), num_interactions, SIZES[-1], steps))
        return
    kinds = {
        "uniform negatives": TRAINING,
        "popular negatives": TRAINING.replace(popularity_exponent=0.5),
        "unseen negatives": TRAINING.replace(unseen_negatives=True),
    }
    taken = {
        kind: in_a_process(training, options.interactions, options.steps) / 1000 for kind, training in kinds.items()
    }
    contenders = {}
    for size in SIZES:
        tape = simulated(5 * max(SIZES), size, size)
        state = start(MODEL.build(tape.num_users, tape.num_items, seed=0), TRAINING)
        contenders[f"{size:,}"] = partial(positions, state, tape, options.steps)
    rates = _rounds.rates(contenders, options.rounds)
    smallest, largest = f"{SIZES[0]:,}", f"{SIZES[-1]:,}"
    rows = [
        *({"what": f"GB beside the tables, {kind}", "measured": gigabytes} for kind, gigabytes in taken.items()),
        *({"what": f"positions/s, {name} users and items", "measured": rates.median(name)} for name in contenders),
    ]
    _rounds.publish(
        "memory",
        rows,
        [
            _rounds.Bar("training memory beside tables, moments and tape", max(taken.values()), "GB", 1, 0.3, "lower"),
            _rounds.Bar("a step with 100 times the rows takes", rates.ratio(smallest, largest), "x", 5, 2, "lower"),
        ],
        lambda axes: axes.barh(list(taken), list(taken.values())),
        interactions=options.interactions,
        steps=options.steps,
        batch_size=TRAINING.batch_size,
    )


if __name__ == "__main__":
    main()
