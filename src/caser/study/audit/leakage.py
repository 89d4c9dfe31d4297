"""How much of the future each protocol shows, and which protocol fits a log."""

from __future__ import annotations

import numpy as np

from caser.arrays.types import Int64
from caser.data.log import InteractionLog
from caser.errors import DataError
from caser.evaluation import protocols
from caser.evaluation.split_facts import later_share
from caser.study.audit.findings import Chart, Fact, Finding, Series, Table, share

COMPARED = ("leave-one-out", "caser-paper", "global-time")
DAY = 86_400_000_000
MUCH = 0.1
"""A share of later events that deserves a warning."""
SHORT = 20
"""Median events of a user that can still be a session."""
FEW_JUDGED = 500


def leakage(log: InteractionLog, protocol: str) -> Finding:
    """Share of training interactions later than what they help to predict, for the protocol chosen and for others."""
    question = "Does the split show the future?"
    if not log.has_times:
        return Finding("leakage", question, "Without times nobody can tell.", "warning", {})
    found = {name: _judged(log, name) for name in dict.fromkeys((protocol, *COMPARED))}
    rows: list[list[Fact]] = [[name, *values] for name, values in found.items()]
    facts: dict[str, Fact] = {f"later events, {name}": values[0] for name, values in found.items()}
    later = found[protocol][0] or 0.0
    drawn = [name for name, values in found.items() if values[0] is not None]
    return Finding(
        name="leakage",
        question=question,
        sentence=(
            f"Under {protocol} {share(later)} of training interactions are later than the one they help to predict"
            f"{'; under global-time none are' if protocol != 'global-time' and later else ''}."
        ),
        severity="warning" if later > MUCH else "good",
        facts=facts,
        table=Table(["protocol", "later events", "judged", "remark"], rows),
        chart=Chart(
            "bars",
            drawn,
            [Series("share of later events", [float(found[name][0] or 0) for name in drawn])],
            "protocol",
            "share of training interactions",
        ),
        advice=(_fitting_protocol(log, protocol, later, found["global-time"][1]),),
    )


def are_sessions(log: InteractionLog) -> bool:
    """Whether users look like sessions: short, over within a day (for 95 % of them), and so never returning."""
    return (
        log.has_times
        and float(np.median(np.bincount(log.users)[1:])) <= SHORT
        and float(np.mean(spans(log) < DAY)) >= 0.95
        and float(np.mean(spans(log) > 0)) >= 0.5  # a clock that only knows days makes no sessions
    )


def spans(log: InteractionLog) -> Int64:
    """Time from the first event of each user to the last, in microseconds, (num_users,)."""
    first = np.flatnonzero(np.diff(log.users, prepend=0))
    last = np.append(first[1:], len(log)) - 1
    lasted: Int64 = log.times[last] - log.times[first]
    return lasted


def _judged(log: InteractionLog, protocol: str) -> tuple[float | None, int, str]:
    """The share of later events on validation, how many users (or sessions) are judged, and why not, if not."""
    try:
        split = protocols.apply(protocol, log)
        return later_share(split, split.fit, split.validation), len(np.unique(split.validation.owners)), ""
    except DataError as error:
        return None, 0, str(error)


def _fitting_protocol(log: InteractionLog, protocol: str, later: float, judged_by_time: int) -> str:
    if protocol != "sessions" and are_sessions(log):
        return "Users are sessions (short, over within a day, never back): judge with --protocol sessions."
    if protocol in ("global-time", "sessions") or later <= MUCH:
        return f"The protocol {protocol} fits this log."
    few = f", though it can judge only {judged_by_time:,} users here" if judged_by_time < FEW_JUDGED else ""
    return (
        f"For a decision about production judge with --protocol global-time{few}; {protocol} shows models the future "
        f"({share(later)} of training), which is fair between models but flatters all of them."
    )
