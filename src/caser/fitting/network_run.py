"""One training of a network: its checks, its checkpoint, and what validation has said so far. `fitting.py` makes runs.

A run that was killed continues where it was: the checkpoint holds the stage, the state and the validation history, and
the key of the run it belongs to.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

import caser
from caser.config import Training
from caser.data.queries import Queries
from caser.data.split import Split
from caser.data.tape import Tape
from caser.errors import ArtefactError, ConfigError, DataError, MissingDependencyError
from caser.evaluation import judge, protocols
from caser.models.base import Scorer, SequenceEncoder
from caser.models.settings import NetworkSettings
from caser.system.memory import TRAINING_COPIES, refuse_what_cannot_fit

if TYPE_CHECKING:
    from torch import Tensor

    from caser.training.loop import Epoch, TrainingState

Stage = Literal["choosing", "refitting"]


@dataclass(frozen=True)
class Progress:
    """Where a fit is: told after every batch, and after every epoch with what it has `done`.

    metric, validation  the metric that chooses, and its value after an epoch of choosing
    """

    stage: Stage
    metric: str
    epoch: int
    epochs: int
    batch: int = 0
    batches: int = 0
    done: Epoch | None = None
    validation: float | None = None


Tell = Callable[[Progress], None]


@dataclass(frozen=True)
class Choice:
    """What validation says of a model's settings.

    value    of the protocol's validation metric, at the best epoch
    seconds  of training and of judging
    epochs   how many were best; None for a model that only counts
    history  what every epoch did: number, loss, num_states, seconds, validation, validation_seconds
    """

    value: float
    seconds: float
    epochs: int | None = None
    history: tuple[dict[str, Any], ...] = ()


class NetworkRun:
    """One network to be chosen by `validation`, or fitted on `part` in the end: for `epochs`, or as long as is best."""

    def __init__(
        self,
        model: NetworkSettings,
        split: Split,
        part: Tape,
        training: Training,
        *,
        epochs: int | None = None,
        checkpoint: str | Path | None = None,
        tell: Tell | None = None,
    ) -> None:
        _check(model, split, training)
        self.model, self.split, self.part, self.training, self.epochs = model, split, part, training, epochs
        self.tell: Tell = tell or (lambda _: None)
        self.metric = protocols.protocol_named(split.name).validation_metric
        self.key = _key(model, split, part, training, epochs)
        self.path = Path(checkpoint) if checkpoint else None
        self.saved_stage, self.saved, self.history = self._load()

    def fit(self) -> tuple[Scorer, dict[str, Any]]:
        """Choose the number of epochs unless it is given, refit on the part; return a scorer, and facts about it."""
        from caser.models.neural import NeuralScorer

        chosen = self.epochs or self.choose().epochs or self.training.epochs
        network = self._refit(chosen)
        facts = {
            "training": self.training.used(),
            "epochs": chosen,
            "history": self.history,
            "anonymous_user": _settle_anonymous_user(network, self.part, self.training),
        }
        return NeuralScorer(network), facts

    def choose(self, most_seconds: float = math.inf) -> Choice:
        """Train on `fit` until validation no longer rises, or the time is up."""
        if self.saved_stage != "refitting":
            self._choose(most_seconds)
        best = max(self.history, key=lambda entry: entry["validation"])
        return Choice(best["validation"], self._seconds, int(best["number"]), tuple(self.history))

    @property
    def _seconds(self) -> float:
        return float(sum(entry["seconds"] + entry["validation_seconds"] for entry in self.history))

    def _refit(self, epochs: int) -> SequenceEncoder:
        """Train from fresh parameters on the part for a number of epochs."""
        state = self._state("refitting")
        for epoch in self._epochs("refitting", state, self.part, epochs):
            self._save(state, "refitting")
            self.tell(Progress("refitting", self.metric, epoch.number, epochs, done=epoch))
        return state.network

    def _choose(self, most_seconds: float) -> None:
        from caser.models.neural import NeuralScorer

        queries = validation_queries(self.split)
        most = self.training.epochs
        state = self._state("choosing")
        scorer = NeuralScorer(state.network)
        rules = protocols.resolve(self.split.name, self.split, "validation")
        epochs = self._epochs("choosing", state, self.split.fit, most)
        while not self._is_enough(most_seconds) and (epoch := next(epochs, None)):
            began = time.perf_counter()
            value = judge.value(scorer, queries, rules, self.metric)
            seconds = time.perf_counter() - began
            self.history.append({**asdict(epoch), "validation": value, "validation_seconds": seconds})
            self._save(state, "choosing")
            self.tell(Progress("choosing", self.metric, epoch.number, most, done=epoch, validation=value))

    def _epochs(self, stage: Stage, state: TrainingState, tape: Tape, until: int) -> Iterator[Epoch]:
        from caser.training.loop import train

        def on_batch(batch: int, batches: int) -> None:
            self.tell(Progress(stage, self.metric, state.epoch + 1, until, batch, batches))

        return train(state, tape, self.training, num_targets=self.model.num_targets, until=until, on_batch=on_batch)

    def _is_enough(self, most_seconds: float) -> bool:
        if self.history and self._seconds >= most_seconds:
            return True
        values = [entry["validation"] for entry in self.history]
        patience = self.training.patience
        return bool(patience and len(values) > patience and max(values[-patience:]) <= max(values[:-patience]))

    def _state(self, stage: Stage) -> TrainingState:
        """A fresh state, or the saved one if it was saved in this stage."""
        from caser.training.checkpoint import restore
        from caser.training.loop import start

        network = self.model.build(self.split.log.num_users, self.split.log.num_items, self.training.seed)
        state = start(network, self.training)
        if self.saved and self.saved_stage == stage:
            restore(state, *self.saved)
        return state

    def _load(self) -> tuple[str | None, tuple[dict[str, Tensor], int] | None, list[dict[str, Any]]]:
        from caser.training.checkpoint import load_checkpoint

        if self.path is None or not self.path.exists():
            return None, None, []
        tensors, epoch, record = load_checkpoint(self.path)
        if record.get("key") != self.key:
            raise ArtefactError(
                f"{self.path} must be a checkpoint of this very run; it belongs to one with other settings, data or "
                "version. Finish that run, choose another place, or remove the file to start over."
            )
        if record["threads"] != threads():
            warnings.warn(
                f"{self.path} was written with {record['threads']} threads and continues with {threads()}: the result "
                "may differ from the unbroken run's in the last digits. Set OMP_NUM_THREADS to keep it equal.",
                stacklevel=2,
            )
        return record["stage"], (tensors, epoch), record["history"]

    def _save(self, state: TrainingState, stage: Stage) -> None:
        from caser.training.checkpoint import save_checkpoint

        if self.path:
            record = {"key": self.key, "stage": stage, "history": self.history, "threads": threads()}
            save_checkpoint(self.path, state, record)


def threads() -> int:
    """Threads that torch computes with; the processors where torch was not needed."""
    torch = sys.modules.get("torch")
    return torch.get_num_threads() if torch else os.cpu_count() or 1


def validation_queries(split: Split) -> Queries:
    """The queries that choose, or a sentence if there are none."""
    if len(split.validation) == 0:
        raise DataError(
            "choosing on validation needs a validation part with at least one query; got none. Use a longer log, or "
            "fix the number of epochs (epochs=)."
        )
    return split.validation


def _check(model: NetworkSettings, split: Split, training: Training) -> None:
    """Say why a network cannot be trained, if it cannot."""
    if find_spec("torch") is None:
        raise MissingDependencyError(
            f"training {model.name} needs torch, which is not installed. Run: pip install 'caser[train]'"
        )
    has_user_vectors = model.has_user_vectors
    if training.user_dropout and not has_user_vectors:
        raise ConfigError(
            f"user_dropout must be 0 for a {model.name} without user vectors, which it would hide; got "
            f"{training.user_dropout}. Leave it out, or set user_vector=True."
        )
    if protocols.protocol_named(split.name).anonymous and has_user_vectors:
        raise ConfigError(
            f"the protocol {split.name} judges only those whom training never saw, so a user vector cannot be learned; "
            "got user_vector=True. Set user_vector=False (--no-user-vector), or take a model without user vectors."
        )
    shapes = model.shapes(split.log.num_users, split.log.num_items)
    refuse_what_cannot_fit(model.name, shapes.values(), TRAINING_COPIES)


def _settle_anonymous_user(network: SequenceEncoder, part: Tape, training: Training) -> str | None:
    """Make row 0 of the user table, for unknown users: learned through user dropout, else the mean of trained rows."""
    vectors = network.user_vectors()
    if vectors is None:
        return None
    if training.user_dropout:
        return "learned"
    trained = np.unique(part.owners[part.lengths > 0])
    vectors.detach()[0] = vectors.detach()[trained].mean(dim=0)
    return "mean"


def _key(model: NetworkSettings, split: Split, part: Tape, training: Training, epochs: int | None) -> str:
    """What a checkpoint belongs to: settings, data and version."""
    parts = [
        caser.__version__,
        model.name,
        model.model_dump(),
        training.used(),
        split.name,
        split.log.digest,
        len(split.fit),
        len(part),
        epochs,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
