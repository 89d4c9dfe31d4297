"""Ties: events of one user at the same time. Only the order of rows in the file says which of them came first.

The split, and so the test item, may depend on that order. So a quick model is judged on validation for several random
orders of the ties. Each order makes another split, with another fingerprint, so only the range of the values is
reported. If the value in file order is far outside this range, the order of rows holds information that the times do
not have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from caser.data.describe import Facts
from caser.data.log import InteractionLog
from caser.data.split import Split
from caser.data.tape import Tape
from caser.evaluation import judge, protocols
from caser.models import counting_settings
from caser.study.audit.findings import Chart, Fact, Finding, Series, Severity, share
from caser.system.randomness import numpy_generator

ORDERS = 20
"""Random orders of the ties that are judged."""
QUICK = "count-knn"
"""The model that is judged."""
QUESTION = "Do ties decide?"
MANY_USERS = 0.1
"""A larger share of users whose test item depends on a tie is a warning."""
FAR = 3.0
"""File order is not a random order if its value is more than this many standard deviations away."""


def ties(log: InteractionLog, protocol: str, facts: Facts, seed: int, say: Callable[[str], object]) -> Finding:
    """Return a finding on ties: how many there are, what they decide, and how a metric varies over their orders.

    log       the log in file order
    protocol  how each order is split and judged
    facts     those of `describe`
    seed      of the random orders
    say       called with a sentence before long work

    Raises DataError for a log that the protocol cannot split.
    """
    tied = facts["share_of_rows_tied"]
    if tied is None:
        return Finding("ties", QUESTION, "The log has no times: the order of events is the order of rows.", "note", {})
    split = protocols.apply(protocol, log)
    validation, test = decided_by_ties(split)
    numbers: dict[str, Fact] = {
        "share of rows that tie": tied,
        "share of users whose validation item a tie decides": validation,
        "share of users whose test item a tie decides": test,
    }
    if tied == 0:
        return Finding("ties", QUESTION, "No two events of one user have the same time.", "good", numbers)
    say(f"{QUICK}, {ORDERS} random orders among ties")
    # Judge a quick model in file order, and in random orders of the ties.
    metric = protocols.protocol_named(protocol).validation_metric
    in_file = _value(split, metric)
    values = np.sort([_value(protocols.apply(protocol, reordered(log, seed, n)), metric) for n in range(ORDERS)])
    low, high = float(values[0]), float(values[-1])
    numbers |= {f"{metric} in file order": in_file, f"lowest {metric}": low, f"highest {metric}": high}
    deviations = (in_file - float(values.mean())) / max(float(values.std(ddof=1)), 1e-12)
    numbers["standard deviations of file order above random orders"] = deviations
    sentence = (
        f"{share(tied)} of rows tie with another of the same user. A tie decides which item is predicted for "
        f"{share(validation)} of users on validation and for {share(test)} on test. Over {ORDERS} random orders of the "
        f"ties {QUICK} gets {low:.4f} to {high:.4f} {metric}; in file order {in_file:.4f}."
    )
    severity: Severity = "warning" if abs(deviations) > FAR or test > MANY_USERS else "note"
    advice = _advice(protocol, metric, low, high, in_file if deviations > FAR else None, test)
    chart = Chart(
        "bars",
        ["file order", "random order"],
        [Series(QUICK, [in_file, float(np.median(values))], low=[in_file, low], high=[in_file, high])],
        "order among ties",
        f"{metric} on validation",
    )
    return Finding("ties", QUESTION, sentence, severity, numbers, chart=chart, advice=advice)


def decided_by_ties(split: Split) -> tuple[float, float]:
    """Return the share of judged users for whom a tie decides the validation item, and the test item.

    split  of a log with times

    A tie decides if the last event of one part and the first event of the next part have the same time: another order
    of rows would exchange them. In the log below a tie decides the test item, and so the validation item too.

    >>> import polars as pl
    >>> from caser.data.split import leave_one_out
    >>> log = InteractionLog.from_columns(pl.Series([1, 1, 1]), pl.Series([7, 8, 9]), np.array([0, 5, 5]))
    >>> decided_by_ties(leave_one_out(log))
    (1.0, 1.0)
    """
    log = split.log
    begin, total = Tape.from_log(log).offsets[:-1], np.bincount(log.users, minlength=log.num_users + 1)
    fit_lengths, final_lengths = (tape.whole(log.num_users).lengths for tape in (split.fit, split.final))
    ties = []
    for lengths in (fit_lengths, final_lengths):
        cut = (lengths > 0) & (lengths < total)
        right = np.where(cut, begin + lengths, 1)
        ties.append(cut & (log.times[right - 1] == log.times[np.minimum(right, len(log) - 1)]))
    judged = max(int(((final_lengths > 0) & (final_lengths < total)).sum()), 1)
    return float((ties[0] | ties[1]).sum() / judged), float(ties[1].sum() / judged)


def reordered(log: InteractionLog, seed: int, number: int) -> InteractionLog:
    """Return the log with the events of one user at the same time in random order.

    seed, number  choose the order: `number` counts the orders of one seed
    """
    random = numpy_generator(seed, "ties", number)
    order = np.lexsort((random.random(len(log)), log.times, log.users))
    kinds = None if log.kinds is None else log.kinds[order]
    return replace(log, items=log.items[order], kinds=kinds)


def _value(split: Split, metric: str) -> float:
    scorer = counting_settings(QUICK).build(split.log.num_users, split.log.num_items)
    scorer.fit(split.fit)
    return judge.value(scorer, split.validation, protocols.resolve(split.name, split, "validation"), metric)


def _advice(protocol: str, metric: str, low: float, high: float, in_file: float | None, test: float) -> tuple[str, ...]:
    advice = []
    if test > MANY_USERS:
        advice.append(
            f"Under {protocol} the order of rows decides much: a difference below {high - low:.4f} {metric} between "
            "two papers or two files may come from it. Compare models on one and the same file."
        )
    if in_file is not None:
        advice.append(
            f"The order of rows flatters: {metric} of {QUICK} is {in_file:.4f} in file order, and at most {high:.4f} "
            "in random orders. A live system does not know this order: sort rows as they will arrive, or at random."
        )
    return tuple(advice)
