"""Train for a number of steps, or for some seconds, and stop in the middle of an epoch."""

from __future__ import annotations

import time

from caser.config import Training
from caser.data.tape import Tape
from caser.training.lanes import batches_of
from caser.training.loop import TrainingState, train


class StopTraining(Exception):  # noqa: N818 (control flow)
    """Ends a measurement in the middle of an epoch."""


def some_steps(state: TrainingState, tape: Tape, training: Training, num_targets: int, steps: int) -> float:
    """Train the first steps of an epoch, and return their share of the epoch."""
    return _part(state, tape, training, num_targets, steps, float("inf"))


def some_seconds(state: TrainingState, tape: Tape, training: Training, num_targets: int, seconds: float) -> float:
    """Train for some seconds, and return the number of epochs, with a fraction for the last."""
    return _part(state, tape, training, num_targets, None, seconds)


def _part(
    state: TrainingState, tape: Tape, training: Training, num_targets: int, steps: int | None, seconds: float
) -> float:
    began, whole_epochs, part = time.perf_counter(), 0, 0.0

    def on_batch(batch: int, batches: int) -> None:
        nonlocal part
        if batch == steps or time.perf_counter() - began > seconds:
            part = batch / batches
            raise StopTraining

    batches = batches_of(tape, state.network, training, num_targets=num_targets)
    try:
        while True:
            next(train(state, batches, training, until=state.epoch + 1, on_batch=on_batch))
            if steps is not None:
                raise ValueError(f"an epoch must have more than {steps} steps.")
            whole_epochs += 1
    except StopTraining:
        return whole_epochs + part
