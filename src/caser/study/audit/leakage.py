"""Leakage: the share of training interactions later than the targets under each protocol; which protocol fits a log."""

from __future__ import annotations

import numpy as np

from caser.arrays.types import Int64
from caser.data.log import InteractionLog
from caser.errors import DataError
from caser.evaluation import protocols
from caser.evaluation.split_facts import later_share
from caser.study.audit.findings import Chart, Fact, Finding, Series, Table, share

COMPARED = (protocols.DEFAULT_PROTOCOL, "caser-paper", "global-time")
"""Protocols that are compared with the chosen one."""
DAY = 86_400_000_000
"""In microseconds."""
MUCH = 0.1
"""A larger share of later events is a warning."""
SHORT = 20
"""The largest median number of events of users that may be sessions."""
FEW_JUDGED = 500
"""Advice says so if a protocol can judge fewer users than this."""


def leakage(log: InteractionLog, protocol: str) -> Finding:
    """Return a finding on the share of training interactions that are later than the targets they help to predict.

    log       without times, the finding says that nothing can be said
    protocol  the chosen protocol; it is compared with some others
    """
    question = "Does the split show the future?"
    if not log.has_times:
        return Finding("leakage", question, "The log has no times, so this cannot be said.", "warning", {})
    judged = {name: _judged(log, name) for name in dict.fromkeys((protocol, *COMPARED))}
    rows: list[list[Fact]] = [[name, *values] for name, values in judged.items()]
    facts: dict[str, Fact] = {f"later events, {name}": values[0] for name, values in judged.items()}
    later = judged[protocol][0] or 0.0
    drawn = [name for name, values in judged.items() if values[0] is not None]
    return Finding(
        name="leakage",
        question=question,
        sentence=(
            f"Under {protocol}, {share(later)} of training interactions are later than the one they help to predict"
            f"{'; under global-time, none are' if protocol != 'global-time' and later else ''}."
        ),
        severity="warning" if later > MUCH else "good",
        facts=facts,
        table=Table(["protocol", "later events", "judged", "remark"], rows),
        chart=Chart(
            "bars",
            drawn,
            [Series("share of later events", [float(judged[name][0] or 0) for name in drawn])],
            "protocol",
            "share of training interactions",
        ),
        advice=(_fitting_protocol(log, protocol, later, judged["global-time"][1]),),
    )


def are_sessions(log: InteractionLog) -> bool:
    """Whether the users of `log` look like sessions: they have few events, and 95 % of them last less than a day."""
    return (
        log.has_times
        and float(np.median(np.bincount(log.users)[1:])) <= SHORT
        and float(np.mean(spans(log) < DAY)) >= 0.95
        and float(np.mean(spans(log) > 0)) >= 0.5  # with a clock that only tells days, all users would
    )


def spans(log: InteractionLog) -> Int64:
    """Return the time from each user's first event in `log` to the last, in microseconds, (num_users,) int64."""
    first = np.flatnonzero(np.diff(log.users, prepend=0))
    last = np.append(first[1:], len(log)) - 1
    lasted: Int64 = log.times[last] - log.times[first]
    return lasted


def _judged(log: InteractionLog, protocol: str) -> tuple[float | None, int, str]:
    """The share of later events on validation, the number of users or sessions judged, and the error if any."""
    try:
        split = protocols.apply(protocol, log)
        return later_share(split, split.fit, split.validation), len(np.unique(split.validation.owners)), ""
    except DataError as error:
        return None, 0, str(error)


def _fitting_protocol(log: InteractionLog, protocol: str, later: float, judged_by_time: int) -> str:
    if protocol != "sessions" and are_sessions(log):
        return "Users look like sessions (few events, all within a day): judge with --protocol sessions."
    if protocol in ("global-time", "sessions") or later <= MUCH:
        return f"The protocol {protocol} fits this log."
    few = f", though it can judge only {judged_by_time:,} users here" if judged_by_time < FEW_JUDGED else ""
    return (
        f"For a decision about production, judge with --protocol global-time{few}. Under {protocol}, models train on "
        f"the future ({share(later)} of training interactions): this is fair between models, but flatters all of them."
    )
