"""From a split to a Recommender: the one place where training is wired to validation, checkpoints and the artefact.

A neural model is trained twice. First it is *chosen*: trained on `fit`, judged on `validation` after every epoch, until
the metric has not risen for `patience` epochs. Then it is *refitted*: from fresh parameters, on `final` (or on
everything), for the number of epochs that was best. Both passes write checkpoints, so a run that was killed continues
where it was. `fit` does both; `choose` only the first, for who compares settings. Counting models only count. Nothing
here opens the test part.
"""

from __future__ import annotations

import math
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, get_args

from caser.answering.recommender import Recommender
from caser.artefact.folder import Artefact
from caser.config import Training
from caser.data.split import Split
from caser.data.tape import Tape
from caser.errors import ConfigError
from caser.evaluation import judge, protocols
from caser.evaluation.fingerprint import fingerprint
from caser.fitting.network_run import Choice, NetworkRun, Progress, Tell, threads, validation_queries
from caser.models.base import Scorer
from caser.models.settings import CountingSettings, ModelSettings, NetworkSettings

__all__ = ["Choice", "Progress", "Tell", "TrainOn", "choose", "fit"]

TrainOn = Literal["fit", "final", "all"]


def choose(
    model: ModelSettings,
    split: Split,
    training: Training | None = None,
    *,
    most_seconds: float = math.inf,
    checkpoint: str | Path | None = None,
    tell: Tell | None = None,
) -> Choice:
    """Train on `fit` and judge on `validation`: the first half of `fit`, without a model in the end.

    Arguments as for `fit`; after `most_seconds` of training no further epoch begins.

    >>> from caser.data.synthetic import chain_world
    >>> from caser.data.split import leave_one_out
    >>> from caser.models.counting.markov import Markov
    >>> world = chain_world(num_users=40, num_items=6, length=9, predictability=1.0, seed=0)
    >>> choose(Markov(), leave_one_out(world.log)).value
    1.0
    """
    if isinstance(model, CountingSettings):
        began = time.perf_counter()
        scorer = model.build(split.log.num_users, split.log.num_items)
        scorer.fit(split.fit)
        rules = protocols.resolve(split.name, split, "validation")
        metric = protocols.protocol_named(split.name).validation_metric
        value = judge.value(scorer, validation_queries(split), rules, metric)
        return Choice(value, time.perf_counter() - began)
    network = _network(model)
    run = NetworkRun(network, split, split.fit, training or network.training, checkpoint=checkpoint, tell=tell)
    return run.choose(most_seconds)


def fit(
    model: ModelSettings,
    split: Split,
    training: Training | None = None,
    *,
    epochs: int | None = None,
    train_on: TrainOn = "final",
    checkpoint: str | Path | None = None,
    tell: Tell | None = None,
) -> Recommender:
    """Fit a model on a split and return what answers.

    model       settings of any model, such as `caser.Caser(L=5)` or `caser.CountKNN()`
    training    how to train, by default as the model says; ignored by counting models
    epochs      how many to train; by default as many as are best on `validation`, which is found out first
    train_on    the part that the returned model is trained on: `final` (fit + validation), `fit`, or `all`, the whole
                log, for a model that will not be judged
    checkpoint  a file to continue from, if it is there, and to write after every epoch; remove it when the result is
                saved
    tell        called with Progress

    Raises NumericalError when training diverges, ArtefactError when `checkpoint` belongs to another run.

    >>> from caser.data.synthetic import chain_world
    >>> from caser.data.split import leave_one_out
    >>> from caser.models.counting.markov import Markov
    >>> rec = fit(Markov(), leave_one_out(chain_world(num_users=20, num_items=6, length=9, seed=0).log))
    >>> rec.artefact.manifest["train_on"]
    'final'
    """
    if train_on not in get_args(TrainOn):
        raise ConfigError(f"train_on must be a part that trains; got {train_on!r}: known: fit, final, all.")
    part = {"fit": split.fit, "final": split.final, "all": split.everything}[train_on]
    facts: dict[str, Any] = {"training": None, "epochs": None, "history": [], "anonymous_user": None}
    scorer: Scorer
    if isinstance(model, CountingSettings):
        counting = model.build(split.log.num_users, split.log.num_items)
        counting.fit(part)
        scorer = counting
    else:
        network = _network(model)
        how = training or network.training
        scorer, facts = NetworkRun(network, split, part, how, epochs=epochs, checkpoint=checkpoint, tell=tell).fit()
    return Recommender(_artefact(model, scorer, split, part, {"train_on": train_on, **facts}))


def _network(model: ModelSettings) -> NetworkSettings:
    if not isinstance(model, NetworkSettings):
        raise ConfigError(f"a model must be settings, such as caser.Caser(); got {model!r}.")
    return model


def _artefact(model: ModelSettings, scorer: Scorer, split: Split, part: Tape, facts: dict[str, Any]) -> Artefact:
    log = split.log
    rules = protocols.resolve(split.name, split, "test")
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
        "environment": _environment(),
        "metrics": None,
        "test_openings": 0,
        "why": [],
        **facts,
    }
    return Artefact(
        config=model,
        scorer=scorer,
        users=log.user_vocabulary,
        items=log.item_vocabulary,
        titles=log.titles,
        histories=part.whole(log.num_users),
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
    return {"python": platform.python_version(), "threads": threads(), "versions": versions}
