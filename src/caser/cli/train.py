"""`caser train`, for one model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from caser.answering.recommender import Recommender
from caser.artefact import folder as artefact
from caser.cli import show
from caser.cli.flags import AUTO, Command, FilterFlags, ReadingFlags, Switch, one_of
from caser.cli.logs import open_log
from caser.cli.model_flags import with_model_flags
from caser.cli.runs import checkpoint_of, parts_of, save_run
from caser.config import Training
from caser.data.filters import LogFilters
from caser.data.readers import Reading
from caser.data.split import Split
from caser.evaluation import protocols
from caser.evaluation.protocols import DEFAULT_PROTOCOL, PROTOCOLS
from caser.fitting.fit import TrainOn, fit
from caser.models import MODELS, model_class
from caser.models.settings import ModelSettings
from caser.study.best import best


def train(
    log: str,
    /,
    *,
    out: Path,
    model: Annotated[str | None, one_of([AUTO, *MODELS])] = None,
    protocol: Annotated[str, one_of(PROTOCOLS)] = DEFAULT_PROTOCOL,
    choose: bool = True,
    all: Switch = False,
    json: Switch = False,
    settings: ModelSettings,
    training: Training | None = None,
    reading: ReadingFlags = Reading(),  # noqa: B008 (frozen)
    filters: FilterFlags = LogFilters(),  # noqa: B008
) -> None:
    """Train the best model for a log, or a model that you name, and save it as a run folder.

    Without --model and without a setting of Caser, a few models are tried on validation with their default settings:
    Caser, models that only count, and GRU4Rec where users are anonymous sessions. The run holds the best of them, or a
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
        Choose the number of epochs on validation first; otherwise train exactly --epochs.
    all
        Train on everything, test part included: for a model that will not be judged.
    json
        Print one JSON document instead of a table.

    """
    artefact.check_writable(out)
    split = protocols.apply(protocol, open_log(log, reading, filters))
    train_on: TrainOn = "all" if all else "final"
    if model is None and choose and not settings.model_fields_set:
        _train_best(split, out, training, train_on, json=json)
        return
    if training is None:
        recommender = fit(settings, split, train_on=train_on)
    else:
        with show.fit_progress() as tell:
            epochs = None if choose else training.epochs
            checkpoint = checkpoint_of(out)
            recommender = fit(
                settings, split, training, epochs=epochs, train_on=train_on, checkpoint=checkpoint, tell=tell
            )
    save_run(recommender, out)
    if json:
        history = recommender.artefact.manifest["history"]
        show.document({**_facts(recommender, out, split), "history": history, "notes": list(split.notes)})
        return
    _show(_facts(recommender, out, split), train_on)


def _train_best(split: Split, out: Path, training: Training | None, train_on: TrainOn, *, json: bool) -> None:
    """Try a few models, save the best one, and say why it is."""
    with show.fit_progress() as tell:
        winner = best(split, training, train_on=train_on, checkpoints=parts_of(out), tell=tell)
    save_run(winner.recommender, out)
    facts = _facts(winner.recommender, out, split)
    if json:
        tried = {"why": list(winner.why), "tried": winner.tried}
        show.document({**facts, **tried, "notes": list(split.notes)})
        return
    metric = protocols.protocol_named(split.name).validation_metric
    show.table(
        f"validation, {metric}", ["model", metric], [(name, f"{value:.4f}") for name, value in winner.tried.items()]
    )
    for sentence in winner.why:
        show.remark(sentence)
    _show(facts, train_on)


def _show(facts: Mapping[str, Any], train_on: TrainOn) -> None:
    """Print the facts of a run that was just trained, and what to do next."""
    show.table("trained", ["", ""], [(name, value) for name, value in facts.items() if value is not None])
    out = facts["run"]
    show.note(f"next: caser recommend {out} --user ID" if train_on == "all" else f"judge it with: caser evaluate {out}")


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
