"""`caser train`, for one model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from caser.answering.recommender import Recommender
from caser.cli import show
from caser.cli.attribute_flags import AttributeFlags, sentences_on
from caser.cli.configuration import typed_command
from caser.cli.flags import AUTO, Command, FilterFlags, ReadingFlags, Switch, Whole, flat, one_of
from caser.cli.items import titled
from caser.cli.logs import open_shards
from caser.cli.model_flags import with_model_flags
from caser.cli.runs import checkpoint_of, parts_of, save_run, tell_next, tell_unjudged, writing_run
from caser.cli.study_options import seconds_of
from caser.config import Training
from caser.data import sources
from caser.data.filters import LogFilters
from caser.data.readers import Reading
from caser.data.split import Split
from caser.errors import ConfigError
from caser.evaluation import protocols
from caser.evaluation.protocols import DEFAULT_PROTOCOL, PROTOCOLS
from caser.fitting.defaults import facts_of
from caser.fitting.fit import TrainOn, fit
from caser.fitting.tracking import tracking
from caser.fitting.workers import ENGINES, MAX_RESTARTS, Engine, in_workers, is_first_worker
from caser.models import MODELS, model_class
from caser.models.settings import ModelSettings, NetworkSettings
from caser.study.best import best
from caser.study.engine import DEFAULT_STORE

if TYPE_CHECKING:
    from caser.training.exchange import Exchange


def train(
    log: str,
    /,
    *,
    out: Path,
    model: Annotated[str | None, one_of([AUTO, *MODELS])] = None,
    protocol: Annotated[str, one_of(PROTOCOLS)] = DEFAULT_PROTOCOL,
    choose: bool = True,
    all: Switch = False,
    budget: str = "0",
    store: Path = DEFAULT_STORE,
    items: Path | None = None,
    memory_mb: Whole | None = None,
    workers: Whole = 1,
    engine: Annotated[Engine, one_of(ENGINES)] = "torchrun",
    max_restarts: Whole = MAX_RESTARTS,
    track: str | None = None,
    json: Switch = False,
    settings: ModelSettings,
    training: Training | None = None,
    attributes: Annotated[AttributeFlags, flat("Attributes of items")] = AttributeFlags(),  # noqa: B008 (frozen)
    reading: ReadingFlags = Reading(),  # noqa: B008 (frozen)
    filters: FilterFlags = LogFilters(),  # noqa: B008
) -> None:
    """Train the best model for a log, or a model that you name, and save it as a run folder.

    Without --model, --no-choose, --attributes and a setting of Caser, a few models are tried on validation with their
    defaults: Caser, SASRec, simple models, and GRU4Rec where users are anonymous sessions. The run holds the best of
    them, or a blend of two if it is better.

    A neural model is first trained on `fit` and judged on validation after each epoch. It is then trained again on
    `final`, for the best number of epochs. Run the same command again to continue a run that was interrupted.

    `caser train --model NAME --help` shows the settings of another model; --model auto tries all models.

    Parameters
    ----------
    log
        A file (CSV, TSV, JSON lines, Parquet, .inter, u.data, ratings.dat, ...) or the name of a public data set.
    out
        The run folder to write.
    model
        Name of the model; without it the best of a few, or Caser if you set one of its settings.
    protocol
        How the log is split and judged.
    choose
        Choose on validation first. Otherwise train all epochs of one model, Caser if none is named.
    all
        Train on everything, test part included: for a model that will not be judged.
    budget
        Time for tuning on validation, such as 20m or 1h, after the default settings have been tried; 0 tunes nothing.
    store
        The folder that keeps finished trials of tuning, so that they are used again.
    items
        A table of items, whose titles the run keeps and shows, and whose columns the network reads: see --attributes.
    memory_mb
        For a prepared log: about how many megabytes to use beside the tables of the model and its optimiser; 1000 by
        default. Less memory means smaller shards, and fewer users that can share a batch.
    workers
        How many processes train replicas of the model, each on some of the lanes; --lanes is as many unless you set
        it. On several machines, use --engine ray, or type `torchrun ... -m -- caser train ...`, and here how many it
        starts.
    engine
        What starts the workers: torchrun on this machine, or ray on the cluster that RAY_ADDRESS names (HOST:PORT);
        where it names none, a cluster is started here for this command.
    max_restarts
        How often all workers are started again, from the last checkpoint, if one is lost.
    track
        Also send every epoch to a tracker: tensorboard:FOLDER, or mlflow:ADDRESS of a server or database. The run has
        the name of --out there.
    json
        Print one JSON document instead of a table.

    """
    read_columns = attributes.settings(has_items=items is not None)
    is_named = model is not None or not choose or bool(settings.model_fields_set) or read_columns is not None
    is_search = bool(seconds_of(budget)) or not is_named
    if read_columns is not None and is_search:
        raise ConfigError("--attributes must be left out with --budget, which tunes models that read none.")
    if workers > 1:
        _refuse_workers(log, is_search)
    checkpoint = None if is_search or training is None else checkpoint_of(out)
    titles = items if read_columns is None else None  # a network reads the whole table, and its titles with it
    read = partial(_read, log, reading, filters, protocol, titles, memory_mb, not all)
    train_on: TrainOn = "all" if all else "final"
    with writing_run(out, checkpoint) if is_first_worker() else nullcontext():
        if is_search:
            tuning = settings if is_named else None
            done: _Done | None = _search(read, out, track, tuning, training, seconds_of(budget), store, train_on)
        else:
            training = _in_lanes(training, workers)
            how = {} if read_columns is None else {"items": items, "attributes": read_columns}
            task = partial(
                _train_one, read, out, track, settings, training, choose, train_on, checkpoint, typed_command(), how
            )
            done = in_workers(task, workers, max_restarts=max_restarts, engine=engine)
    if done is None:  # worker 0 says it
        return
    if json:
        show.document({**done.facts, **done.extra, "notes": done.notes})
        return
    if is_search:
        _show_tried(done.extra, protocol)
    show.table("trained", ["", ""], [(name, value) for name, value in done.facts.items() if value is not None])
    tell_next(out, done.manifest)


@dataclass(frozen=True)
class _Done:
    """What was trained: the facts of the run, what its JSON document has beside them, its notes and its manifest."""

    facts: Mapping[str, Any]
    extra: Mapping[str, Any]
    notes: Sequence[str]
    manifest: Mapping[str, Any]

    @classmethod
    def of(cls, recommender: Recommender, out: Path, split: Split, extra: Mapping[str, Any]) -> _Done:
        return cls(_facts(recommender, out, split), extra, split.notes, recommender.artefact.manifest)


def _read(
    log: str,
    reading: Reading,
    filters: LogFilters,
    protocol: str,
    items: Path | None,
    memory_mb: int | None,
    judged: bool,
) -> Split:
    """Read and split the log."""
    opened = titled(open_shards(log, reading, filters, memory_mb), items)
    split = protocols.apply(protocol, opened, judged=judged)
    tell_unjudged(split)
    return split


def _search(
    read: Callable[[], Split],
    out: Path,
    track: str | None,
    settings: ModelSettings | None,
    training: Training | None,
    budget: float,
    store: Path,
    train_on: TrainOn,
) -> _Done:
    """Train the best model for the log, and save it."""
    with tracking(track, out.name) as tracker:
        split = read()
        with show.fit_progress() as tell:
            winner = best(
                split,
                settings,
                training,
                budget=budget,
                store=store,
                train_on=train_on,
                checkpoints=parts_of(out),
                tell=tracker.beside(tell),
            )
        save_run(winner.recommender, out)
        tracker.finish(winner.recommender)
    winner.remove_checkpoints()
    return _Done.of(winner.recommender, out, split, {"why": list(winner.why), "tried": winner.tried})


def _train_one(
    read: Callable[[], Split],
    out: Path,
    track: str | None,
    settings: ModelSettings,
    training: Training | None,
    choose: bool,
    train_on: TrainOn,
    checkpoint: Path | None,
    command: str,
    how: Mapping[str, Any],
    exchange: Exchange | None,
) -> _Done:
    """Train the model that was named, and save it: in one process, or in each of several workers."""
    is_first = exchange is None or exchange.is_first
    with _speaking_for_all(exchange), tracking(track if is_first else None, out.name) as tracker:
        split = read()
        if training is None:
            recommender = fit(settings, split, train_on=train_on)
        else:
            epochs = None
            if isinstance(settings, NetworkSettings) and not choose:
                epochs = settings.training_for(facts_of(split), training).epochs
            with show.fit_progress() as tell:
                recommender = fit(
                    settings,
                    split,
                    training,
                    epochs=epochs,
                    train_on=train_on,
                    checkpoint=checkpoint,
                    tell=tracker.beside(tell),
                    exchange=exchange,
                    **how,
                )
        kept = recommender.artefact.attributes
        for sentence in sentences_on(kept.facts) if kept else ():
            show.note(f"  {sentence}")
        if is_first:
            save_run(recommender, out, checkpoint, command=command)
            tracker.finish(recommender)
    return _Done.of(recommender, out, split, {"history": recommender.artefact.manifest["history"]})


@contextmanager
def _speaking_for_all(exchange: Exchange | None) -> Iterator[None]:
    """Within, worker 0 prints what a process alone prints, and the other workers nothing."""
    if exchange is None:
        yield
        return
    quiet = show.out.quiet, show.err.quiet
    show.out.quiet = show.err.quiet = not exchange.is_first
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: show.note(f"caser: {message}")
            if exchange.restarts:
                show.note(f"  a worker was lost; all go on from the last checkpoint, for time {exchange.restarts}")
            yield
    finally:
        show.out.quiet, show.err.quiet = quiet


def _refuse_workers(log: str, is_search: bool) -> None:
    """Raise ConfigError for a training that several workers cannot do."""
    if is_search:
        raise ConfigError(
            "--workers trains replicas of one model, and this command chooses among several. Name the model with "
            "--model, and leave --budget out."
        )
    if log in sources.STANDARD_INPUT or Path(log).is_fifo():
        raise ConfigError(
            f"with --workers, LOG must be a file or folder that each worker can read; got the stream {log}. Save it "
            "first."
        )


def _in_lanes(training: Training | None, workers: int) -> Training | None:
    """Return the training with a lane for each worker. Raises ConfigError if fewer lanes were asked for."""
    if training is None or workers <= 1:
        return training
    if "lanes" not in training.model_fields_set:
        return training.replace(lanes=workers)
    if training.lanes < workers:
        raise ConfigError(
            f"--workers must be at most --lanes, because each worker trains on lanes of its own; got {workers} and "
            f"{training.lanes}. Leave --lanes out, or raise it."
        )
    return training


def _show_tried(extra: Mapping[str, Any], protocol: str) -> None:
    """Say which models were tried, and why the winner is one."""
    metric = protocols.protocol_named(protocol).validation_metric
    rows = [(name, f"{value:.4f}") for name, value in extra["tried"].items()]
    show.table(f"validation, {metric}", ["model", metric], rows)
    for sentence in extra["why"]:
        show.remark(sentence)


def train_command(model: str) -> Command:
    """Return `caser train` with the flags of a model. Raises ConfigError for an unknown name."""
    return with_model_flags(train, model_class(model))


def _facts(recommender: Recommender, out: Path, split: Split) -> dict[str, Any]:
    """Return what a person wants to know of a run that was just trained."""
    manifest = recommender.artefact.manifest
    log = split.log
    return {
        "run": str(out),
        "model": recommender.artefact.config.name,
        "protocol": split.name,
        "fingerprint": manifest["fingerprint"],
        "train_on": manifest["train_on"],
        "epochs": manifest["epochs"],
        **_validation(split.name, manifest["history"]),
        "interactions": len(log),
        "users": log.num_users,
        "items": log.num_items,
    }


def _validation(protocol: str, history: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the metric that chose the number of epochs and its best value; None if nothing was chosen."""
    return {
        "validation_metric": protocols.protocol_named(protocol).validation_metric if history else None,
        "validation": max((entry["validation"] for entry in history), default=None),
    }
