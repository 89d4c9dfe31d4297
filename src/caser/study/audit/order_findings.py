"""Two findings from the shuffles: the worth of order, recency and the set of items; how much of the order is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from caser.evaluation.statistics import Difference
from caser.study.audit.findings import Chart, Fact, Finding, Series, Table, count
from caser.study.audit.order import Effects, in_words
from caser.study.audit.shown import UNREAD, beats_popularity, bounded, is_order_of_rows, losses
from caser.study.audit.shuffles import Block
from caser.study.audit.verdict import advice, verdict


def order_finding(effects: Effects, without: Effects | None = None) -> Finding:
    """Return the finding on the worth of order, recency and the set of items.

    effects, without  as for `verdict`
    """
    best = effects.best_model
    order, recency = losses(effects)
    items = effects.estimate(best, "whole").value - effects.estimate("popularity", 1).value
    steps: list[Block] = [1, effects.block, "whole"]
    facts: dict[str, Fact] = {
        "models judged": ", ".join(effects.values),
        "models that read the order of several items": ", ".join(effects.readers) or "none",
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
    helps = beats_popularity(best, effects)
    sentence = _parts(effects, order, recency, items) if helps else verdict(effects)
    shown = helps and order.low > 0 and not is_order_of_rows(effects, without)
    return Finding(
        name="order",
        question="Does order matter?",
        sentence=sentence if effects.readers else f"{sentence} {UNREAD}",
        severity="good" if shown else "note",
        facts=facts,
        table=_table(effects, steps),
        chart=Chart(
            "bars", [in_words(step) for step in steps], _series(effects, steps), "order of the history", _axis(effects)
        ),
        advice=tuple(advice(effects, without)),
    )


def blocks_finding(effects: Effects) -> Finding:
    """Return the finding on how much of the order a model uses: `effects` of every model over block sizes.

    Losses are tested from the largest blocks down, and no further than to the first size that shows none.
    """
    best = effects.best_model_of_all_sizes
    steps: list[Block] = list(effects.values[best])
    costs = {block: effects.loss(best, 1, block) for block in steps[1:]}
    shown: list[Block] = []
    for block in reversed(steps[1:]):
        if not costs[block].low > 0:
            break
        shown.append(block)
    sentence = _needs(best, costs, shown, effects)
    for reader in effects.readers:
        loss = effects.loss(reader, 1, effects.block)
        if len(effects.values[reader]) < len(steps) and loss.low > 0:
            sentence += (
                f" {reader}, which reads the order of several items, loses {bounded(loss)} when {effects.block} "
                "neighbours are shuffled."
            )
    return Finding(
        name="blocks",
        question=f"How much of the order does {best} use?",
        sentence=sentence,
        severity="note",
        facts={f"lost with {in_words(block)}": cost.value for block, cost in costs.items()},
        table=_table(effects, steps),
        chart=Chart(
            "lines", [str(step) for step in steps], _series(effects, steps), "neighbours shuffled", _axis(effects)
        ),
    )


def _needs(best: str, costs: Mapping[Block, Difference], shown: Sequence[Block], effects: Effects) -> str:
    """What a model loses by shuffles of several sizes; `shown` has the sizes that cost something, largest first."""
    if not shown:
        return f"{best} loses nothing by any shuffle that {count(effects.num_owners, effects.owner)} can show."
    first, harmless = shown[-1], [block for block in costs if block not in shown]
    loss = f"loses {bounded(costs[first])} {effects.metric}"
    if not harmless:
        return f"{best} {loss} when only {first} neighbours are shuffled."
    when = "when the whole history is shuffled" if first == "whole" else f"when {first} are shuffled"
    return f"{best} is not shown to lose when {harmless[-1]} neighbours are shuffled, but {loss} {when}."


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
    return f"{effects.metric} on validation"
