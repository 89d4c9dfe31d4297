"""A small run for the tests of training: its data, its model, and a digest of its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from caser.config import Training
from caser.data.synthetic import chain_world
from caser.data.tape import Tape
from caser.models.caser.caser import Caser
from caser.training.lanes import batches_of
from caser.training.loop import Epoch, TrainingState, start, train

LOG = chain_world(num_users=60, num_items=30, length=14, seed=3).log
TAPE = Tape.from_log(LOG)
MODEL = Caser(L=3, T=2, d=8, n_v=2, n_h=3, dropout=0.25)
TRAINING = Training(epochs=3, batch_size=128, device="cpu", schedule="constant", averaging=0, weight_decay=1e-6)


def fresh(training: Training = TRAINING, model: Caser = MODEL) -> TrainingState:
    return start(model.build(LOG.num_users, LOG.num_items, training.seed), training)


def train_on(
    state: TrainingState, tape: Tape, training: Training, *, num_targets: int, **options: Any
) -> Iterator[Epoch]:
    """Train on a tape, in one lane."""
    return train(state, batches_of(tape, state.network, training, num_targets=num_targets), training, **options)


def run(state: TrainingState, training: Training = TRAINING, model: Caser = MODEL, **options: Any) -> list[Epoch]:
    """Train to the end."""
    return list(train_on(state, TAPE, training, num_targets=model.T, **options))


def weights_digest(state: TrainingState) -> str:
    """SHA-256 over all parameters."""
    hasher = hashlib.sha256()
    for name, tensor in state.network.named_parameters():
        hasher.update(name.encode())
        hasher.update(tensor.detach().numpy().tobytes())
    return hasher.hexdigest()
