"""Refit: the recipe of a run, trained on every interaction, for answers in production.

A run that can be judged is trained without the test part of its log. When it has been judged and chosen, its recipe
(the model, its settings, its training and the number of epochs) is trained once more on everything. Nothing is chosen
again, and the new run cannot be judged: what the judged run reached is what is known of the recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from caser.answering.recommender import Recommender
from caser.artefact.attributes import ArtefactAttributes
from caser.config import Training
from caser.data.attribute_columns import ItemAttributes
from caser.data.item_table import ItemSource, combined
from caser.data.log import InteractionLog
from caser.data.shards import ShardedLog
from caser.errors import ConfigError
from caser.evaluation import protocols
from caser.fitting.calibrate import carried
from caser.fitting.checks import for_given_epochs
from caser.fitting.fit import Tell, TrainOn, fit
from caser.models.blend import Blend
from caser.models.settings import ModelSettings, NetworkSettings
from caser.study.blending import blended
from caser.system.kinds import must_be


def refit(
    recommender: Recommender,
    log: InteractionLog | ShardedLog,
    *,
    train_on: TrainOn = "all",
    checkpoint: str | Path | None = None,
    tell: Tell | None = None,
    items: ItemSource | None = None,
) -> Recommender:
    """Train the recipe of a recommender on every interaction of a log.

    recommender  a fitted model, whose settings, training and number of epochs are used
    log          the log of the training, or a longer one of the same kind, in memory or in shards; the protocol's
                 filters apply to it
    train_on     the part that trains, as for `fit`; a run that is to be judged takes `final`
    checkpoint   a file that the training of a network continues from if it exists, and that it writes after every epoch
    tell         called with Progress while a network trains
    items        the table of items, for a run that reads attributes: the same, or one with newer items

    Returns a recommender that was trained on `all`, with the reason of its choice in `why`; `evaluate` refuses it.
    Raises ConfigError for `items` where the run reads no attributes, and the other way round, for a blend of two
    networks, which records the training of one only, and for arguments of the wrong kind; DataError if the filters of
    the protocol leave nothing of the log.

    >>> from caser.data.split import leave_one_out
    >>> from caser.data.synthetic import chain_world
    >>> from caser.models.counting.markov import Markov
    >>> log = chain_world(num_users=20, num_items=6, length=9, seed=0).log
    >>> judged = fit(Markov(), leave_one_out(log))
    >>> judged.artefact.manifest["left_out"]["interactions"], refit(judged, log).artefact.manifest["left_out"]
    (20, None)
    """
    must_be("recommender", recommender, Recommender, "a recommender, which caser.fit and caser.load return")
    config, facts = recommender.artefact.config, recommender.artefact.manifest
    attributes = _attributes_of(recommender.artefact.attributes, items)
    titled: InteractionLog | ShardedLog
    if isinstance(log, ShardedLog):
        titled = replace(log, log=_with_titles_of(recommender, log.log))
    else:
        titled = _with_titles_of(recommender, log)
    protocol = (facts.get("updated") or facts)["protocol"]
    split = protocols.apply(protocol, titled, judged=train_on != "all")

    def fitted(model: ModelSettings, _: str | None) -> Recommender:
        if not isinstance(model, NetworkSettings):
            return fit(model.without_unused(), split, train_on=train_on, calibrate=False)
        training = for_given_epochs(Training(**facts["training"]))
        how: dict[str, Any] = {"checkpoint": checkpoint, "tell": tell, "items": items, "attributes": attributes}
        how |= {"epochs": facts["epochs"], "train_on": train_on, "calibrate": False}
        return fit(model.without_unused(), split, training, **how)

    again = of_each_part(config, fitted)
    again.artefact.manifest.update(
        history=facts["history"],
        why=[*facts["why"], _reason(facts, train_on)],
        calibration=carried(facts.get("calibration"), "refit"),
    )
    return again


def of_each_part(config: ModelSettings, fitted: Callable[[ModelSettings, str | None], Recommender]) -> Recommender:
    """Fit the model of a run again, or both models of a blend.

    config  the settings of the run
    fitted  fits a model: its settings, and the name of the part of the blend, None for a model that is none

    Raises ConfigError for a blend of two networks, because its run records the training of one only.
    """
    if not isinstance(config, Blend):
        return fitted(config, None)
    if all(isinstance(part, NetworkSettings) for part in config.parts.values()):
        names = " and ".join(part.name for part in config.parts.values())
        raise ConfigError(
            f"a blend must have at most one network to be trained again, because its run records the training of one; "
            f"got {names}. Train with train_on='all' instead (on the command line: the command of the run, --all)."
        )
    first, second = (fitted(part, name) for name, part in config.parts.items())
    return blended(first, second, config.weight)


def _attributes_of(kept: ArtefactAttributes | None, items: ItemSource | None) -> ItemAttributes | None:
    """The settings of the attributes that a run reads; None for a run that reads none."""
    if (kept is None) != (items is None):
        raise ConfigError(
            "items must be given to refit a run that reads attributes of items, and only then; this run reads "
            + ("none. Leave it out." if kept is None else "some. Name its table of items (--items FILE).")
        )
    if kept is None:
        return None
    columns = tuple(f"{column['name']}:{column['way']}" for column in kept.facts["columns"])
    same = {name: kept.facts[name] for name in ItemAttributes.model_fields if name != "columns"}
    return ItemAttributes(columns=columns, **same)


def _with_titles_of(recommender: Recommender, log: InteractionLog) -> InteractionLog:
    """The log with the titles that the run has; the log's own come first."""
    run = recommender.artefact
    if run.titles is None:
        return log
    title_of = dict(zip(run.items.ids.to_list(), run.titles.to_list(), strict=True))
    titles = pl.Series([title_of.get(raw) for raw in log.item_vocabulary.ids.to_list()], dtype=pl.String)
    return log.with_facts(titles=combined(titles, log.titles), provenance=log.provenance)


def _reason(facts: Mapping[str, Any], train_on: TrainOn) -> str:
    """A sentence on where a refitted recipe comes from, and what is known of it."""
    metrics = facts["metrics"] or {}
    metric = protocols.protocol_named(facts["protocol"]).validation_metric
    value = metrics.get(metric, {}).get("value")
    known = "it was not judged" if value is None else f"{metric} {value:.4f}"
    what = "every interaction" if train_on == "all" else "a longer log"
    return f"the recipe was trained again on {what}; before, without the part that judges: {known}"
