"""`caser train`, for one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from caser.answering.recommender import Recommender
from caser.cli import show
from caser.cli.flags import AUTO, Command, FilterFlags, ReadingFlags, Switch, Whole, one_of
from caser.cli.logs import open_shards
from caser.cli.model_flags import with_model_flags
from caser.cli.runs import checkpoint_of, parts_of, save_run, tell_next, tell_unjudged, writing_run
from caser.cli.study_options import seconds_of
from caser.config import Training
from caser.data.filters import LogFilters
from caser.data.item_table import add_titles
from caser.data.log import InteractionLog
from caser.data.readers import Reading
from caser.data.shards import ShardedLog
from caser.data.split import Split
from caser.evaluation import protocols
from caser.evaluation.protocols import DEFAULT_PROTOCOL, PROTOCOLS
from caser.fitting.defaults import facts_of
from caser.fitting.fit import TrainOn, fit
from caser.models import MODELS, model_class
from caser.models.settings import ModelSettings, NetworkSettings
from caser.study.best import Winner, best
from caser.study.engine import DEFAULT_STORE


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
    json: Switch = False,
    settings: ModelSettings,
    training: Training | None = None,
    reading: ReadingFlags = Reading(),  # noqa: B008 (frozen)
    filters: FilterFlags = LogFilters(),  # noqa: B008
) -> None:
    """Train the best model for a log, or a model that you name, and save it as a run folder.

    Without --model, --no-choose and a setting of Caser, a few models are tried on validation with their defaults:
    Caser, simple models, and GRU4Rec where users are anonymous sessions. The run holds the best of them, or a
    blend of two if it is better.

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
        A table of items, whose titles the run keeps and shows.
    memory_mb
        For a prepared log: about how many megabytes to use beside the tables of the model and its optimiser; 1000 by
        default. Less memory means smaller shards, and fewer users that can share a batch.
    json
        Print one JSON document instead of a table.

    """
    train_on: TrainOn = "all" if all else "final"
    seconds = seconds_of(budget)
    is_named = model is not None or not choose or bool(settings.model_fields_set)
    is_search = bool(seconds) or not is_named
    checkpoint = None if is_search or training is None else checkpoint_of(out)
    with writing_run(out, checkpoint):
        read = _titled(open_shards(log, reading, filters, memory_mb), items)
        split = protocols.apply(protocol, read, judged=not all)
        tell_unjudged(split)
        winner = None
        if is_search:
            with show.fit_progress() as tell:
                winner = best(
                    split,
                    settings if is_named else None,
                    training,
                    budget=seconds,
                    store=store,
                    train_on=train_on,
                    checkpoints=parts_of(out),
                    tell=tell,
                )
            recommender, extra = winner.recommender, {"why": list(winner.why), "tried": winner.tried}
        else:
            recommender = _train_one(settings, split, training, choose, train_on, checkpoint)
            extra = {"history": recommender.artefact.manifest["history"]}
        save_run(recommender, out, checkpoint)
        if winner:
            winner.remove_checkpoints()
    facts = _facts(recommender, out, split)
    if json:
        show.document({**facts, **extra, "notes": list(split.notes)})
        return
    if winner:
        _show_tried(winner, split)
    show.table("trained", ["", ""], [(name, value) for name, value in facts.items() if value is not None])
    tell_next(out, recommender)


def _titled(log: InteractionLog | ShardedLog, items: Path | None) -> InteractionLog | ShardedLog:
    """Return the log with the titles of a table of items, if there is one."""
    if items is None:
        return log
    return replace(log, log=_with_titles(log.log, items)) if isinstance(log, ShardedLog) else _with_titles(log, items)


def _with_titles(log: InteractionLog, items: Path) -> InteractionLog:
    """Return the log with the titles of a table of items."""
    titled = add_titles(log, items)
    for sentence in titled.provenance["notes"][len(log.provenance.get("notes", [])) :]:
        show.note(f"  {sentence}")
    return titled


def _train_one(
    settings: ModelSettings,
    split: Split,
    training: Training | None,
    choose: bool,
    train_on: TrainOn,
    checkpoint: Path | None,
) -> Recommender:
    """Train the model that was named."""
    if training is None:
        return fit(settings, split, train_on=train_on)
    epochs = None
    if isinstance(settings, NetworkSettings) and not choose:
        epochs = settings.training_for(facts_of(split), training).epochs
    with show.fit_progress() as tell:
        return fit(settings, split, training, epochs=epochs, train_on=train_on, checkpoint=checkpoint, tell=tell)


def _show_tried(winner: Winner, split: Split) -> None:
    """Say which models were tried, and why the winner is one."""
    metric = protocols.protocol_named(split.name).validation_metric
    rows = [(name, f"{value:.4f}") for name, value in winner.tried.items()]
    show.table(f"validation, {metric}", ["model", metric], rows)
    for sentence in winner.why:
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
