"""An epoch of Caser with products in float32 and in bfloat16: the full softmax, and shared negatives instead of it.

The logs are simulated, with the users and the interactions of MovieLens-1M. One has its number of items too, the other
has more. "auto" is the type that training chooses by itself; its bar says that the choice never costs time. An epoch is
computed from some steps of 2,048 positions.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from benchmarks.speed import _rounds
from benchmarks.speed._steps import some_steps
from benchmarks.speed.growth import simulated
from caser.config import Training
from caser.data.tape import Tape
from caser.models.caser.caser import Caser
from caser.training.loop import start
from caser.training.precision import settled, speed_of_bfloat16

MODEL = Caser(L=5, T=1, d=64)
NUM_INTERACTIONS, NUM_USERS = 1_000_000, 6_040
CATALOGUES = (3_416, 20_000)
"""The items of MovieLens-1M after filtering, and a catalogue for which the full softmax is slow."""

LOSSES: dict[str, dict[str, Any]] = {
    "softmax": {"loss": "softmax"},
    "2,048 shared negatives": {
        "loss": "sampled-softmax",
        "negatives": "shared",
        "num_negatives": 2048,
        "popularity_exponent": 1.0,
    },
}
TYPES = ("float32", "bfloat16", "auto")


def contender(tape: Tape, loss: str, precision: str, steps: int) -> tuple[_rounds.Contender, str]:
    """Return a contender that trains some steps, in epochs, and the number type that it uses."""
    training = Training(batch_size=2048, epochs=10**5, averaging=0, precision=precision, **LOSSES[loss])
    state = start(MODEL.build(tape.num_users, tape.num_items, seed=0), training)
    training = settled(training, state.network)
    return partial(some_steps, state, tape, training, MODEL.T, steps), training.precision


def main() -> None:
    """Measure each catalogue in rounds, with all losses and number types."""
    parser = _rounds.parser(__doc__)
    parser.add_argument("--steps", type=int, default=8)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    bars = []
    for num_items in CATALOGUES:
        tape = simulated(NUM_INTERACTIONS, NUM_USERS, num_items)
        made = {(loss, name): contender(tape, loss, name, options.steps) for loss in LOSSES for name in TYPES}
        names = {key: " in ".join(key) for key in made}
        rates = _rounds.rates({names[key]: run for key, (run, _) in made.items()}, options.rounds)
        rows += [
            {
                "items": num_items,
                "loss": loss,
                "type": name if name != "auto" else f"auto: {made[loss, name][1]}",
                "seconds an epoch": 1 / rates.median(names[loss, name]),
                "times float32": rates.ratio(names[loss, name], names[loss, "float32"]),
                "times the full softmax": rates.ratio(names[loss, name], names["softmax", name]),
            }
            for loss, name in made
        ]
        bars += [
            _rounds.Bar(
                f"{loss} of {num_items:,} items in the chosen type against float32",
                rates.ratio(names[loss, "auto"], names[loss, "float32"]),
                "x",
                0.95,
                1.5,
            )
            for loss in LOSSES
        ]
    _rounds.publish(
        "precision",
        rows,
        bars,
        partial(_draw, rows),
        threads=torch.get_num_threads(),
        model=MODEL.model_dump(),
        products_in_bfloat16={str(size): round(speed_of_bfloat16(size, 2 * MODEL.d), 2) for size in CATALOGUES},
    )


def _draw(rows: list[dict[str, Any]], axes: Any) -> None:
    shown = [row for row in rows if not row["type"].startswith("auto")]
    labels = [f"{row['items']:,} items, {row['loss']}, {row['type']}" for row in shown]
    axes.barh(labels, [row["seconds an epoch"] for row in shown])
    axes.set(xlabel="seconds an epoch", title="Caser on 10^6 interactions, d = 64, L = 5, T = 1, batch 2048")
    axes.invert_yaxis()


if __name__ == "__main__":
    main()
