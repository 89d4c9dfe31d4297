"""Targets trained per second on short sessions beside long histories: what padding and ends cost.

yoochoose-clicks has eight clicks a session, MovieLens-1M 166 ratings a user. Same network without user vectors, same
losses, batch and catalogue size for both; a target counts where there is one, so positions that hold padding are loss.
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
    """Train some steps; units are targets."""
    training = Training(loss=loss, batch_size=batch_size, epochs=10**5, device="cpu")
    state = start(MODEL.build(tape.num_users, tape.num_items, seed=0), training)
    targets = num_targets(tape, batch_size)
    return lambda: targets * some_steps(state, tape, training, MODEL.T, steps)


def num_targets(tape: Tape, batch_size: int) -> int:
    """Targets of an epoch."""
    batches = Batches(tape, window=MODEL.L, num_targets=MODEL.T, batch_size=batch_size)
    return sum(int((batch.targets_CWT > 0).sum()) for batch in batches.epoch(torch.Generator().manual_seed(0)))


def main() -> None:
    """Measure both logs in turns, with a cheap loss and with the full one."""
    parser = _rounds.parser(__doc__)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=2048)
    words = parser.parse_args()
    tapes = {name: Tape.from_log(datasets.load(name)) for name in (LONG, SHORT)}
    num_items = max(tape.num_items for tape in tapes.values())
    made = {
        f"{name}, {loss}": contender(replace(tape, num_items=num_items), loss, words.batch_size, words.steps)
        for loss in LOSSES
        for name, tape in tapes.items()
    }
    rates = _rounds.rates(made, words.rounds)
    rows = [{"log, loss": name, "targets a second": rates.median(name)} for name in made]
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
        lambda axes: axes.barh(list(made), [rates.median(name) for name in made]),
        batch_size=words.batch_size,
        num_items=num_items,
        targets_per_epoch={name: num_targets(tape, words.batch_size) for name, tape in tapes.items()},
    )


if __name__ == "__main__":
    main()
