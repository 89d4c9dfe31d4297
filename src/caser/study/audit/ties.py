"""What hangs on ties: events of one user at one moment, whose order is that of rows in a file and nothing else.

The split, and so the test item, may depend on them. The band is the metric of a cheap model over random orders among
ties: each order is split and judged anew, on validation, so the fingerprints differ, and only the ends of the band are
reported. A value in file order far from the others says that the file's order knows something, or hides something,
that the clock does not tell.
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
CHEAP = "count-knn"
QUESTION = "Do ties decide?"
MANY_USERS = 0.1
FAR = 3.0
"""Standard deviations, over random orders, from which on the file's order is no random one."""


def ties(log: InteractionLog, protocol: str, facts: Facts, seed: int, say: Callable[[str], object]) -> Finding:
    """Count ties, what they decide, and the band of a metric over their orders. `facts` are those of `describe`."""
    tied = facts["share_of_rows_tied"]
    if tied is None:
        return Finding("ties", QUESTION, "Without times every order is the order of rows.", "note", {})
    split = protocols.apply(protocol, log)
    validation, test = decided_by_ties(split)
    found: dict[str, Fact] = {
        "share of rows that tie": tied,
        "share of users whose validation item a tie decides": validation,
        "share of users whose test item a tie decides": test,
    }
    if tied == 0:
        return Finding("ties", QUESTION, "No two events of one user are at one moment.", "good", found)
    say(f"{CHEAP}, {ORDERS} random orders among ties")
    metric = protocols.protocol_named(protocol).validation_metric
    in_file = _value(split, metric)
    values = np.sort([_value(protocols.apply(protocol, reordered(log, seed, n)), metric) for n in range(ORDERS)])
    low, high = float(values[0]), float(values[-1])
    found |= {f"{metric} in file order": in_file, f"lowest {metric}": low, f"highest {metric}": high}
    knows = (in_file - float(values.mean())) / max(float(values.std(ddof=1)), 1e-12)
    found["standard deviations of file order above random orders"] = knows
    sentence = (
        f"Of all rows {share(tied)} tie with another of the same user, and a tie decides what is predicted for "
        f"{share(validation)} of users on validation and {share(test)} on test; over {ORDERS} random orders among ties "
        f"{CHEAP} gets {low:.4f} to {high:.4f} {metric}, in file order {in_file:.4f}."
    )
    severity: Severity = "warning" if abs(knows) > FAR or test > MANY_USERS else "note"
    advice = _advice(protocol, metric, low, high, in_file if knows > FAR else None, test)
    chart = Chart(
        "bars",
        ["file order", "random order"],
        [Series(CHEAP, [in_file, float(np.median(values))], low=[in_file, low], high=[in_file, high])],
        "order among ties",
        f"{metric}, validation",
    )
    return Finding("ties", QUESTION, sentence, severity, found, chart=chart, advice=advice)


def decided_by_ties(split: Split) -> tuple[float, float]:
    """Share of judged users for whom a tie decides what validates, and what tests.

    A tie decides where the last event of one part and the first of the next are at one moment: another order of rows
    would have exchanged them. In the log below it is so for what tests, and therefore for what validates.

    >>> import polars as pl
    >>> from caser.data.split import leave_one_out
    >>> log = InteractionLog.from_columns(pl.Series([1, 1, 1]), pl.Series([7, 8, 9]), np.array([0, 5, 5]))
    >>> decided_by_ties(leave_one_out(log))
    (1.0, 1.0)
    """
    log = split.log
    begin, total = Tape.from_log(log).offsets[:-1], np.bincount(log.users, minlength=log.num_users + 1)
    ties = []
    for lengths in (split.fit.lengths, split.final.lengths):
        cut = (lengths > 0) & (lengths < total)
        right = np.where(cut, begin + lengths, 1)
        ties.append(cut & (log.times[right - 1] == log.times[np.minimum(right, len(log) - 1)]))
    judged = max(int(((split.final.lengths > 0) & (split.final.lengths < total)).sum()), 1)
    return float((ties[0] | ties[1]).sum() / judged), float(ties[1].sum() / judged)


def reordered(log: InteractionLog, seed: int, number: int) -> InteractionLog:
    """The log with events of one user at one moment in random order."""
    random = numpy_generator(seed, "ties", number)
    return replace(log, items=log.items[np.lexsort((random.random(len(log)), log.times, log.users))])


def _value(split: Split, metric: str) -> float:
    scorer = counting_settings(CHEAP).build(split.log.num_users, split.log.num_items)
    scorer.fit(split.fit)
    return judge.value(scorer, split.validation, protocols.resolve(split.name, split, "validation"), metric)


def _advice(protocol: str, metric: str, low: float, high: float, in_file: float | None, test: float) -> tuple[str, ...]:
    advice = []
    if test > MANY_USERS:
        advice.append(
            f"Ties make single numbers under {protocol} a lottery: differences between papers or files below "
            f"{high - low:.4f} {metric} may be the order of rows. Compare models on one file only."
        )
    if in_file is not None:
        advice.append(
            f"The order of rows flatters: {metric} of {CHEAP} is {in_file:.4f} in file order and at most {high:.4f} in "
            "random ones. A live system has no such order; sort rows the way they will arrive, or at random."
        )
    return tuple(advice)
