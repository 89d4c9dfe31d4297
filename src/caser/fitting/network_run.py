"""The training of one network: its checks, its two stages, its checkpoint and its validation history.

A run that was killed continues from its checkpoint. The checkpoint holds the stage, the state of the training, the
validation history, and the key of the run that it belongs to. `fit.py` creates the runs.
"""

from __future__ import annotations

import math
import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import caser
from caser.config import Training
from caser.data.split import Split
from caser.data.tape import Tape
from caser.errors import ArtefactError, ConfigError
from caser.evaluation import judge, protocols
from caser.fitting.attributes import AttributeTable
from caser.fitting.calibrate import calibration_facts
from caser.fitting.checkpoint_files import checked_record
from caser.fitting.checks import used_settings, validation_queries
from caser.fitting.progress import Choice, Progress, Stage, Tell
from caser.fitting.warm_start import WarmStart
from caser.models.base import Scorer, SequenceEncoder
from caser.models.settings import NetworkSettings
from caser.system.digests import digest_of_values
from caser.system.extras import require
from caser.system.idle_threads import warn_of_busy_threads
from caser.system.memory import TRAINING_COPIES, refuse_what_cannot_fit

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from caser.artefact.attributes import ArtefactAttributes
    from caser.training.exchange import Exchange
    from caser.training.loop import Epoch, TrainingState


class NetworkRun:
    """The training of one network on one split, which continues from its checkpoint if there is one."""

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
        exchange: Exchange | None = None,
        warm: WarmStart | None = None,
        attributes: AttributeTable | None = None,
        calibrate: bool = False,
    ) -> None:
        """Check the settings and read the checkpoint.

        model       settings of the network
        split       where choosing trains and validates
        part        the part that the returned model is trained on
        training    how to train
        epochs      the number of epochs of the refit; None chooses the number on validation
        checkpoint  a file to continue from, and to write after every epoch; None writes none
        tell        called with Progress
        exchange    the workers of which this process is one; None if it trains alone
        warm        where an update starts; None starts from fresh parameters
        attributes  a table of items whose columns the network reads; None if it reads none
        calibrate   whether choosing also learns the chances of answers, for `calibration`

        Raises ConfigError for a network that the protocol does not allow or that does not fit into memory,
        MissingDependencyError without torch, ArtefactError for a checkpoint that is damaged or belongs to another run.
        """
        _refuse_untrainable(model, split, training)
        from caser.training.exchange import Exchange

        self.model, self.split, self.part, self.training, self.epochs = model, split, part, training, epochs
        self.tell: Tell = tell or (lambda _: None)
        self.exchange, self.warm = exchange or Exchange(), warm
        self.metric = protocols.protocol_named(split.name).validation_metric
        self.key = _key(model, split, part, training, epochs, warm)
        self.attributes, self.calibrate = attributes, calibrate
        self.coded = None if attributes is None else attributes.coded(part)
        if self.coded is not None:
            self.key = digest_of_values([self.key, self.coded.digest])
        self.calibration: dict[str, Any] | None = None
        """What the best epoch of choosing taught of the chances of answers."""
        self.path = Path(checkpoint) if checkpoint else None
        self.saved_stage, self.saved, self.history = self._load_checkpoint()
        done = f"{self.saved_stage}, {self.saved[1]} epochs" if self.saved else "none"
        self.exchange.refuse_different({"the run": self.key, "the checkpoint": done}, "before the training")
        self.kept_attributes: ArtefactAttributes | None = None
        """What a run keeps of the attributes of the network that was returned."""
        self.best: dict[str, Tensor] | None = None
        """The parameters at the best epoch, while `choose` is asked to keep them."""

    def fit(self) -> tuple[Scorer, dict[str, Any]]:
        """Choose the number of epochs unless it is given, then refit on the part.

        Returns the scorer, and the manifest's entries `training`, `epochs`, `history` and `anonymous_user`. Raises
        NumericalError when training diverges, DataError when there are no validation queries to choose on.
        """
        if self.epochs is None:
            self.choose()
        epochs = self.epochs or self._best_epoch["number"]
        return self._finished(self._refit(epochs), self.part, epochs)

    def choose(self, most_seconds: float = math.inf, *, keep: bool = False, bars: Sequence[float] = ()) -> Choice:
        """Train on `fit` until validation no longer improves, or until the time is up.

        most_seconds  after this time of training and judging, no further epoch begins
        bars          the value that must be reached after each epoch, from the first on, or training ends
        keep          keep the model of the best epoch; `fit` would train the same on `fit`, for this number of epochs

        Raises NumericalError when training diverges, DataError when there are no validation queries.
        """
        # A checkpoint of the refit holds the whole history: choosing is finished.
        if self.saved_stage != "refitting":
            self._train_and_validate(most_seconds, keep, bars)
        best = self._best_epoch
        return Choice(best["validation"], self._seconds, int(best["number"]), tuple(self.history))

    def kept(self) -> tuple[Scorer, dict[str, Any]] | None:
        """Return what `fit` would return for `fit` and the best epoch: the model that `choose` kept, if it did."""
        from caser.training.loop import choose_device

        if self.best is None:
            return None
        network = self._fresh_network(self.split.fit)
        network.load_state_dict(self.best)
        network.to(choose_device(self.training.device))
        return self._finished(network, self.split.fit, int(self._best_epoch["number"]))

    def _finished(self, network: SequenceEncoder, part: Tape, epochs: int) -> tuple[Scorer, dict[str, Any]]:
        """The scorer of a trained network, and the entries of the manifest."""
        from caser.models.neural import NeuralScorer

        facts = {
            "training": used_settings(self.model, self.training, self.epochs),
            "epochs": epochs,
            "history": self.history,
            "anonymous_user": _set_anonymous_user(network, self.warm.trained if self.warm else part, self.training),
        }
        if self.coded is not None:
            self.kept_attributes = self.coded.fold(network)
        return NeuralScorer(network), facts

    @property
    def _best_epoch(self) -> dict[str, Any]:
        """The history's entry with the best validation value; the first of them if several are equal."""
        return max(self.history, key=lambda entry: float(entry["validation"]))

    @property
    def _seconds(self) -> float:
        """The time of all epochs of choosing so far, including those before an interruption."""
        return float(sum(entry["seconds"] + entry["validation_seconds"] for entry in self.history))

    def _refit(self, epochs: int) -> SequenceEncoder:
        """Train on the part for this number of epochs: fresh parameters, or those of a warm start."""
        stage: Stage = "updating" if self.warm else "refitting"
        state = self._start(stage, self.part)
        for epoch in self._train(stage, state, self.part, epochs):
            self._save_checkpoint(state, stage)
            self.tell(Progress(stage, self.metric, epoch.number, epochs, done=epoch))
        return state.finish()

    def _train_and_validate(self, most_seconds: float, keep: bool, bars: Sequence[float]) -> None:
        """Train on `fit`, and add an entry to the history after each epoch."""
        from caser.models.neural import NeuralScorer

        # Prepare everything that validation needs, once, before the first epoch.
        queries = validation_queries(self.split).between(*self.exchange.block(len(self.split.validation)))
        rules = protocols.resolve(self.split.name, self.split, "validation")
        max_epochs = self.training.epochs
        state = self._start("choosing", self.split.fit)
        scorer = NeuralScorer(state.network)
        epochs = self._train("choosing", state, self.split.fit, max_epochs)
        # `next` trains an epoch, so the check for stopping comes before it.
        while not self._should_stop(most_seconds, bars) and (epoch := next(epochs, None)):
            began = time.perf_counter()
            with state.as_judged():
                values = self.exchange.from_all(judge.values(scorer, queries, rules, self.metric))
                value = float(np.concatenate(values).mean())
                is_best = all(value > entry["validation"] for entry in self.history)
                if is_best and keep:
                    self.best = {name: tensor.cpu().clone() for name, tensor in state.network.state_dict().items()}
                if is_best and self.calibrate:
                    self.calibration = calibration_facts(scorer, self.split, self.exchange)
            seconds = time.perf_counter() - began
            entry = {**asdict(epoch), "validation": value, "validation_seconds": seconds}
            self.history.append(self.exchange.from_first(entry))  # the times too: they may decide when to stop
            self._save_checkpoint(state, "choosing")
            self.tell(Progress("choosing", self.metric, epoch.number, max_epochs, done=epoch, validation=value))

    def _train(self, stage: Stage, state: TrainingState, tape: Tape, until: int) -> Iterator[Epoch]:
        """Train from a state to the epoch `until`, and report every batch."""
        from caser.training.lanes import batches_of
        from caser.training.loop import train

        batches = batches_of(
            tape,
            state.network,
            self.training,
            num_targets=self.model.num_targets,
            exchange=self.exchange,
        )
        if self.warm:  # negatives are drawn as in a training on everything
            batches = replace(batches, item_counts=self.warm.trained.item_counts)

        def on_batch(batch: int, num_batches: int) -> None:
            self.tell(Progress(stage, self.metric, state.epoch + 1, until, batch, num_batches))

        return train(state, batches, self.training, exchange=self.exchange, until=until, on_batch=on_batch)

    def _should_stop(self, most_seconds: float, bars: Sequence[float]) -> bool:
        """Whether the time is up, a bar was missed, or the last `patience` epochs brought no better value."""
        if self.history and self._seconds >= most_seconds:
            return True
        values = [entry["validation"] for entry in self.history]
        if 0 < len(values) <= len(bars) and max(values) < bars[len(values) - 1]:
            return True
        patience = self.training.patience
        return bool(patience and len(values) > patience and max(values[-patience:]) <= max(values[:-patience]))

    def _start(self, stage: Stage, tape: Tape) -> TrainingState:
        """A fresh state for training on a part, or the one from the checkpoint if it was saved in this stage."""
        from caser.training.checkpoint import restore
        from caser.training.loop import start
        from caser.training.precision import settled

        network = self._fresh_network(tape)
        moving = self.warm.load(network) if self.warm else {}
        state = replace(start(network, self.training), moving=moving)
        self.training = self.exchange.from_first(settled(self.training, state.network))
        if self.saved and self.saved_stage == stage:
            restore(state, *self.saved)
        return state

    def _fresh_network(self, tape: Tape) -> SequenceEncoder:
        network = self.model.build(self.split.log.num_users, self.split.log.num_items, self.training.seed)
        if self.attributes is not None:
            coded = self.coded if tape is self.part and self.coded else self.attributes.coded(tape)
            coded.add_to(network)
        return network

    def _load_checkpoint(self) -> tuple[str | None, tuple[dict[str, NDArray[Any]], int] | None, list[dict[str, Any]]]:
        """The checkpoint's stage, its arrays with their epoch, and its history; nothing if there is no checkpoint."""
        from caser.training.checkpoint import load_checkpoint

        if self.path is None or not self.path.exists():
            return None, None, []
        arrays, epoch, values = load_checkpoint(self.path)
        if values.get("key") != self.key:
            raise ArtefactError(
                f"{self.path} must be a checkpoint of this very run; it belongs to one with other settings, data or "
                "version. Finish that run, choose another file, or remove the file to start over."
            )
        record = checked_record(self.path, values, epoch, self.training.epochs, self.epochs)
        if record.threads != threads():
            warnings.warn(
                f"{self.path} was written with {record.threads} threads and continues with {threads()}: the result "
                "may differ in the last digits from a run without an interruption. Set OMP_NUM_THREADS to the same "
                "number to get an equal result.",
                stacklevel=2,
            )
        if record.precision != self.training.precision:  # what was chosen for this run is not measured again
            self.training = self.training.replace(precision=record.precision)
        self.calibration = record.calibration
        return record.stage, (arrays, epoch), record.history

    def _save_checkpoint(self, state: TrainingState, stage: Stage) -> None:
        from caser.training.checkpoint import save_checkpoint

        if self.path and self.exchange.is_first:
            record = {
                "key": self.key,
                "stage": stage,
                "history": self.history,
                "threads": threads(),
                "precision": self.training.precision,
                "calibration": self.calibration,
            }
            save_checkpoint(self.path, state, record)


def threads() -> int:
    """Return the number of threads that torch computes with, or the number of processors if torch is not loaded."""
    torch = sys.modules.get("torch")
    return torch.get_num_threads() if torch else os.cpu_count() or 1


def _refuse_untrainable(model: NetworkSettings, split: Split, training: Training) -> None:
    """Raise an error if this network cannot be trained on this split or on this machine."""
    require("train", f"training {model.name}")
    warn_of_busy_threads(threads())
    if protocols.protocol_named(split.name).anonymous and model.has_user_vectors:
        raise ConfigError(
            f"the protocol {split.name} judges only users that training never saw, so a user vector cannot be learned; "
            "got user_vector=True. Set user_vector=False (--no-user-vector), or take a model without user vectors."
        )
    shapes = model.shapes(split.log.num_users, split.log.num_items)
    refuse_what_cannot_fit(model.name, shapes.values(), TRAINING_COPIES + bool(training.averaging))


def _set_anonymous_user(network: SequenceEncoder, part: Tape, training: Training) -> str | None:
    """Set row 0 of the user table, the vector for unknown users, and return how it was made.

    Returns "learned" if user dropout has trained the row. Otherwise sets the row to the mean of the trained rows, and
    returns "mean". Returns None for a network without a user table.
    """
    vectors = network.user_vectors()
    if vectors is None:
        return None
    if training.user_dropout:
        return "learned"
    trained = np.unique(part.owners[part.lengths > 0])
    vectors.detach()[0] = vectors.detach()[trained].mean(dim=0)
    return "mean"


def _key(
    model: NetworkSettings, split: Split, part: Tape, training: Training, epochs: int | None, warm: WarmStart | None
) -> str:
    """A hash of what a checkpoint belongs to: settings, data and version."""
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
    if len(part.sizes) > 1:  # which shards are loaded together decides the batches
        parts += [part.sizes]
    if warm:
        parts += [warm.digest]
    return digest_of_values(parts)
