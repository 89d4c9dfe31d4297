"""How the cost of training grows with the log, the catalogue, L, d, filters, batch size and threads; with exponents.

Caser (d=50, L=5, T=3, binary cross-entropy, 3 negatives per target) trains on simulated logs. One quantity changes at a
time, and all its sizes take turns. An exponent is the slope of the logarithm of the time per trained state against the
logarithm of the size, over the upper half of the sizes: 0 means constant cost, 1 means proportional cost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.speed import _rounds
from benchmarks.speed._steps import some_seconds
from caser.config import Training
from caser.data.tape import Tape
from caser.models.caser.caser import Caser
from caser.training.loop import start

MODEL = Caser(L=5, T=3, d=50, n_v=4, n_h=16)
TRAINING = Training(loss="bce", num_negatives=3, batch_size=2048, learning_rate=1e-3, epochs=10**5)
NUM_USERS, NUM_ITEMS, LENGTH = 10_000, 3_000, 100
SECONDS = 0.7
"""How long a contender trains in each round."""

GROWING: dict[str, tuple[int, ...]] = {
    "interactions": (10**5, 10**6, 10**7, 5 * 10**7),
    "users": (10**3, 10**4, 10**5, 10**6),
    "items": (10**3, 10**4, 10**5, 10**6),
    "L": (1, 2, 5, 10, 20, 50, 100),
    "d": (16, 32, 64, 128, 256),
    "n_h": (4, 8, 16, 32, 64),
    "batch": (128, 512, 2048, 8192),
    "threads": (1, 2),
}


def simulated(num_interactions: int, num_users: int, num_items: int) -> Tape:
    """Simulate users with equally many interactions, and items whose popularity falls as 1 / rank."""
    generator = np.random.default_rng(0)
    lengths = np.full(num_users + 1, num_interactions // num_users, dtype=np.int64)
    lengths[0] = 0
    shares = generator.random(int(lengths.sum()), dtype=np.float32)
    items = np.minimum(np.exp(shares * np.float32(np.log(num_items + 1))), num_items).astype(np.int32)
    return Tape(items, np.concatenate([[0], np.cumsum(lengths)]), num_items)


def contender(quantity: str, size: int) -> Callable[[], float]:
    """Return a contender that trains for a moment with one quantity changed; its units are trained states."""
    num_users = size if quantity == "users" else NUM_USERS
    length = 20 if quantity == "users" and size >= 10**5 else LENGTH
    num_interactions = size if quantity == "interactions" else num_users * length
    if quantity == "interactions":
        num_users = max(1, size // LENGTH)
    tape = simulated(num_interactions, num_users, size if quantity == "items" else NUM_ITEMS)
    model = MODEL.replace(**{quantity: size}) if quantity in ("L", "d", "n_h") else MODEL
    training = TRAINING.replace(batch_size=size) if quantity == "batch" else TRAINING
    state = start(model.build(tape.num_users, tape.num_items, seed=0), training)

    def run() -> float:
        torch.set_num_threads(size if quantity == "threads" else default_threads)
        return len(tape) * some_seconds(state, tape, training, model.T, SECONDS)

    default_threads = torch.get_num_threads()
    return run


def measured(quantity: str, rounds: int) -> dict[int, float]:
    """Return size -> microseconds per trained state, for all sizes of one quantity."""
    contenders = {str(size): contender(quantity, size) for size in GROWING[quantity]}
    threads = torch.get_num_threads()
    rates = _rounds.rates(contenders, rounds)
    torch.set_num_threads(threads)
    return {size: 1e6 / rates.median(str(size)) for size in GROWING[quantity]}


def exponent(costs: Mapping[int, float]) -> float:
    """Return the slope of log(cost) against log(size) over the upper half of the sizes.

    >>> round(exponent({1: 5.0, 10: 10.0, 100: 100.0}), 2)
    1.0
    """
    sizes = sorted(costs)
    upper = sizes[(len(sizes) - 1) // 2 :]
    return float(np.polyfit(np.log(upper), np.log([costs[size] for size in upper]), 1)[0])


def main() -> None:
    """Measure one quantity after another, and print a table."""
    options = _rounds.parser(__doc__, rounds=3).parse_args()
    found = {quantity: measured(quantity, options.rounds) for quantity in GROWING}
    rows = [
        {
            "thing": quantity,
            "sizes": ", ".join(f"{size:,}" for size in costs),
            "microseconds per state": ", ".join(f"{cost:.1f}" for cost in costs.values()),
            "exponent": exponent(costs),
        }
        for quantity, costs in found.items()
    ]
    _rounds.publish("growth", rows, (), partial(_draw, found), threads=torch.get_num_threads())


def _draw(found: Mapping[str, Mapping[int, float]], axes: Any) -> None:
    figure = axes.figure
    axes.remove()
    figure.set_size_inches(10, 5)
    for one, (quantity, costs) in zip(figure.subplots(2, 4, sharey=True).flat, found.items(), strict=True):
        one.plot(list(costs), list(costs.values()), marker="o", markersize=3)
        one.set(xscale="log", yscale="log", title=f"{quantity}: exponent {exponent(costs):.2f}", ylim=(1, 1000))
        ends = [min(costs), max(costs)]
        one.set_xticks(ends, [f"{size:,}" for size in ends])
        one.set_xticks([], minor=True)
        one.set_yticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
        one.title.set_fontsize(10)
        one.tick_params(labelsize=8)
        one.spines[["top", "right"]].set_visible(False)
    figure.supylabel("microseconds per trained state", fontsize=10)


if __name__ == "__main__":
    main()
