"""Targets trained per second on short sessions, compared with long histories: the cost of padding.

yoochoose-clicks has eight clicks per session, MovieLens-1M 166 ratings per user. Both are trained with the same network
(without user vectors), losses, batch size and catalogue size. Only real targets count, so padding lowers the rate.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from benchmarks.speed import _rounds
from benchmarks.speed._steps import some_steps
from caser.config import Training
from caser.data import datasets
from caser.data.tape import Tape
from caser.models.caser.caser import Caser
from caser.training.batches import Batches
from caser.training.loop import start

MODEL = Caser(L=5, T=3, d=50, n_v=4, n_h=16, user_vector=False)
LOSSES: tuple[str, ...] = ("bce", "softmax")
LONG, SHORT = "ml-1m", "yoochoose-clicks"


def contender(tape: Tape, loss: str, batch_size: int, steps: int) -> _rounds.Contender:
    """Return a contender that trains some steps; its units are targets."""
    training = Training(loss=loss, batch_size=batch_size, epochs=10**5, device="cpu")
    state = start(MODEL.build(tape.num_users, tape.num_items, seed=0), training)
    targets = num_targets(tape, batch_size)
    return lambda: targets * some_steps(state, tape, training, MODEL.T, steps)


def num_targets(tape: Tape, batch_size: int) -> int:
    """Return the number of targets of an epoch."""
    batches = Batches(tape, window=MODEL.L, num_targets=MODEL.T, batch_size=batch_size)
    return sum(int((batch.targets_CWT > 0).sum()) for batch in batches.epoch(torch.Generator().manual_seed(0)))


def main() -> None:
    """Measure both logs in rounds, with a sampled loss and with the full softmax."""
    parser = _rounds.parser(__doc__)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=2048)
    options = parser.parse_args()
    tapes = {name: Tape.from_log(datasets.load(name)) for name in (LONG, SHORT)}
    num_items = max(tape.num_items for tape in tapes.values())
    contenders = {
        f"{name}, {loss}": contender(replace(tape, num_items=num_items), loss, options.batch_size, options.steps)
        for loss in LOSSES
        for name, tape in tapes.items()
    }
    rates = _rounds.rates(contenders, options.rounds)
    rows = [{"log, loss": name, "targets a second": rates.median(name)} for name in contenders]
    bars = [
        _rounds.Bar(
            f"targets on short sessions against long histories, {loss}",
            100 * rates.ratio(f"{SHORT}, {loss}", f"{LONG}, {loss}"),
            "%",
            50,
            90,
        )
        for loss in LOSSES
    ]
    _rounds.publish(
        "sessions",
        rows,
        bars,
        lambda axes: axes.barh(list(contenders), [rates.median(name) for name in contenders]),
        batch_size=options.batch_size,
        num_items=num_items,
        targets_per_epoch={name: num_targets(tape, options.batch_size) for name, tape in tapes.items()},
    )


if __name__ == "__main__":
    main()
