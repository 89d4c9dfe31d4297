"""The results of the shuffles in sentences: whether order matters, how much of it is needed, and what to try.

Differences are tested in a fixed order, each at 95 %: first whether the best model beats popularity, then whether order
and recency are part of the gain. A later difference counts only if the first one is shown.
"""

from __future__ import annotations

from caser.evaluation.statistics import Difference
from caser.models import COUNTING_BASELINES
from caser.study.audit.findings import Chart, Fact, Finding, Series, Table, count
from caser.study.audit.order import Effects, in_words
from caser.study.audit.shuffles import Block

LITTLE = 0.1
"""Order matters only a little if it is worth at most this share of a model's gain over popularity."""


def verdict(effects: Effects, without: Effects | None = None) -> str:
    """Return one sentence: does order matter in this log?

    effects  on the log in file order
    without  on the same log with events at equal times in random order; None if there are few such events

    >>> import numpy as np
    >>> owners = np.arange(4, dtype=np.int32)
    >>> same = {1: np.ones(4), 5: np.ones(4), "whole": np.ones(4)}
    >>> verdict(Effects({"popularity": same}, owners, "hit@10", 5))
    'Nothing in the history helps: no model beats popularity (hit@10 1.0000).'
    """
    # First: does the best model beat popularity?
    best, metric = effects.best_model, effects.metric
    value = effects.estimate(best, 1).value
    gain = effects.gain(best)
    if gain.low <= 0 or best == "popularity":
        limit = "" if best == "popularity" else f"; {_not_shown(gain, effects)}"
        floor = effects.estimate("popularity", 1).value
        return f"Nothing in the history helps: no model beats popularity ({metric} {floor:.4f}{limit})."
    # Then: are order and recency part of the gain?
    order, recency = losses(effects)
    loser, block = f"{best}, at {value:.4f} {metric}, loses", f"the order of {effects.block} neighbouring items"
    matters = "Order matters" if order.value > LITTLE * gain.value else "Order matters a little"
    if is_order_of_rows(without):
        matters = "The order of rows at equal times matters"
    if order.low > 0 and recency.low > 0:
        return (
            f"{matters}, and so does recency: {loser} {_bounded(order)} when {block} is shuffled, and "
            f"{_bounded(recency)} more when the whole history is{_without_ties(without)}."
        )
    if order.low > 0:
        return (
            f"{matters}: {loser} {_bounded(order)} when {block} is shuffled, and is not shown to lose more when the "
            f"whole history is{_without_ties(without)}."
        )
    if recency.low > 0:
        return (
            f"Recent items matter, but no worth of their order is shown: {loser} {_bounded(recency)} when the whole "
            f"history is shuffled, but nothing for {block} ({_not_shown(order, effects)})."
        )
    return (
        f"Order is not shown to matter: {best} beats popularity by {_bounded(gain)} {metric}, and is not shown to lose "
        f"when histories are shuffled ({_not_shown(order, effects)})."
    )


def order_finding(effects: Effects, without: Effects | None = None) -> Finding:
    """Return the finding on the worth of order, recency and the set of items.

    effects, without  as for `verdict`
    """
    best = effects.best_model
    order, recency = losses(effects)
    gain, items = effects.gain(best), effects.estimate(best, "whole").value - effects.estimate("popularity", 1).value
    steps: list[Block] = [1, effects.block, "whole"]
    facts: dict[str, Fact] = {
        "best model with the true order": best,
        **{f"order{end}": number for end, number in _bounds(order)},
        "smallest order that could be shown": order.smallest_detectable,
        **{f"recency{end}": number for end, number in _bounds(recency)},
        "set of items": items,
        f"{effects.owner}s judged": effects.num_owners,
    }
    if without is not None:
        left = losses(without)[0]
        facts |= {f"order, ties at random{end}": number for end, number in _bounds(left)}
    sentence = _parts(effects, order, recency, items) if gain.low > 0 else verdict(effects)
    shown = gain.low > 0 and order.low > 0 and not is_order_of_rows(without)
    return Finding(
        name="order",
        question="Does order matter?",
        sentence=sentence,
        severity="good" if shown else "note",
        facts=facts,
        table=_table(effects, steps),
        chart=Chart("bars", [in_words(step) for step in steps], _series(effects, steps), "histories", _axis(effects)),
        advice=tuple(_advice(effects, shown)),
    )


def blocks_finding(effects: Effects) -> Finding:
    """Return the finding on how much of the order a model needs: `effects` of every model over block sizes."""
    best = effects.best_model_of_all_sizes
    steps: list[Block] = list(effects.values[best])
    labels = [str(step) for step in steps]
    costs = {block: effects.loss(best, 1, block) for block in steps[1:]}
    first = next((block for block, cost in costs.items() if cost.low > 0), None)
    harmless = [block for block in steps[1:] if first is None or steps.index(block) < steps.index(first)]
    if first is None:
        sentence = f"{best} loses nothing by any shuffle that {count(effects.num_owners, effects.owner)} can show."
    elif harmless:
        sentence = (
            f"{best} does not need the order within {harmless[-1]} neighbours, but it needs the order within {first}."
        )
    else:
        sentence = f"{best} loses {_bounded(costs[first])} {effects.metric} when only {first} neighbours are shuffled."
    if first == "whole" and harmless:
        sentence = (
            f"{best} does not need the order within {harmless[-1]} neighbours, if it knows which items are recent."
        )
    return Finding(
        name="blocks",
        question="How much of the order is needed?",
        sentence=sentence,
        severity="note",
        facts={f"lost with {in_words(block)}": cost.value for block, cost in costs.items()},
        table=_table(effects, steps),
        chart=Chart("lines", labels, _series(effects, steps), "neighbours shuffled", _axis(effects)),
    )


def losses(effects: Effects) -> tuple[Difference, Difference]:
    """Return from `effects` what the best model loses with the order of a block, and further with recency."""
    best = effects.best_model
    return effects.loss(best, 1, effects.block), effects.loss(best, effects.block, "whole")


def _bounds(difference: Difference) -> list[tuple[str, float]]:
    return [("", difference.value), (", low", difference.low), (", high", difference.high)]


def _parts(effects: Effects, order: Difference, recency: Difference, items: float) -> str:
    """The gain of the best model over popularity, divided into order, recency and the set of items."""
    total = effects.gain(effects.best_model).value
    if min(order.value, recency.value, items) < 0:
        parts = f"{order.value:+.4f} order, {recency.value:+.4f} recency, {items:+.4f} the set of items"
        return f"{effects.best_model} gains {total:.4f} {effects.metric} over popularity: {parts}."
    parts = (
        f"{order.value / total:.0%} is order, {recency.value / total:.0%} recency, {items / total:.0%} the set of items"
    )
    return f"{effects.best_model} gains {total:.4f} {effects.metric} over popularity: {parts.replace('%', ' %')}."


def _without_ties(without: Effects | None) -> str:
    """The end of a sentence: what the order is worth when events at equal times are in random order."""
    if without is None:
        return ""
    left = losses(without)[0]
    if is_order_of_rows(without):
        return f"; with events at equal times in random order, no such loss is shown ({_not_shown(left, without)})"
    return f"; with events at equal times in random order, {without.best_model} loses {_bounded(left)} with the order"


def is_order_of_rows(without: Effects | None) -> bool:
    """Whether the order is not shown to be worth anything when events at equal times are in random order.

    without  as for `verdict`
    """
    return without is not None and losses(without)[0].low <= 0


def _advice(effects: Effects, is_order_shown: bool) -> list[str]:
    best = effects.best_model
    order, recency = losses(effects)
    if effects.gain(best).low <= 0:
        return ["Do not train a sequence model on this log as it is: no model that learned from it beats popularity."]
    if is_order_shown:
        advice = [f"Models that read the order are worth trying: {best} is the model to beat."]
    elif order.low > 0:
        advice = [
            "All the worth of order comes from the order of rows at equal times here: sequence models learn the file."
        ]
    elif recency.low > 0:
        advice = ["Models that read the recent items are worth trying; they need not read their order."]
    else:
        advice = ["A model that reads the set of items is enough here; sequence models are not worth their cost."]
    return advice + _networks(effects)


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


def _table(effects: Effects, steps: list[Block]) -> Table:
    rows: list[list[Fact]] = []
    for model, by_block in effects.values.items():
        for step in (step for step in steps if step in by_block):
            mean, cost = effects.estimate(model, step), effects.loss(model, 1, step)
            lost: list[Fact] = [None, None, None] if step == 1 else [cost.value, cost.low, cost.high]
            rows.append([model, in_words(step), mean.value, mean.low, mean.high, *lost])
    return Table(["model", "histories", effects.metric, "low", "high", "lost", "lost, low", "lost, high"], rows)


def _series(effects: Effects, steps: list[Block]) -> list[Series]:
    drawn = []
    for model in (model for model, by_block in effects.values.items() if set(steps) <= set(by_block)):
        means = [effects.estimate(model, step) for step in steps]
        drawn.append(Series(model, [e.value for e in means], [e.low for e in means], [e.high for e in means]))
    return drawn


def _axis(effects: Effects) -> str:
    return f"{effects.metric}, validation"


def _bounded(difference: Difference) -> str:
    return f"{difference.value:.4f} (95 % {difference.low:.4f} to {difference.high:.4f})"


def _not_shown(difference: Difference, effects: Effects) -> str:
    return (
        f"{difference.value:+.4f}, 95 % {difference.low:+.4f} to {difference.high:+.4f}; smallest that "
        f"{count(effects.num_owners, effects.owner)} could show: {difference.smallest_detectable:.4f}"
    )
