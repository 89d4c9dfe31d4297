"""From a split to a Recommender: the one place that connects training, validation, checkpoints and the artefact.

A network is trained twice. `choose` trains it on `fit`, judges it on `validation` after every epoch, and stops when the
metric has not risen for `patience` epochs. The *refit* then trains fresh parameters on `final` (or on everything) for
the best number of epochs. Both stages write checkpoints, so a run that was killed continues where it was. `fit` does
both; `choose` does only the first, for a caller that compares settings. A counting model is fitted in one pass. Nothing
here opens the test part.
"""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from caser.answering.recommender import Recommender
from caser.arrays.types import Mask
from caser.artefact.attributes import ArtefactAttributes
from caser.artefact.folder import Artefact
from caser.config import Training
from caser.data.attribute_columns import ItemAttributes
from caser.data.item_table import ItemSource
from caser.data.left_out import is_in_part, left_out_facts
from caser.data.log import InteractionLog
from caser.data.split import Split
from caser.data.tape import Tape
from caser.errors import ConfigError, did_you_mean
from caser.evaluation import judge, protocols
from caser.evaluation.fingerprint import fingerprint
from caser.evaluation.judge import check_split
from caser.fitting.attributes import AttributeTable, CodedItems
from caser.fitting.calibrate import calibration_facts, can_calibrate
from caser.fitting.checks import fittable, refuse_unused, validation_queries
from caser.fitting.defaults import facts_of
from caser.fitting.network_run import NetworkRun, threads
from caser.fitting.progress import Choice, Progress, Tell
from caser.models.base import Scorer
from caser.models.settings import CountingSettings, ModelSettings, NetworkSettings

if TYPE_CHECKING:
    from caser.training.exchange import Exchange

__all__ = ["Choice", "Progress", "Tell", "TrainOn", "choose", "fit"]

TrainOn = Literal["fit", "final", "all"]
"""The parts of a split that a model can be trained on; `final` is fit + validation, `all` is the whole log."""


def choose(
    model: ModelSettings,
    split: Split,
    training: Training | None = None,
    *,
    most_seconds: float = math.inf,
    checkpoint: str | Path | None = None,
    tell: Tell | None = None,
    keep: bool = False,
    bars: Sequence[float] = (),
) -> Choice:
    """Train a model on `fit` and judge it on `validation`: the first stage of `fit`.

    model         settings of any model, such as `caser.Caser(L=5)` or `caser.CountKNN()`; what they leave open is
                  chosen for the log
    split         the split, whose `fit` part trains and whose `validation` part judges
    training      how to train a network; what it leaves open is chosen by the model, for the log
    most_seconds  no further epoch begins after this time; a counting model always finishes
    checkpoint    a file that the training of a network continues from, and that it writes after every epoch
    tell          called with Progress while a network trains
    keep          keep the model that reached the best value, as `kept` of the result
    bars          the validation value that a network must reach after each epoch, from the first on; it stops where it
                  misses one. Empty: it need reach none

    Returns the best value on validation, and the number of epochs that reached it. Raises ConfigError for an argument
    that has no effect on this model, DataError for a split without validation queries, NumericalError when training
    diverges, and ArtefactError when `checkpoint` belongs to another run.

    >>> from caser.data.synthetic import chain_world
    >>> from caser.data.split import leave_one_out
    >>> from caser.models.counting.markov import Markov
    >>> world = chain_world(num_users=40, num_items=6, length=9, predictability=1.0, seed=0)
    >>> choose(Markov(), leave_one_out(world.log)).value
    1.0
    """
    model = fittable(model)
    check_split(split)
    refuse_unused(model, training, checkpoint=checkpoint)
    log = facts_of(split)
    model = model.for_log(log)
    if isinstance(model, NetworkSettings):
        refuse_unused(model, training)
        how = model.training_for(log, training)
        run = NetworkRun(model, split, split.fit, how, checkpoint=checkpoint, tell=tell)
        choice = run.choose(most_seconds, keep=keep, bars=bars)
        if best := run.kept():
            choice = replace(
                choice, kept=recommender_of(model, best[0], split, split.fit, {"train_on": "fit", **best[1]})
            )
        return choice
    began = time.perf_counter()
    scorer = counted(model, split, split.fit)
    rules = protocols.resolve(split.name, split, "validation")
    metric = protocols.protocol_named(split.name).validation_metric
    value = judge.value(scorer, validation_queries(split), rules, metric)
    kept = recommender_of(model, scorer, split, split.fit, {"train_on": "fit", **_COUNTED}) if keep else None
    return Choice(value, time.perf_counter() - began, kept=kept)


def fit(
    model: ModelSettings,
    split: Split,
    training: Training | None = None,
    *,
    epochs: int | None = None,
    train_on: TrainOn = "final",
    checkpoint: str | Path | None = None,
    tell: Tell | None = None,
    exchange: Exchange | None = None,
    items: ItemSource | None = None,
    attributes: Sequence[str] | ItemAttributes | None = None,
    calibrate: bool = True,
) -> Recommender:
    """Fit a model on a split and return a recommender.

    model       settings of any model, such as `caser.Caser(L=5)` or `caser.CountKNN()`; what they leave open is chosen
                for the log
    split       the split; its `fit` and `validation` parts choose the number of epochs
    training    how to train a network; what it leaves open is chosen by the model, for the log
    epochs      the number of epochs to train a network; by default the number that is best on `validation`
    train_on    the part that the returned model is trained on: `final` (fit + validation), `fit`, or `all`, the whole
                log, for a model that will not be judged
    checkpoint  a file that the training of a network continues from if it exists, and that it writes after every epoch;
                remove it when the result is saved
    tell        called with Progress while a network trains
    exchange    the workers that train replicas of a network together, of which this process is one; `in_workers` gives
                it. All of them return the same, and worker 0 writes the checkpoint. None: this process trains alone
    items       a table of items, whose columns a network reads: a file, or a frame. Items of the table that training
                never saw are known by their attributes, also those that the log does not hold
    attributes  which columns, such as ["genres", "year", "title"], or `caser.ItemAttributes`
    calibrate   whether to learn the chances of answers on validation too, for `recommend(..., chance=True)`: of a
                network when it chooses its epochs, of a counting model by fitting it on `fit` too

    Raises ConfigError for an argument or a setting that has no effect on this fit, such as `epochs` for a model that
    only counts, or `patience` beside `epochs`; DataError when `epochs` must be chosen and there are no validation
    queries; NumericalError when training diverges; WorkerError when a worker was lost; ArtefactError when `checkpoint`
    belongs to another run; MissingDependencyError for a network without torch.

    >>> from caser.data.synthetic import chain_world
    >>> from caser.data.split import leave_one_out
    >>> from caser.models.counting.markov import Markov
    >>> rec = fit(Markov(), leave_one_out(chain_world(num_users=20, num_items=6, length=9, seed=0).log))
    >>> rec.artefact.manifest["train_on"]
    'final'
    """
    if train_on not in get_args(TrainOn):
        hint = did_you_mean(str(train_on), get_args(TrainOn))
        raise ConfigError(f"train_on must be a part that trains; got {train_on!r}: {hint}")
    model = fittable(model)
    check_split(split)
    refuse_unused(
        model, training, epochs=epochs, checkpoint=checkpoint, exchange=exchange, items=items, attributes=attributes
    )
    log = facts_of(split)
    model = model.for_log(log)
    epochs = None if epochs is None else int(epochs)  # an integer of NumPy is no JSON value
    part = {"fit": split.fit, "final": split.final, "all": split.everything}[train_on]
    facts: dict[str, Any] = _COUNTED
    coded = kept = None
    scorer: Scorer
    if isinstance(model, NetworkSettings):
        refuse_unused(model, training, epochs=epochs)
        how = model.training_for(log, training, epochs=epochs or 1)
        run = NetworkRun(
            model,
            split,
            part,
            how,
            epochs=epochs,
            checkpoint=checkpoint,
            tell=tell,
            exchange=exchange,
            attributes=AttributeTable.given(items, attributes, split.log),
            calibrate=calibrate,
        )
        scorer, facts = run.fit()
        calibration = run.calibration
        coded, kept = run.coded, run.kept_attributes
    else:
        scorer, calibration = counted(model, split, part), None
        if calibrate and train_on != "fit" and can_calibrate(split):
            calibration = calibration_facts(counted(model, split, split.fit), split)
    if calibrate and train_on == "fit" and calibration is None:
        calibration = calibration_facts(scorer, split, exchange)
    facts = {"train_on": train_on, **facts, "calibration": calibration}
    fitted = recommender_of(model, scorer, split, part, facts)
    return fitted if coded is None else Recommender(_with_attributes(fitted.artefact, coded, kept, split.log))


def _with_attributes(
    artefact: Artefact, coded: CodedItems, kept: ArtefactAttributes | None, log: InteractionLog
) -> Artefact:
    """The artefact with the items of the table that the log does not hold, and with what is kept of attributes."""
    return replace(
        artefact,
        items=coded.items,
        titles=coded.titles(log),
        histories=artefact.histories.with_items(len(coded.items)),
        attributes=kept,
    )


def counted(model: CountingSettings, split: Split, part: Tape) -> Scorer:
    """Return a counting model, fitted on a part.

    model  its settings
    split  the split, whose log says how many users and items there are
    part   what it is fitted on
    """
    scorer = model.build(split.log.num_users, split.log.num_items)
    scorer.fit(part)
    return scorer


_COUNTED: dict[str, Any] = {"training": None, "epochs": None, "history": [], "anonymous_user": None}
"""The entries in the manifest of a model that only counts, where a network has the facts of its training."""


def recommender_of(
    model: ModelSettings,
    scorer: Scorer,
    split: Split,
    part: Tape,
    facts: dict[str, Any],
    is_trained: Mask | None = None,
) -> Recommender:
    """Return a fitted model with everything that it needs to answer in raw ids, and the facts of how it was made.

    model       its settings
    scorer      the fitted model
    split       the split of the log
    part        what it was trained on
    facts       the entries of the manifest on its training
    is_trained  (N,) bool, whether it was trained on each interaction of the log; None finds those of the part
    """
    log = split.log
    rules = protocols.resolve(split.name, split, "test")
    is_trained = is_in_part(log, part) if is_trained is None else is_trained
    left_out = left_out_facts(log, is_trained)
    manifest = {
        "protocol": split.name,
        "fingerprint": fingerprint(split, rules, "test"),
        "seen": "remove" if rules.remove_seen else "keep",
        "log": {
            "digest": log.digest,
            "interactions": len(log),
            "users": log.num_users,
            "items": log.num_items,
            **log.provenance,
        },
        "left_out": left_out,
        "environment": _environment(part),
        "metrics": None,
        "test_openings": 0,
        "why": [],
        "calibration": None,
        "trained_at": time.time(),
        **facts,
    }
    return Recommender(
        Artefact(
            config=model,
            scorer=scorer,
            users=log.user_vocabulary,
            items=log.item_vocabulary,
            titles=log.titles,
            histories=split.everything,
            manifest=manifest,
            is_trained=None if left_out is None else is_trained,
            rejected=log.rejected,
        )
    )


@cache
def version_of(package: str) -> str | None:
    """Return the version of an installed package, None without it. It is read once: reading takes a millisecond.

    package  its name on the package index

    >>> version_of("no-such-package") is None
    True
    """
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _environment(part: Tape) -> dict[str, Any]:
    """Versions, threads and shards: what a number depends on besides settings, data and seed."""
    versions = {package: version_of(package) for package in ("numpy", "polars", "scipy", "torch")}
    shards = {"shards": len(part.sizes)} if len(part.sizes) > 1 else {}
    return {"python": platform.python_version(), "threads": threads(), "versions": versions, **shards}
