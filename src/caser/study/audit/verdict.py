"""What the shuffles amount to, in sentences: whether order matters, how much of it, and what to try.

Differences are asked in a fixed order, so that one is believed only where those before it were: first whether the best
model beats popularity at all, then whether order, and recency, carry part of that. All at 95 %.
"""

from __future__ import annotations

from caser.evaluation.statistics import Difference
from caser.models import COUNTING_BASELINES
from caser.study.audit.findings import Chart, Fact, Finding, Series, Table, count
from caser.study.audit.order import Effects, in_words
from caser.study.audit.shuffles import Block

LITTLE = 0.1
"""Up to this share of what a model has over popularity, order matters a little."""


def verdict(effects: Effects, without: Effects | None = None) -> str:
    """One sentence: does order matter in this log?

    `without` are the effects in the same log with events at equal times in random order, None if there are no such.

    >>> import numpy as np
    >>> owners = np.arange(4, dtype=np.int32)
    >>> same = {1: np.ones(4), 5: np.ones(4), "whole": np.ones(4)}
    >>> verdict(Effects({"popularity": same}, owners, "hit@10", 5))
    'Nothing in the history helps: no model beats popularity (hit@10 1.0000).'
    """
    lead, metric = effects.lead, effects.metric
    value = effects.estimate(lead, 1).value
    gain = effects.gain(lead)
    if gain.low <= 0 or lead == "popularity":
        limit = "" if lead == "popularity" else f"; {_unseen(gain, effects)}"
        floor = effects.estimate("popularity", 1).value
        return f"Nothing in the history helps: no model beats popularity ({metric} {floor:.4f}{limit})."
    order, recency = losses(effects)
    had, block = f"{lead}, at {value:.4f} {metric}, loses", f"the order of {effects.block} neighbouring items"
    matters = "Order matters" if order.value > LITTLE * gain.value else "Order matters a little"
    if is_order_of_rows(without):
        matters = "The order of rows at equal times matters"
    if order.low > 0 and recency.low > 0:
        return (
            f"{matters}, and so does recency: {had} {_lost(order)} when {block} is shuffled, and {_lost(recency)} "
            f"more when the whole history is{_without_ties(without)}."
        )
    if order.low > 0:
        return (
            f"{matters}: {had} {_lost(order)} when {block} is shuffled, and nothing more that could be shown when "
            f"the whole history is{_without_ties(without)}."
        )
    if recency.low > 0:
        return (
            f"Recent items matter, their order does not as far as can be shown: {had} {_lost(recency)} when the whole "
            f"history is shuffled, but nothing for {block} ({_unseen(order, effects)})."
        )
    return (
        f"Order does not matter as far as can be shown: {lead} beats popularity by {_lost(gain)} {metric}, and loses "
        f"nothing when histories are shuffled ({_unseen(order, effects)})."
    )


def order_finding(effects: Effects, without: Effects | None = None) -> Finding:
    """The true order, blocks, and whole histories, for every model; what each difference is called."""
    lead = effects.lead
    order, recency = losses(effects)
    gain, items = effects.gain(lead), effects.estimate(lead, "whole").value - effects.estimate("popularity", 1).value
    steps: list[Block] = [1, effects.block, "whole"]
    facts: dict[str, Fact] = {
        "best model with the true order": lead,
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
    """How much order must be kept: the metric of every model over sizes of blocks."""
    lead = effects.thorough
    steps: list[Block] = list(effects.values[lead])
    labels = [str(step) for step in steps]
    costs = {block: effects.loss(lead, 1, block) for block in steps[1:]}
    first = next((block for block, cost in costs.items() if cost.low > 0), None)
    harmless = [block for block in steps[1:] if first is None or steps.index(block) < steps.index(first)]
    if first is None:
        sentence = f"No shuffle costs {lead} anything that {count(effects.num_owners, effects.owner)} could show."
    elif harmless:
        sentence = f"{lead} can do without the order of {harmless[-1]} neighbours, but not without that of {first}."
    else:
        sentence = f"Exchanging {first} neighbours already costs {lead} {_lost(costs[first])} {effects.metric}."
    if first == "whole" and harmless:
        sentence = (
            f"{lead} can do without the order of {harmless[-1]} neighbouring items, if it knows which are recent."
        )
    return Finding(
        name="blocks",
        question="How much order must be kept?",
        sentence=sentence,
        severity="note",
        facts={f"lost with {in_words(block)}": cost.value for block, cost in costs.items()},
        table=_table(effects, steps),
        chart=Chart("lines", labels, _series(effects, steps), "neighbours shuffled", _axis(effects)),
    )


def losses(effects: Effects) -> tuple[Difference, Difference]:
    """What the best model loses with the order of a block, and then with recency."""
    lead = effects.lead
    return effects.loss(lead, 1, effects.block), effects.loss(lead, effects.block, "whole")


def _bounds(difference: Difference) -> list[tuple[str, float]]:
    return [("", difference.value), (", low", difference.low), (", high", difference.high)]


def _parts(effects: Effects, order: Difference, recency: Difference, items: float) -> str:
    total = effects.gain(effects.lead).value
    if min(order.value, recency.value, items) < 0:
        parts = f"{order.value:+.4f} order, {recency.value:+.4f} recency, {items:+.4f} the set of items"
        return f"What {effects.lead} has over popularity, {total:.4f} {effects.metric}: {parts}."
    parts = (
        f"{order.value / total:.0%} is order, {recency.value / total:.0%} recency, {items / total:.0%} the set of items"
    )
    return f"Of what {effects.lead} has over popularity, {total:.4f} {effects.metric}, {parts.replace('%', ' %')}."


def _without_ties(without: Effects | None) -> str:
    """What is left of the value of order once events at equal times are in random order."""
    if without is None:
        return ""
    left = losses(without)[0]
    if is_order_of_rows(without):
        return f"; with events at equal times in random order nothing is left to show ({_unseen(left, without)})"
    return f"; with events at equal times in random order {without.lead} loses {_lost(left)} with the order"


def is_order_of_rows(without: Effects | None) -> bool:
    """Whether no value of order can be shown once events at equal times are in random order."""
    return without is not None and losses(without)[0].low <= 0


def _advice(effects: Effects, is_order_shown: bool) -> list[str]:
    lead = effects.lead
    order, recency = losses(effects)
    if effects.gain(lead).low <= 0:
        return ["Do not train a sequence model on this log as it is: nothing learned from it beat popularity."]
    if is_order_shown:
        advice = [f"Models that read order are worth trying: {lead} is the one to beat."]
    elif order.low > 0:
        advice = ["All that order is worth here is the order of rows at equal times: sequence models learn the file."]
    elif recency.low > 0:
        advice = ["Models of the recent items are worth trying, however they read them; order needs none."]
    else:
        advice = ["A model of the set of items will do; sequence models are not worth their price here."]
    return advice + _networks(effects)


def _networks(effects: Effects) -> list[str]:
    """How a network that was trained quickly stands against the best counting model."""
    counting = [name for name in effects.values if name in COUNTING_BASELINES]
    best = max(counting, key=lambda name: effects.estimate(name, 1).value)
    return [
        effects.difference(name, best).sentence(name, best, effects.metric, effects.num_owners, effects.owner)
        + ": trained quickly, with default settings; `caser train` and `caser evaluate` decide."
        for name in effects.values
        if name not in COUNTING_BASELINES
    ]


def _table(effects: Effects, steps: list[Block]) -> Table:
    rows: list[list[Fact]] = []
    for model, asked in effects.values.items():
        for step in (step for step in steps if step in asked):
            found, cost = effects.estimate(model, step), effects.loss(model, 1, step)
            lost: list[Fact] = [None, None, None] if step == 1 else [cost.value, cost.low, cost.high]
            rows.append([model, in_words(step), found.value, found.low, found.high, *lost])
    return Table(["model", "histories", effects.metric, "low", "high", "lost", "lost, low", "lost, high"], rows)


def _series(effects: Effects, steps: list[Block]) -> list[Series]:
    drawn = []
    for model in (model for model, asked in effects.values.items() if set(steps) <= set(asked)):
        found = [effects.estimate(model, step) for step in steps]
        drawn.append(Series(model, [e.value for e in found], [e.low for e in found], [e.high for e in found]))
    return drawn


def _axis(effects: Effects) -> str:
    return f"{effects.metric}, validation"


def _lost(difference: Difference) -> str:
    return f"{difference.value:.4f} (95 % {difference.low:.4f} to {difference.high:.4f})"


def _unseen(difference: Difference, effects: Effects) -> str:
    return (
        f"{difference.value:+.4f}, 95 % {difference.low:+.4f} to {difference.high:+.4f}; smallest that "
        f"{count(effects.num_owners, effects.owner)} could show: {difference.smallest_detectable:.4f}"
    )
