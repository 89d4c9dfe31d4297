"""From a split to a Recommender: the one place where training is wired to validation, checkpoints and the artefact.

A neural model is trained twice. First it is *chosen*: trained on `fit`, judged on `validation` after every epoch, until
the metric has not risen for `patience` epochs. Then it is *refitted*: from fresh parameters, on `final` (or on
everything), for the number of epochs that was best. Both passes write checkpoints, so a run that was killed continues
where it was. Counting models only count. Nothing here opens the test part.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import caser
from caser.artefact import Artefact
from caser.config import Training
from caser.data.split import Split
from caser.data.tape import Tape
from caser.errors import ArtefactError, ConfigError, DataError, MissingDependencyError
from caser.evaluation import judge, protocols
from caser.models.base import Scorer, SequenceEncoder
from caser.recommender import Recommender
from caser.training.memory import refuse_what_cannot_fit

if TYPE_CHECKING:
    from torch import Tensor

    from caser.training.loop import Epoch, TrainingState

TrainOn = Literal["fit", "final", "all"]
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


def fit(
    model: Any,
    split: Split,
    training: Training | None = None,
    *,
    choose: bool = True,
    train_on: TrainOn = "final",
    checkpoint: str | Path | None = None,
    tell: Tell | None = None,
) -> Recommender:
    """Fit a model on a split and return what answers.

    model       settings of any model, such as `caser.Caser(L=5)` or `caser.CountKNN()`
    training    how to train, by default as the model says; ignored by counting models
    choose      find the number of epochs on `validation` first; otherwise train `training.epochs` epochs
    train_on    the part that the returned model is trained on: `final` (fit + validation), `fit`, or `all`, the whole
                log, for a model that will not be judged
    checkpoint  a file to continue from, if it is there, and to write after every epoch; remove it when the result is
                saved
    tell        called with Progress

    Raises NumericalError when training diverges, ArtefactError when `checkpoint` belongs to another run.

    >>> from caser.data.synthetic import chain_world
    >>> from caser.data.split import leave_one_out
    >>> from caser.models.markov import Markov
    >>> rec = fit(Markov(), leave_one_out(chain_world(num_users=20, num_items=6, length=9, seed=0).log))
    >>> rec.artefact.manifest["train_on"]
    'final'
    """
    if train_on not in get_args(TrainOn):
        raise ConfigError(f"train_on must be a part that trains; got {train_on!r}: known: fit, final, all.")
    part = {"fit": split.fit, "final": split.final, "all": split.everything}[train_on]
    facts: dict[str, Any] = {"training": None, "epochs": None, "history": [], "anonymous_user": None}
    if model.kind == "counting":
        scorer = model.build(split.log.num_users, split.log.num_items)
        scorer.fit(part)
    else:
        scorer, facts = _fit_network(model, split, part, training or model.training(), choose, checkpoint, tell)
    return Recommender(_artefact(model, scorer, split, part, {"train_on": train_on, **facts}))


def _fit_network(
    model: Any,
    split: Split,
    part: Tape,
    training: Training,
    choose: bool,
    checkpoint: str | Path | None,
    tell: Tell | None,
) -> tuple[Scorer, dict[str, Any]]:
    try:
        from caser.models.neural import NeuralScorer
    except ModuleNotFoundError:
        raise MissingDependencyError(
            f"training {model.name} needs torch, which is not installed. Run: pip install 'caser[train]'"
        ) from None
    has_user_vectors = getattr(model, "user_vector", False)
    if training.user_dropout and not has_user_vectors:
        raise ConfigError(
            f"user_dropout must be 0 for a {model.name} without user vectors, which it would hide; got "
            f"{training.user_dropout}. Leave it out, or set user_vector=True."
        )
    if protocols.protocol_named(split.name).anonymous and has_user_vectors:
        raise ConfigError(
            f"the protocol {split.name} judges only those whom training never saw, so a user vector cannot be learned; "
            "got user_vector=True. Set user_vector=False (--no-user-vector)."
        )
    refuse_what_cannot_fit(model.name, model.shapes(split.log.num_users, split.log.num_items).values())
    run = _Run(model, split, training, _key(model, split, part, training, choose), checkpoint, tell or (lambda _: None))
    epochs = run.choose() if choose else training.epochs
    network = run.refit(part, epochs)
    facts = {
        "training": training.model_dump(),
        "epochs": epochs,
        "history": run.history,
        "anonymous_user": _settle_anonymous_user(network, part, training),
    }
    return NeuralScorer(network), facts


class _Run:
    """One fit of one network: its checkpoint, and what validation has said so far."""

    def __init__(
        self, model: Any, split: Split, training: Training, key: str, checkpoint: str | Path | None, tell: Tell
    ) -> None:
        self.model, self.split, self.training, self.key, self.tell = model, split, training, key, tell
        self.metric = protocols.protocol_named(split.name).validation_metric
        self.path = Path(checkpoint) if checkpoint else None
        self.saved_stage, self.saved, self.history = self._load()

    def choose(self) -> int:
        """Train on `fit` until validation no longer rises; return the number of epochs that was best."""
        if self.saved_stage != "refitting":
            self._choose()
        return int(max(self.history, key=lambda entry: entry["validation"])["number"])

    def refit(self, part: Tape, epochs: int) -> SequenceEncoder:
        """Train from fresh parameters on `part` for a number of epochs."""
        state = self._state("refitting")
        for epoch in self._epochs("refitting", state, part, epochs):
            self._save(state, "refitting")
            self.tell(Progress("refitting", self.metric, epoch.number, epochs, done=epoch))
        return state.network

    def _choose(self) -> None:
        from caser.models.neural import NeuralScorer

        if len(self.split.validation) == 0:
            raise DataError(
                "choosing the number of epochs needs a validation part with at least one query; got none. "
                "Use a longer log, or fix the number of epochs (choose=False)."
            )
        most = self.training.epochs
        state = self._state("choosing")
        scorer = NeuralScorer(state.network)
        rules = protocols.resolve(self.split.name, self.split, "validation")
        epochs = self._epochs("choosing", state, self.split.fit, most)
        while not self._is_enough() and (epoch := next(epochs, None)):
            value = judge.value(scorer, self.split.validation, rules, self.metric)
            self.history.append({**asdict(epoch), "validation": value})
            self._save(state, "choosing")
            self.tell(Progress("choosing", self.metric, epoch.number, most, done=epoch, validation=value))

    def _epochs(self, stage: Stage, state: TrainingState, tape: Tape, until: int) -> Iterator[Epoch]:
        from caser.training.loop import train

        def on_batch(batch: int, batches: int) -> None:
            self.tell(Progress(stage, self.metric, state.epoch + 1, until, batch, batches))

        return train(state, tape, self.training, num_targets=self.model.T, until=until, on_batch=on_batch)

    def _is_enough(self) -> bool:
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
        if record["threads"] != _threads():
            warnings.warn(
                f"{self.path} was written with {record['threads']} threads and continues with {_threads()}: the result "
                "may differ from the unbroken run's in the last digits. Set OMP_NUM_THREADS to keep it equal.",
                stacklevel=2,
            )
        return record["stage"], (tensors, epoch), record["history"]

    def _save(self, state: TrainingState, stage: Stage) -> None:
        from caser.training.checkpoint import save_checkpoint

        if self.path:
            record = {"key": self.key, "stage": stage, "history": self.history, "threads": _threads()}
            save_checkpoint(self.path, state, record)


def _threads() -> int:
    """Threads that torch computes with; the processors where torch was not needed."""
    torch = sys.modules.get("torch")
    return torch.get_num_threads() if torch else os.cpu_count() or 1


def _settle_anonymous_user(network: SequenceEncoder, part: Tape, training: Training) -> str | None:
    """Make row 0 of the user table, for unknown users: learned through user dropout, else the mean of trained rows."""
    vectors = network.user_vectors()
    if vectors is None:
        return None
    if training.user_dropout:
        return "learned"
    trained = part.lengths.nonzero()[0]
    vectors.detach()[0] = vectors.detach()[trained].mean(dim=0)
    return "mean"


def _key(model: Any, split: Split, part: Tape, training: Training, choose: bool) -> str:
    """What a checkpoint belongs to: settings, data and version."""
    parts = [
        caser.__version__,
        model.name,
        model.model_dump(),
        training.model_dump(),
        split.name,
        split.log.digest,
        len(split.fit),
        len(part),
        choose,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _artefact(model: Any, scorer: Scorer, split: Split, part: Tape, facts: dict[str, Any]) -> Artefact:
    log = split.log
    rules = protocols.resolve(split.name, split, "test")
    manifest = {
        "protocol": split.name,
        "fingerprint": protocols.fingerprint(split, rules, "test"),
        "seen": "remove" if rules.remove_seen else "keep",
        "log": {
            "digest": log.digest,
            "interactions": len(log),
            "users": log.num_users,
            "items": log.num_items,
            **log.provenance,
        },
        "environment": _environment(),
        "metrics": None,
        "test_openings": 0,
        **facts,
    }
    return Artefact(
        config=model,
        scorer=scorer,
        users=log.user_vocabulary,
        items=log.item_vocabulary,
        titles=log.titles,
        histories=part,
        manifest=manifest,
    )


def _environment() -> dict[str, Any]:
    """Versions and threads: what a number depends on besides settings, data and seed."""
    versions: dict[str, str | None] = {}
    for package in ("numpy", "polars", "scipy", "torch"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {"python": platform.python_version(), "threads": _threads(), "versions": versions}
