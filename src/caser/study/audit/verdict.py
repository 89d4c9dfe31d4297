"""The results of the shuffles in sentences: whether order matters, and what to try.

Differences are tested in a fixed order, each at 95 %: first whether the best model beats popularity, then whether order
and recency are part of the gain. A later difference counts only if the first one is shown. `shown.py` says to which
models a sentence is limited.
"""

from __future__ import annotations

from caser.evaluation.statistics import LEAST_OWNERS
from caser.models import COUNTING_BASELINES
from caser.study.audit.order import Effects
from caser.study.audit.shown import (
    as_far_as,
    beats_popularity,
    bounded,
    is_order_of_rows,
    losses,
    not_shown,
    reader_that_loses,
    readers_that_learned,
    scope,
    too_few,
)

LITTLE = 0.1
"""Order matters only a little if it is worth at most this share of a model's gain over popularity."""
READ_IT = "Audit with a network that reads the order, such as caser (without --no-neural), before you leave order out."
"""The advice if no model of an audit reads the order."""


def verdict(effects: Effects, without: Effects | None = None) -> str:
    """Return one sentence: does order matter in this log?

    effects  on the log in file order
    without  on the same log with events at equal times in random order; None if there are few such events

    >>> import numpy as np
    >>> owners = np.arange(8, dtype=np.int32)
    >>> same = {1: np.ones(8), 5: np.ones(8), "whole": np.ones(8)}
    >>> verdict(Effects({"popularity": same, "markov": same}, owners, "hit@10", 5))
    'Nothing in the history is shown to help, as far as markov can use it: no model beats popularity (hit@10 1.0000).'
    """
    if few := too_few(effects):
        return few
    best, metric = effects.best_model, effects.metric
    gain = effects.gain(best)
    if not beats_popularity(best, effects):
        limit = "" if best == "popularity" else f"; {not_shown(gain, effects)}"
        floor = effects.estimate("popularity", 1).value
        judged = [name for name in effects.values if name != "popularity"]
        return (
            f"Nothing in the history is shown to help{as_far_as(judged)}: no model beats popularity "
            f"({metric} {floor:.4f}{limit})."
        )
    order, recency = losses(effects)
    if order.low > 0:
        return _order_is_shown(effects, without)
    if reader := reader_that_loses(effects):
        return _order_matters_to(reader, effects)
    if recency.low > 0:
        return (
            f"Recent items matter, but no worth of their order is shown{scope(effects)}: {_loser(effects)} "
            f"{bounded(recency)} when the whole history is shuffled, but nothing for {_block(effects)} "
            f"({not_shown(order, effects)})."
        )
    return (
        f"Order is not shown to matter{scope(effects)}: {best} beats popularity by {bounded(gain)} {metric}, and is "
        f"not shown to lose when histories are shuffled ({not_shown(order, effects)})."
    )


def advice(effects: Effects, without: Effects | None = None) -> list[str]:
    """Return sentences on which models are worth trying.

    effects, without  as for `verdict`
    """
    if too_few(effects):
        return [f"Audit a log with more {effects.owner}s: at least {LEAST_OWNERS}, and better some hundreds."]
    best = effects.best_model
    order, recency = losses(effects)
    if not beats_popularity(best, effects):
        if not effects.readers:
            return [f"No model of this audit beats popularity. {READ_IT}"]
        return ["Do not train a sequence model on this log as it is: no model that learned from it beats popularity."]
    if is_order_of_rows(effects, without):
        first = "The order may be that of rows at equal times: sequence models would learn the order of the file."
    elif order.low > 0:
        first = f"Models that read the order are worth trying: {best} is the model to beat."
    elif reader := reader_that_loses(effects):
        first = f"{reader} uses the order, but {best} is better: train {reader} in full before you leave order out."
    else:
        first = _advice_without_order(effects, recent=recency.low > 0)
    return [first, *_networks(effects)]


def _order_is_shown(effects: Effects, without: Effects | None) -> str:
    """The verdict if the best model is shown to lose with the order."""
    order, recency = losses(effects)
    matters = "Order matters"
    if is_order_of_rows(effects, without) and without is not None:
        limit = as_far_as([effects.best_model, without.best_model])
        matters = f"Only the order of rows at equal times is shown to matter{limit}"
    elif order.value <= LITTLE * effects.gain(effects.best_model).value:
        matters = f"Order matters a little{as_far_as([effects.best_model])}"
    start = f"{_loser(effects)} {bounded(order)} when {_block(effects)} is shuffled"
    end = _without_ties(effects, without)
    if recency.low > 0:
        return f"{matters}; recency matters too: {start}, and {bounded(recency)} more when the whole history is{end}."
    return f"{matters}: {start}, and is not shown to lose more when the whole history is{end}."


def _order_matters_to(reader: str, effects: Effects) -> str:
    """The verdict if only a model that is not the best is shown to lose with the order."""
    best, order = effects.best_model, losses(effects)[0]
    return (
        f"Order matters to {reader}, though {best} does better without it: {reader}, at "
        f"{effects.estimate(reader, 1).value:.4f} {effects.metric}, loses "
        f"{bounded(effects.loss(reader, 1, effects.block))} when {_block(effects)} is shuffled, and {best}, at "
        f"{effects.estimate(best, 1).value:.4f}, is not shown to lose ({not_shown(order, effects)})."
    )


def _loser(effects: Effects) -> str:
    best = effects.best_model
    return f"{best}, at {effects.estimate(best, 1).value:.4f} {effects.metric}, loses"


def _block(effects: Effects) -> str:
    return f"the order of {effects.block} neighbouring items"


def _without_ties(effects: Effects, without: Effects | None) -> str:
    """The end of a sentence: what the order is worth when events at equal times are in random order."""
    if without is None:
        return ""
    left, best = losses(without)[0], without.best_model
    start = "; with events at equal times in random order, "
    if left.low > 0:
        return f"{start}{best} loses {bounded(left)} with the order"
    if effects.best_model not in without.values:
        return (
            f"{start}{effects.best_model} was not trained, and {best} shows no such loss ({not_shown(left, without)})"
        )
    return f"{start}no such loss is shown ({not_shown(left, without)})"


def _advice_without_order(effects: Effects, *, recent: bool) -> str:
    """What to do if no worth of order is shown; `recent` says whether one of recency is."""
    if recent:
        shown, missing = "Models that read the recent items are worth trying", "that they need the order of these items"
    else:
        shown = f"{effects.best_model} is the model to beat"
        missing = "that a model gains by more than the set of items"
    if readers_that_learned(effects):
        return f"{shown}; {missing} is not shown{scope(effects)}."
    if effects.readers:
        learner = f"{effects.readers[0]}, trained quickly, does not beat popularity"
        return f"{shown}. {learner}: train it in full before you leave order out."
    return f"{shown}. {READ_IT}"


def _networks(effects: Effects) -> list[str]:
    """Sentences that compare a network, trained quickly, with the best counting model."""
    counting = [name for name in effects.values if name in COUNTING_BASELINES]
    best = max(counting, key=lambda name: effects.estimate(name, 1).value)
    return [
        effects.difference(name, best).sentence(name, best, effects.metric, effects.num_owners, effects.owner)
        + ": this network is trained quickly, with default settings; `caser train` and `caser evaluate` decide."
        for name in effects.values
        if name not in COUNTING_BASELINES
    ]
